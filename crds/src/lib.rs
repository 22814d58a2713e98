//! The API of gpu-health-operator: group `gpuhealth.dev`, version `v1alpha1`.
//!
//! This crate holds the kinds, the vocabulary they share (outcomes, severities, states), the names of every mark that
//! the product leaves on a Node, and the conditions. It has no client, reads no clock and does no IO.
//!
//! # How data flows through it
//!
//! ```text
//! people ─▶ HealthCheckRun, HealthCheckPolicy, HardwareProfile, NodeHealthOverride
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
//! - Every field has a sentence, every number a range and a unit, every list, map and string a bound
//!   (`xtask codegen` writes the schemas; tests walk them).
//! - Integers only. Times are whole seconds ([`Time`]).
//! - Fields are only added. Enums in status are strings with an `Unrecognized` variant, so that an older operator reads
//!   a newer agent.
//! - What one writer replaces whole (`report`, `exclusive`, `decision`, `expected`) is an atomic map.

// Printer columns of the same type look like repetitions to it.
#![allow(clippy::duplicated_attributes)]

pub mod check;
pub mod condition;
pub mod hardware_profile;
pub mod hardware_record;
pub mod health_check_policy;
pub mod health_check_run;
pub mod level;
pub mod names;
pub mod node_health;
pub mod node_health_override;
pub mod reason;
pub mod scale;
pub mod selector;
mod string_enum;
pub mod time;
pub mod vocabulary;

pub use check::{Check, CheckSpec};
pub use condition::Condition;
pub use hardware_profile::HardwareProfile;
pub use hardware_record::HardwareRecord;
pub use health_check_policy::HealthCheckPolicy;
pub use health_check_run::HealthCheckRun;
pub use node_health::NodeHealth;
pub use node_health_override::NodeHealthOverride;
pub use scale::Scale;
pub use selector::Selector;
pub use time::Time;
pub use vocabulary::{Action, Activity, Outcome, Severity, State};

use kube::CustomResourceExt;

/// Every CustomResourceDefinition of the product, in the order in which they are documented.
pub fn custom_resource_definitions()
-> Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> {
    vec![
        HealthCheckRun::crd(),
        NodeHealth::crd(),
        HealthCheckPolicy::crd(),
        HardwareProfile::crd(),
        NodeHealthOverride::crd(),
        HardwareRecord::crd(),
    ]
}
