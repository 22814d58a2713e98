//! What a write does, in words: what is in backoff by itself, and the value of a metric's label.

use crate::plan::Write;

/// [`act`] of the write that holds texts of an agent: the operator's part of a NodeHealth's status.
pub const STATUS_OF_NODE_HEALTH: &str = "apply decision";
/// [`act`] of the write that holds texts of agents: the status of a run.
pub const STATUS_OF_RUN: &str = "apply run status";

/// [`act`] of the write that holds the reasons of claims, which come from agents.
pub const CLAIMS_OF_POLICY: &str = "apply claims";

/// [`act`] of the write that marks a Node.
pub const TAINTS_OF_NODE: &str = "patch taints";

/// [`act`] of the write that creates a HealthCheckResult.
pub const CREATE_RESULT: &str = "create result";

/// What a write does, as the value of a metric's label and in messages.
pub const fn act(write: &Write) -> &'static str {
    match write {
        Write::NodeHealthSpec(_) => "apply spec",
        Write::DeleteNodeHealth { .. } => "delete NodeHealth",
        Write::NodeHealthStatus(_) => STATUS_OF_NODE_HEALTH,
        Write::NodeTaints { .. } => TAINTS_OF_NODE,
        Write::NodeMarks { .. } => "apply marks",
        Write::NodeCondition { .. } => "apply condition",
        Write::RunStatus { .. } => STATUS_OF_RUN,
        Write::RunObserved { .. } => "patch run status",
        Write::DeleteRun { .. } => "delete run",
        Write::PolicyClaims { .. } => CLAIMS_OF_POLICY,
        Write::ResultCreate(_) => CREATE_RESULT,
        Write::PolicyStatus { .. } => "apply policy status",
    }
}
