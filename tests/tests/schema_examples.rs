//! Every example is accepted by the real `kubectl apply`, strictly validated and without a warning.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "test code: its helpers fail the test that calls them"
)]

use std::path::PathBuf;

use gpu_health_tests::cluster::shared;

fn examples() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_example_is_accepted_and_shows_no_difference_afterwards() {
    let cluster = shared().unwrap();
    let files = examples();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let output = cluster.kubectl(&["apply", "--validate=strict", "-f", file.to_str().unwrap()]).unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", file.display());
        // Defaults that the API server fills in are no difference.
        let output = cluster.kubectl(&["diff", "-f", file.to_str().unwrap()]).unwrap();
        let difference = [output.stdout, output.stderr].concat();
        let difference = String::from_utf8_lossy(&difference);
        assert!(output.status.success() && difference.is_empty(), "{}: {difference}", file.display());
    }
}

#[test]
fn kubectl_explain_names_the_default_of_a_field() {
    let cluster = shared().unwrap();
    for (field, default) in [
        ("nhp.spec.bootGraceSeconds", "Default: 600."),
        ("nhp.spec.budget.maxUnavailable", "Default: 10%."),
        ("nhp.spec.outputs.taints.enabled", "Default: true."),
        ("nhp.spec.gate.onTimeout", "Default: Closed."),
        ("nhp.spec.storm.withinSeconds", "Default: 300."),
        ("hcr.spec.deadlineSeconds", "Default: 7200."),
        ("nhwp.spec.priority", "Default: 0."),
    ] {
        let said = cluster.kubectl_ok(&["explain", field]).unwrap();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.ends_with(default), "{field}: {said}");
    }
}

/// Plain `kubectl apply` accepts the folders in this order, repeatedly, without a warning.
#[test]
fn what_is_deployed_is_taken_by_kubectl_apply_without_a_warning() {
    let cluster = shared().unwrap();
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for folder in ["crds", "rbac", "admission", "profiles"] {
        let args = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f"];
        let output = cluster.kubectl(&[&args[..], &[deploy.join(folder).to_str().unwrap()]].concat()).unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaints.is_empty(), "{folder}: {complaints}");
    }
}

#[test]
fn no_definition_has_a_condition_that_reports_trouble() {
    let cluster = shared().unwrap();
    let definitions: serde_json::Value =
        serde_json::from_str(&cluster.kubectl_ok(&["get", "crd", "-o", "json"]).unwrap()).unwrap();
    let definitions = definitions["items"].as_array().unwrap();
    assert_eq!(definitions.len(), crds::custom_resource_definitions().len());
    for definition in definitions {
        let mut conditions: Vec<String> = definition["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| format!("{}={}", c["type"].as_str().unwrap(), c["status"].as_str().unwrap()))
            .collect();
        conditions.sort();
        assert_eq!(conditions, ["Established=True", "NamesAccepted=True"], "{}", definition["metadata"]["name"]);
    }
}
