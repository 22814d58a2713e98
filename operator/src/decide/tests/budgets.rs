//! From a judgement to marks: budget, modes, order of writes.

use super::*;
use crate::{
    decide::{decide, model::fixtures::*},
    key::{Key, Kind},
};
use crds::{
    Severity, State, Time,
    node_health_policy::{Claim, DomainBudget, Effect, ReleaseAll, Rule, TaintEffect},
    reason,
};

fn all_lost(model: &mut Model, nodes: &[&str]) {
    for name in nodes {
        reports(model, name, lost_gpu_report(0));
    }
}

#[test]
fn a_limit_is_a_number_or_a_percentage_of_at_least_the_minimum() {
    let table = [
        // maxUnavailable, minimum, nodes, limit
        (Scale::Percent(10), 1, 29, 2),
        (Scale::Percent(10), 1, 5, 1),
        (Scale::Percent(10), 0, 5, 0),
        (Scale::Percent(100), 1, 7, 7),
        (Scale::Percent(1), 4, 10, 4),
        (Scale::Nodes(3), 1, 1000, 3),
        (Scale::Nodes(0), 1, 100, 0),
    ];
    for (max_unavailable, minimum, nodes, limit) in table {
        let budget = Budget { max_unavailable, minimum, per_domain: None };
        assert_eq!(super::super::budget::limit::limit(&budget, nodes), limit, "{budget:?} of {nodes}");
    }
    assert_eq!(super::super::budget::limit::limit(&Budget::default(), 40), 4);
}

#[test]
fn the_claim_comes_before_the_taint_and_the_taint_before_the_words() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    all_lost(&mut model, &["a"]);
    let plan = decide(&model.world, model.now);
    let claim = index_of(&plan, |w| matches!(w, Write::PolicyClaims { .. }));
    let taint = index_of(&plan, |w| matches!(w, Write::NodeTaints { .. }));
    let counts = index_of(&plan, |w| matches!(w, Write::PolicyStatus { .. }));
    assert_eq!((&plan.steps[claim].after, &plan.steps[counts].after), (&Vec::new(), &Vec::new()));
    assert_eq!(plan.steps[taint].after, [claim]);
    for step in &plan.steps[taint + 1..counts] {
        assert_eq!(step.after, [taint], "{:?}", step.write);
    }
    assert_eq!(plan.steps.len(), 6, "claim, taint, condition, marks, status, counts: {plan:#?}");
    assert!(plan.events.iter().all(|e| e.after.is_some()));
    assert_eq!(plan.events.len(), 2, "one on the Node, one on the NodeHealth");
}

#[test]
fn a_claim_is_dropped_once_its_node_is_seen_without_a_mark() {
    let mut model = under(Mode::Enforce, &["a"]);
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    assert_eq!(claimed(&model, "base"), ["a"]);
    reports(&mut model, "a", passing_report());
    let plan = decide(&model.world, model.now);
    assert!(!plan.steps.iter().any(|step| matches!(step.write, Write::PolicyClaims { .. })), "{plan:#?}");
    model.apply(&plan);
    assert_eq!((our_taint(&model, "a"), claimed(&model, "base")), (String::new(), vec!["a".to_owned()]));
    let plan = decide(&model.world, model.now);
    let drop = index_of(&plan, |w| matches!(w, Write::PolicyClaims { .. }));
    assert_eq!(plan.steps[drop].after, [0_usize; 0]);
    assert!(
        !plan.steps.iter().any(|step| matches!(step.write, Write::NodeTaints { .. })),
        "it does not flap: {plan:#?}"
    );
    let model = settled(model);
    assert_eq!(claimed(&model, "base"), [""; 0]);
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "healthy");
}

