//! No character that somebody else chooses keeps a verdict from the API server: in every string field of a report, and from
//! the kernel log and a custom program to the marks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: its helpers fail the test that calls them"
)]

mod admission_support;
mod schema_fill;

use admission_support::{apply_status, nodes_with_health, refusal};
use crds::names;
use crds::node_health::{Report, fit_report};
use crds::{NodeHealth, Outcome, State, reason};
use gpu_health_tests::cluster::{Options, shared, until};
use gpu_health_tests::product::Scene;
use gpu_health_tests::product::scene::{WITHIN, policy_with_all_monitors};
use gpu_health_tests::product::seen::{self, findings, unhealthy_taints};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

/// One of each kind that YAML, server-side apply or a terminal does not take.
const UNSAFE: &[char] = &[
    '\u{1}',
    '\u{7}',
    '\u{1b}',
    '\u{7f}',
    '\u{80}',
    '\u{85}',
    '\u{9b}',
    '\u{200f}',
    '\u{2028}',
    '\u{202e}',
    '\u{2066}',
    '\u{fdd0}',
    '\u{feff}',
    '\u{fffe}',
    '\u{ffff}',
    '\u{1ffff}',
];

/// A source of numbers that repeats (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn text(&mut self, most: usize) -> String {
        let length = self.roll(most as u64 * 2 + 1);
        (0..length).map(|_| self.character()).collect()
    }

    fn character(&mut self) -> char {
        match self.roll(3) {
            0 => UNSAFE[usize::try_from(self.roll(UNSAFE.len() as u64)).unwrap()],
            1 => char::from(u8::try_from(0x20 + self.roll(0x5f)).unwrap()),
            _ => char::from_u32(u32::try_from(self.roll(0x11_0000)).unwrap()).unwrap_or('\u{fffd}'),
        }
    }
}

