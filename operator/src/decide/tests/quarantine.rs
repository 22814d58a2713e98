//! `status.decision.quarantine`: one value per thing that can be done about a node.

use super::*;
use crate::{
    decide::{decide, model::fixtures::*},
    key::{Key, Kind},
};
use crds::{Quarantine, State};

fn quarantine(model: &Model, node: &str) -> Quarantine {
    decision(model, node).quarantine.clone()
}

fn lost(mut model: Model, nodes: &[&str]) -> Model {
    for node in nodes {
        reports(&mut model, node, lost_gpu_report(0));
    }
    settled(model)
}

#[test]
fn nothing_is_done_about_a_healthy_node_or_under_no_policy() {
    assert_eq!(quarantine(&settled(under(Mode::Enforce, &["a"])), "a"), Quarantine::None);
    let model = lost(model(fixtures::world(&["a"])), &["a"]);
    assert_eq!((&decision(&model, "a").state, quarantine(&model, "a")), (&State::Unhealthy, Quarantine::None));
}

#[test]
fn a_node_with_our_taint_is_active_and_one_over_budget_waits() {
    let model = lost(with_budget(under(Mode::Enforce, &["a", "b"]), 1), &["a", "b"]);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert_eq!(quarantine(&model, "a"), Quarantine::Active);
    assert_eq!(our_taint(&model, "b"), "reboot:PreferNoSchedule");
    assert_eq!(quarantine(&model, "b"), Quarantine::Waiting);
}

#[test]
fn observe_is_a_dry_run_and_what_it_keeps_from_a_former_mode_is_held() {
    let model = lost(under(Mode::Observe, &["a"]), &["a"]);
    assert_eq!(quarantine(&model, "a"), Quarantine::DryRun);
    let mut model = lost(under(Mode::Enforce, &["a"]), &["a"]);
    model.edit_policy("base", |p| p.spec.mode = Mode::Observe);
    let mut model = settled(model);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert_eq!(quarantine(&model, "a"), Quarantine::Held);
    model.world.policies.clear();
    assert_eq!(quarantine(&settled(model), "a"), Quarantine::Held, "its policy is gone");
}

#[test]
fn hold_holds_a_new_fault_and_a_taint_that_outlives_its_fault_but_no_healthy_node_without_a_mark() {
    for by_policy in [true, false] {
        let mut model = lost(under(Mode::Enforce, &["a", "b", "c"]), &["a"]);
        if by_policy {
            model.edit_policy("base", |p| p.spec.mode = Mode::Hold);
        } else {
            model.world.hold_everything = true;
        }
        reports(&mut model, "a", passing_report());
        let model = lost(model, &["b"]);
        assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
        assert_eq!((&decision(&model, "a").state, quarantine(&model, "a")), (&State::Healthy, Quarantine::Held));
        assert_eq!((our_taint(&model, "b").as_str(), quarantine(&model, "b")), ("", Quarantine::Held));
        assert_eq!(quarantine(&model, "c"), Quarantine::None);
    }
}

#[test]
fn the_number_of_gpus_is_told_as_numbers_too_and_is_absent_until_they_are_counted() {
    let mut model = lost(under(Mode::Enforce, &["a", "b"]), &["a"]);
    let count = |model: &Model, node: &str| health_of(model, node).status.as_ref().and_then(|s| s.gpu_count);
    let counted = count(&model, "a").unwrap();
    assert_eq!((counted.healthy, counted.expected), (7, 8));
    model.edit_health("b", |h| h.status.get_or_insert_default().report = None);
    assert_eq!(count(&settled(model), "b"), None);
}

#[test]
fn a_fault_is_told_although_its_taint_or_its_claim_is_refused_and_the_mark_comes_once_it_may() {
    for (kind, name, what) in [(Kind::Node, "a", "taints"), (Kind::Policy, "base", "claims")] {
        let mut model = settled(under(Mode::Enforce, &["a", "b"]));
        model.refused.insert((Key::new(kind, name), what));
        reports(&mut model, "a", lost_gpu_report(0));
        for _ in 0..4 {
            let plan = decide(&model.world, model.now);
            model.apply(&plan);
        }
        assert_eq!(our_taint(&model, "a"), "");
        assert_eq!((&decision(&model, "a").state, quarantine(&model, "a")), (&State::Unhealthy, Quarantine::Refused));
        assert!(
            decision(&model, "a").message.contains("The API server refuses to change the taint, so pods may"),
            "{what}"
        );
        assert_eq!(model.world.nodes["a"].labels.get(names::LABEL_HEALTH), Some("unhealthy"));
        model.refused.clear();
        let model = settled(model);
        assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
        assert_eq!(quarantine(&model, "a"), Quarantine::Active);
    }
}

#[test]
fn a_taint_that_may_not_be_lifted_is_not_told_to_be_gone() {
    let mut model = lost(under(Mode::Enforce, &["a"]), &["a"]);
    model.refused.insert((Key::new(Kind::Node, "a"), "taints"));
    reports(&mut model, "a", passing_report());
    for _ in 0..4 {
        let plan = decide(&model.world, model.now);
        model.apply(&plan);
    }
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert_eq!(quarantine(&model, "a"), Quarantine::Active);
}

#[test]
fn what_is_known_of_a_marked_node_does_not_wait_for_a_claim_that_a_new_policy_may_not_write() {
    let mut model = lost(under(Mode::Enforce, &["a"]), &["a"]);
    model.world.node_healths.remove("a");
    let mut extra = fixtures::policy("extra", Mode::Enforce);
    extra.spec.priority = 9;
    fixtures::add_policy(&mut model.world, extra);
    model.refused.insert((Key::new(Kind::Policy, "extra"), "claims"));
    for _ in 0..4 {
        let plan = decide(&model.world, model.now);
        model.apply(&plan);
    }
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert_eq!((&decision(&model, "a").state, quarantine(&model, "a")), (&State::Unhealthy, Quarantine::Active));
}
