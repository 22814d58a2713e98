//! What is written first, and what may take the place of what.

use crate::plan::Write;
use crds::names;

/// The rank of claims and taints, which come first: the taint is what protects a job. Then comes what agents and users wait
/// for.
pub(super) const URGENT: u8 = 0;
/// The rank of what describes a node, which comes last.
pub(super) const WORDS: u8 = 2;

/// The rank of a write.
pub(super) fn rank(write: &Write) -> u8 {
    match write {
        Write::PolicyClaims { .. } | Write::NodeTaints { .. } => URGENT,
        Write::RunStatus { .. } | Write::ResultCreate(_) | Write::NodeHealthSpec(_) => 1,
        // Counts never come before a claim.
        Write::PolicyStatus { .. }
        | Write::NodeHealthStatus(_)
        | Write::NodeMarks { .. }
        | Write::NodeCondition { .. }
        | Write::DeleteNodeHealth { .. }
        | Write::RunObserved { .. }
        | Write::DeleteRun { .. } => WORDS,
    }
}

/// Whether the steps that wait for its object may be dropped for this write. A taint that goes may not: the write that makes
/// sure that no late mark arrives is planned anew until the words behind it are written and the claim is dropped, and would
/// keep both from ever being so.
pub(super) fn may_replace(write: &Write) -> bool {
    match write {
        Write::NodeTaints { taints, .. } => {
            taints.iter().any(|taint| taint.key.starts_with(names::PREFIX) && taint.effect != "PreferNoSchedule")
        }
        Write::PolicyClaims { .. }
        | Write::PolicyStatus { .. }
        | Write::RunStatus { .. }
        | Write::RunObserved { .. }
        | Write::ResultCreate(_)
        | Write::NodeHealthSpec(_)
        | Write::NodeHealthStatus(_)
        | Write::NodeMarks { .. }
        | Write::NodeCondition { .. }
        | Write::DeleteNodeHealth { .. }
        | Write::DeleteRun { .. } => true,
    }
}