/// The server refuses these kinds of write until further notice.
fn refuses(model: &mut Model, refused: &[(Kind, &str, &'static str)]) {
    model.refused = refused.iter().map(|(kind, name, write)| (Key::new(*kind, *name), *write)).collect();
}

/// Decides and writes a few times, whatever is left to do.
fn goes_on(model: &mut Model) {
    model.settle(6);
}

#[test]
fn a_write_that_is_refused_on_one_node_keeps_no_claim_of_another() {
    for refused in ["taints", "marks", "condition"] {
        let mut model = with_budget(under(Mode::Enforce, &["a", "b", "c"]), 2);
        all_lost(&mut model, &["a", "b"]);
        let mut model = settled(model);
        refuses(&mut model, &[(Kind::Node, "a", refused), (Kind::NodeHealth, "a", "decision")]);
        for name in ["a", "b"] {
            reports(&mut model, name, passing_report());
        }
        goes_on(&mut model);
        assert!(!claimed(&model, "base").contains(&"b".to_owned()), "{refused}");
        all_lost(&mut model, &["c"]);
        goes_on(&mut model);
        assert_eq!(our_taint(&model, "c"), "reboot:NoSchedule", "{refused}: the slot of b is free");
    }
}

#[test]
fn a_recovered_node_does_not_flap_while_the_claims_of_its_policy_cannot_be_written() {
    let mut model = under(Mode::Enforce, &["a"]);
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    refuses(&mut model, &[(Kind::Policy, "base", "claims"), (Kind::Policy, "base", "status")]);
    reports(&mut model, "a", passing_report());
    goes_on(&mut model);
    let rest = node_of(&model, "a").clone();
    goes_on(&mut model);
    assert_eq!(our_taint(&model, "a"), "");
    assert_eq!(*node_of(&model, "a"), rest);
    model.refused.clear();
    assert_eq!(claimed(&settled(model), "base"), [""; 0]);
}

#[test]
fn counts_that_are_refused_keep_no_claim_and_claims_that_are_refused_keep_no_count() {
    let mut model = settled(under(Mode::Enforce, &["a", "b"]));
    refuses(&mut model, &[(Kind::Policy, "base", "status")]);
    all_lost(&mut model, &["a"]);
    goes_on(&mut model);
    assert_eq!((our_taint(&model, "a").as_str(), claimed(&model, "base")), ("reboot:NoSchedule", vec!["a".to_owned()]));
    assert_eq!(policy_status(&model, "base").counts.unhealthy, 0);
    refuses(&mut model, &[(Kind::Policy, "base", "claims")]);
    reports(&mut model, "a", passing_report());
    goes_on(&mut model);
    assert_eq!(policy_status(&model, "base").counts.healthy, 2);
    assert_eq!(claimed(&model, "base"), ["a"]);
}

/// A second policy with a higher priority than `base`.
fn overrule(model: &mut Model, mode: Mode, budget: i64) {
    let mut policy = fixtures::policy("second", mode);
    policy.spec.priority = 5;
    policy.spec.budget = Budget { max_unavailable: Scale::Nodes(budget), minimum: 0, ..Budget::default() };
    fixtures::add_policy(&mut model.world, policy);
}

#[test]
fn a_claim_moves_to_the_policy_that_governs_the_node_now_and_needs_no_room_there() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let mut model = with_budget(under(Mode::Enforce, &["a", "b"]), 2);
        all_lost(&mut model, &["a", "b"]);
        let mut model = settled(model);
        overrule(&mut model, mode, 1);
        let plan = decide(&model.world, model.now);
        model.apply(&plan);
        assert_eq!(claimed(&model, "second"), ["a", "b"], "{mode:?}");
        assert_eq!(claimed(&model, "base"), ["a", "b"], "{mode:?}: added first, then dropped");
        let model = settled(model);
        assert_eq!((claimed(&model, "second").len(), claimed(&model, "base").len()), (2, 0), "{mode:?}");
        assert_eq!((policy_status(&model, "second").budget.used, policy_status(&model, "base").budget.used), (2, 0));
        assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    }
}

#[test]
fn a_policy_that_lost_its_nodes_spends_its_budget_on_those_that_are_left() {
    let mut model = with_budget(under(Mode::Enforce, &["a", "b"]), 1);
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    overrule(&mut model, Mode::Enforce, 1);
    model.edit_node("a", |n| {
        n.labels.insert("team".into(), "vision".into());
    });
    model.edit_policy("second", |p| {
        p.spec.node_selector.match_labels = [("team".to_owned(), "vision".to_owned())].into();
    });
    let mut model = settled(model);
    all_lost(&mut model, &["b"]);
    let model = settled(model);
    assert_eq!(our_taint(&model, "b"), "reboot:NoSchedule");
    assert_eq!((claimed(&model, "second"), claimed(&model, "base")), (vec!["a".to_owned()], vec!["b".to_owned()]));
}

