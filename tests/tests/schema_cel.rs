//! Every rule (CEL) of every kind on the real API server: one object that it accepts, one that it refuses, and what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "test code: its helpers fail the test that calls them"
)]

use std::collections::BTreeSet;

use gpu_health_tests::cluster::{ControlPlane, shared};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// One rule: where it is, and objects that show its effect.
struct Row {
    kind: &'static str,
    /// The path of the schema that holds the rule.
    path: String,
    /// The rule's `message`.
    message: &'static str,
    /// What the API server says, where a `messageExpression` says more than `message`.
    says: Option<&'static str>,
    /// The spec before, for rules about changes; then the others are patches of it.
    before: Option<Value>,
    accepted: Value,
    refused: Value,
}

/// The lists of checks, and what a spec with such a list looks like.
type Host = (&'static str, &'static str, fn(Value) -> Value);
const CHECK_LISTS: &[Host] = &[
    ("HealthCheckRun", "spec.checks", |checks| json!({"targets": {"nodeSelector": {}}, "checks": checks})),
    ("NodeHealthPolicy", "spec.schedules[].runTemplate.spec.checks", |checks| {
        schedule(json!({"targets": {"nodeSelector": {}}, "checks": checks}))
    }),
    ("NodeHealthPolicy", "spec.levels[].checks", |checks| json!({"levels": [{"name": "mine", "checks": checks}]})),
    ("NodeHealth", "spec.assignments[].checks", |checks| json!({"assignments": [assignment("a", checks)]})),
];
/// The selectors of nodes, and what a spec with such a selector looks like.
const SELECTORS: &[Host] = &[
    (
        "HealthCheckRun",
        "spec.targets.nodeSelector",
        |selector| json!({"targets": {"nodeSelector": selector}, "level": "basic"}),
    ),
    ("NodeHealthPolicy", "spec.nodeSelector", |selector| json!({"nodeSelector": selector})),
    ("NodeHealthPolicy", "spec.schedules[].runTemplate.spec.targets.nodeSelector", |selector| {
        schedule(json!({"targets": {"nodeSelector": selector}, "level": "basic"}))
    }),
    ("NodeHealthOverride", "spec.targets.nodeSelector", |selector| {
        override_with(json!({"targets": {"nodeSelector": selector}}))
    }),
    ("NodeHardwareProfile", "spec.match.nodeSelector", |selector| json!({"match": {"nodeSelector": selector}})),
];

fn assignment(id: &str, checks: Value) -> Value {
    json!({"id": id, "run": "r", "checks": checks, "deadline": "2026-11-21T09:30:00Z"})
}

/// A policy with one schedule whose runs have this spec.
fn schedule(spec: Value) -> Value {
    json!({"schedules": [{"name": "nightly", "cron": "0 3 * * *", "runTemplate": {"spec": spec}}]})
}

/// An override on node `a` with some members replaced.
fn override_with(more: Value) -> Value {
    let whole =
        json!({"targets": {"nodeNames": ["a"]}, "action": "Ignore", "until": "2999-01-01T00:00:00Z", "reason": "r"});
    merged(whole, &more)
}

/// The lists in which a rule of a policy names checks.
const NAMES_IN_RULES: &[(&str, fn(Value) -> Value)] = &[
    ("spec.rules[].match.checks[]", |checks| json!({"rules": [{"name": "r", "match": {"checks": checks}}]})),
    ("spec.rules[].lift.retest[]", |checks| json!({"rules": [{"name": "r", "lift": {"retest": checks}}]})),
    (
        "spec.rules[].effect.run.checks[]",
        |checks| json!({"rules": [{"name": "r", "effect": {"run": {"checks": checks}}}]}),
    ),
];

const NO_MONITOR: &str = "no monitor has this name: the monitors are inventory, driver, xid, kernelLog, recoveryAction, ecc, rowRemap, clocks, thermal, power, pcieLink, nvlink, fabric, amdRas, amdBadPages, amdLinks, rdmaLink, efa, topology";
const NO_CHECK: &str = "no check has this name: the checks are inventory, driver, xid, kernelLog, recoveryAction, ecc, rowRemap, clocks, thermal, power, pcieLink, nvlink, fabric, amdRas, amdBadPages, amdLinks, rdmaLink, efa, topology, drift, pcieBandwidth, gpuMemory, gpuCompute, gpuPeer, dcgmDiag, stress, ping, networkBandwidth, rdmaBandwidth, efaLoopback, nccl, pvc, drill, custom/<program>";
const UNAVAILABLE: &str = "must be a number of nodes from 0 to 100000 or a percentage from 0% to 100%, for example 10%";

