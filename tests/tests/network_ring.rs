//! `networkBandwidth` in a ring: real iperf3 between agents, ordered through the API server alone.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::{HealthCheckRun, Outcome, health_check_run::HealthCheckRunStatus};
use gpu_health_tests::{
    cluster::{Options, free_port_range},
    product::{Scene, seen::is_installed},
};
use std::collections::BTreeSet;

const POLICY: &str = "
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthPolicy
metadata: {name: all}
spec: {mode: Observe, nodeSelector: {}, bootGraceSeconds: 0}
";

/// Ports of each run: one for each pair that can measure at once, and a few spare ones.
const PORTS: u16 = 16;

fn ring(name: &str, first: u16, more: &str) -> String {
    format!(
        "apiVersion: gpuhealth.dev/v1alpha1\nkind: HealthCheckRun\nmetadata: {{name: {name}}}\nspec:\n  targets: {{nodeSelector: {{}}}}\n  deadlineSeconds: 120\n  checks: [{{name: ring, networkBandwidth: {{pattern: Ring, streams: 2, durationSeconds: 1, ports: {{first: {}, last: {}}}{more}}}}}]\n",
        first,
        first + PORTS - 1
    )
}

async fn ended(scene: &Scene, name: &str) -> HealthCheckRunStatus {
    let complete = |r: &HealthCheckRun| r.status.as_ref().is_some_and(|s| s.phase.is_final());
    scene.until_run(name, "complete", complete).await.unwrap().status.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edge_of_the_ring_is_measured_once_and_without_iperf3_nothing_is_judged() {
    if !is_installed("iperf3") {
        println!("not run here: iperf3 is not installed");
        return;
    }
    let mut scene = Scene::set(Options::default(), &["w1", "w2", "w3"]).await.unwrap();
    scene.start_agents().await.unwrap();
    scene.cluster.apply_yaml(POLICY).await.unwrap();
    for name in ["w1", "w2", "w3"] {
        scene.until_state(name, crds::State::Healthy).await.unwrap();
    }

    // Three runs, each with ports of its own: a server of one may still hold its port when the next begins.
    let ports = free_port_range(3 * PORTS).unwrap();
    scene.cluster.apply_yaml(&ring("measured", ports, "")).await.unwrap();
    let status = ended(&scene, "measured").await;
    assert_eq!(status.phase.as_str(), "Passed", "{status:?}");
    let network = &status.network[0];
    let edges: BTreeSet<_> = network.edges.iter().map(|e| (e.from.as_str(), e.to.as_str())).collect();
    assert_eq!(edges, BTreeSet::from([("w1", "w2"), ("w2", "w3"), ("w3", "w1")]));
    assert_eq!((network.edges.len(), network.summary.measured), (3, 3));
    let rates: Vec<_> = network.edges.iter().filter_map(|e| e.mbps).collect();
    assert_eq!(rates.iter().min(), network.summary.min_mbps.as_ref());
    assert_eq!(rates.iter().max(), network.summary.max_mbps.as_ref());
    assert_eq!(Some(rates.iter().sum::<i64>()), network.summary.aggregate_mbps);
    assert!(network.summary.min_mbps.unwrap() > 0);

    // A minimum bandwidth that no pair on this machine reaches: the edges fail.
    scene.cluster.apply_yaml(&ring("slow", ports + PORTS, ", minMegabitsPerSecond: 10000000")).await.unwrap();
    let status = ended(&scene, "slow").await;
    assert_eq!(status.phase.as_str(), "Failed", "{status:?}");
    let network = &status.network[0];
    assert!(network.edges.iter().all(|e| e.outcome == Outcome::Fail && e.reason.as_deref() == Some("BelowFloor")));

    // One node without iperf3: what could not be measured is no verdict about any node.
    scene.agents.remove("w2");
    scene.agent_args = vec!["--iperf3".into(), "/nonexistent/iperf3".into()];
    scene.start_agent("w2").await.unwrap();
    scene.cluster.apply_yaml(&ring("missing", ports + 2 * PORTS, "")).await.unwrap();
    let status = ended(&scene, "missing").await;
    assert_eq!(status.phase.as_str(), "Inconclusive", "{status:?}");
    assert_eq!(status.counts.failed, 0);
    let without = status.targets.iter().find(|t| t.node == "w2").unwrap();
    assert_eq!(
        (without.outcome.clone(), without.reason.as_deref()),
        (Some(Outcome::Inconclusive), Some("ToolMissing"))
    );
}
