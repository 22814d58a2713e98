//! What is told about a policy that cannot be followed to the letter, and that the rest of it applies.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{Condition, node_health_policy::NodeHealthPolicySpec, reason};
use serde_json::{Value, json};

/// A node under a policy that enforces and has this in its spec.
fn under_spec(more: Value) -> Model {
    let mut model = under(Mode::Enforce, &["a"]);
    let mut spec: NodeHealthPolicySpec = serde_json::from_value(more).unwrap();
    spec.mode = Mode::Enforce;
    model.edit_policy("base", |policy| policy.spec = spec.clone());
    settled(model)
}

fn accepted(model: &Model) -> Condition {
    condition(&policy_status(model, "base").conditions, "Accepted").clone()
}

fn schedule(cron: &str, time_zone: &str) -> Value {
    let spec = json!({"targets": {"nodeSelector": {}}, "level": "basic"});
    json!({"schedules": [{"name": "nightly", "cron": cron, "timeZone": time_zone, "runTemplate": {"spec": spec}}]})
}

#[test]
fn a_policy_with_nothing_to_object_to_is_accepted() {
    let told = accepted(&under_spec(
        json!({"rules": [{"name": "r", "match": {"reasons": ["FallenOffTheBus", "RemapFailed"]}}]}),
    ));
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("True", reason::POLICY_ACCEPTED));
}

#[test]
fn each_objection_names_the_field_and_the_nearest_name() {
    for (spec, why, says) in [
        (
            schedule("0 25 * * *", "UTC"),
            reason::INVALID_SPEC,
            "spec.schedules[name=nightly].cron: hour: \"25\" is no number from 0 to 23.",
        ),
        (schedule("0 0 31 2 *", "UTC"), reason::INVALID_SPEC, "never comes true"),
        (
            schedule("0 3 * * *", "Europe/Belin"),
            reason::INVALID_SPEC,
            "spec.schedules[name=nightly].timeZone: the IANA database has no time zone Europe/Belin; did you mean Europe/Berlin?",
        ),
        (
            json!({"monitors": [{"name": "rowRemaps"}]}),
            reason::UNKNOWN_NAME,
            "spec.monitors: no monitor is named rowRemaps; did you mean rowRemap?",
        ),
        (
            json!({"rules": [{"name": "r", "match": {"checks": ["xidd"]}}]}),
            reason::UNKNOWN_NAME,
            "spec.rules[name=r].match.checks: no check is named xidd; did you mean xid?",
        ),
        (
            json!({"rules": [{"name": "r", "match": {"reasons": ["FallenOfTheBus"]}}]}),
            reason::UNKNOWN_NAME,
            "spec.rules[name=r].match.reasons: no reason of a check is named FallenOfTheBus; did you mean FallenOffTheBus?",
        ),
        (
            json!({"gate": {"level": "basik"}}),
            reason::UNKNOWN_NAME,
            "spec.gate.level: no level is named basik; did you mean basic?",
        ),
        (
            json!({"gate": {"level": "mine"}, "levels": [{"name": "mine", "checks": []}]}),
            reason::NOT_IMPLEMENTED,
            "Not implemented in this version: spec.gate, spec.levels. Everything else applies. Nodes governed by this policy: 1.",
        ),
    ] {
        let told = accepted(&under_spec(spec.clone()));
        assert_eq!((told.status.as_str(), told.reason.as_str()), ("False", why), "{spec}: {}", told.message);
        assert!(told.message.contains(says), "{spec}: {}", told.message);
    }
}

#[test]
fn a_custom_check_and_a_drill_have_reasons_of_their_own() {
    for checks in [json!(["custom/disk", "xid"]), json!(["drill"])] {
        let spec = json!({"rules": [{"name": "r", "match": {"checks": checks, "reasons": ["DiskSlow"]}}]});
        assert_eq!(accepted(&under_spec(spec)).status, "True", "{checks}");
    }
}

#[test]
fn a_policy_that_is_not_accepted_governs_with_the_rest_and_is_ready() {
    let mut model = under_spec(
        json!({"storm": {}, "rules": [{"name": "r", "match": {"checks": ["xidd"]}, "effect": {"taint": "None"}}]}),
    );
    reports(&mut model, "a", lost_gpu_report(0));
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule", "a misspelt name matches nothing");
    assert_eq!(condition(&policy_status(&model, "base").conditions, "Ready").status, "True");
}

#[test]
fn a_rule_of_which_a_part_is_not_built_does_nothing() {
    for (more, taint) in [
        (json!({}), "reboot:NoExecute"),
        (json!({"after": {"occurrences": 3, "withinSeconds": 600}}), "reboot:NoSchedule"),
        (json!({"minPrecisionPercent": 90}), "reboot:NoSchedule"),
    ] {
        let mut rule = json!({"name": "r", "effect": {"taint": "NoExecute"}});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut model = under_spec(json!({"rules": [rule]}));
        reports(&mut model, "a", lost_gpu_report(0));
        assert_eq!(our_taint(&settled(model), "a"), taint, "{more}");
    }
}

#[test]
fn a_rule_matches_by_code_and_by_outcome() {
    for (wanted, taint) in [
        (json!({"codes": [79]}), "reboot:NoExecute"),
        (json!({"codes": ["79"], "outcomes": ["Fail"]}), "reboot:NoExecute"),
        (json!({"codes": [48]}), "reboot:NoSchedule"),
        (json!({"outcomes": ["Warn"]}), "reboot:NoSchedule"),
    ] {
        let mut model =
            under_spec(json!({"rules": [{"name": "r", "match": wanted, "effect": {"taint": "NoExecute"}}]}));
        let mut report = lost_gpu_report(0);
        report.findings[0].code = Some("79".into());
        reports(&mut model, "a", report);
        let model = settled(model);
        assert_eq!(our_taint(&model, "a"), taint, "{wanted}");
        assert_eq!(decision(&model, "a").causes[0].code.as_deref(), Some("79"));
    }
}

#[test]
fn a_policy_whose_selector_matches_no_node_says_so() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_policy("base", |p| p.spec.node_selector.match_labels = [("rack".to_owned(), "r9".to_owned())].into());
    let told = accepted(&settled(model));
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("True", reason::NO_MATCH));
    assert_eq!(told.message, "No accelerator node matches spec.nodeSelector.");
}

#[test]
fn nodes_are_counted_by_state_and_a_claim_says_since_when() {
    let mut model = under(Mode::Enforce, &["a", "b", "c", "d"]);
    reports(&mut model, "a", lost_gpu_report(0));
    let mut blind = passing_report();
    blind.checks[2].outcome = crds::Outcome::Inconclusive;
    reports(&mut model, "b", blind);
    model.edit_health("c", |health| health.status = None);
    model.edit_node("d", |node| {
        node.labels.insert(names::LABEL_MAINTENANCE.into(), "firmware".into());
    });
    let model = settled(model);
    let counts = &policy_status(&model, "base").counts;
    assert_eq!((counts.matched, counts.healthy, counts.unhealthy, counts.unknown), (4, 2, 1, 1), "{counts:?}");
    assert_eq!((counts.suspect, counts.waiting, counts.maintenance, counts.covered), (0, 0, 1, 2), "{counts:?}");
    assert_eq!(policy_status(&model, "base").budget.claims[0].since, START.plus(5));
}
