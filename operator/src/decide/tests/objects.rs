//! Which objects exist, and what they order.

use super::*;
use crate::{
    decide::{Memo, Room, decide, decide_again, decide_within, model::fixtures::*},
    key::Key,
};
use crds::{
    Activity, Selector, State,
    node_health::{Assignment, Certification},
    node_health_policy::{Drills, Output, Outputs, PolicyMonitor},
    reason,
};

fn bare(edit: impl FnOnce(&mut Node)) -> Model {
    let mut node = fixtures::node("a");
    node.accelerators.clear();
    edit(&mut node);
    let mut world = World::default();
    world.nodes.insert("a".into(), Arc::new(node));
    model(world)
}

fn zone(zone: &str) -> Selector {
    Selector { match_labels: [("zone".to_owned(), zone.to_owned())].into(), ..Selector::default() }
}

#[test]
#[allow(clippy::too_many_lines)] // Two tables.
fn a_node_has_a_node_health_if_it_shows_an_accelerator_or_somebody_selects_it() {
    type Edit = fn(&mut Model);
    type EditNode = fn(&mut Node);
    let policy_for = |model: &mut Model, selector: Selector| {
        let mut policy = fixtures::policy("base", Mode::Observe);
        policy.spec.node_selector = selector;
        fixtures::add_policy(&mut model.world, policy);
    };
    let by_node: [(&str, EditNode, bool); 6] = [
        ("nothing", |_| {}, false),
        (
            "extended resource",
            |n| {
                n.accelerators.insert("amd.com/gpu".into(), 1);
            },
            true,
        ),
        (
            "label of NFD",
            |n| {
                n.labels.insert("nvidia.com/gpu.present".into(), "true".into());
            },
            true,
        ),
        (
            "label of NFD that says no",
            |n| {
                n.labels.insert("nvidia.com/gpu.present".into(), "false".into());
            },
            false,
        ),
        (
            "our own label",
            |n| {
                n.labels.insert(names::LABEL_AGENT.into(), "true".into());
            },
            true,
        ),
        ("our own taint", |n| n.taints.push(fixtures::taint(names::TAINT_UNHEALTHY, "reset", "NoSchedule")), true),
    ];
    for (what, edit, exists) in by_node {
        let model = settled(bare(edit));
        assert_eq!(model.world.node_healths.contains_key("a"), exists, "{what}");
        assert_eq!(label(&model, "a", names::LABEL_AGENT) == "true", exists, "{what}");
    }
    let by_world: [(&str, Edit, bool); 3] = [
        (
            "a profile of its instance type",
            |m| {
                m.world.profiles.insert("p5".into(), Arc::new(profile("p5", 8)));
            },
            true,
        ),
        (
            "a profile that matches nothing",
            |m| {
                let mut none = profile("none", 8);
                none.spec.match_.instance_types = None;
                m.world.profiles.insert("none".into(), Arc::new(none));
            },
            false,
        ),
        (
            "a former NodeHealth",
            |m| {
                let health = fixtures::health(node_of(m, "a"));
                fixtures::add_health(&mut m.world, health);
            },
            true,
        ),
    ];
    for (what, edit, exists) in by_world {
        let mut model = bare(|_| {});
        edit(&mut model);
        assert_eq!(settled(model).world.node_healths.contains_key("a"), exists, "{what}");
    }
    for selector in [Selector::default(), zone("z1"), zone("z2")] {
        let mut model = bare(|n| {
            n.labels.insert("zone".into(), "z1".into());
        });
        policy_for(&mut model, selector.clone());
        assert!(!settled(model).world.node_healths.contains_key("a"), "{selector:?}: no accelerator node");
    }
    for (selector, matched) in [(Selector::default(), 1), (zone("z1"), 1), (zone("z2"), 0)] {
        let mut model = bare(|n| {
            n.labels.insert("zone".into(), "z1".into());
            n.accelerators.insert("nvidia.com/gpu".into(), 8);
        });
        policy_for(&mut model, selector.clone());
        assert_eq!(policy_status(&settled(model), "base").counts.matched, matched, "{selector:?}");
    }
}

#[test]
fn a_node_health_of_a_replaced_node_is_deleted_and_made_again() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    let mut node = fixtures::node("a");
    node.uid = "a-second-uid".into();
    model.world.nodes.insert("a".into(), Arc::new(node));
    let former = health_of(&model, "a").metadata.uid.clone().unwrap();
    let plan = decide(&model.world, model.now);
    assert!(plan.steps.iter().any(|s| s.write == Write::DeleteNodeHealth { name: "a".into(), uid: former.clone() }));
    let model = settled(model);
    assert_eq!(health_of(&model, "a").spec.node.uid, "a-second-uid");
    assert_eq!(decision(&model, "a").reason, reason::NEVER_REPORTED);
}

