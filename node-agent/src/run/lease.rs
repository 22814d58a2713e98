//! The Lease: the only heartbeat of a quiet node, renewed whatever else happens, as long as the core turns: all rows of
//! the report count as fresh while it is renewed.

use super::api;
use super::back_off::BackOff;
use crate::metrics::Metrics;
use crds::NodeHealth;
use crds::names::{LEASE_NAMESPACE, MANAGER_REPORT};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::{Api, Client, Error, Resource};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

/// Silence of so many periods means that the agent is gone (150 s by the operator's clock at 60 s).
const SILENT_AFTER: f64 = 2.5;
/// First and longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// The longest that one call may take.
const CALL: Duration = Duration::from_secs(10);

/// Asks the core for a sign of life, which it gives at the end of its next turn.
pub(super) type Pulse = mpsc::Sender<oneshot::Sender<()>>;

/// Whether the core turns: it answers within this time.
async fn core_turns(core: &Pulse, within: Duration) -> bool {
    let (answer, answered) = oneshot::channel();
    let ask = async {
        core.send(answer).await.ok()?;
        answered.await.ok()
    };
    timeout(within, ask).await.ok().flatten().is_some()
}

/// Renews the Lease of this node every `period`, and at once when the uid of the NodeHealth is another.
pub(super) async fn keep(
    client: Client,
    node: String,
    period: Duration,
    mut uid: watch::Receiver<Option<String>>,
    core: Pulse,
    metrics: Metrics,
) {
    let mut lease = OwnLease { api: Api::namespaced(client, LEASE_NAMESPACE), node, period, held: None };
    let mut back_off = BackOff::new(PAUSE.0, PAUSE.1);
    loop {
        let began = Instant::now();
        let owner = uid.borrow_and_update().clone();
        if !core_turns(&core, CALL).await {
            metrics.lease_renewals.with_label_values(&["core_silent"]).inc();
            tracing::error!(waited = ?CALL, "the agent's core does not answer: the Lease is not renewed, so that the node reads Unknown");
            tokio::time::sleep(back_off.pause().min(period)).await;
            continue;
        }
        let renewed = timeout(CALL, lease.renew(owner)).await;
        let pause = match renewed {
            Ok(Ok(())) => {
                metrics.lease_renewals.with_label_values(&["ok"]).inc();
                back_off.succeeded();
                period.saturating_sub(began.elapsed())
            }
            Ok(Err(error)) => {
                metrics.lease_renewals.with_label_values(&["failed"]).inc();
                let pause = back_off.pause().min(period);
                tracing::warn!(error = api::sentence(&error), again_in = ?pause, "could not renew the Lease");
                lease.held = None;
                pause
            }
            Err(_) => {
                metrics.lease_renewals.with_label_values(&["timeout"]).inc();
                lease.held = None;
                back_off.pause().min(period)
            }
        };
        let owner = lease.owner();
        // Another owner is worth a write at once. `Err`: the watch is gone, and with it the process.
        let _ = timeout(pause, uid.wait_for(|uid| uid.is_some() && *uid != owner)).await.map(|found| found.map(drop));
    }
}

struct OwnLease {
    api: Api<Lease>,
    node: String,
    period: Duration,
    /// As the API server gave it back last.
    held: Option<Lease>,
}

impl OwnLease {
    /// The uid that the Lease names as its owner.
    fn owner(&self) -> Option<String> {
        let owners = self.held.as_ref()?.metadata.owner_references.as_ref()?;
        owners.first().map(|owner| owner.uid.clone())
    }

    async fn renew(&mut self, uid: Option<String>) -> Result<(), Error> {
        let known = match self.held.take() {
            Some(lease) => Some(lease),
            None => self.api.get_opt(&self.node).await?,
        };
        let wanted = self.wanted(known.as_ref(), uid);
        let params = PostParams { field_manager: Some(MANAGER_REPORT.to_owned()), ..PostParams::default() };
        let written = match known {
            Some(_) => self.api.replace(&self.node, &params, &wanted).await,
            None => self.api.create(&params, &wanted).await,
        };
        match written {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(())
            }
            // Deleted, or written by somebody else meanwhile: once more from what is there.
            Err(Error::Api(status)) if matches!(status.code, 404 | 409) => {
                let known = self.api.get_opt(&self.node).await?;
                let wanted = self.wanted(known.as_ref(), None);
                let lease = match known {
                    Some(_) => self.api.replace(&self.node, &params, &wanted).await?,
                    None => self.api.create(&params, &wanted).await?,
                };
                self.held = Some(lease);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn wanted(&self, known: Option<&Lease>, uid: Option<String>) -> Lease {
        let owner = uid.map(|uid| OwnerReference {
            api_version: NodeHealth::api_version(&()).into_owned(),
            kind: NodeHealth::kind(&()).into_owned(),
            name: self.node.clone(),
            uid,
            ..OwnerReference::default()
        });
        let metadata = known.map(|lease| lease.metadata.clone());
        let spec = known.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = MicroTime(k8s_openapi::jiff::Timestamp::now());
        let kept = metadata.as_ref().and_then(|metadata| metadata.owner_references.clone());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.node.clone()),
                namespace: Some(LEASE_NAMESPACE.to_owned()),
                owner_references: owner.map(|owner| vec![owner]).or(kept),
                // Kept in `metadata`, they would be sent back with every renewal.
                managed_fields: None,
                ..metadata.unwrap_or_default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.node.clone()),
                #[allow(clippy::cast_possible_truncation)] // At most an hour, see --lease-seconds.
                lease_duration_seconds: Some((self.period.as_secs_f64() * SILENT_AFTER) as i32),
                acquire_time: spec.acquire_time.clone().or_else(|| Some(now.clone())),
                renew_time: Some(now),
                ..spec
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(what: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
    }

    #[test]
    fn a_core_that_is_stopped_or_gone_gives_no_sign_of_life() {
        run(async {
            let within = Duration::from_millis(20);
            let (pulse, asked) = mpsc::channel(1);
            assert!(!core_turns(&pulse, within).await, "it never looks");
            assert!(!core_turns(&pulse, within).await, "and nobody waits for room for ever");
            drop(asked);
            assert!(!core_turns(&pulse, within).await, "it is gone");
            let (pulse, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
            tokio::spawn(async move { drop(asked.recv().await) });
            assert!(!core_turns(&pulse, CALL).await, "it died in its turn");
        });
    }

    #[test]
    fn a_core_that_turns_answers() {
        run(async {
            let (pulse, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
            tokio::spawn(async move {
                while let Some(answer) = asked.recv().await {
                    let _ = answer.send(());
                }
            });
            for _ in 0..3 {
                assert!(core_turns(&pulse, CALL).await);
            }
        });
    }
}
