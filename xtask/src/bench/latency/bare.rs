//! The bare chain: the requests that a fault costs, with nobody deciding anything. It is the floor under the product's
//! figures on this machine.
//!
//! A round sends report, claim, taint and decision one after the other, as agent and operator do: their verbs, bodies,
//! field managers, preconditions and tokens. It is timed from its first request to the taint as a watcher sees it.
//!
//! It has a node and a policy of its own. The policy is in mode Hold, so the operator neither marks the node nor changes
//! the claims; and the node bears one finding all the time, of which a round changes only the count, so a round's report
//! is no news to the operator. It only puts the decision right after a round, before the next measurement begins.

use super::{
    super::watched::{Events, is_tainted, named, until_seen},
    Problem,
};
use crds::{NodeHealth, NodeHealthPolicy, State, names, node_health::Report, node_health_policy::Claim};
use gpu_health_tests::{
    cluster::{ControlPlane, NodeSpec},
    product::seen::{decided, until_health},
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
};
use operator::{
    plan::{NodeHealthStatusWrite, Write},
    shell::{metrics::Metrics, writer::Writer},
    stores::observation::Answer,
    world::Taint,
};
use serde_json::json;
use std::time::{Duration, Instant};

/// Its node and its policy.
const NAME: &str = "bare-chain";
/// What its decision says until the operator puts it right.
const NOT_DECIDED: &str = "written by the bare chain";
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Somebody else may write the node or the policy between our look and our write; the round then counts for nothing.
const TRIES: usize = 5;

/// The bare chain's node.
pub(super) fn node() -> NodeSpec {
    NodeSpec::new(NAME).label("bench", NAME)
}

/// The bare chain's policy: it wins against the benches' policy on the bare chain's node. Its budget has room beside the
/// claim, or the operator would note that the node waits for one.
pub(super) fn policy() -> String {
    format!(
        r"
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthPolicy
metadata: {{name: {NAME}}}
spec: {{mode: Hold, priority: 1, nodeSelector: {{matchLabels: {{bench: {NAME}}}}}, bootGraceSeconds: 0, budget: {{minimum: 10}}}}
"
    )
}

/// The bare chain at work.
pub(super) struct Bare {
    chain: Chain,
    events: Events<Node>,
}

/// Who sends the requests, and what they say.
struct Chain {
    nodes: Api<Node>,
    healths: Api<NodeHealth>,
    policies: Api<NodeHealthPolicy>,
    /// Writes as the agent of the node.
    as_agent: Api<NodeHealth>,
    /// Writes as the operator.
    as_operator: Writer,
    report: Report,
}

/// The objects as they stand before a round, as the operator's watches would have shown them.
struct Before {
    node: Node,
    health: NodeHealth,
    policy: NodeHealthPolicy,
}

impl Bare {
    /// Makes the node fail as `like` does, and waits until the operator has judged it.
    pub(super) async fn start(cluster: &ControlPlane, like: &NodeHealth) -> Result<Self, Problem> {
        let admin = cluster.admin()?;
        let agent = cluster.token_for_node(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE, NAME).await?;
        let operator = cluster.unbound_token(names::OPERATOR_SERVICE_ACCOUNT, names::NAMESPACE).await?;
        let report = like.status.as_ref().and_then(|status| status.report.clone());
        let chain = Chain {
            nodes: Api::all(admin.clone()),
            healths: Api::all(admin.clone()),
            policies: Api::all(admin.clone()),
            as_agent: Api::all(cluster.client_with_token(&agent)?),
            as_operator: Writer::new(&cluster.client_with_token(&operator)?, Metrics::register()?),
            report: report.ok_or("the fault to copy has no report")?,
        };
        chain.send_report().await?;
        let judged = |health: &NodeHealth| decided(health) == Some(&State::Unhealthy);
        until_health(cluster, NAME, "Unhealthy", SETTLED_WITHIN, judged).await?;
        Ok(Self { chain, events: named(admin, NAME) })
    }

    /// One round. Everything is as before when it ends.
    pub(super) async fn round(&mut self, cluster: &ControlPlane) -> Result<Duration, Problem> {
        let (mut last, mut was_tainted) = (None, true);
        for _ in 0..TRIES {
            // A try that failed before its taint leaves no event to wait for.
            if was_tainted {
                until_seen(&mut self.events, |node| !is_tainted(node)).await?;
            }
            let before = self.chain.next().await?;
            let began = Instant::now();
            let sent = tokio::try_join!(self.chain.send(&before), until_seen(&mut self.events, is_tainted));
            was_tainted = self.chain.put_back().await?;
            match sent {
                Ok(((), seen)) => {
                    until_put_right(cluster).await?;
                    return Ok(seen - began);
                }
                Err(problem) => last = Some(problem),
            }
        }
        Err(last.unwrap_or_else(|| "no round was tried".into()))
    }
}

