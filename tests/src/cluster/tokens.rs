//! Real ServiceAccount tokens, bound as kubelet binds them.

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{ControlPlane, Error};

/// A day: the demo and the soak outlive kubelet's default of an hour.
const TOKEN_SECONDS: i64 = 86_400;
/// Field manager of what this runner makes.
pub(super) const FIELD_MANAGER: &str = "gpu-health-tests";

impl ControlPlane {
    /// A token bound to a Pod on `node`, as kubelet projects it: it names the node in the claim
    /// `authentication.kubernetes.io/node-name`. Namespace, ServiceAccount and Pod (`<service account>-<node>`) are made if
    /// missing. Make the Node first where `kcm` runs: it deletes pods of missing nodes, and the token ends with its pod.
    pub async fn token_for_node(&self, service_account: &str, namespace: &str, node: &str) -> Result<String, Error> {
        let client = self.ensure_service_account(service_account, namespace).await?;
        let pod = ensure_pod(&client, service_account, namespace, node).await?;
        let bound = reference("Pod", &pod.name_any(), pod.uid());
        request_token(&client, service_account, namespace, Some(bound)).await
    }

    /// A token bound to the Node object itself; the same claim without a Pod. The Node must exist.
    pub async fn node_bound_token(&self, service_account: &str, namespace: &str, node: &str) -> Result<String, Error> {
        let client = self.ensure_service_account(service_account, namespace).await?;
        let found = Api::<Node>::all(client.clone()).get(node).await.map_err(Error::api(format!("get Node {node}")))?;
        let bound = reference("Node", node, found.uid());
        request_token(&client, service_account, namespace, Some(bound)).await
    }

    /// A token that names no node. The ServiceAccount is made if missing.
    pub async fn unbound_token(&self, service_account: &str, namespace: &str) -> Result<String, Error> {
        let client = self.ensure_service_account(service_account, namespace).await?;
        request_token(&client, service_account, namespace, None).await
    }

    /// Makes a namespace if it is missing.
    pub async fn ensure_namespace(&self, name: &str) -> Result<(), Error> {
        let namespaces: Api<Namespace> = Api::all(self.admin()?);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let applied = namespaces.patch(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(namespace)).await;
        applied.map(drop).map_err(Error::api(format!("apply Namespace {name}")))
    }

    async fn ensure_service_account(&self, name: &str, namespace: &str) -> Result<Client, Error> {
        self.ensure_namespace(namespace).await?;
        let client = self.admin()?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        let applied = accounts.patch(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(account)).await;
        applied.map_err(Error::api(format!("apply ServiceAccount {namespace}/{name}")))?;
        Ok(client)
    }
}

/// A Pod that is bound to the node from the start, as a DaemonSet's would be after scheduling.
async fn ensure_pod(client: &Client, service_account: &str, namespace: &str, node: &str) -> Result<Pod, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let name = format!("{service_account}-{node}");
    let act = format!("make Pod {namespace}/{name}");
    if let Some(pod) = pods.get_opt(&name).await.map_err(Error::api(act.clone()))? {
        return Ok(pod);
    }
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "serviceAccountName": service_account,
            "automountServiceAccountToken": false,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": "played-by-a-process"}],
        },
    });
    let pod: Pod = serde_json::from_value(pod)
        .map_err(|error| Error::Manifest { document: act.clone(), problem: error.to_string() })?;
    pods.create(&PostParams::default(), &pod).await.map_err(Error::api(act))
}

fn reference(kind: &str, name: &str, uid: Option<String>) -> BoundObjectReference {
    BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(kind.to_owned()),
        name: Some(name.to_owned()),
        uid,
    }
}

async fn request_token(
    client: &Client,
    service_account: &str,
    namespace: &str,
    bound_object_ref: Option<BoundObjectReference>,
) -> Result<String, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec =
        TokenRequestSpec { bound_object_ref, expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let act = format!("request a token of {namespace}/{service_account}");
    let answer = accounts.create_token_request(service_account, &PostParams::default(), &request).await;
    let answer = answer.map_err(Error::api(act.clone()))?;
    let missing = || Error::Manifest { document: act, problem: "the answer holds no token".to_owned() };
    answer.status.map(|status| status.token).ok_or_else(missing)
}
