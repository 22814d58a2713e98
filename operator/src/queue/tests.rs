//! The order in which writes are sent.

use super::*;
use crate::{
    plan::{Plan, Regarding},
    world::Taint,
};
use crds::names;

fn claim(policy: &str, version: Option<&str>) -> Write {
    Write::PolicyClaims {
        policy: policy.into(),
        uid: "u".into(),
        resource_version: version.unwrap_or_default().to_owned(),
        claims: Vec::new(),
    }
}

fn taint(node: &str) -> Write {
    let ours = Taint { key: names::TAINT_UNHEALTHY.into(), effect: "NoSchedule".into(), ..Taint::default() };
    Write::NodeTaints { node: node.into(), uid: "u".into(), resource_version: "1".into(), taints: vec![ours] }
}

fn lift(node: &str) -> Write {
    Write::NodeTaints { node: node.into(), uid: "u".into(), resource_version: "1".into(), taints: Vec::new() }
}

fn marks(node: &str) -> Write {
    Write::NodeMarks {
        node: node.into(),
        uid: "u".into(),
        resource_version: "1".into(),
        labels: BTreeMap::new(),
        summary: None,
        drop_labels: Vec::new(),
    }
}

fn condition(node: &str) -> Write {
    Write::NodeCondition { node: node.into(), uid: "u".into(), resource_version: "1".into(), condition: None }
}

fn event(after: Option<usize>) -> EventNote {
    EventNote {
        regarding: Regarding::Node("n1".into(), "u".into()),
        warning: true,
        reason: "Unhealthy".into(),
        series: String::new(),
        message: String::new(),
        after,
    }
}

fn plan(steps: &[(Write, &[usize])]) -> Plan {
    let mut plan = Plan::default();
    for (write, after) in steps {
        plan.push(write.clone(), after.to_vec());
    }
    plan
}

fn admit(queue: &mut WriteQueue, plan: Plan) -> Admission {
    queue.admit(plan.steps, plan.events, |_, _| false)
}

fn started(queue: &mut WriteQueue) -> (Vec<StepId>, Vec<Write>) {
    queue.start().into_iter().map(|s| (s.id, s.write)).unzip()
}

fn done() -> Ended {
    Ended::Written(Some("2".into()))
}

#[test]
fn a_step_starts_when_what_it_comes_after_has_succeeded() {
    let mut queue = WriteQueue::default();
    let steps = plan(&[(claim("p", Some("1")), &[]), (taint("n1"), &[0]), (marks("n2"), &[])]);
    assert_eq!(admit(&mut queue, steps).admitted, 3);
    let (ids, writes) = started(&mut queue);
    assert_eq!(writes, [claim("p", Some("1")), marks("n2")]);
    queue.finished(ids[0], &done());
    assert_eq!(started(&mut queue).1, [taint("n1")]);
}

#[test]
fn steps_on_one_object_run_in_the_order_of_the_plan() {
    let mut queue = WriteQueue::default();
    let steps = plan(&[(taint("n1"), &[]), (marks("n1"), &[]), (condition("n1"), &[])]);
    admit(&mut queue, steps);
    for expected in [taint("n1"), marks("n1"), condition("n1")] {
        let (ids, writes) = started(&mut queue);
        assert_eq!(writes, [expected]);
        assert!(queue.start().is_empty());
        queue.finished(ids[0], &done());
    }
    assert!(queue.is_empty());
}

#[test]
fn what_depends_on_a_failed_step_is_dropped_and_its_objects_are_free_again() {
    let mut queue = WriteQueue::default();
    let steps = plan(&[(claim("p", Some("1")), &[]), (taint("n1"), &[0]), (marks("n1"), &[1])]);
    admit(&mut queue, steps);
    let (ids, _) = started(&mut queue);
    queue.finished(ids[0], &Ended::Stale);
    assert!(queue.is_empty());
    assert!(!queue.is_busy(&Key::new(Kind::Node, "n1")));
}

#[test]
fn after_a_conflict_nothing_else_of_the_plan_reaches_that_object() {
    let mut queue = WriteQueue::default();
    admit(&mut queue, plan(&[(taint("n1"), &[]), (marks("n1"), &[]), (marks("n2"), &[])]));
    let (ids, _) = started(&mut queue);
    queue.finished(ids[0], &Ended::Stale);
    assert_eq!(queue.len(), 1, "n2 continues");
}

#[test]
fn a_refused_label_does_not_stop_the_condition() {
    let mut queue = WriteQueue::default();
    admit(&mut queue, plan(&[(marks("n1"), &[]), (condition("n1"), &[])]));
    let (ids, _) = started(&mut queue);
    queue.finished(ids[0], &Ended::Refused);
    assert_eq!(started(&mut queue).1, [condition("n1")]);
}

#[test]
fn steps_that_must_wait_and_what_depends_on_them_are_dropped() {
    let mut queue = WriteQueue::default();
    let steps = plan(&[(claim("p", Some("1")), &[]), (taint("n1"), &[0]), (marks("n2"), &[])]);
    let admission = queue.admit(steps.steps, Vec::new(), |key, _| key.kind == Kind::Policy);
    assert_eq!((admission.admitted, admission.dropped), (1, 2));
    assert_eq!(started(&mut queue).1, [marks("n2")]);
}