/// The rules of policies and overrides.
fn policy_rows() -> Vec<Row> {
    let row = |kind, path: &str, message, accepted, refused| Row {
        kind,
        path: path.to_owned(),
        message,
        says: None,
        before: None,
        accepted,
        refused,
    };
    let policy = |path: &str, message, accepted, refused| row("NodeHealthPolicy", path, message, accepted, refused);
    let run = |more: Value| schedule(merged(json!({"targets": {"nodeSelector": {}}}), &more));
    let mut rows = vec![
        policy(
            "spec.schedules[].runTemplate.spec",
            "exactly one of checks and level is needed, for example level: basic",
            run(json!({"level": "basic"})),
            run(json!({"level": "basic", "checks": inventories(1)})),
        ),
        policy(
            "spec.schedules[].runTemplate.spec.targets",
            "exactly one of targets.nodeSelector and targets.nodeNames is needed; use nodeSelector: {} to select every accelerator node",
            schedule(json!({"targets": {"nodeNames": ["a"]}, "level": "basic"})),
            schedule(json!({"targets": {}, "level": "basic"})),
        ),
        policy(
            "spec.schedules[].runTemplate.spec.maxConcurrent",
            "must be a number of nodes from 1 to 1000 or a percentage from 1% to 100%, for example 10%",
            run(json!({"level": "basic", "maxConcurrent": 1})),
            run(json!({"level": "basic", "maxConcurrent": 0})),
        ),
        Row {
            says: Some(
                "cron every night must have five fields (minute, hour, day of the month, month, day of the week), for example 0 3 * * 1-5",
            ),
            ..policy(
                "spec.schedules[].cron",
                "cron must have five fields (minute, hour, day of the month, month, day of the week), for example 0 3 * * 1-5",
                run(json!({"level": "basic"})),
                json!({"schedules": [{"name": "s", "cron": "every night", "runTemplate": {"spec": {"targets": {"nodeSelector": {}}, "level": "basic"}}}]}),
            )
        },
        Row {
            says: Some(
                "timeZone Middle Earth must be a name of the IANA time zone database, for example Europe/Berlin",
            ),
            ..policy(
                "spec.schedules[].timeZone",
                "timeZone must be a name of the IANA time zone database, for example Europe/Berlin",
                json!({"schedules": [{"name": "s", "cron": "0 3 * * *", "timeZone": "America/Port-au-Prince", "runTemplate": {"spec": {"targets": {"nodeSelector": {}}, "level": "basic"}}}]}),
                json!({"schedules": [{"name": "s", "cron": "0 3 * * *", "timeZone": "Middle Earth", "runTemplate": {"spec": {"targets": {"nodeSelector": {}}, "level": "basic"}}}]}),
            )
        },
        policy(
            "spec.budget.maxUnavailable",
            UNAVAILABLE,
            json!({"budget": {"maxUnavailable": 0}}),
            json!({"budget": {"maxUnavailable": "ten"}}),
        ),
        policy(
            "spec.budget.perDomain.maxUnavailable",
            UNAVAILABLE,
            json!({"budget": {"perDomain": {"topologyKey": "rack", "maxUnavailable": "0%"}}}),
            json!({"budget": {"perDomain": {"topologyKey": "rack", "maxUnavailable": "101%"}}}),
        ),
        policy(
            "spec.storm.nodes",
            "must be a number of nodes from 2 to 100000 or a percentage from 1% to 100%, for example 10%",
            json!({"storm": {"nodes": "2%"}}),
            json!({"storm": {"nodes": 1}}),
        ),
        Row {
            says: Some("level deep is shipped: give your own list of checks another name"),
            ..policy(
                "spec.levels[]",
                "levels[].name is a shipped level: give your own list of checks another name",
                json!({"levels": [{"name": "deeper", "checks": inventories(1)}]}),
                json!({"levels": [{"name": "deep", "checks": inventories(1)}]}),
            )
        },
        policy(
            "spec.rules[].match.codes[]",
            "must be the code of a fault as its source gives it, for example 79 for Xid 79",
            json!({"rules": [{"name": "r", "match": {"codes": [79, "DCGM_FR_VOLATILE_DBE_DETECTED"]}}]}),
            json!({"rules": [{"name": "r", "match": {"codes": ["Xid 79"]}}]}),
        ),
        policy(
            "spec.rules[].effect.run",
            "exactly one of effect.run.checks and effect.run.level is needed, for example level: deep",
            json!({"rules": [{"name": "r", "effect": {"run": {"level": "deep"}}}]}),
            json!({"rules": [{"name": "r", "effect": {"run": {}}}]}),
        ),
        Row {
            says: Some("no monitor is named rowRemaps: did you mean rowRemap?"),
            ..policy(
                "spec.monitors[].name",
                NO_MONITOR,
                json!({"monitors": [{"name": "rowRemap"}]}),
                json!({"monitors": [{"name": "rowRemaps"}]}),
            )
        },
        row(
            "NodeHealthOverride",
            "spec",
            "before is required with the action Acknowledge, and must be left out with every other action",
            override_with(json!({"action": "Acknowledge", "before": "2026-11-21T09:30:00Z"})),
            override_with(json!({"action": "Acknowledge"})),
        ),
        row(
            "NodeHealthOverride",
            "spec.targets",
            "exactly one of targets.nodeSelector and targets.nodeNames is needed; use nodeSelector: {} to select every accelerator node",
            override_with(json!({})),
            override_with(json!({"targets": {}})),
        ),
        Row {
            says: Some("no check is named gpuMemroy: did you mean gpuMemory?"),
            ..row(
                "NodeHealthOverride",
                "spec.check",
                NO_CHECK,
                override_with(json!({"check": "custom/disk-latency"})),
                override_with(json!({"check": "gpuMemroy"})),
            )
        },
    ];
    rows.extend(NAMES_IN_RULES.iter().map(|(path, spec)| Row {
        says: Some("no check is named xdi: did you mean xid?"),
        ..policy(path, NO_CHECK, spec(json!(["xid", "custom/disk"])), spec(json!(["xdi"])))
    }));
    rows
}

