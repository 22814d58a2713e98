//! Random stories: nodes come, go and fall silent, agents answer as they like, writes get lost, people cancel.

use super::agents::progress;
use super::*;
use crate::decide::runs::{status::table, view::is_at_work};
use crds::{
    Scale,
    check::Class,
    health_check_run::{MAX_EDGES, MAX_WORST, TargetState},
    node_health::{Assignment, Group, MAX_ASSIGNMENTS, MAX_SLOTS, Maintenance},
};
use explore::explore;
use proptest::prelude::*;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// One happening: what, and two choices within it.
type Event = (u8, u8, u8);

/// How many stories are played, if there is time (see the crate `explore`).
const CASES: u32 = 20_000;

#[derive(Default)]
struct Story {
    muted: BTreeSet<String>,
    /// The targets of each run as they were first seen.
    frozen: BTreeMap<String, Vec<(String, String)>>,
    /// How each ended target ended.
    ended: BTreeMap<(String, String), (Option<Outcome>, Option<String>)>,
    made: usize,
}

impl Story {
    fn happen(&mut self, stage: &mut Stage, (what, a, b): Event) {
        let node = format!("n{}", a % 4);
        let run = stage.world.runs.keys().nth(usize::from(a) % 4).cloned();
        match what % 20 {
            0..=2 => self.pass(stage, i64::from(b % 4)),
            3 => self.pass(stage, 31),
            4 => self.pass(stage, i64::from(b)),
            5..=9 => progress(stage, &node, b),
            10 | 11 => (0..4).for_each(|i| progress(stage, &format!("n{i}"), b)),
            12 => self.turn_over(stage, &node, b),
            13 if stage.world.node_healths.contains_key(&node) => stage.remake_health(&node),
            14 if b.is_multiple_of(2) => {
                if let Some(run) = run {
                    stage.cancel(&run);
                }
            }
            15 if b.is_multiple_of(4) => {
                if let Some(run) = run {
                    stage.world.runs.remove(&run);
                }
            }
            16 if b.is_multiple_of(3) && stage.world.node_healths.contains_key(&node) => {
                stage.edit_health(&node, |h| {
                    let on = h.spec.maintenance.is_none();
                    h.spec.maintenance = on.then(Maintenance::default);
                });
            }
            17 => {
                let was_muted = self.muted.remove(&node);
                if !was_muted && b.is_multiple_of(2) {
                    self.muted.insert(node);
                }
            }
            18 => stage.world.hold_everything = b.is_multiple_of(4),
            19 => self.ask(stage, a, b),
            _ => {}
        }
    }

    fn pass(&self, stage: &mut Stage, seconds: i64) {
        let muted: Vec<&str> = self.muted.iter().map(String::as_str).collect();
        stage.pass(seconds, &muted);
    }

    /// A Node goes away, or comes back as another one.
    fn turn_over(&mut self, stage: &mut Stage, node: &str, b: u8) {
        self.made += 1;
        stage.world.node_healths.remove(node);
        if stage.world.nodes.remove(node).is_none() || b.is_multiple_of(2) {
            stage.add_node(node, &format!("uid-{node}-{}", self.made));
        }
    }

    fn ask(&mut self, stage: &mut Stage, a: u8, b: u8) {
        if stage.world.runs.len() >= 4 {
            return;
        }
        self.made += 1;
        let mut spec = if a.is_multiple_of(3) { counting() } else { ring() };
        if a.is_multiple_of(2) {
            let names = ["n0", "n1", "n2", "n3", "n9"];
            let chosen = (0..5).filter(|i| b & (1 << i) != 0).map(|i| names[i]);
            spec = on(&chosen.collect::<Vec<_>>(), spec);
        }
        if b & 64 != 0 {
            spec.max_concurrent = Scale::Nodes(1 + i64::from(a % 2));
        }
        if b & 128 != 0 {
            spec = skipping(spec);
        }
        stage.add_run(&format!("r{}", self.made), spec);
    }

