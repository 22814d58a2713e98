//! EFA as the kernel shows it.

use std::collections::BTreeMap;

use super::rdma::is_efa;
use super::root::Root;
use super::values;
use crate::readings::inventory::Nic;
use crate::readings::sysfs::{EfaView, RdmaPort};

/// The modules that EFA needs, and the path that shows one is there without a folder below `module`: a built-in module
/// without parameters has no such folder.
const MODULES: &[(&str, &str)] =
    &[("efa", ""), ("ib_uverbs", "class/infiniband_verbs"), ("ib_core", "class/infiniband")];

/// Reads what cards and ports do not show. `errors` lists what cannot be read.
pub(super) fn read(sysfs: &Root, proc: &Root, nics: &[Nic], ports: &[RdmaPort], errors: &mut Vec<String>) -> EfaView {
    let cards: Vec<&Nic> = nics.iter().filter(|nic| is_efa(nic)).collect();
    let mut rdma: Vec<String> = cards.iter().flat_map(|nic| nic.rdma_devices.clone()).collect();
    rdma.extend(ports.iter().filter(|port| port.efa).map(|port| port.device.clone()));
    rdma.sort();
    rdma.dedup();
    let bound = cards.iter().any(|nic| nic.driver.as_deref() == Some("efa"));
    EfaView {
        pci: cards.iter().map(|nic| nic.address.clone()).collect(),
        uverbs: uverbs(sysfs, &rdma),
        rdma,
        modules: modules(sysfs, bound, errors),
        memlock_kib: memlock(proc),
    }
}

fn uverbs(root: &Root, efa: &[String]) -> Vec<String> {
    let folder = "class/infiniband_verbs";
    let ours = |name: &String| {
        let device = root.read(format!("{folder}/{name}/ibdev"), values::word);
        name.starts_with("uverbs") && device.is_some_and(|device| efa.contains(&device))
    };
    root.names(folder).unwrap_or_default().into_iter().filter(ours).collect()
}

fn modules(root: &Root, efa_is_bound: bool, errors: &mut Vec<String>) -> BTreeMap<String, bool> {
    let loaded = match root.names("module") {
        Ok(loaded) => loaded,
        Err(error) => {
            errors.push(format!("{}: {error}", root.shown("module")));
            return BTreeMap::new();
        }
    };
    let shows = |proof: &str| if proof.is_empty() { efa_is_bound } else { root.place(proof).is_ok() };
    let is_there = |name: &str, proof: &str| loaded.iter().any(|loaded| loaded == name) || shows(proof);
    MODULES.iter().map(|(name, proof)| ((*name).to_owned(), is_there(name, proof))).collect()
}

/// The limit of our own process: the container runtime sets it, as for every pod that sets none of its own. The host's
/// process 1 is used only if that cannot be read: its limit is systemd's own, not that of a pod.
fn memlock(root: &Root) -> Option<u64> {
    let limits = root.text("self/limits").or_else(|_| root.text("1/limits")).ok()?;
    values::memlock_kib(&limits)
}
