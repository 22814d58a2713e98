//! `topology`: where each GPU stands among the others of its node.
//!
//! No profile declares a topology, so a GPU is only compared with its peers, and a pattern that differs is a warning. A
//! GPU is cut off if the driver reports no path from it to any other GPU, but all paths between the others.

#[cfg(test)]
pub(in crate::judge) mod tests;

use crate::judge::core::rule::{found, judged};
use crate::judge::core::{Found, Ground, Judged, Page, Rule};
use crate::readings::TreeReport;
use crate::readings::sample::{GpuReadings, Section};
use crds::check::Check;
use crds::{Outcome, Severity, reason};
use std::collections::BTreeMap;

/// With fewer GPUs than this there is no pattern: a design may have three on one board and one apart.
const FEWEST: usize = 5;
/// With fewer GPUs than this there are no pairs besides those of a GPU that is cut off.
const FEWEST_WITH_PAIRS: usize = 3;

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::TOPOLOGY_INCOMPLETE,
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        when: "In two readings in a row the driver reports a common ancestor for all pairs but those of this GPU (three GPUs or more).",
        lifts: "One reading that reports every pair of the GPU.",
        act: "Reset the GPU or reboot the node, then compare `nvidia-smi topo -m` with a node of the same kind. If the paths stay missing, replace the board.",
        source: "AWS gpu-cluster-healthcheck check 3 (a pair without an entry)",
    },
    Rule {
        reason: reason::TOPOLOGY_DIFFERS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Of at least five GPUs, all but this one share the same pattern: which common ancestors they have with the others, how many bridges are above them, and whether they have a NUMA node.",
        lifts: "One reading in which its pattern matches the others.",
        act: "Compare with `nvidia-smi topo -m` of a node of the same kind: a board in the wrong slot, a firmware setting (NUMA per socket, ACS), or a virtual machine that hides the placement.",
        source: "Our judgement: no profile declares a topology; the patterns of DGX A100 (NVIDIA/DCGM issue 149) and of HGX boards are the same for every GPU",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Topology,
    means: "A GPU is attached differently from its neighbours, so transfers to the others, to the host or to the network take a longer path.",
    measured: "NVML: the nearest common ancestor of each pair of GPUs. sysfs: NUMA node and bridges above each accelerator. Read at every tenth interval. Network cards are reported but not judged.",
    profile: &[],
    metrics: &[],
    rules: RULES,
};

/// What is compared between peers. Missing parts are not compared.
#[derive(Clone, PartialEq, Eq)]
struct Pattern {
    /// The levels of the ancestors, sorted.
    ancestors: Option<Vec<u32>>,
    bridges: Option<usize>,
    has_numa: Option<bool>,
}

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if ground.expected.spec.is_some_and(|spec| spec.maintenance.is_some()) {
        return Judged::skipped(reason::MAINTENANCE);
    }
    let (driver, tree) = (ground.driver(Section::Topology), ground.tree().ok());
    let on_pci = tree.map_or(0, |tree| tree.pci.len());
    let gpus = match driver {
        Ok(gpus) => gpus,
        // If no GPU needs the driver's library, the tree is enough.
        Err(why) if why.reason.as_deref() == Some(reason::NO_ACCELERATOR) && on_pci > 0 => Vec::new(),
        Err(why) => return *why,
    };
    let read: Vec<&GpuReadings> = gpus.into_iter().filter(|gpu| gpu.topology.is_some()).collect();
    let targets: Vec<&str> = if read.is_empty() {
        tree.map_or_else(Vec::new, |tree| tree.pci.iter().map(|gpu| gpu.address.as_str()).collect())
    } else {
        read.iter().map(|gpu| gpu.pci.as_str()).collect()
    };
    if targets.len() < 2 {
        return Judged::skipped(reason::NOT_APPLICABLE);
    }
    let cut_off = cut_off(&read);
    let mut covered = Vec::new();
    let mut findings = differing(ground, &targets, &read, tree);
    for target in &targets {
        let is_whole = read.is_empty() || has_all_pairs(&read, target);
        let was_cut_off = cut_off == Some(*target) && is_cut_off_before(ground, &read, target);
        if (is_whole || was_cut_off) && !lacks_tree(ground, target, tree) {
            covered.push((*target).to_owned());
        }
        if was_cut_off {
            findings.push(no_way(ground, target, read.len()));
        }
    }
    findings.retain(|found| covered.contains(&found.target));
    judged(covered, findings)
}

/// Whether the standing finding also rests on the tree, and the tree is missing now: then nothing lifts it.
fn lacks_tree(ground: &Ground<'_>, target: &str, tree: Option<&TreeReport>) -> bool {
    let known = ground.findings.get(Check::Topology.name(), target);
    let known = known.filter(|known| known.reason == reason::TOPOLOGY_DIFFERS);
    let own = known.and_then(|known| known.evidence.as_deref()?.split(';').next());
    own.is_some_and(|own| !own.contains("bridges=-")) && tree.is_none_or(|tree| !tree.bridges.contains_key(target))
}

