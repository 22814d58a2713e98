//! NVLink domains: nodes that a label of their profile puts into one domain report the same cluster and clique.
//!
//! Compared are the nodes of one profile with the same value of its `nvlinkDomainLabel`. Where more than half of at least
//! three nodes agree, the others differ. Otherwise nobody knows which of them are right, and all of them are told. A node
//! under maintenance neither counts nor is told, and one whose report has no fabric says nothing.
//!
//! This only warns people, as versions do.

use super::selection::Subject;
use crds::node_health::{FabricDomain, Report};
use std::collections::{BTreeMap, HashMap};

/// Profile and value of its label.
type Group<'w> = (&'w str, &'w str);

/// How many nodes report each cluster and clique.
type Votes<'w> = BTreeMap<(&'w str, i64), (usize, &'w FabricDomain)>;

/// At least this many nodes must report a domain for some of them to be called the odd ones.
const MIN_NODES: usize = 3;

/// What the nodes of each group report, as far as they differ.
#[derive(Clone, Debug, Default)]
pub(crate) struct NvlinkDomains<'w> {
    split: HashMap<Group<'w>, Split<'w>>,
}

/// A group whose nodes differ.
#[derive(Clone, Copy, Debug)]
struct Split<'w> {
    /// What most of them report.
    usual: Option<&'w FabricDomain>,
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

impl<'w> NvlinkDomains<'w> {
    /// Compares all nodes, once per decision.
    pub(crate) fn of(subjects: &[Subject<'w>]) -> Self {
        let mut reported: HashMap<Group<'w>, Votes<'w>> = HashMap::new();
        for subject in subjects.iter().filter(|subject| subject.node.maintenance().is_none()) {
            if let (Some(group), Some(domain)) = (group(subject), report(subject).and_then(|r| r.fabric.as_ref())) {
                let key = (domain.cluster_uuid.as_str(), domain.clique_id);
                reported.entry(group).or_default().entry(key).or_insert((0, domain)).0 += 1;
            }
        }
        let split = reported.into_iter().filter(|(_, domains)| domains.len() > 1).map(|(group, domains)| {
            let all: usize = domains.values().map(|(count, _)| count).sum();
            let most = domains.values().find(|(count, _)| count * 2 > all && all >= MIN_NODES);
            (group, Split { usual: most.map(|(_, domain)| *domain) })
        });
        Self { split: split.collect() }
    }

    /// How one node compares with its group.
    pub(crate) fn membership(&self, subject: &Subject<'w>) -> Membership {
        let Some(group) = group(subject) else { return Membership::NotDeclared };
        let Some(domain) = report(subject).and_then(|report| report.fabric.as_ref()) else {
            return Membership::Unknown;
        };
        match self.split.get(&group) {
            None => Membership::Agrees,
            Some(Split { usual: Some(usual) }) if *usual == domain => Membership::Agrees,
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

fn group<'w>(subject: &Subject<'w>) -> Option<Group<'w>> {
    let profile = subject.profile?;
    let label = profile.spec.nvlink_domain_label.as_deref()?;
    let value = subject.node.labels.get(label).filter(|value| !value.is_empty())?;
    Some((profile.metadata.name.as_deref()?, value.as_str()))
}

fn report<'w>(subject: &Subject<'w>) -> Option<&'w Report> {
    subject.health.current()?.status.as_ref()?.report.as_ref()
}

/// As the label `nvidia.com/gpu.clique` writes it.
fn shown(domain: &FabricDomain) -> String {
    format!("{}.{}", domain.cluster_uuid, domain.clique_id)
}