#[test]
fn marks_of_a_deleted_policy_count_against_the_limit_of_their_failure_domain() {
    let mut model = with_budget(under(Mode::Enforce, &["a", "b", "c", "d"]), 2);
    for (name, rack) in [("a", "r1"), ("b", "r1"), ("c", "r2"), ("d", "r2")] {
        model.edit_node(name, |n| {
            n.labels.insert("rack".into(), rack.into());
        });
    }
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    model.world.policies.remove("base");
    let mut policy = fixtures::policy("second", Mode::Enforce);
    policy.spec.budget = Budget {
        max_unavailable: Scale::Percent(50),
        minimum: 0,
        per_domain: Some(DomainBudget { topology_key: "rack".into(), max_unavailable: None }),
    };
    fixtures::add_policy(&mut model.world, policy);
    // A claim for the mark that stands is refused for now: it counts all the same.
    refuses(&mut model, &[(Kind::Policy, "second", "claims")]);
    all_lost(&mut model, &["b"]);
    let plan = decide(&model.world, model.now);
    let claims = plan.steps.iter().find_map(|step| match &step.write {
        Write::PolicyClaims { claims, .. } => Some(claims.iter().map(|c| c.node.as_str()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(claims, Some(vec!["a"]), "one of two nodes of rack r1 is out of service");
}

#[test]
fn over_budget_only_what_removes_capacity_waits() {
    let mut model = with_budget(under(Mode::Enforce, &["a", "b"]), 1);
    all_lost(&mut model, &["b"]);
    let mut model = settled(model);
    all_lost(&mut model, &["a"]);
    let plan = decide(&model.world, model.now);
    assert!(plan.events.iter().any(|e| e.reason == reason::BUDGET_EXHAUSTED));
    let model = settled(model);
    assert_eq!(our_taint(&model, "b"), "reboot:NoSchedule");
    assert_eq!(our_taint(&model, "a"), "reboot:PreferNoSchedule");
    let waiting = decision(&model, "a");
    assert_eq!(waiting.state, State::Unhealthy);
    assert_eq!(waiting.quarantine, crds::Quarantine::Waiting);
    assert!(waiting.message.contains("Waiting for a slot in the budget of policy base"), "{}", waiting.message);
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "unhealthy");
    assert_eq!(node_of(&model, "a").condition.as_ref().unwrap().status, "False");
    let status = policy_status(&model, "base");
    assert_eq!((status.counts.unhealthy, status.counts.waiting), (2, 1));
    assert_eq!((status.budget.limit, status.budget.used), (1, 1));
    let exhausted = condition(&status.conditions, "BudgetExhausted");
    assert_eq!(exhausted.status, "True");
    assert!(exhausted.message.contains("Nodes waiting: a."), "{}", exhausted.message);
}

#[test]
fn a_freed_slot_goes_to_the_node_that_waits() {
    let mut model = with_budget(under(Mode::Enforce, &["a", "b"]), 1);
    all_lost(&mut model, &["a", "b"]);
    let mut model = settled(model);
    assert_eq!(claimed(&model, "base"), ["a"]);
    reports(&mut model, "a", passing_report());
    let model = settled(model);
    assert_eq!(claimed(&model, "base"), ["b"]);
    assert_eq!(our_taint(&model, "b"), "reboot:NoSchedule");
    assert_eq!(our_taint(&model, "a"), "");
}

#[test]
fn the_worst_node_gets_the_slot() {
    let mut model = with_budget(under(Mode::Enforce, &["a", "b"]), 1);
    all_lost(&mut model, &["a"]);
    let worse = finding("xid", "node", crds::Outcome::Fail, Severity::Isolate, "Xid79");
    reports(&mut model, "b", report_with(worse));
    assert_eq!(claimed(&settled(model), "base"), ["b"]);
}

#[test]
fn a_node_cordoned_by_others_or_not_ready_counts_as_held() {
    for ready in [true, false] {
        let mut model = with_budget(under(Mode::Enforce, &["a", "b"]), 1);
        model.edit_node("b", |n| {
            n.ready = ready;
            n.unschedulable = ready;
        });
        all_lost(&mut model, &["a"]);
        let model = settled(model);
        assert_eq!(our_taint(&model, "a"), "reboot:PreferNoSchedule");
        assert_eq!(policy_status(&model, "base").budget.used, 1);
        assert_eq!(node_of(&model, "b").unschedulable, ready, "cordons are not ours");
    }
}

#[test]
fn each_failure_domain_has_a_limit_of_its_own_and_by_default_the_same_again() {
    let mut model = with_budget(under(Mode::Enforce, &["a", "b", "c", "d"]), 4);
    model.edit_policy("base", |p| {
        p.spec.budget = Budget {
            max_unavailable: Scale::Percent(50),
            minimum: 0,
            per_domain: Some(DomainBudget { topology_key: "rack".into(), max_unavailable: None }),
        };
    });
    for (name, rack) in [("a", "r1"), ("b", "r1"), ("c", "r2"), ("d", "r2")] {
        model.edit_node(name, |n| {
            n.labels.insert("rack".into(), rack.into());
        });
    }
    all_lost(&mut model, &["a", "b"]);
    let mut model = settled(model);
    assert_eq!(claimed(&model, "base"), ["a"], "one of two in rack r1, though two of four are allowed");
    let domains = &policy_status(&model, "base").budget.per_domain;
    let told: Vec<_> = domains.iter().map(|d| (d.domain.as_str(), d.used, d.limit)).collect();
    assert_eq!(told, [("r1", 1, 1), ("r2", 0, 1)], "the fullest first");
    model.edit_policy("base", |p| {
        p.spec.budget.per_domain.as_mut().unwrap().max_unavailable = Some(Scale::Nodes(2));
    });
    let model = settled(model);
    assert_eq!(claimed(&model, "base"), ["a", "b"], "a limit of its own");
}

#[test]
fn observe_adds_no_mark_but_says_what_enforce_would_hold() {
    let mut model = with_budget(under(Mode::Observe, &["a", "b"]), 1);
    all_lost(&mut model, &["a", "b"]);
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "");
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "");
    assert_eq!(label(&model, "a", names::LABEL_AGENT), "true", "plumbing");
    assert_eq!(node_of(&model, "a").condition, None);
    assert_eq!(node_of(&model, "a").summary, None);
    assert!(decision(&model, "a").message.ends_with("No marks set: policy base is in mode Observe."));
    let status = policy_status(&model, "base");
    assert_eq!((status.counts.unhealthy, status.counts.waiting), (2, 1));
    assert_eq!(claimed(&model, "base"), [""; 0]);
}

#[test]
fn hold_neither_adds_nor_lifts_and_still_judges() {
    let mut model = under(Mode::Enforce, &["a", "b"]);
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    for by_policy in [true, false] {
        model.edit_policy("base", |p| {
            p.spec.mode = if by_policy { Mode::Hold } else { Mode::Enforce };
        });
        model.world.hold_everything = !by_policy;
        reports(&mut model, "a", passing_report());
        all_lost(&mut model, &["b"]);
        model = settled(model);
        assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
        assert_eq!(label(&model, "a", names::LABEL_HEALTH), "unhealthy");
        assert_eq!(our_taint(&model, "b"), "");
        assert_eq!(claimed(&model, "base"), ["a"]);
        assert_eq!(decision(&model, "a").state, State::Healthy);
        assert_eq!(decision(&model, "b").state, State::Unhealthy);
    }
    model.world.hold_everything = false;
    let model = settled(model);
    assert_eq!((our_taint(&model, "a"), our_taint(&model, "b")), (String::new(), "reboot:NoSchedule".into()));
}

fn released(before: Time) -> ReleaseAll {
    ReleaseAll { before, reason: "the vendor says so".into() }
}

#[test]
fn release_all_removes_only_marks_that_are_older_than_its_time_and_not_before_that_time() {
    // The fault is decided at START + 5.
    for (before, asked, is_released) in [(5, 10, false), (6, 10, true), (20, 10, false), (20, 20, true)] {
        let mut model = under(Mode::Enforce, &["a"]);
        all_lost(&mut model, &["a"]);
        let mut model = settled(model);
        model.edit_policy("base", |p| {
            p.spec.mode = Mode::Observe;
            p.spec.release_all = Some(released(START.plus(before)));
        });
        let wakes = decide(&model.world, model.now).wake_at;
        assert!(before < 20 || wakes == Some(START.plus(before)), "{wakes:?}");
        model.now = START.plus(asked);
        let model = settled(model);
        assert_eq!(our_taint(&model, "a").is_empty(), is_released, "before {before}, at {asked}");
    }
}

#[test]
fn a_mark_without_a_record_is_as_old_as_its_annotation_says_and_older_than_any_time_without_one() {
    for (annotated, before, is_released) in [(true, 5, false), (true, 6, true), (false, 1, true)] {
        let mut model = under(Mode::Enforce, &["a"]);
        all_lost(&mut model, &["a"]);
        let mut model = settled(model);
        model.edit_health("a", |health| health.status.as_mut().unwrap().decision = None);
        model.edit_node("a", |node| node.summary = node.summary.take().filter(|_| annotated));
        model.edit_policy("base", |p| {
            p.spec.mode = Mode::Observe;
            p.spec.release_all = Some(released(START.plus(before)));
        });
        model.now = START.plus(10);
        let plan = decide(&model.world, model.now);
        let removes = plan.steps.iter().any(|step| match &step.write {
            Write::NodeTaints { taints, .. } => taints.is_empty(),
            _ => false,
        });
        assert_eq!(removes, is_released, "annotated {annotated}, before {before}");
    }
}

#[test]
fn marks_of_a_former_policy_stay_until_evidence_lifts_them_or_they_are_released() {
    type Change = fn(&mut Model);
    let table: [(&str, Change, bool); 4] = [
        ("the policy observes now", |m| m.edit_policy("base", |p| p.spec.mode = Mode::Observe), true),
        (
            "the policy is gone",
            |m| {
                m.world.policies.remove("base");
            },
            true,
        ),
        (
            "a pass under Observe",
            |m| {
                m.edit_policy("base", |p| p.spec.mode = Mode::Observe);
                reports(m, "a", passing_report());
            },
            false,
        ),
        (
            "releaseAll",
            |m| {
                m.now = START.plus(10);
                m.edit_policy("base", |p| {
                    p.spec.mode = Mode::Observe;
                    p.spec.release_all = Some(released(START.plus(6)));
                });
            },
            false,
        ),
    ];
    for (what, change, stays) in table {
        let mut model = under(Mode::Enforce, &["a"]);
        all_lost(&mut model, &["a"]);
        let mut model = settled(model);
        change(&mut model);
        let model = settled(model);
        assert_eq!(our_taint(&model, "a") == "reboot:NoSchedule", stays, "{what}");
        assert_eq!(label(&model, "a", names::LABEL_HEALTH) == "unhealthy", stays, "{what}");
        assert_eq!(node_of(&model, "a").summary.is_some(), stays, "{what}");
        assert_eq!(node_of(&model, "a").condition.is_some(), stays, "{what}");
        assert_eq!(decision(&model, "a").message.contains(reason::HELD_BY_FORMER_POLICY), stays, "{what}");
        assert_eq!(model.claims().count() == 0, !stays || what.contains("gone"), "{what}");
    }
}

#[test]
fn a_rule_gives_the_taint_its_effect_and_only_what_removes_capacity_needs_a_claim() {
    use TaintEffect::{NoExecute, None, PreferNoSchedule};
    for (effect, taint, claims) in
        [(NoExecute, "reboot:NoExecute", 1), (PreferNoSchedule, "reboot:PreferNoSchedule", 0), (None, "", 0)]
    {
        let mut model = under(Mode::Enforce, &["a"]);
        model.edit_policy("base", |p| {
            p.spec.rules = vec![Rule {
                name: "all".into(),
                effect: Some(Effect { taint: effect, ..Effect::default() }),
                ..Rule::default()
            }];
        });
        all_lost(&mut model, &["a"]);
        let model = settled(model);
        assert_eq!(our_taint(&model, "a"), taint);
        assert_eq!(model.claims().count(), claims);
    }
}

#[test]
fn foreign_taints_keep_their_order_and_ours_its_place() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_node("a", |n| {
        n.taints = vec![
            super::fixtures::taint("dedicated", "x", "NoSchedule"),
            super::fixtures::taint(names::TAINT_UNHEALTHY, "reset", "NoSchedule"),
            super::fixtures::taint(names::TAINT_CHECKING, "run", "NoSchedule"),
        ];
    });
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    let keys = |m: &Model| -> Vec<String> { node_of(m, "a").taints.iter().map(|t| t.key.clone()).collect() };
    assert_eq!(keys(&model), ["dedicated", names::TAINT_UNHEALTHY, names::TAINT_CHECKING]);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    reports(&mut model, "a", passing_report());
    assert_eq!(keys(&settled(model)), ["dedicated", names::TAINT_CHECKING]);
}