fn pairs(gpu: &GpuReadings) -> &[(String, u32)] {
    gpu.topology.as_ref().map_or(&[], |topology| &topology.ancestors)
}

/// Whether this GPU reports a common ancestor with each other GPU.
fn has_all_pairs(read: &[&GpuReadings], target: &str) -> bool {
    let own = read.iter().find(|gpu| gpu.pci == target).map_or(&[][..], |gpu| pairs(gpu));
    read.iter().filter(|other| other.pci != target).all(|other| own.iter().any(|(pci, _)| *pci == other.pci))
}

/// The one GPU without any pair, while all others have all of theirs.
fn cut_off<'a>(read: &[&'a GpuReadings]) -> Option<&'a str> {
    let is_alone = |gpu: &GpuReadings| {
        let names_it = |other: &&GpuReadings| pairs(other).iter().any(|(pci, _)| *pci == gpu.pci);
        pairs(gpu).is_empty() && !read.iter().any(names_it)
    };
    let alone: Vec<&GpuReadings> = read.iter().copied().filter(|gpu| is_alone(gpu)).collect();
    let [one] = alone.as_slice() else { return None };
    let others: Vec<&GpuReadings> = read.iter().copied().filter(|gpu| gpu.pci != one.pci).collect();
    let are_whole = others.iter().all(|gpu| has_all_pairs(&others, &gpu.pci));
    (are_whole && read.len() >= FEWEST_WITH_PAIRS).then_some(one.pci.as_str())
}

fn is_cut_off_before(ground: &Ground<'_>, read: &[&GpuReadings], target: &str) -> bool {
    let before: Vec<&GpuReadings> = read.iter().filter_map(|gpu| ground.before(&gpu.pci)).collect();
    let before: Vec<&GpuReadings> = before.into_iter().filter(|gpu| gpu.topology.is_some()).collect();
    before.len() == read.len() && cut_off(&before) == Some(target)
}

fn no_way(ground: &Ground<'_>, target: &str, gpus: usize) -> Found {
    let serial = ground.serial(target).unwrap_or("-");
    let others = gpus.saturating_sub(1);
    let message = format!(
        "the driver reports no path from GPU {target} (serial {serial}) to any of the other {others}, although it reports all paths between those"
    );
    found(RULES, reason::TOPOLOGY_INCOMPLETE, target, message, format!("pairs reported: 0 of {others}"))
}

/// The one GPU whose pattern differs from all others.
fn differing(ground: &Ground<'_>, targets: &[&str], read: &[&GpuReadings], tree: Option<&TreeReport>) -> Vec<Found> {
    let patterns: BTreeMap<&str, Pattern> =
        targets.iter().map(|target| (*target, pattern(target, read, tree))).collect();
    if patterns.len() < FEWEST {
        return Vec::new();
    }
    let odd = |target: &&str| {
        let mut others = patterns.iter().filter(|(other, _)| *other != target).map(|(_, pattern)| pattern);
        let first = others.next();
        others.all(|other| Some(other) == first) && patterns.get(*target) != first
    };
    let odd: Vec<&str> = targets.iter().filter(|target| odd(target)).copied().collect();
    odd.into_iter().map(|target| differs(ground, target, &patterns)).collect()
}

fn pattern(target: &str, read: &[&GpuReadings], tree: Option<&TreeReport>) -> Pattern {
    let own = read.iter().find(|gpu| gpu.pci == target);
    let ancestors = own.map(|gpu| {
        let mut levels: Vec<u32> = pairs(gpu).iter().map(|(_, level)| *level).collect();
        levels.sort_unstable();
        levels
    });
    let on_pci = tree.and_then(|tree| tree.pci.iter().find(|gpu| gpu.address == target));
    Pattern {
        ancestors,
        bridges: tree.and_then(|tree| tree.bridges.get(target)).map(Vec::len),
        has_numa: on_pci.map(|gpu| gpu.numa_node.is_some()),
    }
}

fn differs(ground: &Ground<'_>, target: &str, patterns: &BTreeMap<&str, Pattern>) -> Found {
    let serial = ground.serial(target).unwrap_or("-");
    let others = patterns.len() - 1;
    let show = |pattern: Option<&Pattern>| pattern.map_or_else(String::new, Pattern::show);
    let usual = patterns.iter().find(|(other, _)| **other != target).map(|(_, pattern)| pattern);
    let message =
        format!("GPU {target} (serial {serial}) is attached differently from the other {others}, which are all alike");
    let evidence = format!("{}; others {}", show(patterns.get(target)), show(usual));
    found(RULES, reason::TOPOLOGY_DIFFERS, target, message, evidence)
}

impl Pattern {
    fn show(&self) -> String {
        let levels = self.ancestors.iter().flatten().map(u32::to_string).collect::<Vec<_>>().join(",");
        let bridges = self.bridges.map_or_else(|| "-".to_owned(), |bridges| bridges.to_string());
        let numa = self.has_numa.map_or("-", |has| if has { "yes" } else { "no" });
        format!("ancestors={levels} bridges={bridges} numa={numa}")
    }
}
