//! NVLink domains: nodes that a label of their profile puts into one domain report the same cluster and clique.
//!
//! Compared are the nodes of one profile with the same value of its `nvlinkDomainLabel`. Where more than half of at least
//! three nodes agree, the others differ. Otherwise nobody knows which of them are right, and all of them are told. A node
//! under maintenance neither counts nor is told, and one whose report has no fabric says nothing.
//!
//! This only warns people, as versions do.

use super::selection::Subject;
use crds::node_health::{FabricDomain, Report};
use std::collections::{BTreeMap, BTreeSet};

/// Profile and value of its label.
type Group = (String, String);

/// At least this many nodes must report a domain for some of them to be called the odd ones.
const MIN_NODES: usize = 3;

/// What the nodes of each group report, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct NvlinkDomains {
    groups: BTreeMap<Group, Votes>,
    /// The groups whose counts changed since the last [`NvlinkDomains::conclude`].
    changed: BTreeSet<Group>,
}

/// What the nodes of one group report.
#[derive(Clone, Debug, Default)]
struct Votes {
    /// How many nodes report each cluster and clique.
    by_domain: BTreeMap<(String, i64), usize>,
    /// Whether they differed and from what, as concluded last.
    split: Option<Split>,
}

/// The nodes of a group differ.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Split {
    /// What most of them report.
    usual: Option<FabricDomain>,
}

impl Votes {
    fn split(&self) -> Option<Split> {
        if self.by_domain.len() < 2 {
            return None;
        }
        let all: usize = self.by_domain.values().sum();
        let most = self.by_domain.iter().find(|(_, count)| **count * 2 > all && all >= MIN_NODES);
        let usual = most.map(|((cluster_uuid, clique_id), _)| FabricDomain {
            cluster_uuid: cluster_uuid.clone(),
            clique_id: *clique_id,
        });
        Some(Split { usual })
    }
}

/// What a node reports, compared with its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Nothing puts it into a domain.
    NotDeclared,
    /// Its report does not say.
    Unknown,
    Agrees,
    /// It differs; as a clause.
    Differs(String),
}

impl NvlinkDomains {
    /// Counts a node.
    pub(crate) fn join(&mut self, subject: &Subject<'_>) {
        if let Some((group, domain)) = vote(subject) {
            *self.groups.entry(group.clone()).or_default().by_domain.entry(domain).or_default() += 1;
            self.changed.insert(group);
        }
    }

    /// No longer counts a node, which is given as it was when it joined.
    pub(crate) fn leave(&mut self, subject: &Subject<'_>) {
        if let Some((group, domain)) = vote(subject) {
            if let Some(votes) = self.groups.get_mut(&group)
                && let Some(count) = votes.by_domain.get_mut(&domain)
            {
                *count -= 1;
                if *count == 0 {
                    votes.by_domain.remove(&domain);
                }
            }
            self.changed.insert(group);
        }
    }

    /// Compares the nodes of each group again; whether the answer for any node can differ.
    pub(crate) fn conclude(&mut self) -> bool {
        let mut differs = false;
        for group in std::mem::take(&mut self.changed) {
            let Some(votes) = self.groups.get_mut(&group) else { continue };
            let split = votes.split();
            differs |= split != votes.split;
            votes.split = split;
            if votes.by_domain.is_empty() {
                self.groups.remove(&group);
            }
        }
        differs
    }

    /// How one node compares with its group.
    pub(crate) fn membership(&self, subject: &Subject<'_>) -> Membership {
        let Some(group) = group(subject) else { return Membership::NotDeclared };
        let Some(domain) = report(subject).and_then(|report| report.fabric.as_ref()) else {
            return Membership::Unknown;
        };
        match self.groups.get(&group).and_then(|votes| votes.split.as_ref()) {
            None => Membership::Agrees,
            Some(Split { usual: Some(usual) }) if usual == domain => Membership::Agrees,
            Some(Split { usual: Some(usual) }) => {
                Membership::Differs(format!("NVLink domain {} instead of {}", shown(domain), shown(usual)))
            }
            Some(Split { usual: None }) => Membership::Differs(format!(
                "NVLink domain {}, where the nodes of {} report several and no majority",
                shown(domain),
                group.1
            )),
        }
    }
}

/// The group of a node, and the domain that it reports. A node under maintenance does not count.
fn vote(subject: &Subject<'_>) -> Option<(Group, (String, i64))> {
    let domain = report(subject)?.fabric.as_ref()?;
    let is_counted = subject.node.maintenance().is_none();
    let group = group(subject).filter(|_| is_counted)?;
    Some((group, (domain.cluster_uuid.clone(), domain.clique_id)))
}

fn group(subject: &Subject<'_>) -> Option<Group> {
    let profile = subject.profile?;
    let label = profile.spec.nvlink_domain_label.as_deref()?;
    let value = subject.node.labels.get(label).filter(|value| !value.is_empty())?;
    Some((profile.metadata.name.clone()?, value.to_owned()))
}

fn report<'w>(subject: &Subject<'w>) -> Option<&'w Report> {
    subject.health.current()?.status.as_ref()?.report.as_ref()
}

/// As the label `nvidia.com/gpu.clique` writes it.
fn shown(domain: &FabricDomain) -> String {
    format!("{}.{}", domain.cluster_uuid, domain.clique_id)
}
