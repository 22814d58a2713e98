//! What people see: the columns of `kubectl get`, and `kubectl wait` that ends in every phase.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::{HealthCheckRun, NodeHealth, Quarantine, State};
use gpu_health_tests::{cluster::Options, product::Scene};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const POLICY: &str = "
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthPolicy
metadata: {name: all}
spec: {mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 1}}
";

/// A profile that matches no node, and an override.
const OTHERS: &str = "
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHardwareProfile
metadata: {name: h100-x8}
spec: {priority: 5, match: {instanceTypes: [nowhere]}, gpus: {vendor: nvidia, count: 8}}
---
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHealthOverride
metadata: {name: fan-replaced}
spec: {targets: {nodeNames: [k1]}, check: thermal, action: Ignore, until: 2999-01-01T00:00:00Z, reason: the fan is replaced, author: ops}
";

fn run(name: &str, spec: &str) -> String {
    format!("apiVersion: gpuhealth.dev/v1alpha1\nkind: HealthCheckRun\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

/// Ages and times differ from run to run; words and columns must not.
fn without_ages(table: &str) -> String {
    let is_age = |word: &str| {
        word.ends_with(['s', 'm']) && word.trim_end_matches(['s', 'm']).chars().all(|c| c.is_ascii_digit() || c == 'm')
    };
    let rows = table.lines().map(|line| {
        let words = line.split_whitespace().map(|w| if is_age(w) { "<age>" } else { w });
        words.collect::<Vec<_>>().join(" ")
    });
    rows.filter(|row| !row.is_empty()).collect::<Vec<_>>().join("\n") + "\n"
}

fn write_program(folder: &Path, name: &str, body: &str) {
    // Under another name first: a program that is being written cannot be started.
    let fresh = folder.join("fresh");
    fs::write(&fresh, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(fresh, folder.join(name)).unwrap();
}

async fn scene() -> Scene {
    let mut scene = Scene::set(Options::default(), &["k1", "k2"]).await.unwrap();
    let folder = scene.cluster.state_path().join("custom");
    fs::create_dir_all(&folder).unwrap();
    write_program(&folder, "disk", "echo 'HEALTH_CHECK_RESULT:host:Failed:reboot:disk is slow'");
    write_program(&folder, "hangs", "sleep 600");
    scene.agent_args = vec!["--custom-directory".into(), folder.into(), "--custom-same-user".into()];
    scene.start_agents().await.unwrap();
    scene.cluster.apply_yaml(POLICY).await.unwrap();
    for name in ["k1", "k2"] {
        let counted =
            |h: &NodeHealth| h.status.as_ref().and_then(|s| s.summary.as_ref()?.gpus.as_deref()) == Some("8/8");
        scene.until_health(name, "counted", counted).await.unwrap();
        // Until its agent has read that there is no boot grace, a check that starts late would be skipped.
        let is_read = |h: &NodeHealth| {
            let report = h.status.as_ref().and_then(|s| s.report.as_ref());
            h.spec.boot_grace_seconds == Some(0)
                && report.is_some_and(|report| report.observed_generation == h.metadata.generation)
        };
        scene.until_health(name, "read by its agent", is_read).await.unwrap();
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_wait_for_complete_ends_in_every_phase_and_get_answers_the_four_questions() {
    let scene = scene().await;
    let on = "targets: {nodeNames: [k1]}";
    let runs = [
        ("r-passed", format!("{{{on}, level: basic}}"), "Passed"),
        ("r-failed", format!("{{{on}, checks: [{{name: c, custom: {{program: disk}}}}]}}"), "Failed"),
        ("r-inconclusive", format!("{{{on}, checks: [{{name: c, custom: {{program: absent}}}}]}}"), "Inconclusive"),
        ("r-rejected", "{targets: {nodeNames: [nowhere]}, level: basic}".to_owned(), "Rejected"),
        ("r-cancelled", format!("{{{on}, checks: [{{name: c, custom: {{program: hangs}}}}]}}"), "Cancelled"),
    ];
    for (name, spec, phase) in &runs {
        scene.cluster.apply_yaml(&run(name, spec)).await.unwrap();
        if *phase == "Cancelled" {
            let running = |r: &HealthCheckRun| r.status.as_ref().is_some_and(|s| s.counts.running == 1);
            scene.until_run(name, "running", running).await.unwrap();
            scene
                .cluster
                .kubectl_ok(&["patch", "hcr", name, "--type=merge", "-p", r#"{"spec":{"cancel":true}}"#])
                .unwrap();
        }
        let object = format!("hcr/{name}");
        scene.cluster.kubectl_ok(&["wait", "--for=condition=Complete", &object, "--timeout=180s"]).unwrap();
        let ended = scene.run(name).await.unwrap().status.unwrap();
        assert_eq!(ended.phase.as_str(), *phase, "{name}: {ended:?}");
    }
    // The failing program has quarantined k1; a fatal Xid on k2 meets the budget.
    scene.until_state("k1", State::Unhealthy).await.unwrap();
    scene.nodes["k2"].xid(3, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").unwrap();
    scene.until_state("k2", State::Unhealthy).await.unwrap();
    // A pass of the same program lifts the cause on k1, and the slot goes to k2.
    let folder = scene.cluster.state_path().join("custom");
    write_program(&folder, "disk", "echo 'HEALTH_CHECK_RESULT:host:Passed:none:fine'");
    scene
        .cluster
        .apply_yaml(&run("r-healed", &format!("{{{on}, checks: [{{name: c, custom: {{program: disk}}}}]}}")))
        .await
        .unwrap();
    scene.cluster.kubectl_ok(&["wait", "--for=condition=Complete", "hcr/r-healed", "--timeout=180s"]).unwrap();

    scene.until_state("k1", State::Healthy).await.unwrap();
    let is_active = |h: &NodeHealth| {
        h.status.as_ref().and_then(|s| s.decision.as_ref()).is_some_and(|d| d.quarantine == Quarantine::Active)
    };
    scene.until_health("k2", "out of use", is_active).await.unwrap();

    scene.cluster.apply_yaml(OTHERS).await.unwrap();
    scene
        .until_policy_counts("all", "what kubectl shows", |c| (c.healthy, c.unhealthy, c.waiting) == (1, 1, 0))
        .await
        .unwrap();

    for (selector, names) in [
        ("status.decision.quarantine=Active", "nodehealth.gpuhealth.dev/k2\n"),
        ("status.decision.quarantine=Waiting", ""),
        ("status.decision.state=Healthy", "nodehealth.gpuhealth.dev/k1\n"),
    ] {
        let selected = scene.cluster.kubectl_ok(&["get", "nh", "--field-selector", selector, "-o", "name"]).unwrap();
        assert_eq!(selected, names, "{selector}");
    }

    let table = scene.cluster.kubectl_ok(&["get", "nodehealth,hcr,nhp,nhwp,nho"]).unwrap();
    let wide = scene.cluster.kubectl_ok(&["get", "nodehealth", "-o", "wide"]).unwrap();
    let seen = without_ages(&format!("{table}\n{wide}"));
    compare_with_golden("tests/golden/kubectl-get.txt", &seen);
}

/// Compares with a committed file; `UPDATE_GOLDEN=1` writes it instead.
fn compare_with_golden(file: &str, seen: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, seen).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        seen, golden,
        "what kubectl prints differs from {file}; if it is meant, run the test with UPDATE_GOLDEN=1"
    );
}
