//! Work orders: what each node shall work on, and what must be written before.

use crds::node_health::Assignment;
use std::collections::BTreeMap;

/// The work orders that nodes shall have after this decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orders {
    /// By node name. A node that is not here shall have no assignment.
    pub by_node: BTreeMap<String, NodeOrders>,
    /// For nodes whose assignment goes away in this decision: the step that recorded the result, which must succeed
    /// before the assignment leaves the spec, since the agent then forgets the result.
    pub released_after: BTreeMap<String, Vec<usize>>,
}

/// The work orders of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeOrders {
    /// At most [`crds::node_health::MAX_ASSIGNMENTS`].
    pub assignments: Vec<Assignment>,
    /// Steps of the plan (run statuses) that must succeed before the spec is written.
    pub after: Vec<usize>,
}