    fn check(&mut self, stage: &Stage, plan: &Plan, orders: &Orders) {
        for step in &plan.steps {
            if let Write::RunStatus { run, status, .. } = &step.write {
                self.check_status(stage, run, status);
            }
        }
        for (name, run) in stage.world.runs.iter() {
            let deadline = |s: &HealthCheckRunStatus| s.start_time.map(|t| t.plus(600));
            if let Some(status) = &run.status {
                self.check_status(stage, name, status);
                let is_over = deadline(status).is_some_and(|d| stage.now >= d);
                let is_left = !status.phase.is_final() && (is_over || run.spec.cancel);
                assert!(!is_left || ends(plan, name), "{name} should end now");
            }
        }
        check_orders(stage, plan, orders);
        check_slots(stage, orders);
    }

    fn check_status(&mut self, stage: &Stage, run: &str, status: &HealthCheckRunStatus) {
        let spec = &stage.world.runs[run].spec;
        let targets: Vec<_> = status.targets.iter().map(|t| (t.node.clone(), t.uid.clone())).collect();
        let is_recorded = stage.world.runs[run].status.as_ref() == Some(status);
        if status.start_time.is_some() && is_recorded {
            self.frozen.entry(run.to_owned()).or_insert_with(|| targets.clone());
        }
        let first = self.frozen.get(run);
        assert!(first.is_none_or(|f| *f == targets), "frozen targets changed");
        let c = &status.counts;
        let not_done = c.pending + c.waiting + c.running;
        let done = c.passed + c.warned + c.failed + c.inconclusive + c.skipped;
        assert_eq!(not_done + done, c.total);
        assert_eq!(c.total, i64::try_from(targets.len()).unwrap());
        assert_eq!(status.phase.is_final(), status.completion_time.is_some());
        assert!(status.phase.is_final() == (not_done == 0) || targets.is_empty());
        assert!(status.worst.len() <= MAX_WORST);
        assert!(status.summary.message.as_ref().is_none_or(|m| m.len() <= 512));
        for network in &status.network {
            assert!(network.edges.len() <= MAX_EDGES);
        }
        let conditions = status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str()));
        assert!(conditions.eq(table(&status.phase).iter().map(|(t, s)| (*t, s.as_str()))));
        let is_admitted = |t: &&Target| is_at_work(t);
        let is_left = |t: &Target| matches!(t.state, TargetState::Pending | TargetState::Waiting);
        if spec.has_group_check() && status.targets.iter().any(|t| is_admitted(&t)) {
            assert!(!status.targets.iter().any(is_left), "half a group: {:?}", lines(status));
        }
        for target in status.targets.iter().filter(|t| t.state == TargetState::Done) {
            assert!(target.outcome.is_some());
            if is_recorded {
                let key = (run.to_owned(), target.node.clone());
                let end = (target.outcome.clone(), target.reason.clone());
                let first = self.ended.entry(key).or_insert_with(|| end.clone());
                assert_eq!(*first, end, "an end changed");
            }
        }
    }
}

fn ends(plan: &Plan, name: &str) -> bool {
    plan.steps.iter().any(|step| match &step.write {
        Write::RunStatus { run, status, .. } => run == name && status.phase.is_final(),
        _ => false,
    })
}

fn is_heavy(assignment: &Assignment) -> bool {
    let kinds = assignment.checks.iter().filter_map(CheckSpec::kind);
    kinds.into_iter().any(|k| k.class() == Class::Group)
}

/// Whether one of these steps writes the status of this run.
fn writes(plan: &Plan, steps: &[usize], name: &str) -> bool {
    steps.iter().any(|i| match &plan.steps[*i].write {
        Write::RunStatus { run, .. } => run == name,
        _ => false,
    })
}

/// Whether the report has results of this order.
fn has_results(health: &NodeHealth, id: &str) -> bool {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    report.is_some_and(|report| report.runs.iter().any(|run| run.id == id && !run.results.is_empty()))
}

