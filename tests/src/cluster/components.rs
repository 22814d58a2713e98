//! The command lines of the control plane's processes (tried in this form on Kubernetes 1.36).

use std::path::Path;

use super::Options;
use super::keys::ServiceAccountKeys;

/// Ports on 127.0.0.1, kept over a restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) etcd_client: u16,
    pub(super) etcd_peer: u16,
    pub(super) api_server: u16,
    pub(super) controller_manager: u16,
    pub(super) scheduler: u16,
}

impl Ports {
    pub(super) const COUNT: usize = 5;

    pub(super) fn from_free(ports: &[u16]) -> Option<Self> {
        let &[etcd_client, etcd_peer, api_server, controller_manager, scheduler] = ports else {
            return None;
        };
        Some(Self { etcd_client, etcd_peer, api_server, controller_manager, scheduler })
    }
}

/// The users of the static token file: file stem of the kubeconfig, user name, groups. The names of the controller manager
/// and the scheduler are those that the API server's own RBAC bindings are made for.
pub(super) const USERS: &[(&str, &str, &str)] = &[
    (ADMIN, "admin", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", ""),
    ("kube-scheduler", "system:kube-scheduler", ""),
    ("kwok", "kwok", "system:masters"),
];
pub(super) const ADMIN: &str = "admin";

/// One line for each request, without bodies: who did what to which object, and how it ended.
pub(super) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

pub(super) fn etcd(state: &Path, ports: Ports, options: Options) -> Vec<String> {
    let (client, peer) = (url(ports.etcd_client), url(ports.etcd_peer));
    let mut args = vec![
        format!("--data-dir={}", state.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".to_owned(),
    ];
    if !options.fsync {
        args.push("--unsafe-no-fsync".to_owned());
    }
    args
}

pub(super) fn api_server(state: &Path, ports: Ports, options: Options, keys: &ServiceAccountKeys) -> Vec<String> {
    let mut args = vec![
        format!("--etcd-servers={}", url(ports.etcd_client)),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        format!("--cert-dir={}", state.join("certs").display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", keys.private.display()),
        format!("--service-account-key-file={}", keys.public.display()),
        format!("--token-auth-file={}", state.join("tokens.csv").display()),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if !options.kcm {
        // It taints every new Node not-ready, and only the controller manager ever takes that off.
        args.push("--disable-admission-plugins=TaintNodesByCondition".to_owned());
    }
    if options.audit {
        args.push(format!("--audit-policy-file={}", state.join("audit-policy.yaml").display()));
        args.push(format!("--audit-log-path={}", state.join("logs/audit.log").display()));
    }
    args
}

pub(super) fn controller_manager(state: &Path, ports: Ports, keys: &ServiceAccountKeys) -> Vec<String> {
    let kubeconfig = state.join("kube-controller-manager.kubeconfig");
    let mut args = with_kubeconfig(&kubeconfig, ports.controller_manager, state);
    args.extend([
        format!("--service-account-private-key-file={}", keys.private.display()),
        format!("--root-ca-file={}", state.join("certs/apiserver.crt").display()),
        // As on real clusters, so that admission policies see the users they will see there.
        "--use-service-account-credentials=true".to_owned(),
        // The default of 20 requests per second makes thousands of simulated nodes slow to settle.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]);
    args
}

pub(super) fn scheduler(state: &Path, ports: Ports) -> Vec<String> {
    with_kubeconfig(&state.join("kube-scheduler.kubeconfig"), ports.scheduler, state)
}

/// kwok serves no port unless it is given one.
pub(super) fn kwok(state: &Path, stages: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", state.join("kwok.kubeconfig").display()),
        format!("--config={}", stages.display()),
        "--manage-all-nodes=false".to_owned(),
        format!("--manage-nodes-with-annotation-selector={}={}", super::KWOK_ANNOTATION.0, super::KWOK_ANNOTATION.1),
        "--node-lease-duration-seconds=40".to_owned(),
        // It tells of each renewal of each lease otherwise.
        "--v=WARN".to_owned(),
    ]
}

fn with_kubeconfig(kubeconfig: &Path, port: u16, state: &Path) -> Vec<String> {
    let kubeconfig = kubeconfig.display();
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", state.join(format!("certs/{port}")).display()),
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
