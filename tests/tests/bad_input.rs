//! Bad input: how the real `kubectl apply` refuses it. Each answer names the field and the remedy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    clippy::too_many_lines,
    reason = "test code: its helpers fail the test that calls them"
)]

use gpu_health_tests::cluster::shared;
use serde_json::{Value, json};

/// A run with this spec.
fn run(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "HealthCheckRun", "metadata": {"name": name}, "spec": spec})
}

/// A run of these checks on every node.
fn checks(checks: Value) -> Value {
    run("bad", json!({"targets": {"nodeSelector": {}}, "checks": checks}))
}

/// What `kubectl apply` answers, stdout and stderr together, and whether it took the object.
fn apply(object: &Value, flags: &[&str]) -> (bool, String) {
    let args = [&["apply", "-f", "-"], flags].concat();
    let output = shared().unwrap().kubectl_with_input(&args, &object.to_string()).unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

/// What `kubectl apply` answers to an object that it must refuse.
#[track_caller]
fn refused(object: &Value, flags: &[&str]) -> String {
    let (taken, said) = apply(object, flags);
    assert!(!taken, "taken: {object}\n{said}");
    said
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for words in words {
        assert!(said.contains(words), "said: {said}\nwanted: {words}");
    }
}

/// What is refused, and the words that the answer must contain.
type Row = (&'static str, Value, &'static [&'static str]);

#[track_caller]
fn assert_refused(rows: Vec<Row>) {
    for (what, object, words) in rows {
        let (taken, said) = apply(&object, &[]);
        assert!(!taken, "{what}: taken\n{said}");
        for words in words {
            assert!(said.contains(words), "{what}\nsaid: {said}\nwanted: {words}");
        }
    }
}

#[test]
fn targets_must_be_given_by_exactly_one_way() {
    const ONE: &str = "spec.targets: Invalid value: exactly one of targets.nodeSelector and targets.nodeNames is needed; use nodeSelector: {} to select every accelerator node";
    let names: Vec<String> = (0..1001).map(|number| format!("node-{number}")).collect();
    assert_refused(vec![
        ("both", run("bad", json!({"targets": {"nodeNames": ["a"], "nodeSelector": {}}, "level": "basic"})), &[ONE]),
        ("neither", run("bad", json!({"targets": {}, "level": "basic"})), &[ONE]),
        ("no targets", run("bad", json!({"level": "basic"})), &["spec.targets: Required value"]),
        (
            "a name twice",
            run("bad", json!({"targets": {"nodeNames": ["a", "b", "a"]}, "level": "basic"})),
            &["spec.targets.nodeNames[2]: Duplicate value: \"a\""],
        ),
        (
            "1,001 names",
            run("bad", json!({"targets": {"nodeNames": names}, "level": "basic"})),
            &["spec.targets.nodeNames: Too many: 1001: must have at most 1000 items"],
        ),
    ]);
}

#[test]
fn an_unknown_check_is_refused_with_its_name_or_without_validation_with_what_is_missing() {
    let typo = checks(json!([{"name": "copy", "pcieBandwith": {}}]));
    assert_says(&refused(&typo, &[]), &[r#"strict decoding error: unknown field "spec.checks[0].pcieBandwith""#]);
    let said = refused(&typo, &["--validate=false"]);
    assert_says(
        &said,
        &["spec.checks[0]: Invalid value: check copy: exactly one kind is needed, for example networkBandwidth: {}"],
    );
    let said = refused(&typo, &["--validate=warn"]);
    assert_says(&said, &[r#"unknown field "spec.checks[0].pcieBandwith""#, "check copy: exactly one kind is needed"]);
}

#[test]
fn each_check_has_one_kind_and_a_name_of_its_own() {
    assert_refused(vec![
        (
            "two kinds",
            checks(json!([{"name": "two", "inventory": {}, "gpuMemory": {}}])),
            &["spec.checks[0]: Invalid value: check two: exactly one kind is needed, for example networkBandwidth: {}"],
        ),
        (
            "one name twice",
            checks(json!([{"name": "a", "inventory": {}}, {"name": "a", "ecc": {}}])),
            &["spec.checks[1]: Duplicate value: {\"name\":\"a\"}"],
        ),
        ("no name", checks(json!([{"inventory": {}}])), &["spec.checks[0].name: Required value"]),
        (
            "no check",
            checks(json!([])),
            &["spec.checks: Invalid value: 0: spec.checks in body should have at least 1 items"],
        ),
        (
            "17 checks",
            checks((0..17).map(|n| json!({"name": format!("c{n}"), "inventory": {}})).collect()),
            &["spec.checks: Too many: 17: must have at most 16 items"],
        ),
        (
            "neither checks nor level",
            run("bad", json!({"targets": {"nodeSelector": {}}})),
            &["spec: Invalid value: exactly one of checks and level is needed, for example level: basic"],
        ),
        (
            "both",
            run(
                "bad",
                json!({"targets": {"nodeSelector": {}}, "level": "basic", "checks": [{"name": "a", "ecc": {}}]}),
            ),
            &["exactly one of checks and level is needed"],
        ),
    ]);
}

#[test]
fn numbers_outside_their_range_are_refused_with_the_range() {
    const UNAVAILABLE: &str =
        "must be a number of nodes from 0 to 100000 or a percentage from 0% to 100%, for example 10%";
    const SCALE: &str = "must be a number of nodes from 1 to 1000 or a percentage from 1% to 100%, for example 10%";
    let with = |field: &str, value: Value| {
        run("bad", json!({"targets": {"nodeSelector": {}}, "level": "basic", field: value}))
    };
    let memory = |passes: i64| checks(json!([{"name": "m", "gpuMemory": {"passes": passes}}]));
    assert_refused(vec![
        (
            "zero seconds",
            with("deadlineSeconds", json!(0)),
            &[
                "spec.deadlineSeconds: Invalid value: 0: spec.deadlineSeconds in body should be greater than or equal to 1",
            ],
        ),
        (
            "negative seconds",
            with("ttlSecondsAfterFinished", json!(-1)),
            &["spec.ttlSecondsAfterFinished in body should be greater than or equal to 0"],
        ),
        (
            "too many seconds",
            with("deadlineSeconds", json!(604_801)),
            &["spec.deadlineSeconds in body should be less than or equal to 604800"],
        ),
        ("zero passes", memory(0), &["spec.checks[0].gpuMemory.passes in body should be greater than or equal to 1"]),
        (
            "negative passes",
            memory(-2),
            &["spec.checks[0].gpuMemory.passes in body should be greater than or equal to 1"],
        ),
        ("a fraction", with("deadlineSeconds", json!(1.5)), &["spec.deadlineSeconds in body must be of type int64"]),
        ("zero at once", with("maxConcurrent", json!(0)), &["spec.maxConcurrent: Invalid value: ", SCALE]),
        ("fewer than none at once", with("maxConcurrent", json!(-1)), &["spec.maxConcurrent: Invalid value: ", SCALE]),
        ("0 %", with("maxConcurrent", json!("0%")), &["spec.maxConcurrent: Invalid value: ", SCALE]),
        ("101 %", with("maxConcurrent", json!("101%")), &["spec.maxConcurrent: Invalid value: ", SCALE]),
        ("1000 %", with("maxConcurrent", json!("1000%")), &["spec.maxConcurrent: Invalid value: ", SCALE]),
        ("a word", with("maxConcurrent", json!("half")), &["spec.maxConcurrent: Invalid value: ", SCALE]),
    ]);
    let policy = |budget: Value| json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": "NodeHealthPolicy", "metadata": {"name": "bad"}, "spec": {"budget": budget}});
    assert_refused(vec![
        (
            "a budget over 100 %",
            policy(json!({"maxUnavailable": "101%"})),
            &["spec.budget.maxUnavailable: Invalid value: ", UNAVAILABLE],
        ),
        (
            "a budget below nothing",
            policy(json!({"maxUnavailable": -1})),
            &["spec.budget.maxUnavailable: Invalid value: ", UNAVAILABLE],
        ),
        (
            "a number as a word",
            policy(json!({"maxUnavailable": "ten"})),
            &["spec.budget.maxUnavailable: Invalid value: \"ten\": ", UNAVAILABLE],
        ),
    ]);
}

/// An object of a kind of ours.
fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "gpuhealth.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The API server knows nothing of former names, and takes no text of ours about them: README has the new ones.
#[test]
fn a_kind_under_its_former_name_is_unknown() {
    for kind in ["HealthCheckPolicy", "HardwareProfile"] {
        let words = format!("no matches for kind \"{kind}\" in version \"gpuhealth.dev/v1alpha1\"");
        assert_says(&refused(&object(kind, "old", json!({})), &[]), &[&words]);
    }
}

#[test]
fn a_misspelt_name_in_a_policy_is_refused_with_the_nearest_one() {
    let policy = |spec: Value| object("NodeHealthPolicy", "bad", spec);
    let monitors = |name: &str| policy(json!({"monitors": [{"name": name}]}));
    let checks = |name: &str| policy(json!({"rules": [{"name": "r", "match": {"checks": [name]}}]}));
    for (written, meant) in [
        ("rowRemaps", "rowRemap"),
        ("rowremap", "rowRemap"),
        ("xdi", "xid"),
        ("nvLinks", "nvlink"),
        ("recovryAction", "recoveryAction"),
        ("pcie", "pcieLink"),
    ] {
        let words = format!(
            "spec.monitors[0].name: Invalid value: \"{written}\": no monitor is named {written}: did you mean {meant}?"
        );
        assert_says(&refused(&monitors(written), &[]), &[&words]);
        let words = format!(
            "spec.rules[0].match.checks[0]: Invalid value: \"{written}\": no check is named {written}: did you mean {meant}?"
        );
        assert_says(&refused(&checks(written), &[]), &[&words]);
    }
    assert_says(
        &refused(&monitors("astrology"), &[]),
        &["no monitor is named astrology: the monitors are inventory, driver, xid, "],
    );
    let said = refused(&policy(json!({"monitors": [{"name": "drift"}], "mode": "Enforced"})), &[]);
    assert_says(
        &said,
        &["spec.mode: Unsupported value: \"Enforced\": supported values: \"Observe\", \"Hold\", \"Enforce\""],
    );
}

#[test]
fn a_schedule_with_nonsense_for_a_time_is_refused_with_the_field() {
    const FIELDS: &str =
        "must have five fields (minute, hour, day of the month, month, day of the week), for example 0 3 * * 1-5";
    let schedule = |cron: &str, time_zone: &str| {
        let spec = json!({"targets": {"nodeSelector": {}}, "level": "basic"});
        let schedule = json!({"name": "nightly", "cron": cron, "timeZone": time_zone, "runTemplate": {"spec": spec}});
        object("NodeHealthPolicy", "bad", json!({"schedules": [schedule]}))
    };
    assert_refused(vec![
        (
            "words",
            schedule("every night", "UTC"),
            &["spec.schedules[0].cron: Invalid value: \"every night\": cron every night ", FIELDS],
        ),
        ("six fields", schedule("0 0 3 * * *", "UTC"), &["spec.schedules[0].cron", FIELDS]),
        ("a shortcut", schedule("@midnight", "UTC"), &["spec.schedules[0].cron", FIELDS]),
        (
            "no time zone",
            schedule("0 3 * * *", "Middle Earth"),
            &[
                "spec.schedules[0].timeZone: Invalid value: \"Middle Earth\": timeZone Middle Earth must be a name of the IANA time zone database, for example Europe/Berlin",
            ],
        ),
    ]);
}

#[test]
fn an_override_ends_in_the_future_and_acknowledges_only_the_past() {
    let named = |name: &str, more: Value| {
        let mut spec = json!({"targets": {"nodeNames": ["a"]}, "action": "Ignore", "until": "2999-01-01T00:00:00Z", "reason": "the fan was replaced"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object("NodeHealthOverride", name, spec)
    };
    for flags in [&[][..], &["--server-side"]] {
        let said = refused(&named("late", json!({"until": "2020-01-01T00:00:00Z"})), flags);
        assert_says(
            &said,
            &["spec.until 2020-01-01T00:00:00Z is not in the future: give the time at which the override ends"],
        );
        let said = refused(&named("early", json!({"action": "Acknowledge", "before": "2998-01-01T00:00:00Z"})), flags);
        assert_says(
            &said,
            &["spec.before 2998-01-01T00:00:00Z is in the future: an override acknowledges what has been seen"],
        );
    }
    let (taken, said) = apply(&named("fine", json!({})), &[]);
    assert!(taken, "{said}");
    assert_says(
        &said,
        &["Warning: ", "NodeHealthOverride is not implemented in this version, so this object has no effect"],
    );
    assert!(apply(&named("fine", json!({"until": "2020-01-01T00:00:00Z"})), &[]).0, "an update may end it");
    assert_says(
        &refused(&named("bad", json!({"action": "ForceQuarantined"})), &[]),
        &[
            "spec.action: Unsupported value: \"ForceQuarantined\": supported values: \"Ignore\", \"ForceHealthy\", \"ForceUnhealthy\", \"Acknowledge\"",
        ],
    );
}

#[test]
fn an_empty_or_impossible_range_of_ports_is_refused() {
    const EMPTY: &str = "spec.checks[0].networkBandwidth.ports: Invalid value: the port range is empty: ports.first must not exceed ports.last, for example {first: 5201, last: 5264}";
    let ports = |first: i64, last: i64| {
        checks(json!([{"name": "ring", "networkBandwidth": {"ports": {"first": first, "last": last}}}]))
    };
    assert_refused(vec![
        ("empty", ports(5264, 5201), &[EMPTY]),
        (
            "privileged",
            ports(80, 90),
            &["spec.checks[0].networkBandwidth.ports.first in body should be greater than or equal to 1024"],
        ),
        (
            "no such port",
            ports(5201, 65536),
            &["spec.checks[0].networkBandwidth.ports.last in body should be less than or equal to 65535"],
        ),
    ]);
}

#[test]
fn a_custom_program_is_a_name_and_never_a_path_or_a_command_line() {
    for program in ["/bin/sh", "../sh", "..", "bin/sh", "sh -c true", "Sh", "-x"] {
        let said = refused(&checks(json!([{"name": "c", "custom": {"program": program}}])), &[]);
        let words = format!(
            "spec.checks[0].custom: Invalid value: custom.program {program} must be the name of a program in the directory for custom checks (lowercase letters, digits, hyphens), not a path or a command line"
        );
        assert_says(&said, &[&words]);
    }
    assert_refused(vec![
        (
            "no program",
            checks(json!([{"name": "c", "custom": {}}])),
            &["spec.checks[0].custom.program: Required value"],
        ),
        (
            "a foreign variable",
            checks(json!([{"name": "c", "custom": {"program": "p", "env": {"LD_PRELOAD": "x"}}}])),
            &["keys of custom.env must start with CHECK_"],
        ),
    ]);
}

#[test]
fn a_run_cannot_be_changed_and_a_cancel_cannot_be_taken_back() {
    let named = |more: Value| {
        let mut spec = json!({"targets": {"nodeNames": ["a"]}, "level": "basic"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run("fixed", spec)
    };
    assert!(apply(&named(json!({})), &[]).0);
    for (more, words) in [
        (
            json!({"targets": {"nodeNames": ["a", "b"]}}),
            "spec.targets: Forbidden: targets is immutable: create a new HealthCheckRun",
        ),
        (json!({"level": "other"}), "spec.level: Forbidden: level is immutable: create a new HealthCheckRun"),
        (
            json!({"deadlineSeconds": 60}),
            "spec.deadlineSeconds: Forbidden: deadlineSeconds is immutable: create a new HealthCheckRun",
        ),
        (json!({"limit": 1}), "spec.limit: Forbidden: limit is immutable: create a new HealthCheckRun"),
        (
            json!({"reportOnly": true}),
            "spec.reportOnly: Forbidden: reportOnly is immutable: create a new HealthCheckRun",
        ),
    ] {
        assert_says(&refused(&named(more), &[]), &[words]);
    }
    for more in [
        json!({"suspend": true}),
        json!({"suspend": false}),
        json!({"maxConcurrent": 1}),
        json!({"ttlSecondsAfterFinished": 60}),
    ] {
        let (is_taken, said) = apply(&named(more.clone()), &[]);
        assert!(is_taken, "{more}: {said}");
    }
    assert!(apply(&named(json!({"cancel": true})), &[]).0);
    let said = refused(&named(json!({"cancel": false})), &[]);
    assert_says(&said, &["spec.cancel: Forbidden: cancel cannot be undone: create a new HealthCheckRun"]);
}

#[test]
fn a_status_that_a_person_puts_into_a_run_is_not_stored() {
    let mut object = run("boastful", json!({"targets": {"nodeNames": ["a"]}, "level": "basic"}));
    object["status"] = json!({"phase": "Passed"});
    assert!(apply(&object, &[]).0);
    let phase = shared().unwrap().kubectl_ok(&["get", "hcr", "boastful", "-o", "jsonpath={.status.phase}"]).unwrap();
    assert_eq!(phase, "");
}
