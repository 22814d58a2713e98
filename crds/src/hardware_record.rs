//! `HardwareRecord`: a board's past.

use crate::{Time, string_enum::string_enum};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of one board.
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
    doc = "HardwareRecord keeps the incidents of one board, by serial number. A board that moves takes its record along; a rebuilt node does not inherit one.",
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.model", description = "The model."),
    printcolumn(
        name = "Incidents",
        type_ = "integer",
        json_path = ".status.count",
        description = "How many incidents are kept."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "When it was created."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HardwareRecordSpec {
    /// The serial number of the board.
    #[schemars(length(min = 1, max = 64))]
    pub serial: String,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 96))]
    pub model: Option<String>,
}

/// The incidents of a board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardwareRecordStatus {
    /// How many incidents are kept, as a number of incidents.
    #[serde(default)]
    #[schemars(range(min = 0, max = 16))]
    pub count: i64,
    /// The incidents, newest last; kept for 180 days after the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub incidents: Vec<Incident>,
}

string_enum! {
    /// How an incident ended.
    IncidentEnd {
        /// Not ended.
        Open,
        /// A repair or a later test confirmed it.
        Confirmed,
        /// Later tests found nothing.
        Refuted,
    } default Open
}

/// One incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// The node in which the board was.
    #[schemars(length(max = 253))]
    pub node: String,
    /// The PCI address at which the board was.
    #[schemars(length(max = 32))]
    pub slot: String,
    /// Why, as one word.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// When.
    pub at: Time,
    /// How it ended.
    #[serde(default)]
    pub end: IncidentEnd,
}
