//! Agents that answer at random.

use super::*;
use crds::node_health::{Assignment, Role};

/// The agent of a node moves each of its orders one step on.
pub(super) fn progress(stage: &mut Stage, node: &str, choice: u8) {
    let Some(health) = stage.world.node_healths.get(node).cloned() else {
        return;
    };
    let runs = health.status.as_ref().and_then(|s| s.report.as_ref()).map(|r| r.runs.clone());
    for order in &health.spec.assignments {
        let before = runs.iter().flatten().find(|r| r.id == order.id).map(|r| r.state.clone());
        let start = order.group.as_ref().map(|g| g.start_at);
        let answer = match (before, start) {
            (None, _) => (choice % 8 != 7).then(|| saying(order, RunState::Accepted)),
            (Some(RunState::Accepted), Some(_)) => Some(saying(order, RunState::Ready)),
            (Some(RunState::Ready), Some(None)) if choice % 16 != 15 => None,
            (Some(RunState::Ready), Some(Some(start))) if stage.now < start => None,
            (Some(RunState::Accepted | RunState::Ready), _) => Some(saying(order, RunState::Running)),
            (Some(_), _) => Some(ending(order, choice)),
        };
        if let Some(answer) = answer {
            stage.answer(node, answer);
        }
    }
}

fn saying(order: &Assignment, state: RunState) -> RunReport {
    RunReport { id: order.id.clone(), state, report_only: order.report_only, ..RunReport::default() }
}

fn ending(order: &Assignment, choice: u8) -> RunReport {
    let (outcome, reason) = match choice % 8 {
        0..=2 => (Outcome::Pass, "CountRight"),
        3 => (Outcome::Fail, "GpuMissing"),
        4 => (Outcome::Warn, "Odd"),
        5 => (Outcome::Skipped, "Maintenance"),
        6 => (Outcome::Inconclusive, "PortTaken"),
        _ => (Outcome::Unrecognized("Other".into()), "Interrupted"),
    };
    let mut report = ended(&order.id, vec![result("a", outcome.clone(), reason)]);
    let slots = order.group.iter().flat_map(|g| &g.slots);
    report.edges = slots
        .filter(|s| s.role == Role::Client)
        .map(|s| edge(s.slot, &s.peer, i64::from(choice), outcome.clone()))
        .collect();
    report
}
