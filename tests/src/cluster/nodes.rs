//! Node objects, as a kubelet would register them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ControlPlane, Error, KWOK_ANNOTATION};

/// Requests under way at once while many Nodes are made; more do not make two cores faster.
const CREATING_AT_ONCE: usize = 16;

/// A Node to be made. [`NodeSpec::new`] gives a Ready one with 8 GPUs.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Its labels; `kubernetes.io/hostname` is added.
    pub labels: BTreeMap<String, String>,
    /// Its annotations; kwok's is added where kwok runs, unless the Node is not to be Ready.
    pub annotations: BTreeMap<String, String>,
    /// Capacity and allocatable `nvidia.com/gpu`; 0 leaves the resource out.
    pub gpus: u32,
    /// The status of its condition Ready.
    pub ready: bool,
    /// `status.nodeInfo.bootID`; a uuid derived from the name by default.
    pub boot_id: String,
    /// Its InternalIP; by default 127.0.0.1, where a process that plays its agent really is.
    pub address: String,
}

impl NodeSpec {
    /// A Ready node with 8 GPUs.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let boot_id = uuid_from(&name);
        let (labels, annotations) = (BTreeMap::new(), BTreeMap::new());
        Self { name, labels, annotations, gpus: 8, ready: true, boot_id, address: "127.0.0.1".to_owned() }
    }

    /// Sets the number of GPUs.
    #[must_use]
    pub fn gpus(mut self, gpus: u32) -> Self {
        self.gpus = gpus;
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Makes it NotReady; kwok then leaves it alone.
    #[must_use]
    pub fn not_ready(mut self) -> Self {
        self.ready = false;
        self
    }

    fn manifest(&self, kwok: bool) -> Value {
        let Self { name, labels, annotations, gpus, ready, boot_id, address } = self;
        let (mut labels, mut annotations) = (labels.clone(), annotations.clone());
        labels.entry("kubernetes.io/hostname".to_owned()).or_insert_with(|| name.clone());
        if kwok && *ready {
            annotations.insert(KWOK_ANNOTATION.0.to_owned(), KWOK_ANNOTATION.1.to_owned());
        }
        let mut resources = json!({"cpu": "64", "memory": "512Gi", "pods": "110"});
        if *gpus > 0 {
            resources["nvidia.com/gpu"] = json!(gpus.to_string());
        }
        // The API server keeps the status of a Node that is created: kubelets register themselves so.
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                "conditions": [ready_condition(*ready)],
                "nodeInfo": {
                    "bootID": boot_id, "machineID": uuid_from(name), "systemUUID": uuid_from(name), "kernelVersion": "6.8.0",
                    "osImage": "simulated", "containerRuntimeVersion": "none://0", "kubeletVersion": "v1.36.3",
                    "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
                },
            },
        })
    }
}

fn ready_condition(ready: bool) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (status, reason) = if ready { ("True", "KubeletReady") } else { ("False", "KubeletNotReady") };
    json!({"type": "Ready", "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now})
}

/// A well-formed uuid that is the same for the same text.
fn uuid_from(text: &str) -> String {
    let digest = format!("{:x}", Sha256::digest(text));
    format!("{}-{}-{}-{}-{}", &digest[..8], &digest[8..12], &digest[12..16], &digest[16..20], &digest[20..32])
}

impl ControlPlane {
    /// Makes Nodes, with their status; each is an error if it exists already. The answer is in the order of `specs`.
    pub async fn create_nodes(&self, specs: &[NodeSpec]) -> Result<Vec<Node>, Error> {
        let nodes: Api<Node> = Api::all(self.admin()?);
        let kwok = self.options().kwok;
        let create = |spec: &NodeSpec| {
            let (nodes, name, manifest) = (nodes.clone(), spec.name.clone(), spec.manifest(kwok));
            async move {
                let node: Node = serde_json::from_value(manifest).map_err(|error| Error::Manifest {
                    document: format!("Node {name}"),
                    problem: error.to_string(),
                })?;
                let created = nodes.create(&PostParams::default(), &node).await;
                created.map_err(Error::api(format!("create Node {name}")))
            }
        };
        stream::iter(specs.iter().map(create)).buffered(CREATING_AT_ONCE).try_collect().await
    }

    /// Gives a Node another boot id, as after a reboot.
    pub async fn set_boot_id(&self, node: &str, boot_id: &str) -> Result<(), Error> {
        self.patch_node_status(node, json!({"nodeInfo": {"bootID": boot_id}})).await
    }

    /// Sets the status of a Node's condition Ready. Where kwok keeps the Node, it sets it back.
    pub async fn set_ready(&self, node: &str, ready: bool) -> Result<(), Error> {
        self.patch_node_status(node, json!({"conditions": [ready_condition(ready)]})).await
    }

    /// Sets capacity and allocatable `nvidia.com/gpu` of a Node.
    pub async fn set_gpus(&self, node: &str, gpus: u32) -> Result<(), Error> {
        let resources = json!({"nvidia.com/gpu": gpus.to_string()});
        self.patch_node_status(node, json!({"capacity": resources, "allocatable": resources})).await
    }

    async fn patch_node_status(&self, node: &str, status: Value) -> Result<(), Error> {
        let nodes: Api<Node> = Api::all(self.admin()?);
        // Strategic: conditions are merged by type.
        let patch = Patch::Strategic(json!({"status": status}));
        let patched = nodes.patch_status(node, &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(Error::api(format!("patch the status of Node {node}")))
    }
}
