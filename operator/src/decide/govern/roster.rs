//! Every Node with what applies to it, carried from one decision to the next: only what changed is selected again.

use super::{
    claims::Claims,
    fleet::Fleet,
    selection::{Choice, Ranks, Selection, Standing, Subject},
};
use crate::{
    key::{Key, Kind},
    world::{Node, World},
};
use crds::{NodeHealth, NodeHealthPolicy};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The Nodes by name, and the policies and profiles by rank.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    pub(crate) ranks: Ranks,
    members: BTreeMap<String, Member>,
}

/// One Node.
#[derive(Clone, Debug)]
struct Member {
    node: Arc<Node>,
    health: Option<Arc<NodeHealth>>,
    health_is: HealthIs,
    is_claimed: bool,
    is_malformed: bool,
    selection: Selection,
}

/// [`Standing`] without the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HealthIs {
    Missing,
    Current,
    OfFormerNode,
    LeftAlone,
}

impl HealthIs {
    fn of(standing: Standing<'_>) -> Self {
        match standing {
            Standing::Missing => Self::Missing,
            Standing::Current(_) => Self::Current,
            Standing::OfFormerNode(_) => Self::OfFormerNode,
            Standing::LeftAlone => Self::LeftAlone,
        }
    }
}

impl Member {
    fn standing(&self) -> Standing<'_> {
        match (self.health_is, self.health.as_deref()) {
            (HealthIs::Current, Some(health)) => Standing::Current(health),
            (HealthIs::OfFormerNode, Some(health)) => Standing::OfFormerNode(health),
            (HealthIs::LeftAlone, _) => Standing::LeftAlone,
            (HealthIs::Missing, _) | (_, None) => Standing::Missing,
        }
    }

    fn subject<'r>(&'r self, ranks: &'r Ranks) -> Option<Subject<'r>> {
        let Selection { is_subject, policy, ref overruled, profile } = self.selection;
        is_subject.then(|| Subject {
            node: &self.node,
            health: self.standing(),
            rank: policy,
            policy: policy.map(|index| &*ranks.policies[index]),
            overruled,
            profile: profile.map(|index| &*ranks.profiles[index]),
            is_claimed: self.is_claimed,
            is_malformed: self.is_malformed,
        })
    }
}

/// What one member is made of.
struct Parts<'w> {
    node: &'w Arc<Node>,
    health: Option<&'w Arc<NodeHealth>>,
    is_claimed: bool,
    is_malformed: bool,
}

impl<'w> Parts<'w> {
    /// Those of the Node of this name, if there is one.
    fn of(world: &'w World, claims: &Claims<'_>, name: &str) -> Option<Self> {
        Some(Self {
            node: world.nodes.get(name)?,
            health: world.node_healths.get(name),
            is_claimed: !claims.of_node(name).is_empty(),
            is_malformed: !world.malformed.is_empty() && world.malformed.contains(&Key::new(Kind::NodeHealth, name)),
        })
    }

    /// Whether the member is made of just these, by identity: the stores replace an object whenever it changes.
    fn make(&self, member: &Member) -> bool {
        member.is_claimed == self.is_claimed
            && member.is_malformed == self.is_malformed
            && Arc::ptr_eq(&member.node, self.node)
            && match (&member.health, self.health) {
                (None, None) => true,
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, Some(_)) | (Some(_), None) => false,
            }
    }

    fn join(&self, choice: &mut Choice<'_, 'w>) -> Member {
        let standing = Standing::of(self.node, self.health.map(|health| &**health), self.is_malformed);
        Member {
            node: Arc::clone(self.node),
            health: self.health.cloned(),
            health_is: HealthIs::of(standing),
            is_claimed: self.is_claimed,
            is_malformed: self.is_malformed,
            selection: choice.select(self.node, standing, self.is_claimed),
        }
    }
}

/// What an update of the roster came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// A policy or a profile differs: nothing that was selected stands.
    Everything,
    /// These nodes came, went, or have another object, claim or selection.
    Of(BTreeSet<String>),
}

impl Roster {
    /// Brings it up to date with the world. `names`: the nodes for which something may differ; `None`: every node is
    /// compared. `fleet` is told what changed.
    pub(crate) fn update(
        &mut self,
        world: &World,
        claims: &Claims<'_>,
        names: Option<BTreeSet<String>>,
        fleet: &mut Fleet,
    ) -> Update {
        let ranks = Ranks::of(world, &self.ranks);
        if !ranks.ask_the_same(&self.ranks) {
            self.ranks = ranks;
            self.select_everything(world, claims, fleet);
            return Update::Everything;
        }
        self.ranks = ranks;
        let names = names.unwrap_or_else(|| self.members.keys().chain(world.nodes.keys()).cloned().collect());
        let mut choice = Choice::among(&self.ranks);
        let mut changed = BTreeSet::new();
        for name in names {
            let parts = Parts::of(world, claims, &name);
            let member = self.members.get(&name);
            let stands = match (&parts, member) {
                (Some(parts), Some(member)) => parts.make(member),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if stands {
                continue;
            }
            if let Some(subject) = member.and_then(|member| member.subject(&self.ranks)) {
                fleet.leave(&subject);
            }
            match parts {
                Some(parts) => {
                    let member = parts.join(&mut choice);
                    if let Some(subject) = member.subject(&self.ranks) {
                        fleet.join(&subject);
                    }
                    self.members.insert(name.clone(), member);
                }
                None => drop(self.members.remove(&name)),
            }
            changed.insert(name);
        }
        Update::Of(changed)
    }

    fn select_everything(&mut self, world: &World, claims: &Claims<'_>, fleet: &mut Fleet) {
        *fleet = Fleet::default();
        let mut choice = Choice::among(&self.ranks);
        let parts = world.nodes.keys().filter_map(|name| Some((name.clone(), Parts::of(world, claims, name)?)));
        self.members = parts.map(|(name, parts)| (name, parts.join(&mut choice))).collect();
        for subject in self.members.values().filter_map(|member| member.subject(&self.ranks)) {
            fleet.join(&subject);
        }
    }

    /// The names of all Nodes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.members.keys()
    }

    /// The Node of this name with what applies to it, if it has or needs a NodeHealth.
    pub(crate) fn subject(&self, name: &str) -> Option<Subject<'_>> {
        self.members.get(name)?.subject(&self.ranks)
    }

    /// The policy that governs this node.
    pub(crate) fn policy_of(&self, name: &str) -> Option<&NodeHealthPolicy> {
        self.subject(name)?.policy
    }
}
