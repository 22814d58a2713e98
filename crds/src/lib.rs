//! The API of gpu-health-operator: group `gpuhealth.dev`, version `v1alpha1`.
//!
//! The kinds, their shared vocabulary (outcomes, severities, states), the names of all marks on a Node, and the
//! conditions. This crate has no client, reads no clock and does no I/O.
//!
//! # How data flows through it
//!
//! ```text
//! users  ─▶ HealthCheckRun, NodeHealthPolicy, NodeHardwareProfile, NodeHealthOverride
//!                                  │ operator::decide
//!                                  ▼
//!            NodeHealth.spec (work orders) ─▶ node_agent::step ─▶ NodeHealth.status.report
//!                                                                        │ operator::decide
//!                                                                        ▼
//!            NodeHealth.status.decision, marks on the Node, HealthCheckRun.status
//! ```
//!
//! # What must stay true
//!
//! - Every field is documented, every number has a range and a unit, and every list, map and string is bounded.
//!   Tests walk the generated schemas.
//! - Integers only. Times are whole seconds ([`Time`]).
//! - Fields are only ever added. Enums in a status are strings with an `Unrecognized` variant, so that an older operator
//!   can read a newer agent's report.
//! - Members that one writer replaces as a whole (`report`, `exclusive`, `decision`, `expected`) are atomic maps.

// Clippy takes printer columns of the same type for duplicates.
#![allow(clippy::duplicated_attributes)]

pub mod check;
pub mod condition;
pub mod cron;
mod explained;
pub mod hardware_record;
pub mod health_check_result;
pub mod health_check_run;
pub mod level;
pub mod names;
pub mod nearest;
pub mod node_hardware_profile;
pub mod node_health;
pub mod node_health_override;
pub mod node_health_policy;
pub mod reason;
pub mod scale;
pub mod selector;
pub mod shared;
mod string_enum;
pub mod text;
pub mod time;
pub mod vocabulary;

pub use check::{Check, CheckSpec};
pub use condition::Condition;
pub use hardware_record::HardwareRecord;
pub use health_check_result::HealthCheckResult;
pub use health_check_run::HealthCheckRun;
pub use node_hardware_profile::NodeHardwareProfile;
pub use node_health::NodeHealth;
pub use node_health_override::NodeHealthOverride;
pub use node_health_policy::NodeHealthPolicy;
pub use scale::Scale;
pub use selector::Selector;
pub use shared::{Shared, Text};
pub use time::Time;
pub use vocabulary::{Action, Activity, Outcome, Quarantine, Severity, State};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// All CustomResourceDefinitions, in documentation order.
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    [
        HealthCheckRun::crd(),
        HealthCheckResult::crd(),
        NodeHealth::crd(),
        NodeHealthPolicy::crd(),
        NodeHardwareProfile::crd(),
        NodeHealthOverride::crd(),
        HardwareRecord::crd(),
    ]
    .into_iter()
    .map(explained::with_defaults)
    .collect()
}
