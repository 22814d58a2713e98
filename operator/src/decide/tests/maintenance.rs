//! Maintenance: which labels announce it, what it silences, and what happens when it takes too long.

use super::*;
use crate::decide::{decide, model::fixtures::*};
use crds::{Activity, Outcome, Severity, State, reason};

fn labelled(model: &mut Model, label: &str, value: &str) {
    model.edit_node("a", |n| {
        n.labels.insert(label.into(), value.into());
    });
}

fn reason_of(model: &Model) -> Option<&str> {
    health_of(model, "a").spec.maintenance.as_ref().map(|m| m.reason.as_str())
}

#[test]
fn maintenance_is_announced_by_our_label_and_by_those_of_the_gpu_operator() {
    let upgrade = names::LABEL_DRIVER_UPGRADE;
    let mut table = vec![
        (names::LABEL_MAINTENANCE, "firmware", Some("firmware")),
        (names::LABEL_MAINTENANCE, "", Some("maintenance")),
        (upgrade, "", None),
        (upgrade, "upgrade-required", None),
        (upgrade, "upgrade-done", None),
        ("nvidia.com/gpu.deploy.device-plugin", "true", None),
        (
            "nvidia.com/gpu.deploy.device-plugin",
            "paused-for-driver-upgrade",
            Some("nvidia.com/gpu.deploy.device-plugin"),
        ),
        (names::LABEL_MIG_STATE, "success", None),
        (names::LABEL_MIG_STATE, "failed", None),
        (names::LABEL_MIG_STATE, "pending", Some(names::LABEL_MIG_STATE)),
        (names::LABEL_MIG_STATE, "rebooting", Some(names::LABEL_MIG_STATE)),
    ];
    for state in [
        "cordon-required",
        "wait-for-jobs-required",
        "pod-deletion-required",
        "drain-required",
        "node-maintenance-required",
        "post-maintenance-required",
        "pod-restart-required",
        "validation-required",
        "uncordon-required",
        "upgrade-failed",
    ] {
        table.push((upgrade, state, Some(upgrade)));
    }
    for (label, value, wanted) in table {
        let mut model = settled(under(Mode::Enforce, &["a"]));
        labelled(&mut model, label, value);
        let mut model = settled(model);
        assert_eq!(reason_of(&model), wanted, "{label}={value}");
        let activity = if wanted.is_some() { Activity::Maintenance } else { Activity::None };
        assert_eq!(decision(&model, "a").activity, activity, "{label}={value}");
        model.edit_node("a", |n| {
            n.labels.remove(label);
        });
        assert_eq!(reason_of(&settled(model)), None);
    }
}

#[test]
fn what_a_driver_upgrade_does_opens_no_cause_and_what_was_open_stays() {
    for (check, opens) in [("driver", false), ("inventory", false), ("fabric", false), ("xid", true)] {
        let mut model = settled(under(Mode::Enforce, &["a"]));
        labelled(&mut model, names::LABEL_DRIVER_UPGRADE, "pod-restart-required");
        let bad = report_with(finding(check, "node", Outcome::Fail, Severity::Reboot, "Gone"));
        reports(&mut model, "a", bad.clone());
        let mut model = settled(model);
        assert_eq!(decision(&model, "a").state == State::Unhealthy, opens, "{check}");
        assert_eq!(our_taint(&model, "a").is_empty(), !opens, "{check}");
        labelled(&mut model, names::LABEL_DRIVER_UPGRADE, "upgrade-done");
        let mut model = settled(model);
        assert_eq!(decision(&model, "a").state, State::Unhealthy, "{check}: it is still so afterwards");
        labelled(&mut model, names::LABEL_DRIVER_UPGRADE, "drain-required");
        let mut skipped = passing_report();
        for row in &mut skipped.checks {
            row.outcome = Outcome::Skipped;
            row.reason = Some(reason::MAINTENANCE.into());
            row.covered.clear();
        }
        reports(&mut model, "a", skipped);
        let model = settled(model);
        assert_eq!(decision(&model, "a").state, State::Unhealthy, "{check}: maintenance lifts nothing");
    }
}

#[test]
fn a_maintenance_that_overruns_has_its_own_reason_and_condemns_no_node() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    labelled(&mut model, names::LABEL_DRIVER_UPGRADE, "drain-required");
    let mut model = settled(model);
    let began = model.now;
    let until = health_of(&model, "a").spec.maintenance.as_ref().unwrap().until.unwrap();
    assert_eq!(until, began.plus(3_600));
    model.now = until.plus(-1);
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").reason, reason::ALL_CHECKS_PASSED);
    assert_eq!(decide(&model.world, model.now).wake_at, Some(until));
    // The next state of the same upgrade does not start a new maintenance.
    labelled(&mut model, names::LABEL_DRIVER_UPGRADE, "upgrade-failed");
    model.now = until;
    let mut model = settled(model);
    let decided = decision(&model, "a");
    assert_eq!((&decided.state, decided.reason.as_str()), (&State::Healthy, reason::MAINTENANCE_OVERRUN));
    assert!(decided.message.contains("is taking longer than expected"), "{}", decided.message);
    assert_eq!(our_taint(&model, "a"), "");
    reports(&mut model, "a", lost_gpu_report(3));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").reason, "FallenOffTheBus", "it hides no fault");
    reports(&mut model, "a", passing_report());
    labelled(&mut model, names::LABEL_DRIVER_UPGRADE, "upgrade-done");
    let model = settled(model);
    assert_eq!(decision(&model, "a").reason, reason::ALL_CHECKS_PASSED);
}
