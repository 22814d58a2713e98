//! A million forged PCI addresses in the kernel log of a real agent: its memory, its report and its writes stay flat, and a
//! real fault among them reaches the mark.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::{NodeHealth, State};
use gpu_health_tests::cluster::{Options, until};
use gpu_health_tests::product::Scene;
use gpu_health_tests::product::scene::{WITHIN, policy_with_all_monitors};
use gpu_health_tests::product::seen::{allocated_kib, findings, metric};

const FORGED: u64 = 1_000_000;
const STEP: u64 = 100_000;

/// How much an agent may grow after the first hundred thousand lines, in KiB.
const GROWTH_KIB: u64 = 2_048;
/// How many reports it may write for the other nine hundred thousand: the real fault, and the counts of known findings,
/// which move once a minute.
const MORE_WRITES: f64 = 60.0;

async fn written(scene: &Scene) -> f64 {
    metric(&scene.agents["n1"].http, "gpu_health_agent_reports_written_total").await.unwrap().unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_report_and_writes_stay_flat_and_the_real_fault_is_marked() {
    let mut scene = Scene::set(Options::default(), &["n1"]).await.unwrap();
    // A line of its log for each fault would be most of the work.
    scene.agent_args = ["--log-level", "error"].map(Into::into).to_vec();
    let enforce = "mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 100%}";
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 60, enforce)).await.unwrap();
    scene.start_agents().await.unwrap();
    scene.until_state("n1", State::Healthy).await.unwrap();
    let (node, agent) = (&scene.nodes["n1"], &scene.agents["n1"]);
    let read =
        || async { metric(&agent.http, "gpu_health_agent_kernel_log_records_total").await.unwrap().unwrap_or(0.0) };
    let before = read().await;
    let mut lines = 0.0;
    let mut figures = Vec::new();
    for number in 0..FORGED {
        // The order of the addresses is not that of their arrival; none is one of the node's.
        let mixed = number.wrapping_mul(0x9e37_79b1) & 0xf_ffff;
        let (domain, bus) = (0x1000 + (mixed >> 8), mixed & 0xff);
        let code = if number % 3 == 0 { 79 } else { 31 };
        node.kernel_says(&format!("NVRM: Xid (PCI:{domain:04x}:{bus:02x}:00): {code}, pid=7, name=x, forged")).unwrap();
        lines += 1.0;
        if number == FORGED / 2 {
            node.xid(3, 48, "pid=7, name=x, DBE").unwrap();
            lines += 1.0;
        }
        if (number + 1) % STEP == 0 {
            let read = &read;
            until("the agent to have read them", WITHIN, || async move {
                let now = read().await - before;
                if now >= lines { Ok(()) } else { Err(format!("{now} of {lines}")) }
            })
            .await
            .unwrap();
            let kib = allocated_kib(agent.child.pid()).unwrap();
            let health = scene.until_health("n1", "there", |_| true).await.unwrap();
            let bytes = serde_json::to_vec(&health.status.unwrap().report).unwrap().len();
            let writes = written(&scene).await;
            println!("{:>8} forged: {kib} KiB allocated, report {bytes} bytes, {writes} reports written", number + 1);
            figures.push((kib, writes));
        }
    }
    let sick = node.gpus()[3].clone();
    let told = |h: &NodeHealth| findings(h).iter().any(|f| f.check == "xid" && f.target == sick);
    scene.until_health("n1", "with the real fault", told).await.unwrap();
    let (first, last) = (figures[0], figures[figures.len() - 1]);
    assert!(last.0 <= first.0 + GROWTH_KIB, "memory: {figures:?}");
    assert!(last.1 <= first.1 + MORE_WRITES, "writes: {figures:?}");
}
