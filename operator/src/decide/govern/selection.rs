//! Which nodes have a NodeHealth, and which policy and profile apply to each.

use super::acceptance::{self, Objection};
use crate::world::Node;
use crds::{NodeHardwareProfile, NodeHealth, NodeHealthPolicy, Selector, names};
use kube::ResourceExt;
use std::{collections::HashMap, sync::Arc};

/// A node that has or needs a NodeHealth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'w> {
    /// The Node.
    pub(crate) node: &'w Node,
    /// The state of its NodeHealth.
    pub(crate) health: Standing<'w>,
    /// The rank of the policy that governs it, as an index into [`Ranks`].
    pub(crate) rank: Option<usize>,
    /// The policy that governs it.
    pub(crate) policy: Option<&'w NodeHealthPolicy>,
    /// The ranks of the policies that select it too, and are overruled.
    pub(crate) overruled: &'w [usize],
    /// The profile that defines its expected hardware.
    pub(crate) profile: Option<&'w NodeHardwareProfile>,
    /// Whether any policy has a claim for it.
    pub(crate) is_claimed: bool,
    /// Whether its NodeHealth does not parse: nobody knows how it is.
    pub(crate) is_malformed: bool,
}

impl Subject<'_> {
    /// Whether this policy governs the node.
    pub(crate) fn is_governed_by(&self, policy: &NodeHealthPolicy) -> bool {
        self.policy.is_some_and(|governing| std::ptr::eq(governing, policy))
    }
}

/// The state of the NodeHealth of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standing<'w> {
    /// It must be created.
    Missing,
    /// It belongs to this Node.
    Current(&'w NodeHealth),
    /// It belongs to a former Node of the same name.
    OfFormerNode(&'w NodeHealth),
    /// It is being deleted, or does not parse; nothing is written to it.
    LeftAlone,
}

impl<'w> Standing<'w> {
    /// The NodeHealth, if it belongs to this Node.
    pub(crate) fn current(self) -> Option<&'w NodeHealth> {
        match self {
            Self::Current(health) => Some(health),
            Self::Missing | Self::OfFormerNode(_) | Self::LeftAlone => None,
        }
    }

    /// The state of this NodeHealth of this Node.
    pub(crate) fn of(node: &Node, health: Option<&'w NodeHealth>, is_malformed: bool) -> Self {
        if is_malformed {
            return Self::LeftAlone;
        }
        let Some(health) = health else {
            return Self::Missing;
        };
        if health.metadata.deletion_timestamp.is_some() {
            return Self::LeftAlone;
        }
        let spec_uid = health.spec.node.uid.as_str();
        let owner_differs = health.owner_references().iter().any(|owner| owner.kind == "Node" && owner.uid != node.uid);
        if owner_differs || (!spec_uid.is_empty() && spec_uid != node.uid) {
            Self::OfFormerNode(health)
        } else {
            Self::Current(health)
        }
    }
}

/// What applies to a node, as indices into [`Ranks`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Whether the node has or needs a NodeHealth.
    pub(crate) is_subject: bool,
    /// The policy that governs it.
    pub(crate) policy: Option<usize>,
    /// The policies that select it too, and are overruled.
    pub(crate) overruled: Vec<usize>,
    /// The profile that defines its expected hardware.
    pub(crate) profile: Option<usize>,
}

/// The policies and the profiles, the highest rank first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    pub(crate) policies: Vec<Arc<NodeHealthPolicy>>,
    /// By rank of a policy: what this version does not do with it.
    pub(crate) objections: Vec<Arc<[Objection]>>,
    pub(crate) profiles: Vec<Arc<NodeHardwareProfile>>,
}

impl Ranks {
    /// Sorts them by rank: priority, then age, then name. `former`: the ranks of an earlier decision.
    pub(crate) fn of(world: &crate::world::World, former: &Self) -> Self {
        let mut policies: Vec<_> = world.policies.values().cloned().collect();
        policies.sort_by_cached_key(|policy| {
            let meta = &policy.metadata;
            let age = meta.creation_timestamp.as_ref().map(|t| t.0);
            (std::cmp::Reverse(policy.spec.priority), age, meta.name.clone())
        });
        let mut profiles: Vec<_> = world.profiles.values().cloned().collect();
        profiles.sort_by_cached_key(|profile| {
            let meta = &profile.metadata;
            let age = meta.creation_timestamp.as_ref().map(|t| t.0);
            (std::cmp::Reverse(profile.spec.priority), age, meta.name.clone())
        });
        let mut ranks = Self { policies, objections: Vec::new(), profiles };
        ranks.objections = if ranks.ask_the_same(former) {
            former.objections.clone()
        } else {
            ranks.policies.iter().map(|policy| acceptance::objections(&policy.spec).into()).collect()
        };
        ranks
    }