#[test]
fn the_highest_priority_wins_then_the_oldest_then_the_name() {
    let mut model = under(Mode::Observe, &["a"]);
    let mut add = |name: &str, priority: i64, age: i64| {
        let mut policy = fixtures::policy(name, Mode::Observe);
        policy.spec.priority = priority;
        policy.metadata.creation_timestamp = timestamp(START.plus(-age));
        fixtures::add_policy(&mut model.world, policy);
    };
    add("older", 0, 10);
    add("as-old", 0, 10);
    let model = settled(model);
    assert_eq!(health_of(&model, "a").spec.policy.as_ref().unwrap().name, "as-old");
    for loser in ["base", "older"] {
        let accepted = condition(&policy_status(&model, loser).conditions, "Accepted");
        assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", reason::OVERRULED));
    }
    let mut model = model;
    model.edit_policy("base", |p| p.spec.priority = 1);
    let model = settled(model);
    assert_eq!(health_of(&model, "a").spec.policy.as_ref().unwrap().name, "base");
    assert_eq!(policy_status(&model, "as-old").counts.matched, 0);
}

#[test]
fn the_profile_is_resolved_without_the_prefix_ml_and_copied_with_its_generation() {
    let mut model = under(Mode::Observe, &["a"]);
    model.world.profiles.insert("p5".into(), Arc::new(profile("p5", 8)));
    let mut winner = profile("p5-special", 4);
    winner.spec.priority = 5;
    winner.spec.match_.node_selector = Some(zone("z1"));
    winner.metadata.generation = Some(7);
    model.world.profiles.insert("p5-special".into(), Arc::new(winner));
    let mut model = settled(model);
    assert_eq!(health_of(&model, "a").spec.profile.as_deref(), Some("p5"), "both members must match");
    model.edit_node("a", |n| {
        n.labels.insert("zone".into(), "z1".into());
    });
    let model = settled(model);
    let expected = health_of(&model, "a").spec.expected.as_ref().unwrap();
    assert_eq!(expected.generation, 7);
    assert_eq!(expected.gpus.as_ref().unwrap().count, Some(4));
    let status = health_of(&model, "a").status.as_ref().unwrap();
    assert_eq!(condition(&status.conditions, "ProfileResolved").status, "True");
}

#[test]
fn monitors_are_all_that_are_built_unless_the_policy_turns_them_off() {
    let mut model = under(Mode::Observe, &["a"]);
    let monitors = |m: &Model| -> Vec<(String, Option<i64>)> {
        let monitors = health_of(m, "a").spec.monitors.iter();
        monitors.map(|x| (x.name.clone(), x.interval_seconds)).collect()
    };
    model = settled(model);
    let built = crds::Check::ALL.iter().filter(|c| c.is_built() && c.is_monitor());
    let built: Vec<(String, Option<i64>)> = built.map(|c| (c.name().to_owned(), None)).collect();
    assert_eq!(monitors(&model), built);
    assert!(!built.iter().any(|(name, _)| name == "drift"), "no agent sees the fleet");
    model.edit_policy("base", |p| {
        p.spec.monitors = vec![
            PolicyMonitor { name: "xid".into(), enabled: false, ..PolicyMonitor::default() },
            PolicyMonitor { name: "inventory".into(), interval_seconds: 5, ..PolicyMonitor::default() },
        ];
    });
    let mut left: Vec<_> = built.into_iter().filter(|(name, _)| name != "xid").collect();
    left[0].1 = Some(5);
    assert_eq!(monitors(&settled(model)), left);
}

#[test]
fn an_edit_of_a_policy_writes_only_the_specs_that_it_changes() {
    let mut model = settled(under(Mode::Observe, &["a", "b"]));
    let generation = health_of(&model, "a").metadata.generation;
    model.edit_policy("base", |p| p.spec.drills = Some(Drills { allow: true, ..Drills::default() }));
    let plan = decide(&model.world, model.now);
    assert!(!plan.steps.iter().any(|step| matches!(step.write, Write::NodeHealthSpec(_))), "{plan:#?}");
    let mut model = settled(model);
    assert_eq!(health_of(&model, "a").metadata.generation, generation);
    let power = PolicyMonitor { name: "power".into(), interval_seconds: 7, ..PolicyMonitor::default() };
    model.edit_policy("base", |p| p.spec.monitors = vec![power]);
    let model = settled(model);
    let policy = health_of(&model, "a").spec.policy.as_ref().unwrap();
    assert_eq!(Some(policy.generation), model.world.policies["base"].metadata.generation, "it tells what it follows");
}

#[test]
fn maintenance_keeps_its_beginning_and_is_no_judgement() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    let began = model.now;
    model.edit_node("a", |n| {
        n.labels.insert(names::LABEL_MAINTENANCE.into(), "firmware".into());
    });
    let mut model = settled(model);
    model.now = model.now.plus(100);
    model.edit_node("a", |n| {
        n.labels.insert(names::LABEL_MAINTENANCE.into(), "bios".into());
    });
    let model = settled(model);
    let maintenance = health_of(&model, "a").spec.maintenance.as_ref().unwrap();
    assert_eq!((maintenance.reason.as_str(), maintenance.since), ("bios", began));
    assert_eq!(decision(&model, "a").activity, Activity::Maintenance);
    assert_eq!(decision(&model, "a").state, State::Healthy);
    assert_eq!(label(&model, "a", names::LABEL_MAINTENANCE), "bios", "the label is not ours");
}

