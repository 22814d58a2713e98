//! What a run tells of the network: edges, figures, suspects.

use crate::{Outcome, string_enum::string_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum number of edges in a run's status, per check between nodes.
pub const MAX_EDGES: usize = 200;

/// Results of one check between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Name of the check within the run.
    #[schemars(length(min = 1, max = 63))]
    pub check: String,
    /// What is suspected because many edges through it are slow or failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub suspects: Vec<Suspect>,
    /// The slowest or failed edges, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub edges: Vec<NetworkEdge>,
    /// Figures over all edges, those not listed included.
    #[serde(default)]
    pub summary: NetworkSummary,
}

string_enum! {
    /// What a suspect is: Node, Link or Switch.
    SuspectKind {
        /// A node: most of its edges are bad, and its partners' others are not.
        Node,
        /// The link between two nodes, or one rail of a node.
        Link,
        /// A switch: the bad edges have nothing else in common.
        Switch,
    } default Node
}

/// What many bad edges have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Suspect {
    /// What it is: Node, Link or Switch.
    pub kind: SuspectKind,
    /// Name of the node, of the link (both nodes) or of the switch.
    #[schemars(length(min = 1, max = 253))]
    pub target: String,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}

/// Figures over all edges of a check between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSummary {
    /// The number of edges that were measured.
    #[serde(default)]
    #[schemars(range(min = 0, max = 32_000))]
    pub measured: i64,
    /// Lowest rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub min_mbps: Option<i64>,
    /// Mean rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub mean_mbps: Option<i64>,
    /// Highest rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max_mbps: Option<i64>,
    /// Sum of all rates, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000_000_i64))]
    pub aggregate_mbps: Option<i64>,
}

/// One tested pair of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkEdge {
    /// The number of the slot in which the pair was tested.
    #[serde(default)]
    #[schemars(range(min = 0, max = 4095))]
    pub slot: i64,
    /// Sending node.
    #[schemars(length(max = 63))]
    pub from: String,
    /// Receiving node.
    #[schemars(length(max = 63))]
    pub to: String,
    /// Name of the check within the run.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub check: String,
    /// Rail of the edge, if it was tested on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub rail: Option<String>,
    /// Network interface of the sender, if it was tested on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub interface: Option<String>,
    /// How far apart the two nodes are in the network, for example SameRack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hop_class: Option<String>,
    /// Rate, in megabits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub mbps: Option<i64>,
    /// Outcome: Pass, Skipped, Inconclusive, Warn or Fail.
    pub outcome: Outcome,
    /// Machine-readable reason, one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<String>,
}
