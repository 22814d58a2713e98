//! Sends writes, and the GETs that settle a doubt, to the API server.
//!
//! ```text
//! Plan ─▶ queue (which step may run now) ─▶ wire::body (the request) ─▶ Writer ─▶ Answer | RequestError
//!                                              queue::backoff (what must wait) ◀─┘
//! ```

use super::metrics::Metrics;
use crate::{
    key::{Key, Kind},
    plan::Write,
    stores::{
        observation::{Answer, Object},
        projection::Projection,
        watch::path,
    },
    wire::{
        act::act,
        body::{self, Request},
        refusal::RequestError,
        subset,
    },
};
use crds::{HealthCheckResult, names};
use kube::{
    Api, Client,
    api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::error;

/// How long a request may take, including the client's retries. The API server's own limit is 60 s. A write that hangs
/// this long keeps only its own object busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long a field that the definition on the cluster lacks is left out before it is tried again.
const UNDECLARED_FOR: Duration = Duration::from_secs(600);

const NOT_FOUND: u16 = 404;

/// Sends requests.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    /// The fields of a NodeHealth's status that the definition on the cluster lacks, and when that was learnt.
    undeclared: Arc<Mutex<BTreeMap<String, Instant>>>,
    metrics: Metrics,
}

impl Writer {
    /// A writer with this client.
    pub fn new(client: &Client, metrics: Metrics) -> Self {
        Self { client: client.clone(), undeclared: Arc::default(), metrics }
    }

    /// Writes. `version` is the resourceVersion that the previous step of the plan on the same object got back.
    pub async fn write(&self, write: &Write, version: Option<&str>) -> Result<Answer, RequestError> {
        let (key, act) = (Key::of(write), act(write));
        let encoding = |source| RequestError::Encoding { act, key: key.clone(), source };
        let mut request = body::request(write, version).map_err(encoding)?;
        self.cut_known(write, &mut request);
        let name = key.name.as_str();
        let sent = async {
            match write {
                Write::NodeHealthStatus(_) => self.send_what_is_declared(act, name, &mut request).await,
                Write::NodeHealthSpec(_) | Write::DeleteNodeHealth { .. } => {
                    self.send(name, &request, Object::NodeHealth).await
                }
                Write::NodeTaints { .. } | Write::NodeCondition { .. } => self.send(name, &request, Object::Node).await,
                Write::NodeMarks { node: name, uid, resource_version: _, labels: _, summary, drop_labels } => {
                    let answer = self.send(name, &request, Object::Node).await?;
                    self.drop_leftovers(answer, name, uid, summary.is_none(), drop_labels).await
                }
                Write::RunStatus { .. } | Write::RunObserved { .. } | Write::DeleteRun { .. } => {
                    self.send(name, &request, Object::Run).await
                }
                Write::ResultCreate(result) => self.create(result, &request).await,
                Write::PolicyClaims { .. } | Write::PolicyStatus { .. } => {
                    self.send(name, &request, Object::Policy).await
                }
            }
        };
        within(act, &key, sent).await
    }

    /// Leaves out what an earlier answer called undeclared.
    fn cut_known(&self, write: &Write, request: &mut Request) {
        if !subset::may_be_cut(write) {
            return;
        }
        let mut undeclared = self.undeclared.lock().unwrap_or_else(PoisonError::into_inner);
        // The definitions may have been upgraded meanwhile.
        undeclared.retain(|_, since| since.elapsed() < UNDECLARED_FOR);
        if let Some(body) = request.body_mut() {
            for path in undeclared.keys() {
                subset::remove(body, path);
            }
        }
    }

    /// Sends a NodeHealth's status; if the definition on the cluster is older than this operator, without the fields that it
    /// lacks, so that the object still says what it can.
    async fn send_what_is_declared(
        &self,
        act: &'static str,
        name: &str,
        request: &mut Request,
    ) -> kube::Result<Answer> {
        loop {
            let error = match self.send(name, request, Object::NodeHealth).await {
                Err(kube::Error::Api(status)) => status,
                answer => return answer,
            };
            let paths = subset::undeclared(&error.message);
            let Some(body) = request.body_mut() else { return Err(kube::Error::Api(error)) };
            // Each round takes away at least one field, so this ends.
            let cut = paths.iter().filter(|path| subset::remove(body, path)).count();
            if cut == 0 {
                return Err(kube::Error::Api(error));
            }
            let mut undeclared = self.undeclared.lock().unwrap_or_else(PoisonError::into_inner);
            for path in paths {
                if !undeclared.contains_key(&path) {
                    error!(
                        act,
                        path,
                        "the CustomResourceDefinition on the cluster lacks this field; it is left out until the definitions of this operator's version are applied"
                    );
                }
                self.metrics.fields_left_out.with_label_values(&[act]).inc();
                undeclared.insert(path, Instant::now());
            }
        }
    }