/// Replaces every free text below `value`; times and values with a pattern stay.
fn scramble(value: &mut Value, schema: &Value, dice: &mut Dice) {
    match value {
        Value::String(text) if schema["format"] != "date-time" && schema["pattern"].is_null() => {
            *text = dice.text(usize::try_from(schema["maxLength"].as_u64().unwrap()).unwrap());
        }
        Value::Array(all) => {
            all.truncate(2);
            for one in all {
                scramble(one, &schema["items"], dice);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                scramble(member, &schema["properties"][name.as_str()], dice);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_with_any_characters_in_any_field_is_taken_once_it_is_fitted() {
    let cluster = shared().unwrap();
    nodes_with_health(cluster, &["texts-a"]).await;
    let token = cluster.token_for_node(names::AGENT_SERVICE_ACCOUNT, names::NAMESPACE, "texts-a").await.unwrap();
    let agent = cluster.client_with_token(&token).unwrap();
    let apply = |report: Value| {
        let agent = agent.clone();
        async move { apply_status(&agent, "texts-a", names::MANAGER_REPORT, &json!({"report": report})).await }
    };
    // This test counts something: as they are, such texts are refused.
    for bad in ['\u{7f}', '\u{80}', '\u{fffe}', '\u{ffff}'] {
        let (code, message) = refusal(apply(json!({"agent": {"version": bad.to_string()}})).await);
        assert_eq!(code, 400, "{bad:?}: {message}");
    }
    let definitions = crds::custom_resource_definitions();
    let definition = definitions.iter().find(|definition| definition.spec.names.kind == "NodeHealth").unwrap();
    let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
    let schema = &schema["openAPIV3Schema"]["properties"]["status"]["properties"]["report"];
    let full = schema_fill::fill(schema, 0);
    for seed in 1..=150_u64 {
        let mut scrambled = full.clone();
        scramble(&mut scrambled, schema, &mut Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let mut report: Report = serde_json::from_value(scrambled).unwrap();
        fit_report(&mut report);
        let stored = apply(serde_json::to_value(&report).unwrap()).await;
        let stored = stored.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{report:?}"));
        assert_eq!(stored.status.unwrap().report, Some(report), "seed {seed}: stored as it was sent");
    }
}

/// A custom check that prints every unsafe character and fails.
const PROGRAM: &str = "noisy";

async fn scene(names: &[&str]) -> Scene {
    let mut scene = Scene::set(Options::default(), names).await.unwrap();
    let folder = scene.cluster.state_path().join("custom");
    std::fs::create_dir_all(&folder).unwrap();
    let text: String = UNSAFE.iter().collect();
    let verdict =
        json!({"outcome": "Fail", "severity": "Reboot", "reason": "Noisy", "message": format!("bad {text} news")});
    // As JSON prints them: only C0 controls are escaped.
    std::fs::write(folder.join("verdict"), format!("\u{1b}[31mred\u{ffff}\n{verdict}\n")).unwrap();
    let program = folder.join(PROGRAM);
    std::fs::write(&program, format!("#!/bin/sh\ncat {}\n", folder.join("verdict").display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    scene.agent_args = vec!["--custom-directory".into(), folder.into(), "--custom-same-user".into()];
    let enforce = "mode: Enforce, nodeSelector: {}, bootGraceSeconds: 0, budget: {maxUnavailable: 100%}";
    scene.cluster.apply_yaml(&policy_with_all_monitors("all", 1, enforce)).await.unwrap();
    scene.start_agents().await.unwrap();
    for name in names {
        scene.until_state(name, State::Healthy).await.unwrap();
    }
    scene.until_policy_matches("all", names.len()).await.unwrap();
    scene
}

async fn until_tainted(scene: &Scene, node: &str) -> u128 {
    let began = Instant::now();
    scene.until_node(node, "tainted", |seen| !unhealthy_taints(seen).is_empty()).await.unwrap();
    began.elapsed().as_millis()
}

async fn refusals(scene: &Scene, node: &str) -> Vec<String> {
    let (_, text) = seen::get(&scene.agents[node].http, "/metrics").await.unwrap();
    text.lines().filter(|line| line.starts_with("gpu_health_agent_report_refused_total")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_character_in_a_process_name_delays_the_taint_of_a_fatal_xid_behind_it() {
    let scene = scene(&["plain", "noisy"]).await;
    let fatal = "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.";
    let name: String = UNSAFE.iter().collect();
    let noisy = &scene.nodes["noisy"];
    for (index, bad) in UNSAFE.iter().enumerate() {
        noisy.xid(index % 8, 31, &format!("pid=7{index}, name=x{bad}{name}, MMU Fault{bad}")).unwrap();
    }
    let suspect = |h: &NodeHealth| findings(h).iter().filter(|f| f.check == "xid").count() == 8;
    scene.until_health("noisy", "with the application's Xids", suspect).await.unwrap();
    noisy.xid(5, 79, fatal).unwrap();
    let with = until_tainted(&scene, "noisy").await;
    scene.nodes["plain"].xid(5, 79, fatal).unwrap();
    let without = until_tainted(&scene, "plain").await;
    println!("taint of Xid 79: {with} ms behind bad characters, {without} ms without");
    assert_eq!(refusals(&scene, "noisy").await, Vec::<String>::new(), "no report was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_program_that_prints_them_keeps_its_fail() {
    let scene = scene(&["n1"]).await;
    scene
        .cluster
        .apply_yaml(&format!(
            "apiVersion: gpuhealth.dev/v1alpha1\nkind: HealthCheckRun\nmetadata: {{name: noise}}\nspec: {{targets: {{nodeNames: [n1]}}, checks: [{{name: c, custom: {{program: {PROGRAM}}}}}]}}\n"
        ))
        .await
        .unwrap();
    let failed = |h: &NodeHealth| {
        findings(h).iter().any(|f| f.check == "custom/noisy" && f.outcome == Outcome::Fail && f.reason == "Noisy")
    };
    let health = scene.until_health("n1", "with the Fail of the program", failed).await.unwrap();
    let message = &findings(&health).iter().find(|f| f.check == "custom/noisy").unwrap().message;
    assert!(message.starts_with("bad ") && message.ends_with(" news"), "{message:?}");
    until_tainted(&scene, "n1").await;
    assert_eq!(refusals(&scene, "n1").await, Vec::<String>::new(), "no report was refused");
}

/// The longest message that the API server takes.
fn set_longest_message(scene: &Scene, characters: u32) {
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/report/properties/findings/items/properties/message/maxLength";
    let edit = json!([{"op": "replace", "path": path, "value": characters}]).to_string();
    scene.cluster.kubectl_ok(&["patch", "crd", "nodehealths.gpuhealth.dev", "--type=json", "-p", &edit]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_refuses_all_the_same_still_marks_the_node() {
    let scene = scene(&["n1"]).await;
    set_longest_message(&scene, 3);
    // A changed schema holds a moment later.
    let agent = scene.cluster.client_with_token(&scene.agents["n1"].token).unwrap();
    let finding = json!({"check": "x", "target": "node", "outcome": "Warn", "severity": "Monitor", "reason": "X", "message": "long",
        "since": "2026-11-21T09:30:00Z", "lastSeen": "2026-11-21T09:30:00Z"});
    let attempt = json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealth", "metadata": {"name": "n1"},
        "status": {"report": {"findings": [finding]}}});
    let dry = PatchParams { dry_run: true, ..PatchParams::apply(names::MANAGER_REPORT).force() };
    let health = &kube::Api::<NodeHealth>::all(agent);
    until("the schema to refuse a long message", WITHIN, || async {
        match health.patch_status("n1", &dry, &Patch::Apply(&attempt)).await {
            Err(kube::Error::Api(status)) if status.code == 422 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    scene.nodes["n1"].xid(5, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.").unwrap();
    let took = until_tainted(&scene, "n1").await;
    println!("taint of Xid 79: {took} ms while the API server refuses its message");
    let refused = |h: &NodeHealth| {
        h.status.as_ref().and_then(|s| s.report.as_ref()).is_some_and(|report| report.agent.refused.is_some())
    };
    let told = |h: &NodeHealth| {
        let conditions = h.status.iter().flat_map(|s| &s.conditions);
        refused(h) && conditions.into_iter().any(|c| c.type_ == "AgentReporting" && c.reason == reason::REPORT_REFUSED)
    };
    let health = scene.until_health("n1", "with a report without texts", told).await.unwrap();
    assert_eq!(
        findings(&health).iter().map(|f| (f.check.as_str(), f.message.as_str())).collect::<Vec<_>>(),
        [("xid", "")]
    );
    let gauge = seen::metric(&scene.agents["n1"].http, "gpu_health_agent_report_without_texts").await.unwrap();
    assert_eq!(gauge, Some(1.0));

    set_longest_message(&scene, 256);
    let whole = |h: &NodeHealth| !refused(h) && findings(h).iter().any(|f| !f.message.is_empty());
    scene.until_health("n1", "with its texts", whole).await.unwrap();
}
