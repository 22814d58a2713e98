//! The numbers of each policy, kept by difference: what a node adds is taken away again when it is judged anew.

use crate::{
    decide::{case::Judged, govern::selection::Subject, marks::taints::is_marked},
    world::Node,
};
use crds::State;
use std::collections::BTreeMap;

/// The numbers of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many nodes it governs.
    pub(crate) governed: usize,
    /// How many nodes it selects that another policy governs.
    pub(crate) overruled: usize,
    /// Of the governed ones: how many are in each state; `NotApplicable` is not counted.
    pub(crate) healthy: usize,
    pub(crate) suspect: usize,
    pub(crate) unhealthy: usize,
    pub(crate) unknown: usize,
    /// Of the governed ones: under maintenance.
    pub(crate) maintenance: usize,
    /// Of the governed ones: those that are watched as the policy asks.
    pub(crate) covered: usize,
    /// Of the governed ones: those that count as used without a claim.
    pub(crate) used_anyway: usize,
    /// The governed ones by failure domain, if the policy has such.
    pub(crate) domains: BTreeMap<String, DomainTally>,
}

/// The nodes of one failure domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DomainTally {
    pub(crate) nodes: usize,
    /// Those that count as used without a claim.
    pub(crate) used_anyway: usize,
}

/// What one node adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    rank: Option<usize>,
    overruled: Vec<usize>,
    /// `None` while it is not judged.
    state: Option<State>,
    is_under_maintenance: bool,
    is_covered: bool,
    is_used_anyway: bool,
    domain: Option<String>,
}

impl Share {
    /// That of a judged node.
    pub(crate) fn of(subject: &Subject<'_>, judged: &Judged) -> Self {
        let per_domain = subject.policy.and_then(|policy| policy.spec.budget.per_domain.as_ref());
        let domain = per_domain.map(|per| domain_of(subject.node, &per.topology_key).to_owned());
        Self {
            rank: subject.rank,
            overruled: subject.overruled.to_vec(),
            state: judged.judgement.as_ref().map(|judgement| judgement.state.clone()),
            is_under_maintenance: subject.node.maintenance().is_some(),
            is_covered: judged.is_covered,
            is_used_anyway: is_used_anyway(subject),
            domain,
        }
    }
}

/// The numbers of every policy, by its rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tallies {
    by_rank: Vec<Tally>,
}

/// Whether a share is added or taken away.
#[derive(Clone, Copy)]
enum Step {
    Add,
    Take,
}

impl Step {
    fn by(self, count: &mut usize) {
        match self {
            Self::Add => *count += 1,
            Self::Take => *count = count.saturating_sub(1),
        }
    }

    fn by_if(self, condition: bool, count: &mut usize) {
        if condition {
            self.by(count);
        }
    }
}

impl Tallies {
    /// Those of no node, for so many policies.
    pub(crate) fn of_policies(count: usize) -> Self {
        Self { by_rank: vec![Tally::default(); count] }
    }

    /// That of the policy of this rank.
    pub(crate) fn of_rank(&self, rank: usize) -> Option<&Tally> {
        self.by_rank.get(rank)
    }

    /// Counts a node.
    pub(crate) fn add(&mut self, share: &Share) {
        self.step(share, Step::Add);
    }

    /// No longer counts it.
    pub(crate) fn take(&mut self, share: &Share) {
        self.step(share, Step::Take);
    }

    fn step(&mut self, share: &Share, step: Step) {
        for &rank in &share.overruled {
            if let Some(tally) = self.by_rank.get_mut(rank) {
                step.by(&mut tally.overruled);
            }
        }
        let Some(tally) = share.rank.and_then(|rank| self.by_rank.get_mut(rank)) else { return };
        step.by(&mut tally.governed);
        step.by_if(share.is_under_maintenance, &mut tally.maintenance);
        step.by_if(share.is_covered, &mut tally.covered);
        step.by_if(share.is_used_anyway, &mut tally.used_anyway);
        match &share.state {
            Some(State::Healthy) => step.by(&mut tally.healthy),
            Some(State::Suspect) => step.by(&mut tally.suspect),
            Some(State::Unhealthy) => step.by(&mut tally.unhealthy),
            Some(State::NotApplicable) => {}
            Some(State::Unknown | State::Unrecognized(_)) | None => step.by(&mut tally.unknown),
        }
        if let Some(domain) = &share.domain {
            let counts = tally.domains.entry(domain.clone()).or_default();
            step.by(&mut counts.nodes);
            step.by_if(share.is_used_anyway, &mut counts.used_anyway);
            if counts.nodes == 0 {
                tally.domains.remove(domain);
            }
        }
    }
}

/// Whether the node is out of service for other reasons: cordoned, or not ready.
pub(crate) fn is_out_of_use(node: &Node) -> bool {
    node.unschedulable || !node.ready
}

/// Whether the node counts as used without a claim: it bears our mark, is out of service for other reasons, or its
/// NodeHealth does not parse.
pub(crate) fn is_used_anyway(subject: &Subject<'_>) -> bool {
    is_marked(subject.node) || is_out_of_use(subject.node) || subject.is_malformed
}

/// The failure domain of a node, by this label; nodes without it form one domain.
pub(crate) fn domain_of<'n>(node: &'n Node, topology_key: &str) -> &'n str {
    node.labels.get(topology_key).unwrap_or_default()
}
