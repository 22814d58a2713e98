//! Installs what `deploy/` holds, and waits until it is in force.

use std::path::PathBuf;
use std::time::Duration;

use crds::names;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::apply::yaml_files;
use super::wait::until;
use super::{ControlPlane, Error, NodeSpec};

/// Definitions are established within a second of their application.
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);
/// Policies were in force 0.07 to 0.63 s after they were made, later on a loaded machine.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(60);

/// The folder of the product's manifests.
pub(super) fn deploy_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

impl ControlPlane {
    /// Applies `deploy/crds`, `deploy/rbac` and `deploy/admission`, as far as they exist, makes the product's two namespaces,
    /// and waits until the definitions are established and every admission policy has refused something.
    pub async fn install_product(&self) -> Result<(), Error> {
        let deploy = deploy_folder();
        for namespace in [names::NAMESPACE, names::LEASE_NAMESPACE] {
            self.ensure_namespace(namespace).await?;
        }
        let definitions = self.apply_dir(deploy.join("crds")).await?;
        let api: Api<CustomResourceDefinition> = Api::all(self.admin()?);
        for definition in definitions.iter().map(ResourceExt::name_any) {
            let what = format!("definition {definition} to be established");
            let established = await_condition(api.clone(), &definition, is_crd_established());
            let overdue =
                |_| Error::Overdue { what: what.clone(), within: ESTABLISHED_WITHIN, last: "not yet".to_owned() };
            let outcome = tokio::time::timeout(ESTABLISHED_WITHIN, established).await.map_err(overdue)?;
            outcome.map_err(|error| Error::Manifest { document: what.clone(), problem: error.to_string() })?;
        }
        self.apply_dir(deploy.join("rbac")).await?;
        self.apply_dir(deploy.join("admission")).await?;
        if yaml_files(&deploy.join("admission"))?.is_empty() {
            return Ok(());
        }
        self.until_policies_are_in_force().await
    }

    /// Waits until each admission policy refuses what it must: an agent without a node, the operator with a foreign label, a
    /// person with a NodeHealth, a HealthCheckResult, a Lease or an override that has ended. Each try is a dry run and leaves
    /// nothing behind.
    pub async fn until_policies_are_in_force(&self) -> Result<(), Error> {
        let token = self.unbound_token(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE).await?;
        let agent = self.client_with_token(&token)?;
        let what = "the agents' admission policy to refuse a token without a node";
        until(what, IN_FORCE_WITHIN, || refused_by_policy(create_lease(&agent))).await?;

        let person = self.admin()?;
        let what = "the admission policy of NodeHealth to refuse a person";
        until(what, IN_FORCE_WITHIN, || refused_by_policy(create_node_health(&person))).await?;

        let what = "the admission policy of HealthCheckResult to refuse a person";
        until(what, IN_FORCE_WITHIN, || refused_by_policy(create_result(&person))).await?;
        let what = "the admission policy of NodeHealthOverride to refuse an end in the past";
        until(what, IN_FORCE_WITHIN, || refused_by_policy(create_past_override(&person))).await?;
        let what = "the admission policy of the agents' Leases to refuse a person";
        until(what, IN_FORCE_WITHIN, || refused_by_policy(create_lease(&person))).await?;

        // With every permission that RBAC can give, so that only the policy is left to refuse.
        let user = format!("system:serviceaccount:{}:{}", names::NAMESPACE, names::OPERATOR_SERVICE_ACCOUNT);
        let operator = self.client_as(&user, &["system:masters"])?;
        let node = format!("admission-{}", &super::keys::random_token()?[..8]);
        self.create_nodes(&[NodeSpec::new(&node).gpus(0).not_ready()]).await?;
        let what = "the operator's admission policy to refuse a foreign label";
        let outcome = until(what, IN_FORCE_WITHIN, || refused_by_policy(label_node(&operator, &node))).await;
        let deleted = Api::<Node>::all(person).delete(&node, &DeleteParams::default()).await;
        outcome?;
        deleted.map(drop).map_err(Error::api(format!("delete Node {node}")))
    }
}

/// Only a refusal by a policy counts: RBAC, too, refuses for a moment after its rules were applied.
async fn refused_by_policy(attempt: impl Future<Output = kube::Result<()>>) -> Result<(), String> {
    match attempt.await {
        Ok(()) => Err("the API server allowed it".to_owned()),
        Err(kube::Error::Api(status)) if status.message.contains("ValidatingAdmissionPolicy") => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

async fn create_lease(agent: &kube::Client) -> kube::Result<()> {
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> = Api::namespaced(agent.clone(), names::LEASE_NAMESPACE);
    let mut lease = k8s_openapi::api::coordination::v1::Lease::default();
    lease.meta_mut().name = Some("not-a-node".to_owned());
    leases.create(&dry_run(), &lease).await.map(drop)
}

async fn create_node_health(person: &kube::Client) -> kube::Result<()> {
    let healths: Api<crds::NodeHealth> = Api::all(person.clone());
    let health = json!({
        "apiVersion": format!("{}/{}", names::GROUP, names::VERSION), "kind": "NodeHealth",
        "metadata": {"name": "not-a-node"}, "spec": {},
    });
    let apply = PatchParams { dry_run: true, ..PatchParams::apply(super::tokens::FIELD_MANAGER) };
    healths.patch("not-a-node", &apply, &Patch::Apply(health)).await.map(drop)
}

async fn create_result(person: &kube::Client) -> kube::Result<()> {
    let of = |name: &str| crds::health_check_result::ObjectId { name: name.to_owned(), uid: String::new() };
    let spec = crds::health_check_result::HealthCheckResultSpec {
        run: of("not-a-run"),
        node: of("not-a-node"),
        ..crds::health_check_result::HealthCheckResultSpec::default()
    };
    let results: Api<crds::HealthCheckResult> = Api::all(person.clone());
    results.create(&dry_run(), &crds::HealthCheckResult::new("not-a-result", spec)).await.map(drop)
}

async fn create_past_override(person: &kube::Client) -> kube::Result<()> {
    let overrides: Api<crds::NodeHealthOverride> = Api::all(person.clone());
    let spec = crds::node_health_override::NodeHealthOverrideSpec {
        targets: crds::health_check_run::Targets {
            node_names: Some(vec!["not-a-node".to_owned()]),
            ..crds::health_check_run::Targets::default()
        },
        reason: "not in force yet".to_owned(),
        ..crds::node_health_override::NodeHealthOverrideSpec::default()
    };
    overrides.create(&dry_run(), &crds::NodeHealthOverride::new("not-an-override", spec)).await.map(drop)
}

async fn label_node(operator: &kube::Client, node: &str) -> kube::Result<()> {
    let nodes: Api<Node> = Api::all(operator.clone());
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    nodes
        .patch(node, &params, &Patch::Merge(json!({"metadata": {"labels": {"example.com/foreign": "x"}}})))
        .await
        .map(drop)
}