fn inventories(count: usize) -> Value {
    (0..count).map(|n| json!({"name": format!("c{n}"), "inventory": {}})).collect()
}

fn custom(custom: Value) -> Value {
    json!([{"name": "c", "custom": custom}])
}

/// The rules of a check, of which every list of checks has a copy.
fn check_rules() -> Vec<(&'static str, &'static str, Option<&'static str>, Value, Value)> {
    vec![
        (
            "",
            "custom.args and custom.env are limited to 1024 characters over all checks: put longer input into a file that the program reads",
            None,
            json!([
                {"name": "a", "custom": {"program": "p", "args": vec!["x".repeat(256); 2]}},
                {"name": "b", "custom": {"program": "p", "args": vec!["x".repeat(256); 1], "env": {"CHECK_A": "x".repeat(249)}}},
            ]),
            json!([
                {"name": "a", "custom": {"program": "p", "args": vec!["x".repeat(256); 2]}},
                {"name": "b", "custom": {"program": "p", "args": vec!["x".repeat(256); 1], "env": {"CHECK_A": "x".repeat(250)}}},
            ]),
        ),
        (
            "[]",
            "exactly one kind is needed in each check, for example networkBandwidth: {}",
            Some("check both: exactly one kind is needed, for example networkBandwidth: {}"),
            json!([{"name": "one", "inventory": {}}]),
            json!([{"name": "both", "inventory": {}, "ecc": {}}]),
        ),
        (
            "[].custom",
            "custom.program must be the name of a program in the directory for custom checks, not a path or a command line",
            Some(
                "custom.program ../sh must be the name of a program in the directory for custom checks (lowercase letters, digits, hyphens), not a path or a command line",
            ),
            custom(json!({"program": "disk-latency"})),
            custom(json!({"program": "../sh"})),
        ),
        (
            "[].custom",
            "keys of custom.env must start with CHECK_ and have at most 63 characters",
            None,
            custom(json!({"program": "p", "env": {"CHECK_DISK": "sda"}})),
            custom(json!({"program": "p", "env": {"PATH": "/tmp"}})),
        ),
        (
            "[].networkBandwidth.ports",
            "the port range is empty: ports.first must not exceed ports.last, for example {first: 5201, last: 5264}",
            None,
            json!([{"name": "n", "networkBandwidth": {"ports": {"first": 5201, "last": 5201}}}]),
            json!([{"name": "n", "networkBandwidth": {"ports": {"first": 5202, "last": 5201}}}]),
        ),
    ]
}

fn rows() -> Vec<Row> {
    let mut rows = own_rows();
    rows.extend(policy_rows());
    for (kind, path, spec) in CHECK_LISTS {
        rows.extend(check_rules().into_iter().map(|(below, message, says, accepted, refused)| Row {
            kind,
            path: format!("{path}{below}"),
            message,
            says,
            before: None,
            accepted: spec(accepted),
            refused: spec(refused),
        }));
    }
    for (kind, path, spec) in SELECTORS {
        rows.push(Row {
            kind,
            path: format!("{path}.matchExpressions[]"),
            message: "values is required for the operators In and NotIn and must be omitted for Exists and DoesNotExist",
            says: None,
            before: None,
            accepted: spec(json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "a", "operator": "Exists"}]})),
            refused: spec(json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]})),
        });
    }
    rows
}

