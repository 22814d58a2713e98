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
use std::collections::{BTreeMap, BTreeSet};

/// At least this many nodes must report a version.
const MIN_NODES: usize = 3;
/// The most fleet findings per node, as in the schema.
const MAX_FLEET_FINDINGS: usize = 8;
/// The target of a finding about the driver; one about a video BIOS has the PCI address of its GPU.
const TARGET_DRIVER: &str = "driver";
/// The target of a finding about the NVLink domain.
const TARGET_DOMAIN: &str = "nvlinkDomain";

/// What the nodes of the cluster report, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    /// By profile.
    profiles: BTreeMap<String, ProfileVotes>,
    domains: NvlinkDomains,
    /// The profiles whose counts changed since the last [`Fleet::conclude`].
    changed: BTreeSet<String>,
    /// How often a conclusion differed from the one before.
    edition: u64,
}

/// The versions that the nodes of one profile report.
#[derive(Clone, Debug, Default)]
struct ProfileVotes {
    driver: Votes,
    /// Video BIOS versions by GPU model.
    vbios: BTreeMap<String, Votes>,
}

/// How a node differs from its fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drift {
    /// What differs.
    pub(crate) findings: Vec<FleetFinding>,
    /// The differences as a sentence; empty if there are none.
    pub(crate) note: String,
}

#[derive(Clone, Debug, Default)]
struct Votes {
    by_version: BTreeMap<String, usize>,
    /// How many nodes report one.
    nodes: usize,
    /// The version of most, as concluded last.
    usual: Option<String>,
}

/// Whether a node is counted or no longer counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Add,
    Remove,
}

impl Votes {
    fn count(&mut self, version: &str, how: Count) {
        match how {
            Count::Add => match self.by_version.get_mut(version) {
                Some(count) => *count += 1,
                None => drop(self.by_version.insert(version.to_owned(), 1)),
            },
            Count::Remove => {
                if let Some(count) = self.by_version.get_mut(version) {
                    *count -= 1;
                    if *count == 0 {
                        self.by_version.remove(version);
                    }
                }
            }
        }
    }

    fn count_node(&mut self, how: Count) {
        match how {
            Count::Add => self.nodes += 1,
            Count::Remove => self.nodes = self.nodes.saturating_sub(1),
        }
    }

    /// Determines the version of most again; whether it is another one.
    fn conclude(&mut self) -> bool {
        let all: usize = self.by_version.values().sum();
        let most = self.by_version.iter().find(|(_, count)| **count * 2 > all);
        let usual = most.filter(|_| self.nodes >= MIN_NODES).map(|(version, _)| version);
        let differs = usual != self.usual.as_ref();
        if differs {
            self.usual = usual.cloned();
        }
        differs
    }
}

impl ProfileVotes {
    fn count(&mut self, inventory: &Inventory, how: Count) {
        if let Some(driver) = inventory.driver.as_deref() {
            self.driver.count(driver, how);
            self.driver.count_node(how);
        }
        let mut models = BTreeSet::new();
        for gpu in &inventory.gpus {
            let (Some(model), Some(vbios)) = (gpu.model.as_deref(), gpu.vbios.as_deref()) else { continue };
            let votes = match self.vbios.get_mut(model) {
                Some(votes) => votes,
                None => self.vbios.entry(model.to_owned()).or_default(),
            };
            votes.count(vbios, how);
            if models.insert(model) {
                votes.count_node(how);
            }
        }
    }

    fn conclude(&mut self) -> bool {
        let mut differs = self.driver.conclude();
        for votes in self.vbios.values_mut() {
            differs |= votes.conclude();
        }
        self.vbios.retain(|_, votes| votes.nodes > 0);
        differs
    }
}

fn inventory<'w>(subject: &Subject<'w>) -> Option<(&'w str, &'w Inventory)> {
    let profile = subject.profile?.metadata.name.as_deref()?;
    let report = subject.health.current()?.status.as_ref()?.report.as_ref()?;
    subject.node.maintenance().is_none().then_some((profile, &report.inventory))
}

impl Fleet {
    /// Counts a node.
    pub(crate) fn join(&mut self, subject: &Subject<'_>) {
        self.count(subject, Count::Add);
        self.domains.join(subject);
    }

    /// No longer counts a node, which is given as it was when it joined.
    pub(crate) fn leave(&mut self, subject: &Subject<'_>) {
        self.count(subject, Count::Remove);
        self.domains.leave(subject);
    }

    fn count(&mut self, subject: &Subject<'_>, how: Count) {
        let Some((profile, inventory)) = inventory(subject) else { return };
        match self.profiles.get_mut(profile) {
            Some(votes) => votes.count(inventory, how),
            None => self.profiles.entry(profile.to_owned()).or_default().count(inventory, how),
        }
        if !self.changed.contains(profile) {
            self.changed.insert(profile.to_owned());
        }
    }

    /// Determines what is usual. Returns the edition: as long as it is the same, no node differs in another way.
    pub(crate) fn conclude(&mut self) -> u64 {
        let mut differs = self.domains.conclude();
        for profile in std::mem::take(&mut self.changed) {
            if let Some(votes) = self.profiles.get_mut(&profile) {
                differs |= votes.conclude();
            }
        }
        self.edition += u64::from(differs);
        self.edition
    }

    /// What differs on one node. If the last report lacks a version, an earlier finding about it stays.
    pub(crate) fn drift(&self, subject: &Subject<'_>, now: Time) -> Drift {
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
        let votes = self.profiles.get(profile);
        let odd = |votes: Option<&'_ Votes>, version: &str| {
            votes.and_then(|votes| votes.usual.clone()).filter(|usual| usual.as_str() != version)
        };
        match inventory.driver.as_deref() {
            Some(version) => {
                if let Some(usual) = odd(votes.map(|v| &v.driver), version) {
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
                    if let Some(usual) = odd(votes.and_then(|v| v.vbios.get(model)), version) {
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
