//! Conclusions from all edges: rates, the worst edges, and suspect nodes, most of whose edges fail.

use crds::{
    Outcome,
    check::Pattern,
    health_check_run::{MAX_EDGES, Network, NetworkEdge, Suspect, SuspectKind},
    reason,
};
use std::collections::BTreeMap;

/// The highest rate that the API takes, in megabits per second.
pub(super) const MAX_MBPS: i64 = 100_000_000;
/// The longest list of suspects.
const MAX_SUSPECTS: usize = 50;

/// Adds edges that are all new. The figures count every edge, the list keeps the worst.
pub(super) fn merge(network: &mut Network, edges: Vec<NetworkEdge>) {
    let summary = &mut network.summary;
    for mbps in edges.iter().filter_map(|e| e.mbps) {
        summary.measured += 1;
        summary.min_mbps = Some(summary.min_mbps.map_or(mbps, |m| m.min(mbps)));
        summary.max_mbps = Some(summary.max_mbps.map_or(mbps, |m| m.max(mbps)));
        let aggregate = summary.aggregate_mbps.unwrap_or(0).saturating_add(mbps);
        summary.aggregate_mbps = Some(aggregate);
        summary.mean_mbps = Some(aggregate / summary.measured);
    }
    network.edges.extend(edges);
    network.edges.sort_by_cached_key(|e| {
        let rank = std::cmp::Reverse(e.outcome.rank());
        (rank, e.mbps, e.from.clone(), e.to.clone())
    });
    network.edges.truncate(MAX_EDGES);
}

/// What the edges say about one node.
#[derive(Default)]
struct Standing<'a> {
    edges: usize,
    bad_with: Vec<&'a str>,
}

/// Nodes most of whose edges fail while at least half of the partners are otherwise well: with a bad link both ends have
/// one bad edge, with a bad node its partners' other edges are fine. Of only two nodes, neither can be singled out.
pub(super) fn suspects(network: &Network, pattern: Pattern, members: usize) -> Vec<Suspect> {
    let mut nodes: BTreeMap<&str, Standing<'_>> = BTreeMap::new();
    for edge in &network.edges {
        let (from, to) = (edge.from.as_str(), edge.to.as_str());
        for (node, partner) in [(from, to), (to, from)] {
            let standing = nodes.entry(node).or_default();
            standing.edges += 1;
            if edge.outcome == Outcome::Fail {
                standing.bad_with.push(partner);
            }
        }
    }
    if network.edges.len() == MAX_EDGES {
        // Edges beyond the list are at least as good as those on it.
        let degree = match pattern {
            Pattern::Ring => 2,
            Pattern::AllPairs | Pattern::Sample => members.saturating_sub(1),
        };
        for standing in nodes.values_mut() {
            standing.edges = standing.edges.max(degree);
        }
    }
    let is_otherwise_well = |partner: &str, suspect: &str| {
        nodes.get(partner).is_some_and(|p| {
            let with = p.bad_with.iter().filter(|n| **n == suspect).count();
            let others = p.edges - with;
            let bad = p.bad_with.len() - with;
            others > 0 && bad * 2 < others
        })
    };
    nodes
        .iter()
        .filter(|(name, standing)| {
            let bad = standing.bad_with.len();
            let witnesses = standing.bad_with.iter();
            let well = witnesses.filter(|p| is_otherwise_well(p, name)).count();
            bad * 2 > standing.edges && well > 0 && well * 2 >= bad
        })
        .map(|(name, _)| Suspect {
            kind: SuspectKind::Node,
            target: (*name).to_owned(),
            reason: Some(reason::MOST_EDGES_BAD.to_owned()),
        })
        .take(MAX_SUSPECTS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, mbps: i64, outcome: Outcome) -> NetworkEdge {
        NetworkEdge { from: from.into(), to: to.into(), mbps: Some(mbps), outcome, ..NetworkEdge::default() }
    }

    fn ring_with_bad(n: usize, bad: &[(usize, usize)]) -> Vec<String> {
        let mut network = Network::default();
        let edges = (0..n).map(|i| {
            let j = (i + 1) % n;
            let outcome = if bad.contains(&(i, j)) { Outcome::Fail } else { Outcome::Pass };
            edge(&format!("n{i:04}"), &format!("n{j:04}"), 100, outcome)
        });
        merge(&mut network, edges.collect());
        suspects(&network, Pattern::Ring, n).into_iter().map(|suspect| suspect.target).collect()
    }

    #[test]
    fn a_node_with_both_edges_bad_is_suspect_and_its_partners_are_not() {
        assert_eq!(ring_with_bad(5, &[(0, 1), (1, 2)]), ["n0001"]);
        assert_eq!(ring_with_bad(300, &[(0, 1), (1, 2)]), ["n0001"]);
    }

    #[test]
    fn one_bad_edge_points_at_the_link_and_not_at_a_node() {
        assert!(ring_with_bad(5, &[(0, 1)]).is_empty());
    }

    #[test]
    fn two_bad_neighbours_are_both_suspect() {
        assert_eq!(ring_with_bad(8, &[(0, 1), (1, 2), (2, 3)]), ["n0001", "n0002"]);
    }

    #[test]
    fn no_node_is_suspect_if_there_are_only_two_or_all_edges_are_bad() {
        assert!(ring_with_bad(2, &[(0, 1), (1, 0)]).is_empty());
        assert!(ring_with_bad(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]).is_empty());
    }

    #[test]
    fn edges_that_come_in_several_writes_count_together_and_the_worst_200_stay() {
        let mut network = Network::default();
        for part in 0..3 {
            let edges = (0..100).map(|i| {
                let rate = 1_000 + part * 100 + i;
                edge(&format!("a{part}-{i}"), "b", rate, Outcome::Pass)
            });
            merge(&mut network, edges.collect());
        }
        merge(&mut network, vec![edge("slow", "b", 5, Outcome::Fail)]);
        assert_eq!(network.summary.measured, 301);
        assert_eq!(network.edges.len(), MAX_EDGES);
        assert_eq!(network.edges[0].from, "slow");
        assert_eq!((network.summary.min_mbps, network.summary.max_mbps), (Some(5), Some(1_299)));
        let sum = (1_000..1_300).sum::<i64>() + 5;
        assert_eq!(network.summary.aggregate_mbps, Some(sum));
        assert_eq!(network.summary.mean_mbps, Some(sum / 301));
    }
}
