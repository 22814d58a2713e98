//! Every Node with what applies to it, carried from one decision to the next: only what changed is selected again.

#[cfg(test)]
mod tamper;

use super::{
    claims::Claims,
    fleet::Fleet,
    selection::{Choice, Ranked, Ranks, Selection, Standing, Subject},
};
use crate::{
    key::{Key, Kind},
    world::{Node, World},
};
use crds::NodeHealth;
use std::sync::Arc;

/// The Nodes by name, and the policies and profiles by rank.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    ranks: Ranks,
    members: Vec<Member>,
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
        self.selection.is_subject.then(|| Subject {
            node: &self.node,
            health: self.standing(),
            policy: self.selection.policy.map(|index| &*ranks.policies[index]),
            profile: self.selection.profile.map(|index| &*ranks.profiles[index]),
            is_claimed: self.is_claimed,
            is_malformed: self.is_malformed,
        })
    }
}

impl Roster {
    /// Brings it up to date with the world. Returns, for each Node, its place in the former roster if nothing that is kept
    /// here changed; `fleet` is told of the others.
    pub(crate) fn update(&mut self, world: &World, claims: &Claims<'_>, fleet: &mut Fleet) -> Vec<Option<usize>> {
        let ranks = Ranks::of(world);
        let ranks_stand = ranks.ask_the_same(&self.ranks);
        let former_ranks = std::mem::replace(&mut self.ranks, ranks);
        let former = std::mem::take(&mut self.members);
        if !ranks_stand {
            *fleet = Fleet::default();
        }
        let leave = |member: &Member, fleet: &mut Fleet| {
            if ranks_stand && let Some(subject) = member.subject(&former_ranks) {
                fleet.leave(&subject);
            }
        };
        self.members.reserve(world.nodes.len());
        let mut places = Vec::with_capacity(world.nodes.len());
        let mut choice = Choice::among(&self.ranks);
        let mut former = former.into_iter().enumerate().peekable();
        let mut healths = Beside::new(&world.node_healths);
        let mut claimed = claims.nodes().peekable();
        for (name, node) in &world.nodes {
            let before = loop {
                match former.peek() {
                    Some((_, member)) if Arc::ptr_eq(&member.node, node) => break former.next(),
                    Some((_, member)) if member.node.name < *name => {
                        if let Some((_, gone)) = former.next() {
                            leave(&gone, fleet);
                        }
                    }
                    Some((_, member)) if member.node.name == *name => break former.next(),
                    Some(_) | None => break None,
                }
            };
            let known_health = before.as_ref().and_then(|(_, member)| member.health.as_ref());
            let health = healths.at(name, |health| known_health.is_some_and(|known| Arc::ptr_eq(known, health)));
            while claimed.next_if(|node| *node < name.as_str()).is_some() {}
            let is_claimed = claimed.next_if(|node| *node == name.as_str()).is_some();
            let is_malformed =
                !world.malformed.is_empty() && world.malformed.contains(&Key::new(Kind::NodeHealth, name));
            if let Some((place, member)) = before {
                let stands = ranks_stand
                    && member.is_claimed == is_claimed
                    && member.is_malformed == is_malformed
                    && Arc::ptr_eq(&member.node, node)
                    && same(member.health.as_ref(), health);
                if stands {
                    self.members.push(member);
                    places.push(Some(place));
                    continue;
                }
                leave(&member, fleet);
            }
            let standing = Standing::of(node, health.map(|health| &**health), is_malformed);
            let selection = choice.select(node, standing, is_claimed);
            let member = Member {
                node: Arc::clone(node),
                health: health.cloned(),
                health_is: HealthIs::of(standing),
                is_claimed,
                is_malformed,
                selection,
            };
            if let Some(subject) = member.subject(&self.ranks) {
                fleet.join(&subject);
            }
            self.members.push(member);
            places.push(None);
        }
        for (_, gone) in former {
            leave(&gone, fleet);
        }
        places
    }

    /// The nodes that have or need a NodeHealth, each with its place in the roster, by name.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = (usize, Subject<'_>)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(place, member)| Some((place, member.subject(&self.ranks)?)))
    }

    /// The policies, the highest rank first.
    pub(crate) fn policies(&self) -> Vec<Ranked<'_>> {
        let unused = |policy| Ranked { policy, selects_some: false };
        let mut ranked: Vec<Ranked<'_>> = self.ranks.policies.iter().map(|policy| unused(&**policy)).collect();
        for Selection { policy, overruled, .. } in self.members.iter().map(|member| &member.selection) {
            for &index in policy.iter().chain(overruled) {
                ranked[index].selects_some = true;
            }
        }
        ranked
    }
}

fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// A map that is read beside another one with the same order of keys.
struct Beside<'m, T> {
    rest: std::iter::Peekable<std::collections::btree_map::Iter<'m, String, Arc<T>>>,
}

impl<'m, T> Beside<'m, T> {
    fn new(map: &'m std::collections::BTreeMap<String, Arc<T>>) -> Self {
        Self { rest: map.iter().peekable() }
    }

    /// The value of this key, which must be greater than that of the last call. `is_it` recognizes the value without a look
    /// at its key.
    fn at(&mut self, key: &str, is_it: impl Fn(&Arc<T>) -> bool) -> Option<&'m Arc<T>> {
        if let Some((_, value)) = self.rest.next_if(|(_, value)| is_it(value)) {
            return Some(value);
        }
        while self.rest.next_if(|(at, _)| at.as_str() < key).is_some() {}
        self.rest.next_if(|(at, _)| at.as_str() == key).map(|(_, value)| value)
    }
}
