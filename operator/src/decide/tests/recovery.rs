//! The ways out: how a mark that was not earned, or not here, goes again.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{Outcome, State, node_health_policy::ClaimFor, reason};

/// A person taints the node with our key.
fn tainted_by_a_person() -> Model {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_node("a", |n| {
        n.taints.push(super::fixtures::taint(names::TAINT_UNHEALTHY, "reset", "NoSchedule"));
    });
    model
}

fn skipped(check: &str, why: &str) -> Report {
    let mut report = passing_report();
    for row in report.checks.iter_mut().filter(|row| row.check == check) {
        (row.outcome, row.reason) = (Outcome::Skipped, Some(why.into()));
        row.covered.clear();
    }
    report
}

#[test]
fn a_persons_taint_with_our_key_goes_once_every_check_passes_or_does_not_apply() {
    let table = [
        ("all pass", passing_report(), true),
        ("one does not apply", skipped("fabric", reason::NOT_APPLICABLE), true),
        ("one is not supported", skipped("rowRemap", reason::NOT_SUPPORTED), true),
        ("a maintenance", skipped("driver", reason::MAINTENANCE), false),
        ("the time after a boot", skipped("driver", reason::BOOT_GRACE), false),
        ("no accelerator: all may be lost", skipped("inventory", reason::NO_ACCELERATOR), false),
    ];
    for (what, report, goes) in table {
        let mut model = tainted_by_a_person();
        reports(&mut model, "a", Report { checks: Vec::new().into(), ..passing_report() });
        let mut model = settled(model);
        assert_eq!(decision(&model, "a").reason, reason::ADOPTED, "{what}");
        reports(&mut model, "a", report);
        let model = settled(model);
        assert_eq!(our_taint(&model, "a").is_empty(), goes, "{what}");
    }
}

/// What a node was marked for, after its NodeHealth was lost: each as `check target`.
fn adopted(annotation: &str, claim: Option<(&str, &str)>) -> Vec<String> {
    let mut model = tainted_by_a_person();
    model.edit_node("a", |n| n.summary = Some(annotation.to_owned()));
    reports(&mut model, "a", Report { checks: Vec::new().into(), ..passing_report() });
    let version = node_of(&model, "a").resource_version.clone();
    if let Some((check, target)) = claim {
        model.edit_policy("base", |p| {
            p.status.get_or_insert_default().budget.claims = vec![crds::node_health_policy::Claim {
                node: "a".into(),
                uid: "a-uid".into(),
                node_version: version,
                since: START,
                for_: ClaimFor { check: Some(check.into()), target: Some(target.into()), ..ClaimFor::default() },
            }];
        });
    }
    let model = settled(model);
    decision(&model, "a").causes.iter().map(|cause| format!("{} {}", cause.check, cause.target)).collect()
}

#[test]
fn a_lost_record_is_adopted_from_the_claim_and_all_that_the_annotation_lists() {
    let listed = r#"{"state":"Unhealthy","severity":"Reset","causes":[
        {"check":"xid","target":"0000:13:00.0","reason":"Xid79"},
        {"check":"rowRemap","target":"0000:14:00.0","reason":"RemapFailed"}]}"#;
    let mut causes = adopted(listed, Some(("inventory", "node")));
    causes.sort();
    assert_eq!(causes, ["inventory node", "rowRemap 0000:14:00.0", "xid 0000:13:00.0"]);
    let mut causes = adopted(listed, Some(("xid", "0000:13:00.0")));
    causes.sort();
    assert_eq!(causes, ["rowRemap 0000:14:00.0", "xid 0000:13:00.0"]);
}

#[test]
fn what_is_cut_or_misspelt_in_an_annotation_waits_for_every_check_and_not_for_ever() {
    let long = "x".repeat(200);
    for (check, target) in [(long.as_str(), "node"), ("xid", long.as_str()), ("nonsense", "node"), ("xid…", "node")] {
        let listed = format!(
            r#"{{"state":"Unhealthy","severity":"Reset","causes":[{{"check":"{check}","target":"{target}","reason":"R"}}]}}"#
        );
        assert_eq!(adopted(&listed, None), ["adopted node"], "{check} {target}");
    }
}

#[test]
fn an_adopted_node_with_two_causes_stays_marked_until_both_have_passed() {
    let mut model = under(Mode::Enforce, &["a"]);
    let mut report = lost_gpu_report(3);
    let mut row = finding("rowRemap", &address(4), Outcome::Fail, crds::Severity::Reset, "RemapFailed");
    row.message.clear();
    report.findings.push(row);
    report.checks.iter_mut().filter(|row| row.check == "rowRemap").for_each(|row| row.outcome = Outcome::Fail);
    reports(&mut model, "a", report);
    let mut model = settled(model);
    model.world.node_healths.remove("a");
    let mut model = settled(model);
    let mut half = passing_report();
    half.checks.retain(|row| row.check != "rowRemap");
    reports(&mut model, "a", half);
    let mut model = settled(model);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule", "the claim was for xid; the annotation lists rowRemap too");
    reports(&mut model, "a", passing_report());
    let model = settled(model);
    assert_eq!((&decision(&model, "a").state, our_taint(&model, "a").as_str()), (&State::Healthy, ""));
}
