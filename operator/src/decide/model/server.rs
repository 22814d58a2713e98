//! What the API server does with one write: it checks uid and resourceVersion as the real one does, and writes or refuses.

use super::{Model, fixtures};
use crate::{
    key::{Key, Kind},
    plan::{NodeHealthSpecWrite, NodeHealthStatusWrite, Write},
};
use crds::NodeHealth;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use std::sync::Arc;

/// A write that names this version is not compared with the version of the object: what mutants send.
pub(crate) const ANY_VERSION: &str = "any";

/// The kind of a write: what is refused or in backoff by itself.
pub(crate) fn kind_of(write: &Write) -> &'static str {
    match write {
        Write::NodeHealthSpec(_) => "spec",
        Write::DeleteNodeHealth { .. } | Write::DeleteRun { .. } => "delete",
        Write::NodeHealthStatus(_) => "decision",
        Write::NodeTaints { .. } => "taints",
        Write::NodeMarks { .. } => "marks",
        Write::NodeCondition { .. } => "condition",
        Write::RunStatus { .. } | Write::PolicyStatus { .. } => "status",
        Write::RunObserved { .. } => "observed",
        Write::ResultCreate(_) => "result",
        Write::PolicyClaims { .. } => "claims",
    }
}

impl Model {
    /// Uid and resourceVersion of an object.
    fn identity_of(&self, key: &Key) -> Option<(String, String)> {
        let of = |meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
            (meta.uid.clone().unwrap_or_default(), meta.resource_version.clone().unwrap_or_default())
        };
        let (world, name) = (&self.world, &key.name);
        match key.kind {
            Kind::Node => world.nodes.get(name).map(|node| (node.uid.clone(), node.resource_version.clone())),
            Kind::NodeHealth => world.node_healths.get(name).map(|health| of(&health.metadata)),
            Kind::Run => world.runs.get(name).map(|run| of(&run.metadata)),
            Kind::Policy => world.policies.get(name).map(|policy| of(&policy.metadata)),
            Kind::Profile => world.profiles.get(name).map(|profile| of(&profile.metadata)),
            Kind::Lease | Kind::Result => None,
        }
    }

    /// The version of an object.
    pub(crate) fn version_of(&self, key: &Key) -> Option<String> {
        self.identity_of(key).map(|(_, version)| version)
    }

    /// Whether the object is the one that the write means. `own` is the version that an earlier step of the same plan left.
    fn is_as_read(&self, key: &Key, uid: &str, version: &str, own: Option<&str>) -> bool {
        self.identity_of(key)
            .is_some_and(|(is, at)| is == uid && (at == own.unwrap_or(version) || version == ANY_VERSION))
    }

    /// Writes one thing as the API server would; `false` if it refuses.
    pub(crate) fn write(&mut self, write: &Write, own: Option<&str>) -> bool {
        let key = Key::of(write);
        let is_refused = self.refused.contains(&(key.clone(), kind_of(write)));
        if matches!(write, Write::NodeTaints { .. } | Write::PolicyClaims { .. }) {
            // As the backoffs of the operator tell.
            if is_refused {
                self.world.refused_marks.insert(key.clone());
            } else {
                self.world.refused_marks.remove(&key);
            }
        }
        if is_refused {
            return false;
        }
        match write {
            Write::NodeHealthSpec(write) => self.write_spec(&key, write, own),
            Write::NodeHealthStatus(write) => self.write_health_status(&key, write, own),
            Write::DeleteNodeHealth { uid, .. } | Write::DeleteRun { uid, .. } => {
                let is_same = self.identity_of(&key).is_some_and(|(is, _)| is == *uid);
                if is_same {
                    match write {
                        Write::DeleteRun { run, .. } => drop(self.world.runs.remove(run)),
                        _ => drop(self.world.node_healths.remove(&key.name)),
                    }
                }
                is_same
            }
            // The list is replaced as a whole: no other version than the one that was read will do.
            Write::NodeTaints { node, uid, resource_version, taints } => {
                let is_same = self.is_as_read(&key, uid, resource_version, None);
                if is_same {
                    self.edit_node(node, |n| n.taints.clone_from(taints));
                }
                is_same
            }
            Write::NodeMarks { node, uid, resource_version, labels, summary, drop_labels } => {
                let is_same = self.is_as_read(&key, uid, resource_version, own);
                if is_same {
                    self.edit_node(node, |n| {
                        for (key, value) in labels {
                            n.labels.insert(key.into(), value.into());
                        }
                        for label in drop_labels {
                            n.labels.remove(label);
                        }
                        n.summary.clone_from(summary);
                    });
                }
                is_same
            }
            Write::NodeCondition { node, uid, resource_version, condition } => {
                let is_same = self.is_as_read(&key, uid, resource_version, own);
                if is_same {
                    self.edit_node(node, |n| n.condition.clone_from(condition));
                }
                is_same
            }
            Write::RunStatus { run, uid, resource_version, status } => {
                let is_same = self.is_as_read(&key, uid, resource_version, own);
                if is_same {
                    self.edit_run(run, |r| r.status = Some((**status).clone()));
                }
                is_same
            }
            Write::RunObserved { run, uid, resource_version, generation, conditions } => {
                let is_same = self.is_as_read(&key, uid, resource_version, own);
                if is_same {
                    self.edit_run(run, |r| {
                        let status = r.status.get_or_insert_default();
                        status.observed_generation = *generation;
                        status.conditions.clone_from(conditions);
                    });
                }
                is_same
            }
            Write::ResultCreate(result) => {
                let name = result.metadata.name.clone().unwrap_or_default();
                // AlreadyExists is success.
                self.results.entry(name).or_insert_with(|| (**result).clone());
                true
            }
            Write::PolicyClaims { policy, uid, resource_version, claims } => {
                let is_same = self.is_as_read(&key, uid, resource_version, own);
                if is_same {
                    self.edit_policy(policy, |p| {
                        p.status.get_or_insert_default().budget.claims.clone_from(claims);
                    });
                }
                is_same
            }
            Write::PolicyStatus { policy, uid, resource_version, status } => {
                let is_same = self.is_as_read(&key, uid, resource_version, own);
                if is_same {
                    self.edit_policy(policy, |p| {
                        let claims = p.status.take().map(|before| before.budget.claims).unwrap_or_default();
                        let mut status = (**status).clone();
                        status.budget.claims = claims;
                        p.status = Some(status);
                    });
                }
                is_same
            }
        }
    }

    fn write_spec(&mut self, key: &Key, write: &NodeHealthSpecWrite, own: Option<&str>) -> bool {
        if let Some((uid, version)) = &write.read {
            let is_same = self.is_as_read(key, uid, version, own);
            if is_same {
                self.edit_health(&write.name, |h| h.spec = write.spec.clone());
            }
            return is_same;
        }
        if self.identity_of(key).is_some() {
            return false;
        }
        let mut health = NodeHealth::new(&write.name, write.spec.clone());
        health.metadata.uid = Some(self.next_uid("health"));
        health.metadata.resource_version = Some(self.next_version());
        health.metadata.generation = Some(1);
        health.metadata.creation_timestamp = fixtures::timestamp(self.now);
        health.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: write.name.clone(),
            uid: write.node_uid.clone(),
            ..OwnerReference::default()
        }]);
        self.world.node_healths.insert(write.name.clone(), Arc::new(health));
        true
    }

    fn write_health_status(&mut self, key: &Key, write: &NodeHealthStatusWrite, own: Option<&str>) -> bool {
        let is_same = self.is_as_read(key, &write.uid, &write.resource_version, own);
        if is_same {
            self.edit_health(&write.name, |h| {
                let status = h.status.get_or_insert_default();
                status.decision = Some(write.decision.clone());
                status.gpus.clone_from(&write.gpus);
                status.certifications.clone_from(&write.certifications);
                status.gpu_count = write.gpu_count;
                status.summary = Some(write.summary.clone());
                status.conditions.clone_from(&write.conditions);
            });
        }
        is_same
    }
}