#[test]
fn orders_wait_for_the_steps_that_must_come_first_and_nothing_else_does() {
    let model = settled(under(Mode::Observe, &["a"]));
    let mut plan = Plan::default();
    let first = plan.push(Write::DeleteRun { run: "x".into(), uid: "y".into() }, Vec::new());
    let mut orders = crate::decide::orders::Orders::default();
    let order = Assignment { id: "run/1".into(), run: "run".into(), ..Assignment::default() };
    let given = orders.by_node.entry("a".into()).or_default();
    given.assignments.push(order.clone());
    given.after.push(first);
    decide_with(&model, &orders, &mut plan);
    let spec = index_of(&plan, |w| matches!(w, Write::NodeHealthSpec(s) if s.spec.assignments == [order.clone()]));
    assert_eq!(plan.steps[spec].after, [first]);
    let status =
        index_of(&plan, |w| matches!(w, Write::NodeHealthStatus(s) if s.decision.activity == Activity::Checking));
    assert!(status < spec, "the status carries a resourceVersion that the spec would move");
}

#[test]
fn outputs_that_are_off_are_not_written() {
    let mut model = under(Mode::Enforce, &["a"]);
    model.edit_policy("base", |p| {
        let off = Output { enabled: false };
        p.spec.outputs =
            Outputs { node_condition: off, labels: off, taints: off, annotation: off, ..Outputs::default() };
    });
    reports(&mut model, "a", lost_gpu_report(1));
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "");
    assert_eq!((node_of(&model, "a").summary.clone(), node_of(&model, "a").condition.clone()), (None, None));
    assert_eq!(label(&model, "a", names::LABEL_HEALTH), "");
    assert_eq!(decision(&model, "a").quarantine, crds::Quarantine::None);
    assert_eq!(model.claims().count(), 0);
}

#[test]
fn a_certification_is_a_label_until_it_expires() {
    let mut model = under(Mode::Enforce, &["a"]);
    let expires_at = START.plus(100);
    model.edit_health("a", |h| {
        h.status.get_or_insert_default().certifications =
            vec![Certification { level: "basic".into(), passed_at: START, expires_at }];
    });
    let mut model = settled(model);
    assert_eq!(label(&model, "a", "gpuhealth.dev/certified-basic"), "true");
    assert_eq!(decide(&model.world, model.now).wake_at, Some(expires_at));
    model.now = expires_at;
    assert_eq!(label(&settled(model), "a", "gpuhealth.dev/certified-basic"), "");
}

#[test]
fn the_annotation_is_compact_and_says_who_why_and_since_when() {
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", lost_gpu_report(3));
    let model = settled(model);
    assert_eq!(
        node_of(&model, "a").summary.as_deref(),
        Some(
            r#"{"state":"Unhealthy","severity":"Reboot","action":"Reboot","since":"2026-11-21T09:30:05Z","causes":[{"check":"xid","target":"0000:13:00.0","reason":"FallenOffTheBus"}]}"#
        )
    );
}

/// Decides with room for two nodes and applies, until nothing is left; returns how many decisions it took.
fn settle_within(model: &mut Model, memo: &mut Memo, is_pending: &dyn Fn(&str) -> bool) -> usize {
    for round in 1..40 {
        let room = Room { is_pending, nodes: 2 };
        let (plan, next) = decide_within(&model.world, model.now, std::mem::take(memo), &room);
        *memo = next;
        if plan.is_empty() && plan.wake_at.is_none() {
            return round;
        }
        model.apply(&plan);
    }
    panic!("it never ends")
}

#[test]
fn in_a_wave_a_decision_plans_few_nodes_again_and_a_new_fault_at_once() {
    let names: Vec<String> = (0..9).map(|i| format!("n{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut model = under(Mode::Enforce, &names);
    let (all, mut memo) = decide_again(&model.world, model.now, Memo::default());
    let room = Room { is_pending: &|_| false, nodes: 2 };
    // Nothing of the first plan was written.
    reports(&mut model, "n7", lost_gpu_report(0));
    let (some, next) = decide_within(&model.world, model.now, memo, &room);
    memo = next;
    assert!(some.steps.len() < all.steps.len() / 2, "{} of {}", some.steps.len(), all.steps.len());
    assert!(some.wake_at.is_some(), "the others follow");
    let is_taint = |write: &Write| matches!(write, Write::NodeTaints { node, .. } if node == "n7");
    index_of(&some, is_taint);
    let mut other = model.clone();
    assert!(settle_within(&mut model, &mut memo, &|_| false) > 3);
    assert_eq!(decide(&model.world, model.now).steps, [], "nobody was forgotten");
    // A node whose steps are pending is left to them.
    let mut memo = decide_again(&other.world, other.now, Memo::default()).1;
    settle_within(&mut other, &mut memo, &|node| node == "n3");
    let left: Vec<String> =
        decide(&other.world, other.now).steps.iter().map(|step| Key::of(&step.write).name).collect();
    assert!(left.iter().any(|name| name == "n3") && left.iter().all(|name| ["n3", "base"].contains(&name.as_str())));
}
