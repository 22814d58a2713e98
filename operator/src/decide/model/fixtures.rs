//! Small objects for tests, as they look after a round trip through the API server.

use crate::world::{Node, Taint, World};
use crds::{
    Check, Condition, HealthCheckRun, NodeHardwareProfile, NodeHealth, NodeHealthPolicy, Outcome, Severity, Time,
    health_check_run::HealthCheckRunSpec,
    node_hardware_profile::{ExpectedGpus, Match, NodeHardwareProfileSpec},
    node_health::{AgentFacts, CheckRow, Finding, Gpu, Inventory, NodeHealthSpec, NodeHealthStatus, Report},
    node_health_policy::{Mode, NodeHealthPolicySpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time as Timestamp};
use std::{collections::BTreeMap, sync::Arc};

/// The time at which tests begin.
pub(crate) const START: Time = Time::from_unix(1_795_253_400);

/// The PCI address of the GPU with this index, as the fixtures number them.
pub(crate) fn address(index: usize) -> String {
    format!("0000:{:02x}:00.0", 0x10 + index)
}

/// A time as object metadata holds it.
pub(crate) fn timestamp(time: Time) -> Option<Timestamp> {
    k8s_openapi::jiff::Timestamp::from_second(time.unix()).ok().map(Timestamp)
}

/// A ready Node that offers eight GPUs.
pub(crate) fn node(name: &str) -> Node {
    Node {
        name: name.into(),
        uid: format!("{name}-uid"),
        resource_version: "10".into(),
        labels: [(crds::names::LABEL_INSTANCE_TYPE, "ml.p5.48xlarge"), ("kubernetes.io/hostname", name)]
            .into_iter()
            .collect(),
        ready: true,
        accelerators: BTreeMap::from([("nvidia.com/gpu".to_owned(), 8)]).into(),
        addresses: vec!["10.0.0.1".into()],
        boot_id: "boot-1".into(),
        ..Node::default()
    }
}

/// A taint without a time.
pub(crate) fn taint(key: &str, value: &str, effect: &str) -> Taint {
    Taint { key: key.into(), value: value.into(), effect: effect.into(), time_added: None }
}

/// A policy that selects every accelerator node, created at [`START`].
pub(crate) fn policy(name: &str, mode: Mode) -> NodeHealthPolicy {
    let mut policy = NodeHealthPolicy::new(name, NodeHealthPolicySpec { mode, ..NodeHealthPolicySpec::default() });
    policy.metadata.uid = Some(format!("{name}-uid"));
    policy.metadata.resource_version = Some("20".into());
    policy.metadata.generation = Some(1);
    policy.metadata.creation_timestamp = timestamp(START);
    policy
}

/// A profile for the instance type of [`node`], with this many GPUs.
pub(crate) fn profile(name: &str, gpus: i64) -> NodeHardwareProfile {
    let mut profile = NodeHardwareProfile::new(
        name,
        NodeHardwareProfileSpec {
            match_: Match { instance_types: Some(vec!["p5.48xlarge".into()]), ..Match::default() },
            gpus: Some(ExpectedGpus { count: Some(gpus), ..ExpectedGpus::default() }),
            ..NodeHardwareProfileSpec::default()
        },
    );
    profile.metadata.uid = Some(format!("{name}-uid"));
    profile.metadata.generation = Some(1);
    profile.metadata.creation_timestamp = timestamp(START);
    profile
}

/// A run as it was created at [`START`].
pub(crate) fn run(name: &str, spec: HealthCheckRunSpec) -> HealthCheckRun {
    let mut run = HealthCheckRun::new(name, spec);
    run.metadata.uid = Some(format!("{name}-uid"));
    run.metadata.resource_version = Some("30".into());
    run.metadata.generation = Some(1);
    run.metadata.creation_timestamp = timestamp(START);
    run
}

/// A bare NodeHealth of this Node.
pub(crate) fn health(node: &Node) -> NodeHealth {
    let mut health = NodeHealth::new(&node.name, NodeHealthSpec::default());
    health.spec.node.uid.clone_from(&node.uid);
    health.metadata.uid = Some(format!("{}-health-uid", node.name));
    health.metadata.resource_version = Some("40".into());
    health.metadata.generation = Some(1);
    health.metadata.creation_timestamp = timestamp(START);
    health.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: node.name.clone(),
        uid: node.uid.clone(),
        ..OwnerReference::default()
    }]);
    health
}