/// The rules that exist in one place only.
fn own_rows() -> Vec<Row> {
    let row = |kind, path: &str, message, accepted, refused| Row {
        kind,
        path: path.to_owned(),
        message,
        says: None,
        before: None,
        accepted,
        refused,
    };
    let run = |more: Value| merged(json!({"targets": {"nodeSelector": {}}}), &more);
    let mut rows = vec![
        row(
            "HealthCheckRun",
            "spec",
            "exactly one of checks and level is needed, for example level: basic",
            run(json!({"level": "basic"})),
            run(json!({})),
        ),
        row(
            "HealthCheckRun",
            "spec.targets",
            "exactly one of targets.nodeSelector and targets.nodeNames is needed; use nodeSelector: {} to select every accelerator node",
            json!({"targets": {"nodeNames": ["a"]}, "level": "basic"}),
            json!({"targets": {"nodeNames": ["a"], "nodeSelector": {}}, "level": "basic"}),
        ),
        row(
            "HealthCheckRun",
            "spec.maxConcurrent",
            "must be a number of nodes from 1 to 1000 or a percentage from 1% to 100%, for example 10%",
            run(json!({"level": "basic", "maxConcurrent": "100%"})),
            run(json!({"level": "basic", "maxConcurrent": "101%"})),
        ),
        row(
            "NodeHardwareProfile",
            "spec.match",
            "match needs at least one of instanceTypes, nodeSelector and gpuModels; use nodeSelector: {} to match every accelerator node",
            json!({"match": {"instanceTypes": ["p5.48xlarge"]}}),
            json!({"match": {}}),
        ),
        row(
            "NodeHealth",
            "spec.assignments",
            "the assignments of a node may have at most 16 checks in total",
            json!({"assignments": [assignment("a", inventories(8)), assignment("b", inventories(8))]}),
            json!({"assignments": [assignment("a", inventories(8)), assignment("b", inventories(9))]}),
        ),
        row(
            "NodeHealth",
            "spec.assignments",
            "at most one assignment of a node may have a group",
            json!({"assignments": [merged(assignment("a", inventories(1)), &json!({"group": {}})), assignment("b", inventories(1))]}),
            json!({"assignments": [merged(assignment("a", inventories(1)), &json!({"group": {}})), merged(assignment("b", inventories(1)), &json!({"group": {}}))]}),
        ),
    ];
    rows.extend(immutable_rows());
    let measured = json!({"run": {"name": "r", "uid": "u"}, "node": {"name": "n", "uid": "v"}, "outcome": "Pass"});
    rows.push(Row {
        kind: "HealthCheckResult",
        path: "spec".to_owned(),
        message: "a HealthCheckResult is written once and never changed",
        says: None,
        before: Some(measured),
        accepted: json!({}),
        refused: json!({"outcome": "Fail"}),
    });
    rows
}

/// A run is immutable except for `cancel`, which cannot be undone, `suspend`, `maxConcurrent` and `ttlSecondsAfterFinished`.
fn immutable_rows() -> Vec<Row> {
    let changes = [
        (
            "targets is immutable: create a new HealthCheckRun",
            json!({"targets": {"nodeNames": ["a"]}}),
            json!({"targets": {"nodeNames": ["b"]}}),
        ),
        (
            "checks is immutable: create a new HealthCheckRun",
            json!({"checks": inventories(1), "level": null}),
            json!({"checks": inventories(2)}),
        ),
        ("level is immutable: create a new HealthCheckRun", json!({"level": "basic"}), json!({"level": "other"})),
        (
            "whenBusy is immutable: create a new HealthCheckRun",
            json!({"whenBusy": "Wait"}),
            json!({"whenBusy": "Skip"}),
        ),
        (
            "deadlineSeconds is immutable: create a new HealthCheckRun",
            json!({"deadlineSeconds": 60}),
            json!({"deadlineSeconds": 61}),
        ),
        ("limit is immutable: create a new HealthCheckRun", json!({"limit": 1}), json!({"limit": 2})),
        ("exclude is immutable: create a new HealthCheckRun", json!({}), json!({"exclude": ["b"]})),
        ("failFast is immutable: create a new HealthCheckRun", json!({"failFast": 1}), json!({"failFast": null})),
        ("reportOnly is immutable: create a new HealthCheckRun", json!({}), json!({"reportOnly": true})),
        ("cancel cannot be undone: create a new HealthCheckRun", json!({"cancel": true}), json!({"cancel": false})),
    ];
    let whole = json!({"targets": {"nodeNames": ["a"]}, "level": "basic"});
    let row = |(message, before, refused)| Row {
        kind: "HealthCheckRun",
        path: "spec".to_owned(),
        message,
        says: None,
        before: Some(merged(whole.clone(), &before)),
        accepted: json!({"cancel": true, "suspend": true, "maxConcurrent": "5%", "ttlSecondsAfterFinished": 60}),
        refused,
    };
    changes.into_iter().map(row).collect()
}