#[test]
fn a_later_plan_does_not_overtake_an_earlier_one_on_the_same_object() {
    let mut queue = WriteQueue::default();
    admit(&mut queue, plan(&[(claim("p", Some("1")), &[]), (marks("n1"), &[0])]));
    let later = admit(&mut queue, plan(&[(marks("n1"), &[])]));
    assert_eq!(later.dropped, 1);
}

#[test]
fn a_policy_is_free_for_other_claims_while_the_nodes_are_described() {
    let mut queue = WriteQueue::default();
    let steps = plan(&[(claim("p", Some("1")), &[]), (taint("n1"), &[0]), (claim("p", None), &[1])]);
    admit(&mut queue, steps);
    let (ids, _) = started(&mut queue);
    let policy = Key::new(Kind::Policy, "p");
    assert!(queue.is_busy(&policy));
    queue.finished(ids[0], &done());
    assert!(!queue.is_busy(&policy));
    let (ids, _) = started(&mut queue);
    queue.finished(ids[0], &done());
    assert!(queue.is_busy(&policy), "its second step is ready");
    let last = queue.start().remove(0);
    assert_eq!(last.version.as_deref(), Some("2"), "the version that the first got back");
    queue.finished(last.id, &done());
    assert!(queue.is_empty() && !queue.is_busy(&policy));
}

#[test]
fn claims_and_taints_do_not_wait_for_thousands_of_labels() {
    let mut queue = WriteQueue::default();
    let names: Vec<String> = (0..3000).map(|i| format!("n{i}")).collect();
    let labels: Vec<(Write, &[usize])> = names.iter().map(|n| (marks(n), &[][..])).collect();
    admit(&mut queue, plan(&labels));
    let at_once = queue.start().len();
    assert!(at_once < 32, "{at_once}");
    admit(&mut queue, plan(&[(taint("urgent"), &[])]));
    assert_eq!(started(&mut queue).1, [taint("urgent")]);
}

#[test]
fn an_event_is_sent_only_after_its_step_has_succeeded() {
    let mut queue = WriteQueue::default();
    let mut steps = plan(&[(taint("n1"), &[]), (taint("n2"), &[])]);
    steps.events = vec![event(Some(0)), event(Some(1)), event(None)];
    assert_eq!(admit(&mut queue, steps).events, [event(None)]);
    let (ids, _) = started(&mut queue);
    assert_eq!(queue.finished(ids[0], &done()), [event(None)]);
    assert!(queue.finished(ids[1], &Ended::Stale).is_empty());
}

#[test]
fn after_a_stop_only_running_steps_are_left() {
    let mut queue = WriteQueue::default();
    admit(&mut queue, plan(&[(taint("n1"), &[]), (marks("n1"), &[0])]));
    let (ids, _) = started(&mut queue);
    queue.stop();
    assert_eq!(queue.len(), 1);
    queue.finished(ids[0], &done());
    assert!(queue.is_empty());
}

#[test]
fn a_new_taint_does_not_wait_behind_the_labels_of_an_older_decision() {
    let mut queue = WriteQueue::default();
    let names: Vec<String> = (0..10_000).map(|i| format!("n{i}")).collect();
    let words: Vec<(Write, &[usize])> = names.iter().flat_map(|n| [(marks(n), &[][..]), (condition(n), &[])]).collect();
    admit(&mut queue, plan(&words));
    assert_eq!(queue.start().len(), 4);
    let steps = plan(&[(claim("p", Some("1")), &[]), (taint("n500"), &[0]), (marks("n500"), &[1])]);
    let admission = admit(&mut queue, steps);
    assert_eq!((admission.admitted, admission.dropped, admission.replaced), (3, 0, 2));
    let (ids, writes) = started(&mut queue);
    assert_eq!(writes, [claim("p", Some("1"))]);
    queue.finished(ids[0], &done());
    assert_eq!(started(&mut queue).1, [taint("n500")], "first of nearly 2,000 waiting steps");
}

#[test]
fn a_write_that_is_running_and_an_older_taint_are_not_replaced() {
    let mut queue = WriteQueue::default();
    admit(
        &mut queue,
        plan(&[(marks("n1"), &[]), (claim("p", Some("1")), &[]), (taint("n2"), &[1]), (marks("n2"), &[2])]),
    );
    queue.start();
    let later = admit(&mut queue, plan(&[(taint("n1"), &[]), (taint("n2"), &[])]));
    assert_eq!((later.dropped, later.replaced), (2, 0));
}