#[test]
fn a_mark_that_somebody_removes_is_set_again_under_a_claim_for_the_node_as_it_is_now() {
    let mut model = under(Mode::Enforce, &["a"]);
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    // Somebody removes our taint; a former leader may still write.
    model.edit_node("a", |n| n.taints.clear());
    let version = node_of(&model, "a").resource_version.clone();
    let plan = decide(&model.world, model.now);
    let claims =
        index_of(&plan, |w| matches!(w, Write::PolicyClaims { claims, .. } if claims[0].node_version == version));
    let taint = index_of(&plan, |w| matches!(w, Write::NodeTaints { .. }));
    assert_eq!(plan.steps[taint].after, [claims]);
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert_eq!(claimed(&model, "base"), ["a"]);
}

#[test]
fn a_claim_that_a_leader_left_before_its_mark_is_used_or_ends_after_a_write_to_its_node() {
    for is_lost in [true, false] {
        let mut model = settled(under(Mode::Enforce, &["a"]));
        let node_version = node_of(&model, "a").resource_version.clone();
        model.edit_policy("base", |p| {
            let claim = Claim { node: "a".into(), uid: "a-uid".into(), node_version, ..Claim::default() };
            p.status.get_or_insert_default().budget.claims = vec![claim];
        });
        if is_lost {
            all_lost(&mut model, &["a"]);
        }
        let plan = decide(&model.world, model.now);
        assert!(!plan.steps.iter().any(|step| matches!(step.write, Write::PolicyClaims { .. })), "{plan:#?}");
        assert!(plan.steps.iter().any(|step| matches!(step.write, Write::NodeTaints { .. })), "{plan:#?}");
        let model = settled(model);
        assert_eq!(claimed(&model, "base").len(), usize::from(is_lost));
        assert_eq!(our_taint(&model, "a"), if is_lost { "reboot:NoSchedule" } else { "" });
    }
}

#[test]
fn the_claim_of_a_node_that_is_gone_or_was_replaced_is_dropped() {
    for replaced in [true, false] {
        let mut model = under(Mode::Enforce, &["a", "b"]);
        all_lost(&mut model, &["a"]);
        let mut model = settled(model);
        model.world.nodes.remove("a");
        // Our view of Nodes is newer than the claim.
        model.edit_node("b", |n| n.boot_id.push('2'));
        if replaced {
            let mut node = fixtures::node("a");
            node.uid = "a-second-uid".into();
            node.resource_version = model.next_version();
            model.world.nodes.insert("a".into(), Arc::new(node));
        }
        let model = settled(model);
        assert_eq!(claimed(&model, "base"), [""; 0]);
    }
}

#[test]
fn a_mark_that_hold_keeps_after_its_cause_was_lifted_is_not_adopted() {
    let mut model = under(Mode::Enforce, &["a"]);
    all_lost(&mut model, &["a"]);
    let mut model = settled(model);
    model.world.hold_everything = true;
    let odd = finding("inventory", "node", crds::Outcome::Warn, Severity::Monitor, "Odd");
    reports(&mut model, "a", report_with(odd));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Suspect);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    model.world.hold_everything = false;
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "");
}
