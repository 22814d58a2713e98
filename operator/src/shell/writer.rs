//! Sends writes, and the GETs that settle a doubt, to the API server.
//!
//! ```text
//! Plan ─▶ queue (which step may run now) ─▶ wire::body (the request) ─▶ Writer ─▶ Answer | RequestError
//!                                              queue::backoff (what must wait) ◀─┘
//! ```

use crate::{
    key::{Key, Kind},
    plan::Write,
    stores::{observation::Object, projection::Projection},
    wire::{
        body::{self, Request},
        refusal::RequestError,
    },
    world,
};
use crds::{HealthCheckResult, HealthCheckRun, NodeHealth, NodeHealthPolicy, names};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt::Debug, sync::Arc, time::Duration};

/// How long a request may take, including the client's retries. The API server's own limit is 60 s. A write that hangs
/// this long keeps only its own object busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How the API server answered a write.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With the object as it is now.
    Object(Object),
    /// The object with this uid was deleted.
    Deleted(String),
    /// The object is there now, as it was to be created.
    Created,
}

/// [`act`] of the write that holds texts of an agent: the operator's part of a NodeHealth's status.
pub const STATUS_OF_NODE_HEALTH: &str = "apply decision";
/// [`act`] of the write that holds texts of agents: the status of a run.
pub const STATUS_OF_RUN: &str = "apply run status";

/// [`act`] of the write that holds the reasons of claims, which come from agents.
pub const CLAIMS_OF_POLICY: &str = "apply claims";

/// [`act`] of the write that creates a HealthCheckResult.
pub const CREATE_RESULT: &str = "create result";

/// What a write does, as the value of a metric's label and in messages.
pub fn act(write: &Write) -> &'static str {
    match write {
        Write::NodeHealthSpec(_) => "apply spec",
        Write::DeleteNodeHealth { .. } => "delete NodeHealth",
        Write::NodeHealthStatus(_) => STATUS_OF_NODE_HEALTH,
        Write::NodeTaints { .. } => "patch taints",
        Write::NodeMarks { .. } => "apply marks",
        Write::NodeCondition { .. } => "apply condition",
        Write::RunStatus { .. } => STATUS_OF_RUN,
        Write::RunObserved { .. } => "patch run status",
        Write::DeleteRun { .. } => "delete run",
        Write::PolicyClaims { .. } => CLAIMS_OF_POLICY,
        Write::ResultCreate(_) => CREATE_RESULT,
        Write::PolicyStatus { .. } => "apply policy status",
    }
}

/// Sends requests.
#[derive(Clone)]
pub struct Writer {
    nodes: Api<Node>,
    node_healths: Api<NodeHealth>,
    runs: Api<HealthCheckRun>,
    policies: Api<NodeHealthPolicy>,
    results: Api<HealthCheckResult>,
}

impl Writer {
    /// A writer with this client.
    pub fn new(client: &Client) -> Self {
        Self {
            nodes: Api::all(client.clone()),
            node_healths: Api::all(client.clone()),
            runs: Api::all(client.clone()),
            policies: Api::all(client.clone()),
            results: Api::all(client.clone()),
        }
    }

    /// Writes. `version` is the resourceVersion that the previous step of the plan on the same object got back.
    pub async fn write(&self, write: &Write, version: Option<&str>) -> Result<Answer, RequestError> {
        let (key, act) = (Key::of(write), act(write));
        let encoding = |source| RequestError::Encoding { act, key: key.clone(), source };
        let request = body::request(write, version).map_err(encoding)?;
        let sent = async {
            match write {
                Write::NodeHealthSpec(_) | Write::NodeHealthStatus(_) | Write::DeleteNodeHealth { .. } => {
                    send(&self.node_healths, &key.name, &request, node_health).await
                }
                Write::NodeTaints { .. } | Write::NodeCondition { .. } => {
                    send(&self.nodes, &key.name, &request, node).await
                }
                Write::NodeMarks { node: name, uid, resource_version: _, labels: _, summary, drop_labels } => {
                    let answer = send(&self.nodes, name, &request, node).await?;
                    self.drop_leftovers(answer, name, uid, summary.is_none(), drop_labels).await
                }
                Write::RunStatus { .. } | Write::RunObserved { .. } | Write::DeleteRun { .. } => {
                    send(&self.runs, &key.name, &request, run).await
                }
                Write::ResultCreate(result) => self.create(result, &request).await,
                Write::PolicyClaims { .. } | Write::PolicyStatus { .. } => {
                    send(&self.policies, &key.name, &request, policy).await
                }
            }
        };
        within(act, &key, sent).await
    }

