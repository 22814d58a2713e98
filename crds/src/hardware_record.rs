//! `HardwareRecord`: the incident history of one board.

use crate::{Time, string_enum::string_enum};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One board, identified by its serial number.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gpuhealth.dev",
    version = "v1alpha1",
    kind = "HardwareRecord",
    plural = "hardwarerecords",
    singular = "hardwarerecord",
    shortname = "hwr",
    category = "gpuhealth",
    status = "HardwareRecordStatus",
    derive = "PartialEq",
    doc = "HardwareRecord keeps the incident history of one board, by serial number. The record follows the board to another node; a rebuilt node does not inherit it.",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model", description = "GPU model."),
    printcolumn(
        name = "Incidents",
        type_ = "integer",
        json_path = ".status.count",
        description = "Number of recorded incidents."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HardwareRecordSpec {
    /// Serial number of the board.
    #[schemars(length(min = 1, max = 64))]
    pub serial: String,
    /// Model of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub model: Option<String>,
}

/// The incidents of a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardwareRecordStatus {
    /// The number of recorded incidents.
    #[serde(default)]
    #[schemars(range(min = 0, max = 16))]
    pub count: i64,
    /// Incidents, newest last, kept until 180 days after the last one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub incidents: Vec<Incident>,
}

string_enum! {
    /// How an incident ended.
    IncidentEnd {
        /// Not over yet.
        Open,
        /// Confirmed by a repair or a later test.
        Confirmed,
        /// Later tests found no fault.
        Refuted,
    } default Open
}

/// One incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Node that contained the board.
    #[schemars(length(max = 253))]
    pub node: String,
    /// PCI address of the board.
    #[schemars(length(max = 32))]
    pub slot: String,
    /// Machine-readable reason, one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When the incident began.
    pub at: Time,
    /// How the incident ended: Open, Confirmed or Refuted.
    #[serde(default)]
    pub end: IncidentEnd,
}