/// A report of eight GPUs on which every monitor passes; the first rows are those of `inventory` and `xid`.
pub(crate) fn passing_report() -> Report {
    let covered: Vec<String> = (0..8).map(address).chain([crds::names::TARGET_NODE.to_owned()]).collect();
    let row = |check: &str| CheckRow {
        check: check.into(),
        outcome: Outcome::Pass,
        covered: covered.clone().into(),
        ..CheckRow::default()
    };
    Report {
        agent: AgentFacts { version: "0.1.0".into(), boot_id: "boot-1".into(), ..AgentFacts::default() },
        inventory: Inventory {
            vendor: Some("nvidia".into()),
            driver: Some("570.86.15".into()),
            gpus: (0..8)
                .map(|i| Gpu {
                    pci_address: address(i).into(),
                    index: i64::try_from(i).ok(),
                    uuid: Some(format!("GPU-{i}").into()),
                    ..Gpu::default()
                })
                .collect(),
            nics: Vec::new().into(),
        },
        checks: monitors().map(|check| row(check.name())).collect(),
        ..Report::default()
    }
}

/// Every monitor of an agent on a node of NVIDIA, built or not: `inventory` and `xid`, then the others.
pub(crate) fn monitors() -> impl Iterator<Item = Check> {
    let first = [Check::Inventory, Check::Xid];
    let is_amd = |check: &Check| check.name().starts_with("amd");
    let others = Check::ALL.iter().copied().filter(move |c| c.is_monitor() && !is_amd(c) && !first.contains(c));
    first.into_iter().chain(others)
}

/// A finding.
pub(crate) fn finding(check: &str, target: &str, outcome: Outcome, severity: Severity, reason: &str) -> Finding {
    Finding {
        check: check.into(),
        target: target.into(),
        outcome,
        severity,
        reason: reason.into(),
        message: format!("{reason} was seen"),
        since: START,
        last_seen: START,
        count: 1,
        ..Finding::default()
    }
}

/// The passing report with this finding, its row adapted.
pub(crate) fn report_with(found: Finding) -> Report {
    let mut report = passing_report();
    for row in &mut report.checks {
        if row.check == found.check {
            row.outcome = found.outcome.clone();
        }
    }
    report.findings.push(found);
    report
}

/// The passing report with a GPU that fell off the bus.
pub(crate) fn lost_gpu_report(index: usize) -> Report {
    report_with(finding("xid", &address(index), Outcome::Fail, Severity::Reboot, "FallenOffTheBus"))
}

/// Puts a report into a NodeHealth.
pub(crate) fn with_report(mut health: NodeHealth, report: Report) -> NodeHealth {
    let status: &mut NodeHealthStatus = health.status.get_or_insert_default();
    status.report = Some(report);
    health
}

/// A world of these Nodes, each with a NodeHealth and the passing report, no agent silent.
pub(crate) fn world(nodes: &[&str]) -> World {
    let mut world = World::default();
    for name in nodes {
        let node = node(name);
        add_health(&mut world, with_report(health(&node), passing_report()));
        world.nodes.insert((*name).to_owned(), Arc::new(node));
    }
    world
}

/// Adds or replaces a NodeHealth.
pub(crate) fn add_health(world: &mut World, health: NodeHealth) {
    let name = health.metadata.name.clone().unwrap_or_default();
    world.node_healths.insert(name, Arc::new(health));
}

/// Adds or replaces a policy.
pub(crate) fn add_policy(world: &mut World, policy: NodeHealthPolicy) {
    let name = policy.metadata.name.clone().unwrap_or_default();
    world.policies.insert(name, Arc::new(policy));
}

/// The condition of this type.
pub(crate) fn condition<'a>(conditions: &'a [Condition], type_: &str) -> &'a Condition {
    conditions.iter().find(|c| c.type_ == type_).expect("the condition is there")
}