/// Whether one of these steps ends the node's part of its run: another attempt measures again.
fn ends_on(plan: &Plan, steps: &[usize], node: &str) -> bool {
    steps.iter().any(|i| match &plan.steps[*i].write {
        Write::RunStatus { status, .. } => {
            status.targets.iter().any(|t| t.node == node && t.state == TargetState::Done)
        }
        _ => false,
    })
}

/// Whether one of these steps waits for the result of this node.
fn keeps(plan: &Plan, steps: &[usize], node: &str) -> bool {
    let before = steps.iter().flat_map(|i| &plan.steps[*i].after);
    before.into_iter().any(|i| match &plan.steps[*i].write {
        Write::ResultCreate(result) => result.spec.node.name == node,
        _ => false,
    })
}

/// Orders are few, recorded before they are given, and results recorded before they go.
fn check_orders(stage: &Stage, plan: &Plan, orders: &Orders) {
    let recorded = |run: &str, node: &str| {
        let status = stage.world.runs.get(run)?.status.as_ref()?;
        let target = status.targets.iter().find(|t| t.node == node)?;
        let uid = stage.world.runs[run].metadata.uid.as_deref()?;
        let is_same = stage.world.nodes.get(node)?.uid == target.uid;
        (is_at_work(target) && is_same).then(|| format!("{uid}/{}", target.attempt.unwrap_or(0)))
    };
    for (node, order) in &orders.by_node {
        assert!(order.assignments.len() <= MAX_ASSIGNMENTS);
        assert!(order.assignments.iter().filter(|a| is_heavy(a)).count() <= 1);
        assert!(stage.world.nodes.contains_key(node));
        for assignment in &order.assignments {
            if recorded(&assignment.run, node).as_ref() != Some(&assignment.id) {
                assert!(writes(plan, &order.after, &assignment.run), "{assignment:?}");
            }
        }
    }
    for (node, health) in &stage.world.node_healths {
        let given = orders.by_node.get(node).map(|o| &o.assignments[..]).unwrap_or_default();
        for gone in health.spec.assignments.iter().filter(|a| !given.iter().any(|g| g.id == a.id)) {
            let is_recorded = recorded(&gone.run, node).as_ref() == Some(&gone.id);
            let is_held_back = given.iter().filter(|a| is_heavy(a)).count() == 1 && is_heavy(gone);
            if is_recorded && !is_held_back {
                let steps = orders.released_after.get(node).cloned().unwrap_or_default();
                assert!(writes(plan, &steps, &gone.run), "{gone:?} goes unrecorded");
                assert!(
                    !has_results(health, &gone.id) || !ends_on(plan, &steps, node) || keeps(plan, &steps, node),
                    "{gone:?}: its results are lost"
                );
            }
        }
    }
}

/// One start per attempt, no node twice in a slot, and the two ends of each test agree.
fn check_slots(stage: &Stage, orders: &Orders) {
    let mut groups: BTreeMap<&str, BTreeMap<&str, &Group>> = BTreeMap::new();
    for (node, order) in &orders.by_node {
        for assignment in &order.assignments {
            if let Some(group) = assignment.group.as_ref().filter(|g| g.start_at.is_some()) {
                groups.entry(&assignment.id).or_default().insert(node, group);
                let spec = stage.world.node_healths.get(node).map(|h| &h.spec);
                let written = spec.and_then(|s| s.assignments.iter().find(|a| a.id == assignment.id));
                let written = written.and_then(|a| a.group.as_ref()).filter(|g| g.start_at.is_some());
                assert!(written.is_none_or(|w| w == group), "a start changed");
            }
        }
    }
    for members in groups.values() {
        let starts: BTreeSet<_> = members.values().map(|g| (g.start_at, g.slot_seconds)).collect();
        assert_eq!(starts.len(), 1);
        for (node, group) in members {
            assert!(group.slots.len() <= MAX_SLOTS);
            let numbers: BTreeSet<_> = group.slots.iter().map(|s| s.slot).collect();
            assert_eq!(numbers.len(), group.slots.len(), "{node} is in two tests at once");
            for slot in &group.slots {
                let Some(peer) = members.get(slot.peer.as_str()) else {
                    continue;
                };
                let theirs = peer.slots.iter().find(|s| s.slot == slot.slot).unwrap();
                assert_eq!(
                    (&theirs.peer, &theirs.address, theirs.port),
                    (&(*node).to_owned(), &slot.address, slot.port)
                );
                assert_ne!(theirs.role, slot.role);
            }
        }
    }
}