#[test]
fn a_taint_that_was_dropped_for_a_busy_node_is_asked_for_when_that_is_free_and_words_are_not() {
    let mut queue = WriteQueue::default();
    admit(&mut queue, plan(&[(marks("n1"), &[]), (marks("n2"), &[]), (condition("n2"), &[])]));
    let (ids, _) = started(&mut queue);
    admit(&mut queue, plan(&[(taint("n1"), &[]), (marks("n2"), &[])]));
    let keys = ["n1", "n2"].map(|name| Key::new(Kind::Node, name));
    assert_eq!(queue.freed(&keys[0]), Freed::Nothing, "it is still busy");
    for id in ids {
        queue.finished(id, &done());
    }
    assert_eq!((queue.freed(&keys[0]), queue.freed(&keys[0])), (Freed::Mark, Freed::Nothing));
    assert_eq!(queue.freed(&keys[1]), Freed::Nothing);
}

#[test]
fn a_taint_that_goes_replaces_no_words_or_they_and_the_end_of_the_claim_would_wait_for_ever() {
    let mut queue = WriteQueue::default();
    let names: Vec<String> = (0..12).map(|i| format!("n{i}")).collect();
    admit(&mut queue, plan(&names.iter().map(|n| (marks(n), &[][..])).collect::<Vec<_>>()));
    queue.start();
    let steps = plan(&[(lift("well"), &[]), (marks("well"), &[0]), (claim("p", Some("1")), &[1])]);
    admit(&mut queue, steps.clone());
    let (ids, _) = started(&mut queue);
    queue.finished(ids[0], &done());
    assert_eq!(admit(&mut queue, steps), Admission { dropped: 3, ..Admission::default() });
}

#[test]
fn what_came_after_a_replaced_step_is_dropped_with_it() {
    let mut queue = WriteQueue::default();
    let names: Vec<String> = (0..12).map(|i| format!("n{i}")).collect();
    admit(&mut queue, plan(&names.iter().map(|n| (marks(n), &[][..])).collect::<Vec<_>>()));
    queue.start();
    admit(&mut queue, plan(&[(marks("last"), &[]), (claim("p", Some("1")), &[0])]));
    assert_eq!(admit(&mut queue, plan(&[(taint("last"), &[])])).replaced, 2, "the claim must not go before the mark");
    assert_eq!(started(&mut queue).1, [taint("last")]);
}

#[test]
fn a_claim_is_written_although_its_taint_must_wait_since_it_ends_the_claims_of_other_nodes() {
    let mut queue = WriteQueue::default();
    let steps = plan(&[(claim("p", Some("1")), &[]), (taint("n1"), &[0]), (marks("n1"), &[1])]);
    let n1 = Key::new(Kind::Node, "n1");
    let admission = queue.admit(steps.steps, steps.events, |key, _| *key == n1);
    assert_eq!((admission.admitted, admission.dropped), (1, 2));
    assert_eq!(started(&mut queue).1, [claim("p", Some("1"))]);
}

#[test]
fn while_a_claim_or_its_taint_is_under_way_one_label_is_written_at_a_time() {
    let mut queue = WriteQueue::default();
    let names: Vec<String> = (0..100).map(|i| format!("n{i}")).collect();
    admit(&mut queue, plan(&names.iter().map(|n| (marks(n), &[][..])).collect::<Vec<_>>()));
    let (labels, _) = started(&mut queue);
    assert_eq!(labels.len(), 4);
    admit(&mut queue, plan(&[(claim("p", Some("1")), &[]), (taint("sick"), &[0])]));
    let (mut urgent, writes) = started(&mut queue);
    assert_eq!(writes, [claim("p", Some("1"))]);
    for label in &labels[..3] {
        queue.finished(*label, &done());
        assert!(queue.start().is_empty(), "a label is still under way");
    }
    queue.finished(labels[3], &done());
    assert_eq!(queue.start().len(), 1);
    for expected in [Some(taint("sick")), None] {
        queue.finished(urgent.remove(0), &done());
        let (ids, writes) = started(&mut queue);
        urgent = ids;
        assert_eq!(writes.first().cloned().filter(|_| expected.is_some()), expected);
        assert_eq!(writes.len(), if expected.is_some() { 1 } else { 3 });
    }
}

#[test]
fn the_words_of_more_nodes_than_the_queue_holds_are_left_to_later_decisions_and_nothing_else_is() {
    let mut queue = WriteQueue::default();
    let names: Vec<String> = (0..10_000).map(|i| format!("n{i}")).collect();
    let words = plan(&names.iter().map(|n| (marks(n), &[][..])).collect::<Vec<_>>());
    let admission = admit(&mut queue, words.clone());
    assert_eq!((admission.admitted, admission.dropped), (2_000, 8_000));
    let run =
        Write::RunStatus { run: "r".into(), uid: "u".into(), resource_version: "1".into(), status: Box::default() };
    assert_eq!(admit(&mut queue, plan(&[(run, &[])])).admitted, 1, "users wait for it");
    let urgent = plan(&[(claim("p", Some("1")), &[]), (taint("n9999"), &[0]), (marks("n9999"), &[1])]);
    assert_eq!(admit(&mut queue, urgent).admitted, 2);
    let mut written = 0;
    while !queue.is_empty() {
        for start in queue.start() {
            queue.finished(start.id, &done());
            written += 1;
        }
    }
    assert_eq!(written, 2_003);
    assert_eq!(admit(&mut queue, words).admitted, 2_000);
}
