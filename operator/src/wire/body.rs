//! The request for each [`Write`]. Pure, so that tests can check every byte that reaches a Node.

use crate::{
    plan::{NodeHealthSpecWrite, NodeHealthStatusWrite, Write},
    world::{Taint, labels::Labels},
};
use crds::{Condition, health_check_result::other_name_of, names, node_health_policy::NodeHealthPolicyStatus};
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
    /// Merge patch of the subresource `status`.
    MergeStatus {
        /// The field manager.
        manager: &'static str,
        /// The fields to change.
        body: Value,
    },
    /// Creation of an object, under the second name if the first one belongs to another object.
    Create {
        /// The field manager.
        manager: &'static str,
        /// The whole object.
        body: Value,
        /// The second name.
        other_name: String,
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
            Self::Apply { body, .. }
            | Self::ApplyStatus { body, .. }
            | Self::Merge { body, .. }
            | Self::MergeStatus { body, .. }
            | Self::Create { body, .. } => Some(body),
            Self::Delete { .. } => None,
        }
    }
}

/// The request for a write. `version` is the resourceVersion that the previous step of the plan on the same object got
/// back.
pub fn request(write: &Write, version: Option<&str>) -> Result<Request, serde_json::Error> {
    Ok(match write {
        Write::NodeHealthSpec(write) => {
            Request::Apply { manager: names::MANAGER_SPEC, body: node_health(write, version)? }
        }
        Write::NodeHealthStatus(write) => {
            Request::ApplyStatus { manager: names::MANAGER_DECISION, body: node_health_status(write, version)? }
        }
        Write::NodeTaints { node: _, uid, resource_version, taints } => {
            Request::Merge { manager: names::MANAGER_NODE_TAINTS, body: node_taints(uid, resource_version, taints) }
        }
        Write::NodeMarks { node, uid, resource_version, labels, summary, drop_labels: _ } => Request::Apply {
            manager: names::MANAGER_NODE_MARKS,
            body: node_marks(node, uid, version.unwrap_or(resource_version), labels, summary.as_deref()),
        },
        Write::NodeCondition { node, uid, resource_version, condition } => Request::ApplyStatus {
            manager: names::MANAGER_NODE_CONDITION,
            body: node_condition(node, uid, version.unwrap_or(resource_version), condition.as_ref()),
        },
        Write::RunStatus { run, uid, resource_version, status } => Request::ApplyStatus {
            manager: names::MANAGER_STATUS,
            body: status_of("HealthCheckRun", run, uid, version.unwrap_or(resource_version), status)?,
        },
        Write::ResultCreate(result) => Request::Create {
            manager: names::MANAGER_STATUS,
            body: serde_json::to_value(result)?,
            other_name: other_name_of(&result.spec.run.name, &result.spec.run.uid, &result.spec.node.name),
        },
        Write::RunObserved { run: _, uid, resource_version, generation, conditions } => Request::MergeStatus {
            manager: names::MANAGER_STATUS,
            body: json!({
                "metadata": {"uid": uid, "resourceVersion": version.unwrap_or(resource_version)},
                "status": {"observedGeneration": generation, "conditions": serde_json::to_value(conditions)?},
            }),
        },
        Write::PolicyClaims { policy, uid, resource_version, claims } => Request::ApplyStatus {
            manager: names::MANAGER_CLAIMS,
            body: status_of(
                "NodeHealthPolicy",
                policy,
                uid,
                version.unwrap_or(resource_version),
                &json!({"budget": {"claims": claims}}),
            )?,
        },
        Write::PolicyStatus { policy, uid, resource_version, status } => Request::ApplyStatus {
            manager: names::MANAGER_STATUS,
            body: policy_status(policy, uid, version.unwrap_or(resource_version), status)?,
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
    version: &str,
    drop_labels: &[String],
    labels_now: &Labels,
    drop_summary: bool,
) -> Option<Value> {
    let left = drop_labels.iter().filter(|l| labels_now.contains_key(l));
    let labels: Map<String, Value> = left.map(|l| (l.clone(), Value::Null)).collect();
    if labels.is_empty() && !drop_summary {
        return None;
    }
    let mut metadata = json!({"uid": uid, "resourceVersion": version});
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

/// A version that no object of a cluster has: with it, an apply creates the object (201), and is refused with 409 if it
/// exists (seen on 1.36). Without it, the apply of a leader that paused would replace the work orders of its successor.
const NOT_THERE_YET: &str = "1";

fn node_health(write: &NodeHealthSpecWrite, version: Option<&str>) -> Result<Value, serde_json::Error> {
    let NodeHealthSpecWrite { name, read, node_uid, spec } = write;
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid});
    let mut metadata = json!({"name": name, "ownerReferences": [owner]});
    match read {
        // If the object has been recreated meanwhile, the API server refuses the apply with 422.
        Some((uid, read)) => {
            metadata["uid"] = json!(uid);
            metadata["resourceVersion"] = json!(version.unwrap_or(read));
        }
        None => metadata["resourceVersion"] = json!(NOT_THERE_YET),
    }
    Ok(json!({
        "apiVersion": api_version(),
        "kind": "NodeHealth",
        "metadata": metadata,
        "spec": serde_json::to_value(spec)?,
    }))
}

fn node_health_status(write: &NodeHealthStatusWrite, version: Option<&str>) -> Result<Value, serde_json::Error> {
    let NodeHealthStatusWrite {
        name,
        uid: _,
        resource_version,
        decision,
        gpus,
        certifications,
        gpu_count,
        summary,
        conditions,
    } = write;
    // On the status of a custom resource the API server ignores a wrong uid. The resourceVersion protects instead.
    let version = version.unwrap_or(resource_version);
    let mut status = json!({
        "decision": serde_json::to_value(decision)?,
        "gpus": serde_json::to_value(gpus)?,
        "certifications": serde_json::to_value(certifications)?,
        "summary": serde_json::to_value(summary)?,
        "conditions": serde_json::to_value(conditions)?,
    });
    if let Some(count) = gpu_count {
        status["gpuCount"] = serde_json::to_value(count)?;
    }
    Ok(json!({
        "apiVersion": api_version(),
        "kind": "NodeHealth",
        "metadata": {"name": name, "resourceVersion": version},
        "status": status,
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

/// Without the claims, which have a field manager of their own: leaving them out here does not remove them.
fn policy_status(
    policy: &str,
    uid: &str,
    version: &str,
    status: &NodeHealthPolicyStatus,
) -> Result<Value, serde_json::Error> {
    let mut body = status_of("NodeHealthPolicy", policy, uid, version, status)?;
    if let Some(budget) = body.pointer_mut("/status/budget").and_then(Value::as_object_mut) {
        budget.remove("claims");
    }
    Ok(body)
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

fn node_marks(node: &str, uid: &str, version: &str, labels: &BTreeMap<String, String>, summary: Option<&str>) -> Value {
    let mut metadata = json!({"name": node, "uid": uid, "resourceVersion": version});
    if !labels.is_empty() {
        metadata["labels"] = json!(labels);
    }
    if let Some(summary) = summary {
        metadata["annotations"] = json!({names::ANNOTATION_SUMMARY: summary});
    }
    json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
}

fn node_condition(node: &str, uid: &str, version: &str, condition: Option<&Condition>) -> Value {
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
        "metadata": {"name": node, "uid": uid, "resourceVersion": version},
        "status": {"conditions": conditions},
    })
}