    /// Reads an object with a GET. `None`: there is no such object.
    pub async fn look(&self, key: &Key) -> Result<Option<Object>, RequestError> {
        let name = key.name.as_str();
        let looked = async {
            Ok(match key.kind {
                Kind::Node => self.nodes.get_opt(name).await?.map(node),
                Kind::NodeHealth => self.node_healths.get_opt(name).await?.map(node_health),
                Kind::Run => self.runs.get_opt(name).await?.map(run),
                Kind::Policy => self.policies.get_opt(name).await?.map(policy),
                // Never written, or written without a look at what is there: never in doubt.
                Kind::Profile | Kind::Lease | Kind::Result => None,
            })
        };
        within("get", key, looked).await
    }

    /// Creates a result. If its name is taken by another run or node, it takes its second name; if by itself, an earlier
    /// attempt succeeded.
    async fn create(&self, result: &HealthCheckResult, request: &Request) -> kube::Result<Answer> {
        let Request::Create { manager, body: _, other_name } = request else {
            return Ok(Answer::Created);
        };
        let params = PostParams { field_manager: Some((*manager).to_owned()), ..PostParams::default() };
        let mut result = result.clone();
        match self.results.create(&params, &result).await {
            Err(error) if is_conflict(&error) => {}
            answer => return answer.map(|_| Answer::Created),
        }
        let name = result.metadata.name.take().unwrap_or_default();
        let standing = self.results.get_opt(&name).await?;
        let is_same = |standing: HealthCheckResult| {
            standing.spec.run.uid == result.spec.run.uid && standing.spec.node == result.spec.node
        };
        if standing.is_some_and(is_same) {
            return Ok(Answer::Created);
        }
        result.metadata.name = Some(other_name.clone());
        match self.results.create(&params, &result).await {
            // The second name holds the uid of the run: it can only be this result.
            Err(error) if is_conflict(&error) => Ok(Answer::Created),
            answer => answer.map(|_| Answer::Created),
        }
    }

    async fn drop_leftovers(
        &self,
        answer: Answer,
        name: &str,
        uid: &str,
        drop_summary: bool,
        drop_labels: &[String],
    ) -> kube::Result<Answer> {
        let Answer::Object(Object::Node(now)) = &answer else {
            return Ok(answer);
        };
        let drop_summary = drop_summary && now.summary.is_some();
        let Some(body) = body::leftovers(uid, &now.resource_version, drop_labels, &now.labels, drop_summary) else {
            return Ok(answer);
        };
        let request = Request::Merge { manager: names::MANAGER_NODE_MARKS, body };
        send(&self.nodes, name, &request, node).await
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn node(wire: Node) -> Object {
    Object::Node(Arc::new(world::Node::project(wire)))
}

fn node_health(wire: NodeHealth) -> Object {
    Object::NodeHealth(Arc::new(NodeHealth::project(wire)))
}

fn run(wire: HealthCheckRun) -> Object {
    Object::Run(Arc::new(HealthCheckRun::project(wire)))
}

fn policy(wire: NodeHealthPolicy) -> Object {
    Object::Policy(Arc::new(NodeHealthPolicy::project(wire)))
}

async fn within<T>(
    act: &'static str,
    key: &Key,
    sent: impl Future<Output = kube::Result<T>>,
) -> Result<T, RequestError> {
    match tokio::time::timeout(ANSWER_WITHIN, sent).await {
        Ok(answer) => answer.map_err(|error| RequestError::Api { act, key: key.clone(), source: Box::new(error) }),
        Err(_) => Err(RequestError::NoAnswer { act, key: key.clone(), seconds: ANSWER_WITHIN.as_secs() }),
    }
}

async fn send<W>(api: &Api<W>, name: &str, request: &Request, project: impl FnOnce(W) -> Object) -> kube::Result<Answer>
where
    W: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let apply = |manager| PatchParams::apply(manager).force();
    let object = match request {
        Request::Apply { manager, body } => api.patch(name, &apply(manager), &Patch::Apply(body)).await?,
        Request::ApplyStatus { manager, body } => api.patch_status(name, &apply(manager), &Patch::Apply(body)).await?,
        Request::Merge { manager, body } => {
            let params = PatchParams { field_manager: Some((*manager).to_owned()), ..PatchParams::default() };
            api.patch(name, &params, &Patch::<&Value>::Merge(body)).await?
        }
        Request::MergeStatus { manager, body } => {
            let params = PatchParams { field_manager: Some((*manager).to_owned()), ..PatchParams::default() };
            api.patch_status(name, &params, &Patch::<&Value>::Merge(body)).await?
        }
        // Of a kind that has no projection.
        Request::Create { .. } => return Ok(Answer::Created),
        Request::Delete { uid } => {
            let params = DeleteParams {
                preconditions: Some(Preconditions { uid: Some(uid.clone()), resource_version: None }),
                ..DeleteParams::default()
            };
            api.delete(name, &params).await?;
            return Ok(Answer::Deleted(uid.clone()));
        }
    };
    Ok(Answer::Object(project(object)))
}
