//! `NodeHealthPolicy.spec.budget`, `storm` and `releaseAll`: how many nodes may be unavailable, and the ways out.

use crate::{Scale, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Default of `budget.maxUnavailable`.
pub const DEFAULT_MAX_UNAVAILABLE: Scale = Scale::Percent(10);
/// Default of `budget.minimum`.
pub const DEFAULT_BUDGET_MINIMUM: i64 = 1;

const fn default_max_unavailable() -> Scale {
    DEFAULT_MAX_UNAVAILABLE
}

const fn default_minimum() -> i64 {
    DEFAULT_BUDGET_MINIMUM
}

/// How many nodes may be unavailable at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Maximum number of unavailable nodes, or a percentage of the nodes that the policy governs, rounded down. 0 takes no node out of service.
    #[serde(default = "default_max_unavailable")]
    #[schemars(schema_with = "crate::scale::unavailable")]
    pub max_unavailable: Scale,
    /// Lower bound of a percentage, as a number of nodes: 10% of 5 nodes would otherwise be none. May be 0.
    #[serde(default = "default_minimum")]
    #[schemars(range(min = 0, max = 1000))]
    pub minimum: i64,
    /// A second limit for the nodes of each failure domain, for example of each rack. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_domain: Option<DomainBudget>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { max_unavailable: DEFAULT_MAX_UNAVAILABLE, minimum: DEFAULT_BUDGET_MINIMUM, per_domain: None }
    }
}

/// The limit for the nodes of each failure domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainBudget {
    /// Key of the label whose value names the failure domain of a node. Nodes without the label form one domain.
    #[schemars(length(min = 1, max = 317))]
    pub topology_key: String,
    /// Maximum number of unavailable nodes of a domain, or a percentage of its nodes, rounded down but at least `budget.minimum`. Default: `budget.maxUnavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::scale::unavailable")]
    pub max_unavailable: Option<Scale>,
}

/// When the same reason on many nodes counts as a storm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StormRule {
    /// Minimum number of nodes, or a percentage of the nodes that the policy governs.
    #[serde(default = "default_storm_nodes")]
    #[schemars(schema_with = "crate::scale::storm")]
    pub nodes: Scale,
    /// Time window, in seconds.
    #[serde(default = "default_storm_window")]
    #[schemars(range(min = 1, max = 86400))]
    pub within_seconds: i64,
    /// How long no further node may fail before the storm is over, in seconds.
    #[serde(default = "default_storm_quiet")]
    #[schemars(range(min = 1, max = 604_800))]
    pub quiet_seconds: i64,
    /// Ends every storm that began before a point in time: quarantines resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<StormAcknowledgement>,
}

const fn default_storm_nodes() -> Scale {
    Scale::Nodes(5)
}

const fn default_storm_window() -> i64 {
    300
}

const fn default_storm_quiet() -> i64 {
    1_800
}

impl Default for StormRule {
    fn default() -> Self {
        Self {
            nodes: default_storm_nodes(),
            within_seconds: default_storm_window(),
            quiet_seconds: default_storm_quiet(),
            acknowledge: None,
        }
    }
}

/// Which storms a person has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StormAcknowledgement {
    /// Storms that began before this time are over. One that begins later is not, so this may stay in the object.
    pub before: Time,
}

/// Which marks are removed although their causes are open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseAll {
    /// Marks set before this time are removed. Later ones stay, so this may stay in the object. A time in the future takes effect once it is reached.
    pub before: Time,
    /// Why the marks are removed, as a sentence for people.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
}
