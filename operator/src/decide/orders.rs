//! Work orders: what each node shall work on, and what must be written before.

use crds::node_health::Assignment;
use std::collections::BTreeMap;

/// The work orders that nodes shall have after this decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Orders {
    /// By node name. A node that is not here shall have no assignment.
    pub(crate) by_node: BTreeMap<String, NodeOrders>,
    /// For nodes whose assignment goes away in this decision: the step that recorded the result, which must succeed
    /// before the assignment leaves the spec, since the agent then forgets the result.
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
    /// The work orders that the node shall have.
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