    /// Reads an object with a GET. `None`: there is no such object.
    pub async fn look(&self, key: &Key) -> Result<Option<Object>, RequestError> {
        let name = key.name.as_str();
        let looked = async {
            match key.kind {
                Kind::Node => self.get(name, Object::Node).await,
                Kind::NodeHealth => self.get(name, Object::NodeHealth).await,
                Kind::Run => self.get(name, Object::Run).await,
                Kind::Policy => self.get(name, Object::Policy).await,
                // Never written, or written without a look at what is there: never in doubt.
                Kind::Profile | Kind::Lease | Kind::Result => Ok(None),
            }
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
        match self.results().create(&params, &result).await {
            Err(error) if is_conflict(&error) => {}
            answer => return answer.map(|_| Answer::Created),
        }
        let name = result.metadata.name.take().unwrap_or_default();
        let standing = self.results().get_opt(&name).await?;
        let is_same = |standing: HealthCheckResult| {
            standing.spec.run.uid == result.spec.run.uid && standing.spec.node == result.spec.node
        };
        if standing.is_some_and(is_same) {
            return Ok(Answer::Created);
        }
        result.metadata.name = Some(other_name.clone());
        match self.results().create(&params, &result).await {
            // The second name holds the uid of the run: it can only be this result.
            Err(error) if is_conflict(&error) => Ok(Answer::Created),
            answer => answer.map(|_| Answer::Created),
        }
    }

    fn results(&self) -> Api<HealthCheckResult> {
        Api::all(self.client.clone())
    }

    async fn get<T: Projection>(&self, name: &str, wrap: fn(Arc<T>) -> Object) -> kube::Result<Option<Object>> {
        let request = collection(T::KIND).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        match self.client.request::<T::Wire>(request).await {
            Ok(wire) => Ok(Some(wrap(Arc::new(T::project(wire))))),
            Err(kube::Error::Api(status)) if status.code == NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send<T: Projection>(
        &self,
        name: &str,
        request: &Request,
        wrap: fn(Arc<T>) -> Object,
    ) -> kube::Result<Answer> {
        let apply = |manager| PatchParams::apply(manager).force();
        let collection = collection(T::KIND);
        let built = match request {
            Request::Apply { manager, body } => collection.patch(name, &apply(manager), &Patch::Apply(body)),
            Request::ApplyStatus { manager, body } => {
                collection.patch_subresource("status", name, &apply(manager), &Patch::Apply(body))
            }
            Request::Merge { manager, body } => {
                let params = PatchParams { field_manager: Some((*manager).to_owned()), ..PatchParams::default() };
                collection.patch(name, &params, &Patch::<&Value>::Merge(body))
            }
            Request::MergeStatus { manager, body } => {
                let params = PatchParams { field_manager: Some((*manager).to_owned()), ..PatchParams::default() };
                collection.patch_subresource("status", name, &params, &Patch::<&Value>::Merge(body))
            }
            // Of a kind that has no projection.
            Request::Create { .. } => return Ok(Answer::Created),
            Request::Delete { uid } => {
                let params = DeleteParams {
                    preconditions: Some(Preconditions { uid: Some(uid.clone()), resource_version: None }),
                    ..DeleteParams::default()
                };
                let request = collection.delete(name, &params).map_err(kube::Error::BuildRequest)?;
                self.client.request_text(request).await?;
                return Ok(Answer::Deleted(uid.clone()));
            }
        };
        let wire = self.client.request::<T::Wire>(built.map_err(kube::Error::BuildRequest)?).await?;
        Ok(Answer::Object(wrap(Arc::new(T::project(wire)))))
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
        self.send(name, &request, Object::Node).await
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// The objects of this kind.
fn collection(kind: Kind) -> kube::core::Request {
    kube::core::Request::new(path(kind, names::LEASE_NAMESPACE))
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
