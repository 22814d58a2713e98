//! Agents of thousands of nodes, without processes: their requests, under their own names, so that admission and RBAC cost
//! what they cost in production.

use super::super::scene::Problem;
use crds::{
    Check, NodeHealth, Outcome, Severity, Time, names,
    node_health::{AgentFacts, CheckRow, Finding, Gpu, Inventory, Nic, Report},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gpu_health_tests::cluster::ControlPlane;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Client, Resource as _,
    api::{Patch, PatchParams, PostParams},
    core::Request,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinHandle;

/// When the first agent started (2026-11-20).
const START: i64 = 1_795_132_800;
/// Requests under way at once. More do not make two cores faster.
const AT_ONCE: usize = 16;
/// How often an agent renews its Lease (its default).
const RENEWAL: Duration = Duration::from_secs(60);

/// Sends requests as any agent: an administrator who names, for each, the ServiceAccount and the node of its token.
#[derive(Clone)]
pub(super) struct Agents {
    client: Client,
    user: String,
}

impl Agents {
    pub(super) fn of(cluster: &ControlPlane) -> Result<Self, Problem> {
        let user = format!("system:serviceaccount:{}:{}", names::NAMESPACE, names::AGENT_SERVICE_ACCOUNT);
        Ok(Self { client: cluster.admin()?, user })
    }

    /// Each of these agents reports that all is well.
    pub(super) async fn report_all(&self, nodes: &[String]) -> Result<(), Problem> {
        let sent = nodes.iter().map(|node| async move { self.report(node, &report(node, None)).await });
        stream::iter(sent).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The agent of this node replaces its report.
    pub(super) async fn report(&self, node: &str, report: &Report) -> Result<(), Problem> {
        let object = json!({
            "apiVersion": NodeHealth::api_version(&()),
            "kind": NodeHealth::kind(&()),
            "metadata": {"name": node},
            "status": {"report": report},
        });
        let params = PatchParams::apply(names::MANAGER_REPORT).force();
        let request = Request::new(NodeHealth::url_path(&(), None)).patch_subresource(
            "status",
            node,
            &params,
            &Patch::Apply(object),
        );
        self.send::<NodeHealth>(node, request?).await?;
        Ok(())
    }

    /// Each of these agents makes its Lease, and renews it once a minute until the task is aborted.
    pub(super) async fn renew(&self, nodes: &[String]) -> Result<JoinHandle<()>, Problem> {
        let made = nodes.iter().map(|node| self.make_lease(node));
        let mut leases: Vec<Lease> = stream::iter(made).buffered(AT_ONCE).try_collect().await?;
        let agents = self.clone();
        let every = RENEWAL / u32::try_from(leases.len().max(1))?;
        Ok(tokio::spawn(async move {
            let mut due = tokio::time::interval(every);
            loop {
                // In batches, because one request takes longer than the time between two.
                for batch in leases.chunks_mut(AT_ONCE) {
                    for _ in 0..batch.len() {
                        due.tick().await;
                    }
                    let renewals = batch.iter_mut().map(|lease| agents.renew_lease(lease));
                    futures::future::join_all(renewals).await;
                }
            }
        }))
    }

    async fn make_lease(&self, node: &str) -> Result<Lease, Problem> {
        let now = MicroTime(k8s_openapi::jiff::Timestamp::now());
        let lease = Lease {
            metadata: ObjectMeta { name: Some(node.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(node.to_owned()),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        };
        let request = leases().create(&PostParams::default(), serde_json::to_vec(&lease)?)?;
        self.send(node, request).await
    }

    /// A renewal that fails is not repeated: the next one comes in a minute.
    async fn renew_lease(&self, lease: &mut Lease) {
        let node = lease.metadata.name.clone().unwrap_or_default();
        lease.metadata.managed_fields = None;
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(k8s_openapi::jiff::Timestamp::now()));
        }
        let Ok(body) = serde_json::to_vec(lease) else { return };
        let Ok(request) = leases().replace(&node, &PostParams::default(), body) else { return };
        match self.send::<Lease>(&node, request).await {
            Ok(renewed) => *lease = renewed,
            Err(problem) => eprintln!("a renewal of {node} failed: {problem}"),
        }
    }

    async fn send<T: DeserializeOwned>(&self, node: &str, mut request: http::Request<Vec<u8>>) -> Result<T, Problem> {
        let headers = request.headers_mut();
        headers.insert("impersonate-user", self.user.parse()?);
        headers.insert("impersonate-extra-authentication.kubernetes.io%2fnode-name", node.parse()?);
        Ok(self.client.request(request).await?)
    }
}

fn leases() -> Request {
    Request::new(Lease::url_path(&(), Some(names::LEASE_NAMESPACE)))
}

/// The report of a node with eight GPUs and twelve network devices on which every check passes but, perhaps, one of one GPU.
/// As in a real fleet, boards and times are those of this node, and all else is the same on every node.
pub(super) fn report(node: &str, lost_gpu: Option<usize>) -> Report {
    let number = node.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let started = Time::from_unix(START + i64::from(number % 86_400));
    let covered: Vec<String> = (0..8).map(address).chain([names::TARGET_NODE.to_owned()]).collect();
    let monitors = Check::ALL.iter().filter(|check| check.is_monitor() && !check.name().starts_with("amd"));
    let row = |check: &Check| CheckRow {
        check: check.name().to_owned(),
        outcome: if lost_gpu.is_some() && *check == Check::Xid { Outcome::Fail } else { Outcome::Pass },
        covered: covered.clone().into(),
        since: Some(started),
        last_run: Some(started.plus(60)),
        ..CheckRow::default()
    };
    let lost = |index| Finding {
        check: Check::Xid.name().to_owned(),
        target: address(index),
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        reason: "FallenOffTheBus".to_owned(),
        message: "Xid 79: GPU has fallen off the bus.".to_owned(),
        ..Finding::default()
    };
    let gpu = |index| Gpu {
        pci_address: address(index).into(),
        index: i64::try_from(index).ok(),
        uuid: Some(format!("GPU-{number:08x}-0000-0000-0000-{index:012}").into()),
        serial: Some(format!("16{number:010}{index}").into()),
        model: Some("NVIDIA H100 80GB HBM3".into()),
        vbios: Some("96.00.5E.00.03".into()),
        memory_mib: Some(81_559),
        kernel_driver: None,
    };
    let nic = |index| Nic {
        pci_address: format!("0000:{:02x}:00.0", 0x80 + index),
        interface: Some(format!("ibs{index}")),
        rdma: Some(format!("mlx5_{index}")),
    };
    Report {
        agent: AgentFacts {
            version: "bench".to_owned(),
            boot_id: "bench".to_owned(),
            started_at: Some(started),
            kernel_log: Some("kmsg:/dev/kmsg".to_owned()),
            ..AgentFacts::default()
        },
        inventory: Inventory {
            vendor: Some("nvidia".to_owned()),
            driver: Some("570.86.15".to_owned()),
            gpus: (0..8).map(gpu).collect(),
            nics: (0..12).map(nic).collect(),
        },
        checks: monitors.map(row).collect(),
        findings: lost_gpu.map(lost).into_iter().collect(),
        ..Report::default()
    }
}

fn address(index: usize) -> String {
    format!("0000:{:02x}:00.0", 0x10 + index)
}
