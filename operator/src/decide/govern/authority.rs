//! Whether marks of a node may be set and lifted: by the mode of its policy and by `--hold-everything`.

use super::selection::Subject;
use crds::{NodeHealthPolicy, node_health_policy::Mode};

/// Whether marks of a node may be set and lifted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Authority<'w> {
    /// Marks are set and lifted.
    Enforce(&'w NodeHealthPolicy),
    /// Nothing is set and nothing is lifted.
    Frozen,
    /// Nothing is set. Marks left by a former policy stay until evidence lifts them or somebody releases them.
    Observe {
        /// Whether the policy's `releaseAll` covers the marks of the node.
        release: bool,
    },
}

/// The authority over the marks of this node. `is_released`: whether the policy's `releaseAll` covers them.
pub(crate) fn authority<'w>(hold_everything: bool, subject: &Subject<'w>, is_released: bool) -> Authority<'w> {
    match subject.policy {
        _ if hold_everything => Authority::Frozen,
        None => Authority::Observe { release: false },
        Some(policy) => match policy.spec.mode {
            Mode::Hold => Authority::Frozen,
            Mode::Enforce => Authority::Enforce(policy),
            Mode::Observe => Authority::Observe { release: is_released },
        },
    }
}
