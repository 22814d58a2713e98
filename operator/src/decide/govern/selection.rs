//! Which nodes have a NodeHealth, and which policy and profile apply to each.

use super::claims::Claims;
use crate::{
    key::{Key, Kind},
    world::{Node, World},
};
use crds::{NodeHardwareProfile, NodeHealth, NodeHealthPolicy, Selector, names};
use kube::ResourceExt;
use std::collections::HashMap;

/// A node that has or needs a NodeHealth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'w> {
    /// The Node.
    pub(crate) node: &'w Node,
    /// The state of its NodeHealth.
    pub(crate) health: Standing<'w>,
    /// The policy that governs it.
    pub(crate) policy: Option<&'w NodeHealthPolicy>,
    /// The profile that defines its expected hardware.
    pub(crate) profile: Option<&'w NodeHardwareProfile>,
    /// Whether its NodeHealth does not parse: nobody knows how it is.
    pub(crate) is_malformed: bool,
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
}

/// A policy, and whether it selects any node at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked<'w> {
    /// The policy.
    pub(crate) policy: &'w NodeHealthPolicy,
    /// Whether it selects any node, even one that another policy governs.
    pub(crate) selects_some: bool,
}

/// Every subject by name, and every policy from the highest rank down. A node with a claim stays a subject even if it no
/// longer shows an accelerator.
pub(crate) fn select<'w>(world: &'w World, claims: &Claims<'_>) -> (Vec<Subject<'w>>, Vec<Ranked<'w>>) {
    let mut policies: Vec<Ranked<'_>> =
        world.policies.values().map(|policy| Ranked { policy, selects_some: false }).collect();
    policies.sort_by_cached_key(|r| {
        let meta = &r.policy.metadata;
        (std::cmp::Reverse(r.policy.spec.priority), meta.creation_timestamp.as_ref().map(|t| t.0), meta.name.clone())
    });
    let mut profiles: Vec<&NodeHardwareProfile> = world.profiles.values().map(|p| &**p).collect();
    profiles.sort_by_cached_key(|p| {
        (
            std::cmp::Reverse(p.spec.priority),
            p.metadata.creation_timestamp.as_ref().map(|t| t.0),
            p.metadata.name.clone(),
        )
    });
    let mut shelf = Shelf { profiles, answers: HashMap::new() };
    let subjects = world
        .nodes
        .values()
        .filter_map(|node| {
            let is_ours = claims.is_claimed(&node.name);
            subject(world, node, is_ours, &mut policies, &mut shelf)
        })
        .collect();
    (subjects, policies)
}

fn subject<'w>(
    world: &'w World,
    node: &'w Node,
    is_claimed: bool,
    policies: &mut [Ranked<'w>],
    shelf: &mut Shelf<'w>,
) -> Option<Subject<'w>> {
    let is_malformed = world.malformed.contains(&Key::new(Kind::NodeHealth, &node.name));
    let health = match world.node_healths.get(&node.name) {
        _ if is_malformed => Standing::LeftAlone,
        health => standing(node, health.map(|health| &**health)),
    };
    let is_accelerator_node = is_claimed
        || !matches!(health, Standing::Missing)
        || node.shows_accelerator()
        || node.labels.get(names::LABEL_AGENT).map(String::as_str) == Some("true")
        || node.taint(names::TAINT_UNHEALTHY).is_some();
    let selected = |selector: &Selector| selects(selector, node, is_accelerator_node);
    let mut policy = None;
    for ranked in policies {
        if selected(&ranked.policy.spec.node_selector) {
            ranked.selects_some = true;
            policy = policy.or(Some(ranked.policy));
        }
    }
    let profile = shelf.find(node, health.current(), is_accelerator_node);
    (is_accelerator_node || policy.is_some() || profile.is_some()).then_some(Subject {
        node,
        health,
        policy,
        profile,
        is_malformed,
    })
}

/// Whether a selector of a policy or profile selects the node: always one of the accelerator nodes.
fn selects(selector: &Selector, node: &Node, is_accelerator_node: bool) -> bool {
    is_accelerator_node && selector.matches(&node.labels)
}

/// The profiles, highest rank first, with a cache of answers: a fleet has few models.
struct Shelf<'w> {
    profiles: Vec<&'w NodeHardwareProfile>,
    /// Whether the profile at this index covers GPUs of this model.
    answers: HashMap<(usize, &'w str), bool>,
}

impl<'w> Shelf<'w> {
    /// The profile of a node.
    fn find(
        &mut self,
        node: &Node,
        health: Option<&'w NodeHealth>,
        is_accelerator_node: bool,
    ) -> Option<&'w NodeHardwareProfile> {
        let index = (0..self.profiles.len()).find(|&index| self.matches(index, node, health, is_accelerator_node))?;
        Some(self.profiles[index])
    }

    /// Whether the node satisfies every given field of a profile's `match`; a profile without any matches nothing.
    fn matches(
        &mut self,
        index: usize,
        node: &Node,
        health: Option<&'w NodeHealth>,
        is_accelerator_node: bool,
    ) -> bool {
        let wanted = &self.profiles[index].spec.match_;
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
            return standing.is_some() && standing == self.profiles[index].metadata.name.as_ref();
        }
        let is_one = |model: &str| names.iter().any(|name| crds::node_hardware_profile::is_of_model(model, name));
        known.all(|model| *self.answers.entry((index, model)).or_insert_with(|| is_one(model)))
    }
}

fn standing<'w>(node: &Node, health: Option<&'w NodeHealth>) -> Standing<'w> {
    let Some(health) = health else {
        return Standing::Missing;
    };
    if health.metadata.deletion_timestamp.is_some() {
        return Standing::LeftAlone;
    }
    let spec_uid = health.spec.node.uid.as_str();
    let owner_differs = health.owner_references().iter().any(|owner| owner.kind == "Node" && owner.uid != node.uid);
    if owner_differs || (!spec_uid.is_empty() && spec_uid != node.uid) {
        Standing::OfFormerNode(health)
    } else {
        Standing::Current(health)
    }
}
