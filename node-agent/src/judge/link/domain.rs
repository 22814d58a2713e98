//! The NVLink domain of a node: the cluster and the clique that the fabric manager has given to its GPUs.
//!
//! The operator compares the domains of nodes; here only the GPUs of one node are compared. A cluster UUID of zeros is no
//! cluster: the fabric ends at this node (NVIDIA's GPU feature discovery sets no `nvidia.com/gpu.clique` then).

use crate::judge::core::{Ground, Readings};
use crate::readings::sample::{FabricReading, GpuReadings};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::FabricDomain;
use crds::reason;
use std::collections::BTreeMap;

/// Cluster and clique.
type Domain<'a> = (&'a str, u32);

/// The domain that all GPUs report that report one.
pub(crate) fn of_node(readings: &Readings) -> Option<FabricDomain> {
    let by_gpu = domains(readings.gpus.values());
    let mut all = by_gpu.into_values();
    let (cluster, clique) = all.next()?;
    all.all(|other| other == (cluster, clique))
        .then(|| FabricDomain { cluster_uuid: in_groups(cluster), clique_id: clique.into() })
}

/// What is known about the domains of the GPUs of a node.
pub(super) enum Agreement {
    /// Too few GPUs report one, or they differ for the first time.
    Unknown,
    Agree,
    /// In this reading and in the one before; as evidence.
    Differ(String),
}

/// Compares the domains of the GPUs.
pub(super) fn agreement(ground: &Ground<'_>, gpus: &[&GpuReadings]) -> Agreement {
    let now = domains(gpus.iter().copied());
    if !is_split(&now) {
        return if now.len() > 1 && is_whole(ground, now.len()) { Agreement::Agree } else { Agreement::Unknown };
    }
    if !is_split(&domains(gpus.iter().filter_map(|gpu| ground.before(&gpu.pci)))) {
        return Agreement::Unknown;
    }
    let mut counts: BTreeMap<Domain<'_>, usize> = BTreeMap::new();
    for domain in now.values() {
        *counts.entry(*domain).or_default() += 1;
    }
    let shown = counts.iter().map(|((cluster, clique), count)| format!("{}.{clique}: {count}", in_groups(cluster)));
    Agreement::Differ(format!("{GPUS}{} {}", now.len(), shown.collect::<Vec<_>>().join(", ")))
}

/// How the evidence begins: the number of GPUs that were compared.
const GPUS: &str = "gpus=";

/// Whether as many GPUs were compared as when they differed, or as the profile declares: the odd one may be gone, which
/// heals nothing.
fn is_whole(ground: &Ground<'_>, compared: usize) -> bool {
    let standing = ground.findings.get(Check::Fabric.name(), TARGET_NODE);
    let evidence =
        standing.filter(|finding| finding.reason == reason::FABRIC_SPLIT).and_then(|f| f.evidence.as_deref());
    let before = evidence.and_then(|text| text.strip_prefix(GPUS)?.split(' ').next()?.parse::<usize>().ok());
    let declared = ground.expected.declared_gpus().map(|(_, count)| count);
    before.is_none_or(|before| compared >= before) || declared.is_some_and(|declared| compared >= declared)
}

fn is_split(by_gpu: &BTreeMap<&str, Domain<'_>>) -> bool {
    let mut all = by_gpu.values();
    all.next().is_some_and(|first| all.any(|other| other != first))
}

fn domains<'a>(gpus: impl Iterator<Item = &'a GpuReadings>) -> BTreeMap<&'a str, Domain<'a>> {
    gpus.filter_map(|gpu| Some((gpu.pci.as_str(), domain(gpu.fabric.as_ref()?)?))).collect()
}

fn domain(fabric: &FabricReading) -> Option<Domain<'_>> {
    let cluster =
        fabric.cluster_uuid.as_deref().filter(|uuid| uuid.bytes().any(|byte| byte != b'0' && byte != b'-'))?;
    Some((cluster, fabric.clique?))
}

/// A UUID in the groups in which people and labels write it.
fn in_groups(hexadecimal: &str) -> String {
    let is_bare = hexadecimal.len() == 32 && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_bare {
        return hexadecimal.chars().take(36).collect();
    }
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hexadecimal.get(range).unwrap_or_default());
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::samples::{Scene, h200};

    fn node(domains: &[Option<(&str, u32)>]) -> Option<FabricDomain> {
        let mut sample = h200(u32::try_from(domains.len()).unwrap());
        for (gpu, domain) in sample.gpus.iter_mut().zip(domains) {
            let fabric = gpu.fabric.as_mut().unwrap();
            fabric.cluster_uuid = domain.map(|(cluster, _)| cluster.to_owned());
            fabric.clique = domain.map(|(_, clique)| clique);
        }
        of_node(&Scene::of(sample).readings)
    }

    #[test]
    fn a_node_has_the_domain_on_which_its_gpus_agree() {
        const ONE: &str = "0123456789abcdef0123456789abcdef";
        let domain = |clique_id| {
            Some(FabricDomain { cluster_uuid: "01234567-89ab-cdef-0123-456789abcdef".to_owned(), clique_id })
        };
        assert_eq!(node(&[Some((ONE, 7)); 4]), domain(7));
        assert_eq!(node(&[Some((ONE, 7)), None]), domain(7), "one whose fabric is still being set up says nothing");
        assert_eq!(node(&[Some((ONE, 7)), Some((ONE, 8))]), None);
        assert_eq!(node(&[Some((ONE, 7)), Some(("ffffffffffffffffffffffffffffffff", 7))]), None);
        assert_eq!(node(&[Some(("00000000000000000000000000000000", 0)); 8]), None, "the fabric ends at this node");
        assert_eq!(node(&[None]), None);
    }
}