/// The members of `more` put into `object`; null takes a member out.
fn merged(mut object: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(key);
        } else {
            object[key] = value.clone();
        }
    }
    object
}

fn collect_rules(path: &str, schema: &Value, rules: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        rules.push((path.to_owned(), rule["message"].as_str().unwrap_or_default().to_owned()));
    }
    if let Some(items) = schema.get("items") {
        collect_rules(&format!("{path}[]"), items, rules);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        collect_rules(&format!("{path}{{}}"), values, rules);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect_rules(&path, property, rules);
    }
}

#[test]
fn every_rule_of_every_schema_has_a_row() {
    let mut in_schemas = BTreeSet::new();
    for definition in crds::custom_resource_definitions() {
        let schema = serde_json::to_value(&definition.spec.versions[0].schema).unwrap();
        let mut rules = Vec::new();
        collect_rules("", &schema["openAPIV3Schema"], &mut rules);
        in_schemas.extend(
            rules.into_iter().map(|(path, message)| format!("{} {path}: {message}", definition.spec.names.kind)),
        );
    }
    let in_rows: BTreeSet<String> =
        rows().iter().map(|row| format!("{} {}: {}", row.kind, row.path, row.message)).collect();
    assert!(in_schemas.len() > 30, "{in_schemas:#?}");
    assert_eq!(in_schemas.difference(&in_rows).collect::<Vec<_>>(), Vec::<&String>::new(), "rules without a row");
    assert_eq!(in_rows.difference(&in_schemas).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a rule");
}

/// The operator, with every permission: admission lets no one else write a NodeHealth.
fn operator(cluster: &ControlPlane) -> Client {
    let user = format!("system:serviceaccount:{}:{}", crds::names::NAMESPACE, crds::names::OPERATOR_SERVICE_ACCOUNT);
    cluster.client_as(&user, &["system:masters"]).unwrap()
}

fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let definitions = crds::custom_resource_definitions();
    let names =
        definitions.into_iter().map(|definition| definition.spec.names).find(|names| names.kind == kind).unwrap();
    let gvk = GroupVersionKind::gvk(crds::names::GROUP, crds::names::VERSION, kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&gvk, &names.plural))
}

fn object(kind: &str, name: &str, spec: &Value) -> DynamicObject {
    let api_version = format!("{}/{}", crds::names::GROUP, crds::names::VERSION);
    serde_json::from_value(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}))
        .unwrap()
}

/// Tries a spec, as a new object or as a patch of `name`; nothing is stored.
async fn attempt(api: &Api<DynamicObject>, row: &Row, name: &str, spec: &Value) -> kube::Result<()> {
    if row.before.is_some() {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        return api.patch(name, &params, &Patch::Merge(json!({"spec": spec}))).await.map(drop);
    }
    let params = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&params, &object(row.kind, name, spec)).await.map(drop)
}

#[tokio::test]
async fn every_rule_accepts_what_is_right_and_refuses_what_is_wrong_in_its_own_words() {
    let client = operator(shared().unwrap());
    for (number, row) in rows().iter().enumerate() {
        let name = format!("cel-{number}");
        let api = api(&client, row.kind);
        if let Some(before) = &row.before {
            api.create(&PostParams::default(), &object(row.kind, &name, before)).await.unwrap();
        }
        let rule = format!("{} {}: {}", row.kind, row.path, row.message);
        attempt(&api, row, &name, &row.accepted)
            .await
            .unwrap_or_else(|error| panic!("{rule}\nrefused what is right: {error}"));
        match attempt(&api, row, &name, &row.refused).await {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 422, "{rule}\n{}", status.message);
                let says = row.says.unwrap_or(row.message);
                assert!(status.message.contains(says), "{rule}\nsaid: {}", status.message);
            }
            other => panic!("{rule}\naccepted what is wrong: {other:?}"),
        }
    }
}
