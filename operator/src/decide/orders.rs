//! Work orders: what each node works on, and what must be written first.

use crds::node_health::Assignment;
use std::collections::BTreeMap;

/// The desired work orders of all nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Orders {
    /// By node name. A node that is not listed gets no assignment.
    pub(crate) by_node: BTreeMap<String, NodeOrders>,
    /// For nodes that lose an assignment in this decision: the step that records the result. It must succeed before the
    /// assignment leaves the spec, because the agent then forgets the result.
    pub(crate) released_after: BTreeMap<String, Vec<usize>>,
}

/// The work orders of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NodeOrders {
    /// At most [`crds::node_health::MAX_ASSIGNMENTS`].
    pub(crate) assignments: Vec<Assignment>,
    /// Steps of the plan (run statuses) that must succeed before the spec is written.
    pub(crate) after: Vec<usize>,
}

impl Orders {
    /// The desired work orders of this node.
    pub(crate) fn assignments(&self, node: &str) -> &[Assignment] {
        self.by_node.get(node).map_or(&[], |orders| orders.assignments.as_slice())
    }

    /// The steps that must succeed before the orders of this node change.
    pub(crate) fn waits_for(&self, node: &str) -> Vec<usize> {
        let given = self.by_node.get(node).map(|orders| &orders.after);
        let released = self.released_after.get(node);
        let mut after: Vec<usize> = given.into_iter().chain(released).flatten().copied().collect();
        after.sort_unstable();
        after.dedup();
        after
    }
}
