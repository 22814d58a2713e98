//! Maintenance: when it started, when it should be over, and whether it overruns.

use crate::world::Node;
use crds::{
    NodeHealth, Time,
    node_health::{Maintenance, NodeHealthSpec},
};

/// How long a maintenance is expected to take, in seconds; afterwards it overruns. An upgrade of the driver by NVIDIA's
/// GPU operator takes minutes, and its own waits for pods to go end after 300 s each.
const MAINTENANCE_SECONDS: i64 = 3_600;

/// The maintenance of a node, if it takes longer than expected.
pub(crate) fn overrun<'h>(node: &Node, health: &'h NodeHealth, now: Time) -> Option<&'h Maintenance> {
    let standing = health.spec.maintenance.as_ref().filter(|m| m.until.is_some_and(|until| now >= until));
    node.maintenance().and(standing)
}

/// Whether the NodeHealth already records the maintenance of its node.
pub(crate) fn is_current(recorded: Option<&Maintenance>, node: &Node) -> bool {
    recorded.map(|m| m.reason.as_str()) == node.maintenance() && recorded.is_none_or(|m| m.until.is_some())
}

/// The desired maintenance; `since` is kept while it lasts.
pub(crate) fn wanted(node: &Node, before: Option<&NodeHealthSpec>, now: Time) -> Option<Maintenance> {
    let reason = node.maintenance()?;
    let standing = before.and_then(|spec| spec.maintenance.as_ref());
    let since = standing.map_or(now, |m| m.since);
    Some(Maintenance {
        // The values of labels have 63 bytes, the names of these labels 74: nothing is ever truncated.
        reason: crds::condition::truncate(reason, 128),
        since,
        until: Some(standing.and_then(|m| m.until).unwrap_or_else(|| since.plus(MAINTENANCE_SECONDS))),
    })
}
