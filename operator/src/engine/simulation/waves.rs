//! A fatal fault in a wave of ordinary writes: its taint leaves after so many requests as there are under way at once, a few
//! times over, however many words wait.

use super::drive::{Drive, Relapse, Sound};
use crate::{
    decide::model::{Model, fixtures, generate::Dice},
    engine::Engine,
    key::{Key, Kind},
    plan::{Plan, Write},
    world::World,
};
use crds::node_health_policy::Mode;
use std::time::Duration;

/// The most requests that are sent before the taint: three times those that are under way at once, for the claim, a word
/// of the same policy and one of the same node.
const MOST_BEFORE: usize = 3 * 28;

/// Nodes that all have to be written anew, and no time to do it.
fn wave(nodes: usize, relapse: &mut dyn Relapse) -> Drive<'_> {
    let names: Vec<String> = (0..nodes).map(|n| format!("n{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world: World = fixtures::world(&names);
    fixtures::add_policy(&mut world, fixtures::policy("base", Mode::Enforce));
    let mut drive = Drive::new(Model::new(world, fixtures::START.plus(5)), Dice::new(&[]), relapse);
    drive.decides_in = Duration::from_millis(20);
    drive.record = Some(Vec::new());
    drive
}

/// How many requests are sent between a fatal report of this node and its taint, `after` the wave has begun.
fn sent_before_the_taint(
    nodes: usize,
    node: usize,
    after: Duration,
    relapse: &mut dyn Relapse,
) -> Result<usize, String> {
    let mut drive = wave(nodes, relapse);
    drive.run(after)?;
    let name = format!("n{node:05}");
    drive.server.model.edit_health(&name, |health| {
        let status = health.status.get_or_insert_default();
        status.report = Some(fixtures::lost_gpu_report(1));
    });
    let (before, at) = (drive.writes_sent, drive.at);
    drive.happened();
    let key = Key::new(Kind::Node, &name);
    let taint = |drive: &Drive<'_>| {
        let record = drive.record.iter().flatten().skip(before);
        record.clone().position(|(_, written, act)| *written == key && *act == "patch taints")
    };
    while drive.at < at + Duration::from_secs(20) {
        drive.run(Duration::from_millis(5))?;
        if let Some(position) = taint(&drive) {
            return Ok(position);
        }
    }
    Err("the taint never leaves".to_owned())
}

/// Whatever waits, wherever the node stands in the queue, and however far the wave is.
fn a_taint_leaves_soon(nodes: usize, relapse: &mut dyn FnMut() -> Box<dyn Relapse>) -> Result<(), String> {
    for (node, after) in [(0, 3), (nodes / 2, 20), (nodes - 1, 20), (nodes - 1, 150)] {
        let sent = sent_before_the_taint(nodes, node, Duration::from_millis(after), relapse().as_mut())?;
        if sent > MOST_BEFORE {
            return Err(format!(
                "{sent} requests of {nodes} nodes left before the taint of node {node}, {after} ms on"
            ));
        }
    }
    Ok(())
}

/// A step whose object has steps that wait is dropped, and decided again later.
struct Queues;

impl Relapse for Queues {
    fn decided(&mut self, engine: &mut Engine, plan: &mut Plan) {
        let is_late = |write: &Write| {
            matches!(write, Write::NodeTaints { .. } | Write::PolicyClaims { .. })
                && engine.queue.is_busy(&Key::of(write))
        };
        let mut kept = Plan { wake_at: plan.wake_at, ..Plan::default() };
        let mut places: Vec<Option<usize>> = Vec::new();
        for step in plan.steps.drain(..) {
            let after: Option<Vec<usize>> = step.after.iter().map(|index| places[*index]).collect();
            places.push(after.filter(|_| !is_late(&step.write)).map(|after| kept.push(step.write, after)));
        }
        *plan = kept;
    }
}

#[test]
fn the_taint_of_a_fatal_fault_leaves_at_once_however_many_words_wait() {
    for nodes in [40, 400, 1_200] {
        a_taint_leaves_soon(nodes, &mut || Box::new(Sound)).unwrap();
    }
}

#[test]
fn a_taint_that_waits_behind_the_words_of_its_node_is_noticed() {
    assert!(a_taint_leaves_soon(400, &mut || Box::new(Queues)).is_err());
}
