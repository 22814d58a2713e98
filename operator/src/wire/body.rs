//! The request for each [`Write`]. Pure, so that tests can check every byte that reaches a Node.

use crate::{
    plan::{NodeHealthSpecWrite, NodeHealthStatusWrite, Write},
    world::Taint,
};
use crds::{Condition, names};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Forced server-side apply of the main resource.
    Apply {
        /// The field manager.
        manager: &'static str,
        /// All fields that this manager wants to own.
        body: Value,
    },
    /// Forced server-side apply of the subresource `status`.
    ApplyStatus {
        /// The field manager.
        manager: &'static str,
        /// All fields that this manager wants to own.
        body: Value,
    },
    /// Merge patch (RFC 7386) of the main resource.
    Merge {
        /// The field manager.
        manager: &'static str,
        /// The fields to change.
        body: Value,
    },
    /// Deletion of the object with this uid.
    Delete {
        /// The uid that the object must have.
        uid: String,
    },
}

impl Request {
    /// The fields that it writes; `None` for a deletion.
    pub fn body_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Apply { body, .. } | Self::ApplyStatus { body, .. } | Self::Merge { body, .. } => Some(body),
            Self::Delete { .. } => None,
        }
    }
}

/// The request for a write. `version` is the resourceVersion that the previous step of the plan on the same object got
/// back.
pub fn request(write: &Write, version: Option<&str>) -> Result<Request, serde_json::Error> {
    Ok(match write {
        Write::NodeHealthSpec(write) => Request::Apply { manager: names::MANAGER_SPEC, body: node_health(write)? },
        Write::NodeHealthStatus(write) => {
            Request::ApplyStatus { manager: names::MANAGER_DECISION, body: node_health_status(write, version)? }
        }
        Write::NodeTaints { node: _, uid, resource_version, taints } => {
            Request::Merge { manager: names::MANAGER_NODE_TAINTS, body: node_taints(uid, resource_version, taints) }
        }
        Write::NodeMarks { node, uid, labels, summary, drop_labels: _ } => Request::Apply {
            manager: names::MANAGER_NODE_MARKS,
            body: node_marks(node, uid, labels, summary.as_deref()),
        },
        Write::NodeCondition { node, uid, condition } => Request::ApplyStatus {
            manager: names::MANAGER_NODE_CONDITION,
            body: node_condition(node, uid, condition.as_ref()),
        },
        Write::RunStatus { run, uid, resource_version, status } => Request::ApplyStatus {
            manager: names::MANAGER_STATUS,
            body: status_of("HealthCheckRun", run, uid, version.unwrap_or(resource_version), status)?,
        },
        Write::PolicyStatus { policy, uid, resource_version, status } => Request::ApplyStatus {
            manager: names::MANAGER_STATUS,
            body: status_of(
                "NodeHealthPolicy",
                policy,
                uid,
                version.or(resource_version.as_deref()).unwrap_or_default(),
                status,
            )?,
        },
        Write::DeleteNodeHealth { name: _, uid } | Write::DeleteRun { run: _, uid } => {
            Request::Delete { uid: uid.clone() }
        }
    })
}

/// A merge patch that removes what an apply could not remove, because another field manager owns it too; `None` if there
/// is nothing to remove.
pub fn leftovers(
    uid: &str,
    drop_labels: &[String],
    labels_now: &BTreeMap<String, String>,
    drop_summary: bool,
) -> Option<Value> {
    let left = drop_labels.iter().filter(|l| labels_now.contains_key(*l));
    let labels: Map<String, Value> = left.map(|l| (l.clone(), Value::Null)).collect();
    if labels.is_empty() && !drop_summary {
        return None;
    }
    let mut metadata = json!({"uid": uid});
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    if drop_summary {
        metadata["annotations"] = json!({names::ANNOTATION_SUMMARY: null});
    }
    Some(json!({"metadata": metadata}))
}

fn api_version() -> String {
    format!("{}/{}", names::GROUP, names::VERSION)
}

fn node_health(write: &NodeHealthSpecWrite) -> Result<Value, serde_json::Error> {
    let NodeHealthSpecWrite { name, uid, node_uid, spec } = write;
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid});
    let mut metadata = json!({"name": name, "ownerReferences": [owner]});
    if let Some(uid) = uid {
        // If the object has been recreated meanwhile, the API server refuses the apply with 422.
        metadata["uid"] = json!(uid);
    }
    Ok(json!({
        "apiVersion": api_version(),
        "kind": "NodeHealth",
        "metadata": metadata,
        "spec": serde_json::to_value(spec)?,
    }))
}

fn node_health_status(write: &NodeHealthStatusWrite, version: Option<&str>) -> Result<Value, serde_json::Error> {
    let NodeHealthStatusWrite { name, uid: _, resource_version, decision, gpus, certifications, summary, conditions } =
        write;
    // On the status of a custom resource the API server ignores a wrong uid. The resourceVersion protects instead.
    let version = version.unwrap_or(resource_version);
    Ok(json!({
        "apiVersion": api_version(),
        "kind": "NodeHealth",
        "metadata": {"name": name, "resourceVersion": version},
        "status": {
            "decision": serde_json::to_value(decision)?,
            "gpus": serde_json::to_value(gpus)?,
            "certifications": serde_json::to_value(certifications)?,
            "summary": serde_json::to_value(summary)?,
            "conditions": serde_json::to_value(conditions)?,
        },
    }))
}

fn status_of(
    kind: &str,
    name: &str,
    uid: &str,
    version: &str,
    status: &impl Serialize,
) -> Result<Value, serde_json::Error> {
    Ok(json!({
        "apiVersion": api_version(),
        "kind": kind,
        "metadata": {"name": name, "uid": uid, "resourceVersion": version},
        "status": serde_json::to_value(status)?,
    }))
}

/// The list is replaced as a whole, so foreign taints are sent back as they were read.
fn node_taints(uid: &str, version: &str, taints: &[Taint]) -> Value {
    let taints: Vec<Value> = taints.iter().map(taint).collect();
    json!({
        "metadata": {"uid": uid, "resourceVersion": version},
        "spec": {"taints": taints},
    })
}

fn taint(taint: &Taint) -> Value {
    let Taint { key, value, effect, time_added } = taint;
    let mut body = json!({"key": key, "effect": effect});
    if !value.is_empty() {
        body["value"] = json!(value);
    }
    if let Some(time_added) = time_added {
        body["timeAdded"] = json!(time_added);
    }
    body
}

fn node_marks(node: &str, uid: &str, labels: &BTreeMap<String, String>, summary: Option<&str>) -> Value {
    let mut metadata = json!({"name": node, "uid": uid});
    if !labels.is_empty() {
        metadata["labels"] = json!(labels);
    }
    if let Some(summary) = summary {
        metadata["annotations"] = json!({names::ANNOTATION_SUMMARY: summary});
    }
    json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
}

fn node_condition(node: &str, uid: &str, condition: Option<&Condition>) -> Value {
    let conditions: Vec<Value> = condition
        .into_iter()
        .map(|c| {
            json!({
                "type": c.type_,
                "status": c.status,
                "reason": c.reason,
                "message": c.message,
                // Not renewed: a node without changes costs no writes.
                "lastHeartbeatTime": c.last_transition_time,
                "lastTransitionTime": c.last_transition_time,
            })
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node, "uid": uid},
        "status": {"conditions": conditions},
    })
}