    /// Whether the same objects with the same specs have the same ranks. Their statuses may differ.
    pub(crate) fn ask_the_same(&self, other: &Self) -> bool {
        let same_policy = |(a, b): (&Arc<NodeHealthPolicy>, &Arc<NodeHealthPolicy>)| {
            Arc::ptr_eq(a, b) || (is_same_object(&a.metadata, &b.metadata) && a.spec == b.spec)
        };
        let same_profile = |(a, b): (&Arc<NodeHardwareProfile>, &Arc<NodeHardwareProfile>)| {
            Arc::ptr_eq(a, b) || (is_same_object(&a.metadata, &b.metadata) && a.spec == b.spec)
        };
        self.policies.len() == other.policies.len()
            && self.profiles.len() == other.profiles.len()
            && self.policies.iter().zip(&other.policies).all(same_policy)
            && self.profiles.iter().zip(&other.profiles).all(same_profile)
    }
}

fn is_same_object(a: &kube::core::ObjectMeta, b: &kube::core::ObjectMeta) -> bool {
    a.uid == b.uid && a.name == b.name && a.generation == b.generation
}

/// Chooses among the ranks, one node after the other.
#[derive(Debug)]
pub(crate) struct Choice<'r, 'w> {
    ranks: &'r Ranks,
    /// Whether the profile at this index covers GPUs of this model: a fleet has few models.
    answers: HashMap<(usize, &'w str), bool>,
}

impl<'r, 'w> Choice<'r, 'w> {
    /// Among these.
    pub(crate) fn among(ranks: &'r Ranks) -> Self {
        Self { ranks, answers: HashMap::new() }
    }

    /// What applies to a node. One with a claim stays a subject even if it no longer shows an accelerator.
    pub(crate) fn select(&mut self, node: &Node, health: Standing<'w>, is_claimed: bool) -> Selection {
        let is_accelerator_node = is_claimed
            || !matches!(health, Standing::Missing)
            || node.shows_accelerator()
            || node.labels.get(names::LABEL_AGENT) == Some("true")
            || node.taint(names::TAINT_UNHEALTHY).is_some();
        let ranked = self.ranks.policies.iter().enumerate();
        let mut selected = ranked
            .filter(|(_, policy)| selects(&policy.spec.node_selector, node, is_accelerator_node))
            .map(|(index, _)| index);
        let policy = selected.next();
        let overruled = selected.collect();
        let profile = self.find_profile(node, health.current(), is_accelerator_node);
        let is_subject = is_accelerator_node || policy.is_some() || profile.is_some();
        Selection { is_subject, policy, overruled, profile }
    }

    fn find_profile(
        &mut self,
        node: &Node,
        health: Option<&'w NodeHealth>,
        is_accelerator_node: bool,
    ) -> Option<usize> {
        (0..self.ranks.profiles.len()).find(|&index| self.matches(index, node, health, is_accelerator_node))
    }

    /// Whether the node satisfies every given field of a profile's `match`; a profile without any matches nothing.
    fn matches(
        &mut self,
        index: usize,
        node: &Node,
        health: Option<&'w NodeHealth>,
        is_accelerator_node: bool,
    ) -> bool {
        let wanted = &self.ranks.profiles[index].spec.match_;
        let has_type = |types: &Vec<String>| {
            let found = node.instance_type();
            !found.is_empty() && types.iter().any(|t| crds::node_hardware_profile::instance_type(t) == found)
        };
        let is_given = wanted.instance_types.is_some() || wanted.node_selector.is_some() || wanted.gpu_models.is_some();
        is_given
            && wanted.instance_types.as_ref().is_none_or(has_type)
            // An instance type says by itself what the node is, also where its driver shows nothing.
            && wanted
                .node_selector
                .as_ref()
                .is_none_or(|s| selects(s, node, is_accelerator_node || wanted.instance_types.is_some()))
            && wanted.gpu_models.as_ref().is_none_or(|names| self.has_models(index, names, health))
    }

    /// Whether every model in the last report is one of these. If it names none (the driver is dead, or the only GPU is
    /// missing), the current profile stays: missing data changes nothing.
    fn has_models(&mut self, index: usize, names: &[String], health: Option<&'w NodeHealth>) -> bool {
        let Some(health) = health else { return false };
        let report = health.status.as_ref().and_then(|s| s.report.as_ref());
        let mut known = report.iter().flat_map(|r| &r.inventory.gpus).filter_map(|gpu| gpu.model.as_deref()).peekable();
        if known.peek().is_none() {
            let standing = health.spec.profile.as_ref();
            return standing.is_some() && standing == self.ranks.profiles[index].metadata.name.as_ref();
        }
        let is_one = |model: &str| names.iter().any(|name| crds::node_hardware_profile::is_of_model(model, name));
        known.all(|model| *self.answers.entry((index, model)).or_insert_with(|| is_one(model)))
    }
}

/// Whether a selector of a policy or profile selects the node: always one of the accelerator nodes.
fn selects(selector: &Selector, node: &Node, is_accelerator_node: bool) -> bool {
    is_accelerator_node && selector.matches(|key| node.labels.get(key))
}
