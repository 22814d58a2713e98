//! Which members test each other, and when: rounds of disjoint pairs.

use crds::check::Pattern;

/// One directed test between two members of a group, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    /// The round; rounds run one after another, the pairs of a round at the same time.
    pub(super) round: usize,
    /// The member that connects and sends.
    pub(super) client: usize,
    /// The member that listens.
    pub(super) server: usize,
}

/// The tests of `members` nodes; no member appears twice in a round. `Sample` is rejected before a run starts.
pub(super) fn pairs(pattern: Pattern, members: usize) -> Vec<Pair> {
    match pattern {
        Pattern::Ring => ring(members),
        Pattern::AllPairs | Pattern::Sample => all_pairs(members),
    }
}

/// Each member sends to the next one: two rounds, and a third for the edge that closes an odd ring.
fn ring(members: usize) -> Vec<Pair> {
    if members < 2 {
        return Vec::new();
    }
    let closes_an_odd_ring = |i: usize| members % 2 == 1 && i == members - 1;
    (0..members)
        .map(|client| Pair {
            round: if closes_an_odd_ring(client) { 2 } else { client % 2 },
            client,
            server: (client + 1) % members,
        })
        .collect()
}

/// Every pair once, by the circle method of round-robin tournaments: one seat (empty if the number is odd) is fixed,
/// the others move on by one per round.
fn all_pairs(members: usize) -> Vec<Pair> {
    if members < 2 {
        return Vec::new();
    }
    let seats = members + members % 2;
    let circle = seats - 1;
    let mut pairs = Vec::with_capacity(members * (members - 1) / 2);
    for round in 0..circle {
        let fixed = (seats - 1, round);
        let moving = (1..seats / 2).map(|k| ((round + k) % circle, (round + circle - k) % circle));
        for (a, b) in std::iter::once(fixed).chain(moving) {
            if a < members && b < members {
                // Alternating the roles lets each member send about as often as it receives.
                let (client, server) = if round % 2 == 0 { (a, b) } else { (b, a) };
                pairs.push(Pair { round, client, server });
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn assert_rounds_are_disjoint(pairs: &[Pair]) {
        let mut seen = BTreeSet::new();
        for pair in pairs {
            assert!(seen.insert((pair.round, pair.client)), "{pair:?}");
            assert!(seen.insert((pair.round, pair.server)), "{pair:?}");
        }
    }

    #[test]
    fn in_a_ring_of_any_size_each_edge_appears_once_and_no_node_is_in_two_tests_at_once() {
        for n in 2..=1000 {
            let pairs = ring(n);
            assert_rounds_are_disjoint(&pairs);
            let edges: BTreeSet<_> = pairs.iter().map(|p| (p.client, p.server)).collect();
            let wanted: BTreeSet<_> = (0..n).map(|i| (i, (i + 1) % n)).collect();
            assert_eq!(pairs.len(), n);
            assert_eq!(edges, wanted);
            let rounds: BTreeSet<_> = pairs.iter().map(|p| p.round).collect();
            let expected = if n % 2 == 0 { 2 } else { 3 };
            assert_eq!(rounds, (0..expected).collect(), "n = {n}");
        }
    }

    #[test]
    fn all_pairs_of_up_to_64_nodes_appear_once_within_64_slots() {
        for n in 2..=64 {
            let pairs = all_pairs(n);
            assert_rounds_are_disjoint(&pairs);
            let edges: BTreeSet<_> = pairs.iter().map(|p| (p.client.min(p.server), p.client.max(p.server))).collect();
            assert_eq!(edges.len(), n * (n - 1) / 2, "n = {n}");
            assert_eq!(pairs.len(), edges.len(), "n = {n}");
            assert!(pairs.iter().all(|p| p.round < crds::node_health::MAX_SLOTS));
        }
    }

    #[test]
    fn no_node_is_paired_with_itself_in_a_group_of_one_or_none() {
        for pattern in [Pattern::Ring, Pattern::AllPairs] {
            assert!(pairs(pattern, 0).is_empty());
            assert!(pairs(pattern, 1).is_empty());
        }
    }
}
