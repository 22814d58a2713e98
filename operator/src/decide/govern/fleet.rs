//! Drift: versions that differ from those of most nodes of the same profile, and NVLink domains ([`super::nvlink`]).
//!
//! Compared are the driver versions of the nodes of a profile, and the VBIOS versions of the GPUs of one model on those
//! nodes. (Reports contain no kernel version and no other firmware.) At least three nodes must report a version and more
//! than half must agree, so that nothing is flagged in the middle of a fleet upgrade. A node under maintenance neither
//! counts nor is flagged.
//!
//! This only warns people. The state of the node depends on its own checks alone.

use super::nvlink::{Membership, NvlinkDomains};
use super::selection::Subject;
use crds::{
    Check, Outcome, Time,
    condition::truncate,
    node_health::{FleetFinding, Inventory},
    reason,
};
use std::collections::HashMap;

/// At least this many nodes must report a version.
const MIN_NODES: usize = 3;
/// The most fleet findings per node, as in the schema.
const MAX_FLEET_FINDINGS: usize = 8;
/// The target of a finding about the driver; one about a video BIOS has the PCI address of its GPU.
const TARGET_DRIVER: &str = "driver";
/// The target of a finding about the NVLink domain.
const TARGET_DOMAIN: &str = "nvlinkDomain";

/// What is compared: a profile, and the model of a GPU for its video BIOS.
type Kind<'w> = (&'w str, Option<&'w str>);

/// The version that most nodes of each kind have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet<'w> {
    usual: HashMap<Kind<'w>, &'w str>,
    domains: NvlinkDomains<'w>,
}

/// How a node differs from its fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drift {
    /// What differs.
    pub(crate) findings: Vec<FleetFinding>,
    /// The differences as a sentence; empty if there are none.
    pub(crate) note: String,
}

#[derive(Default)]
struct Votes<'w> {
    by_version: HashMap<&'w str, usize>,
    nodes: usize,
    last_node: &'w str,
}

impl<'w> Votes<'w> {
    fn add(&mut self, node: &'w str, version: &'w str) {
        *self.by_version.entry(version).or_default() += 1;
        // Entries of one node follow each other.
        self.nodes += usize::from(self.last_node != node);
        self.last_node = node;
    }

    fn usual(&self) -> Option<&'w str> {
        let all: usize = self.by_version.values().sum();
        let most = self.by_version.iter().find(|(_, count)| **count * 2 > all);
        most.filter(|_| self.nodes >= MIN_NODES).map(|(version, _)| *version)
    }
}

fn inventory<'w>(subject: &Subject<'w>) -> Option<(&'w str, &'w Inventory)> {
    let profile = subject.profile?.metadata.name.as_deref()?;
    let report = subject.health.current()?.status.as_ref()?.report.as_ref()?;
    subject.node.maintenance().is_none().then_some((profile, &report.inventory))
}

impl<'w> Fleet<'w> {
    /// Counts the versions of all nodes, once per decision.
    pub(crate) fn of(subjects: &[Subject<'w>]) -> Self {
        let mut votes: HashMap<Kind<'w>, Votes<'w>> = HashMap::new();
        for subject in subjects {
            let Some((profile, inventory)) = inventory(subject) else { continue };
            let node = subject.node.name.as_str();
            if let Some(driver) = inventory.driver.as_deref() {
                votes.entry((profile, None)).or_default().add(node, driver);
            }
            for gpu in &inventory.gpus {
                if let (Some(model), Some(vbios)) = (gpu.model.as_deref(), gpu.vbios.as_deref()) {
                    votes.entry((profile, Some(model))).or_default().add(node, vbios);
                }
            }
        }
        let usual = votes.iter().filter_map(|(kind, votes)| Some((*kind, votes.usual()?))).collect();
        Self { usual, domains: NvlinkDomains::of(subjects) }
    }

    /// What differs on one node. If the last report lacks a version, an earlier finding about it stays.
    pub(crate) fn drift(&self, subject: &Subject<'w>, now: Time) -> Drift {
        let Some((profile, inventory)) = inventory(subject) else { return Drift::default() };
        let status = subject.health.current().and_then(|h| h.status.as_ref());
        let before = status.and_then(|s| s.decision.as_ref()).map_or(&[][..], |d| d.fleet_findings.as_slice());
        let standing = |target: &str| before.iter().find(|f| f.check == Check::Drift.name() && f.target == target);
        let mut drift = Drift::default();
        let mut notes = Vec::new();
        let mut find = |target: &str, reason: &str| {
            drift.findings.push(FleetFinding {
                check: Check::Drift.name().to_owned(),
                target: truncate(target, 64),
                outcome: Outcome::Warn,
                reason: reason.to_owned(),
                since: standing(target).map_or(now, |f| f.since),
            });
        };
        let differs = reason::VERSION_DIFFERS;
        match self.domains.membership(subject) {
            Membership::Differs(how) => {
                find(TARGET_DOMAIN, reason::NVLINK_DOMAIN_SPLIT);
                notes.push(how);
            }
            Membership::Unknown if standing(TARGET_DOMAIN).is_some() => {
                find(TARGET_DOMAIN, reason::NVLINK_DOMAIN_SPLIT);
            }
            Membership::NotDeclared | Membership::Unknown | Membership::Agrees => {}
        }
        let odd = |kind: Kind<'w>, version: &str| self.usual.get(&kind).copied().filter(|usual| *usual != version);
        match inventory.driver.as_deref() {
            Some(version) => {
                if let Some(usual) = odd((profile, None), version) {
                    find(TARGET_DRIVER, differs);
                    notes.push(format!("driver {version} instead of {usual}"));
                }
            }
            None if standing(TARGET_DRIVER).is_some() => find(TARGET_DRIVER, differs),
            None => {}
        }
        for gpu in &inventory.gpus {
            match (gpu.model.as_deref(), gpu.vbios.as_deref()) {
                (Some(model), Some(version)) => {
                    if let Some(usual) = odd((profile, Some(model)), version) {
                        find(&gpu.pci_address, differs);
                        notes.push(format!("VBIOS {version} instead of {usual} on {}", gpu.pci_address));
                    }
                }
                _ if standing(&gpu.pci_address).is_some() => find(&gpu.pci_address, differs),
                _ => {}
            }
        }
        drift.findings.truncate(MAX_FLEET_FINDINGS);
        drift.note = note(profile, &notes);
        drift
    }
}

fn note(profile: &str, notes: &[String]) -> String {
    match notes {
        [] => String::new(),
        [only] => format!(" Differs from most nodes of profile {profile}: {only}."),
        [first, more @ ..] => {
            format!(" Differs from most nodes of profile {profile}: {first}, and {} more.", more.len())
        }
    }
}
