//! The members of objects that are read from the wire: serde skips all others without keeping them, which for a Node with its
//! images and for everybody's managed fields is most of the text.

use crate::world::labels::Labels;
use crds::Text;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The metadata of a custom resource, without managed fields.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
}

impl From<Metadata> for ObjectMeta {
    fn from(metadata: Metadata) -> Self {
        let Metadata {
            name,
            uid,
            resource_version,
            generation,
            creation_timestamp,
            deletion_timestamp,
            labels,
            annotations,
            owner_references,
            finalizers,
        } = metadata;
        Self {
            name,
            uid,
            resource_version,
            generation,
            creation_timestamp,
            deletion_timestamp,
            labels,
            annotations: annotations.map(|mut annotations| {
                // kubectl's copy of the whole object: no decision reads it.
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
                annotations
            }),
            owner_references,
            finalizers,
            ..Self::default()
        }
    }
}

/// A custom resource.
#[derive(Debug, Deserialize)]
pub struct Custom<Spec, Status> {
    /// Its metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// Its spec.
    pub spec: Spec,
    /// Its status.
    #[serde(default = "Option::default")]
    pub status: Option<Status>,
}

/// What is read of a Node.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeWire {
    /// Its metadata.
    pub metadata: NodeMetadata,
    /// Its spec.
    pub spec: NodeSpec,
    /// Its status.
    pub status: NodeStatus,
}

/// What is read of a Node's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeMetadata {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// Its labels.
    pub labels: Option<Labels>,
    /// Our annotation.
    pub annotations: Option<OwnAnnotations>,
}

/// Our annotations on a Node.
#[derive(Debug, Default, Deserialize)]
pub struct OwnAnnotations {
    /// [`crds::names::ANNOTATION_SUMMARY`].
    #[serde(rename = "gpuhealth.dev/summary", default)]
    pub summary: Option<String>,
}

/// What is read of a Node's spec.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Whether it is cordoned.
    pub unschedulable: Option<bool>,
    /// All its taints.
    pub taints: Option<Vec<TaintWire>>,
}

/// A taint.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaintWire {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default)]
    pub value: Option<String>,
    /// The effect.
    pub effect: String,
    /// When it was added.
    #[serde(default)]
    pub time_added: Option<String>,
}

/// What is read of a Node's status.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// Its conditions.
    pub conditions: Option<Vec<ConditionWire>>,
    /// Its allocatable resources.
    pub allocatable: Option<BTreeMap<String, String>>,
    /// Its addresses.
    pub addresses: Option<Vec<AddressWire>>,
    /// What its kubelet reports of itself.
    pub node_info: Option<NodeInfo>,
}

/// A condition of a Node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionWire {
    /// The type.
    #[serde(rename = "type")]
    pub type_: Text,
    /// True, False or Unknown.
    pub status: Text,
    /// The reason.
    #[serde(default)]
    pub reason: Option<Text>,
    /// The message.
    #[serde(default)]
    pub message: Option<Text>,
    /// When the status last changed.
    #[serde(default)]
    pub last_transition_time: Option<crds::Time>,
}

/// An address of a Node.
#[derive(Debug, Deserialize)]
pub struct AddressWire {
    /// The type.
    #[serde(rename = "type")]
    pub type_: String,
    /// The address.
    pub address: String,
}

/// What is read of a Node's `nodeInfo`.
#[derive(Debug, Default, Deserialize)]
pub struct NodeInfo {
    /// The boot id.
    #[serde(rename = "bootID", default)]
    pub boot_id: String,
}

/// What is read of a Lease.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LeaseWire {
    /// Its metadata.
    pub metadata: LeaseMetadata,
    /// Its spec.
    pub spec: Option<LeaseSpec>,
}

/// What is read of a Lease's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseMetadata {
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

/// What is read of a Lease's spec.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSpec {
    /// When it was renewed, by the agent's clock: only compared.
    pub renew_time: Option<String>,
}

/// What is read of an object that does not parse otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Unparsed {
    /// Its metadata.
    pub metadata: LeaseMetadata,
}