impl Chain {
    /// Gets ready for a round: the report will say something else than the last one.
    async fn next(&mut self) -> Result<Before, Problem> {
        for finding in &mut self.report.findings {
            finding.count += 1;
        }
        self.look().await
    }

    async fn look(&self) -> Result<Before, Problem> {
        Ok(Before {
            node: self.nodes.get(NAME).await?,
            health: self.healths.get(NAME).await?,
            policy: self.policies.get(NAME).await?,
        })
    }

    async fn send(&self, before: &Before) -> Result<(), Problem> {
        let reported = self.send_report().await?;
        let claim = Claim { node: NAME.to_owned(), uid: uid(&before.node), ..Claim::default() };
        self.send_claims(&before.policy, vec![claim]).await?;
        let taint = Taint {
            key: names::TAINT_UNHEALTHY.to_owned(),
            value: "reboot".to_owned(),
            effect: "NoSchedule".to_owned(),
            time_added: None,
        };
        self.send_taints(&before.node, vec![taint]).await?;
        self.send_decision(&before.health, &reported).await
    }

    /// As the agent's reporter does.
    async fn send_report(&self) -> Result<NodeHealth, Problem> {
        let object = json!({
            "apiVersion": NodeHealth::api_version(&()),
            "kind": NodeHealth::kind(&()),
            "metadata": { "name": NAME },
            "status": { "report": self.report },
        });
        let params = PatchParams::apply(names::MANAGER_REPORT).force();
        Ok(self.as_agent.patch_status(NAME, &params, &Patch::Apply(object)).await?)
    }

    async fn send_claims(&self, policy: &NodeHealthPolicy, claims: Vec<Claim>) -> Result<Answer, Problem> {
        let write = Write::PolicyClaims {
            policy: NAME.to_owned(),
            uid: uid(policy),
            resource_version: policy.resource_version().unwrap_or_default(),
            claims,
        };
        Ok(self.as_operator.write(&write, None).await?)
    }

    async fn send_taints(&self, node: &Node, taints: Vec<Taint>) -> Result<Answer, Problem> {
        let write = Write::NodeTaints {
            node: NAME.to_owned(),
            uid: uid(node),
            resource_version: node.resource_version().unwrap_or_default(),
            taints,
        };
        Ok(self.as_operator.write(&write, None).await?)
    }

    async fn send_decision(&self, before: &NodeHealth, reported: &NodeHealth) -> Result<(), Problem> {
        let status = before.status.clone().unwrap_or_default();
        let mut decision = status.decision.ok_or("the bare chain's node was not judged")?;
        NOT_DECIDED.clone_into(&mut decision.message);
        let write = Write::NodeHealthStatus(Box::new(NodeHealthStatusWrite {
            name: NAME.to_owned(),
            uid: uid(before),
            resource_version: reported.resource_version().unwrap_or_default(),
            decision,
            gpus: status.gpus,
            certifications: status.certifications,
            gpu_count: status.gpu_count,
            summary: status.summary.unwrap_or_default(),
            conditions: status.conditions,
        }));
        self.as_operator.write(&write, None).await?;
        Ok(())
    }

    /// Removes taint and claim. Returns whether there was a taint.
    async fn put_back(&self) -> Result<bool, Problem> {
        let (mut last, mut was_tainted) = (None, false);
        for _ in 0..TRIES {
            let Before { node, policy, .. } = self.look().await?;
            let is_claimed = policy.status.as_ref().is_some_and(|status| !status.budget.claims.is_empty());
            let put_back = async {
                if is_tainted(&node) {
                    was_tainted = true;
                    self.send_taints(&node, Vec::new()).await?;
                }
                if is_claimed {
                    self.send_claims(&policy, Vec::new()).await?;
                }
                Ok(())
            };
            match put_back.await {
                Ok(()) => return Ok(was_tainted),
                Err(problem) => last = Some(problem),
            }
        }
        Err(last.unwrap_or_else(|| "nothing was put back".into()))
    }
}

/// Waits until the operator has written its own decision again.
async fn until_put_right(cluster: &ControlPlane) -> Result<(), Problem> {
    let right = |health: &NodeHealth| {
        let decision = health.status.as_ref().and_then(|status| status.decision.as_ref());
        decision.is_some_and(|decision| decision.message != NOT_DECIDED)
    };
    until_health(cluster, NAME, "decided by the operator", SETTLED_WITHIN, right).await?;
    Ok(())
}

fn uid(object: &impl kube::Resource) -> String {
    object.meta().uid.clone().unwrap_or_default()
}
