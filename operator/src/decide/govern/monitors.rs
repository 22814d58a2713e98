//! The monitors that a node's agent runs.

use crds::{Check, NodeHealthPolicy};

/// Every monitor of this version that the policy does not disable, with the policy's interval.
pub(crate) fn wanted(policy: Option<&NodeHealthPolicy>) -> impl Iterator<Item = (&'static str, Option<i64>)> + '_ {
    Check::ALL.iter().filter(|check| check.is_built() && check.is_monitor()).filter_map(move |check| {
        let setting = policy.and_then(|p| p.spec.monitors.iter().find(|monitor| monitor.name == check.name()));
        setting.is_none_or(|s| s.enabled).then(|| (check.name(), setting.map(|s| s.interval_seconds)))
    })
}