/// What occurred in a story, so that a promise that was never put to the test is noticed.
fn notice(stage: &Stage, seen: &mut BTreeSet<&'static str>) {
    let statuses = || stage.world.runs.values().filter_map(|r| r.status.as_ref());
    let targets = || statuses().flat_map(|s| &s.targets);
    let specs = stage.world.node_healths.values().map(|h| &h.spec);
    let mut groups = specs.flat_map(|s| s.assignments.iter().filter_map(|a| a.group.as_ref()));
    for (is_so, what) in [
        (statuses().any(|s| s.phase.is_final()), "a run ended"),
        (targets().any(|t| t.state == TargetState::Waiting), "a target waited"),
        (groups.any(|g| g.start_at.is_some()), "a group started"),
        (targets().any(|t| t.attempt > Some(1)), "a group tried again"),
        (statuses().any(|s| !s.network.is_empty()), "edges were measured"),
    ] {
        if is_so {
            seen.insert(what);
        }
    }
}

fn play(first: (u8, u8), events: &[(Event, Option<(u8, u8)>)]) -> BTreeSet<&'static str> {
    let mut stage = Stage::with_nodes(4);
    let mut story = Story::default();
    let mut seen = BTreeSet::new();
    story.ask(&mut stage, first.0, first.1);
    for (event, crash) in events {
        story.happen(&mut stage, *event);
        let (plan, orders) = stage.decide();
        story.check(&stage, &plan, &orders);
        if let Some((steps, specs)) = crash.filter(|(steps, _)| steps.is_multiple_of(4)) {
            // Some writes get lost; the next decision has to cope.
            let is_written = |name: &str| specs & (1 << (name.as_bytes()[1] - b'0')) != 0;
            stage.write(&plan, &orders, |i| steps & (4 << i) != 0, is_written);
            seen.insert("writes were lost");
            continue;
        }
        stage.write(&plan, &orders, |_| true, |_| true);
        notice(&stage, &mut seen);
        let (again, same) = stage.decide();
        assert!(again.is_empty(), "{event:?}: {:?}", again.steps);
        for node in stage.world.node_healths.keys() {
            let given = |o: &Orders| o.by_node.get(node).map(|o| o.assignments.clone());
            assert_eq!(given(&orders), given(&same));
        }
    }
    seen
}

#[test]
fn whatever_happens_every_promise_about_runs_is_kept() {
    let event = (any::<Event>(), any::<Option<(u8, u8)>>());
    let stories = (any::<(u8, u8)>(), prop::collection::vec(event, 1..32));
    let counted = RefCell::new(BTreeMap::<&str, usize>::new());
    let played = explore("promises about runs", CASES, &stories, |(first, events)| {
        for what in play(first, &events) {
            *counted.borrow_mut().entry(what).or_default() += 1;
        }
        Ok(())
    });
    println!("of {played} stories: {:?}", counted.borrow());
    for (what, percent) in [
        ("a run ended", 10),
        ("a target waited", 5),
        ("writes were lost", 10),
        ("a group started", 5),
        ("a group tried again", 1),
        ("edges were measured", 1),
    ] {
        let count = counted.borrow().get(what).copied().unwrap_or(0);
        assert!(count * 100 >= played as usize * percent, "{what} in {count} stories only");
    }
}
