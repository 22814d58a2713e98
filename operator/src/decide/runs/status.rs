//! The status of a run: counts, phase, conditions, columns. All of it is derived from the targets.

use crds::{
    HealthCheckRun, Outcome, Time,
    condition::{self, Status, Wanted, truncate},
    health_check_run::{Counts, HealthCheckRunStatus, Phase, RunSummary, Target, TargetState},
    reason,
};
use std::collections::BTreeMap;

/// The most nodes that a message lists by name; the status lists all of them.
const NAMED: usize = 3;

/// How many targets are in each state. The counts always add up to the total.
pub(super) fn counts(targets: &[Target]) -> Counts {
    let mut counts = Counts::default();
    for target in targets {
        counts.total += 1;
        let column = match (&target.state, &target.outcome) {
            (TargetState::Pending | TargetState::Unrecognized(_), _) => &mut counts.pending,
            (TargetState::Waiting, _) => &mut counts.waiting,
            (TargetState::Assigned | TargetState::Running, _) => &mut counts.running,
            (TargetState::Done, Some(Outcome::Pass)) => &mut counts.passed,
            (TargetState::Done, Some(Outcome::Warn)) => &mut counts.warned,
            (TargetState::Done, Some(Outcome::Fail)) => &mut counts.failed,
            (TargetState::Done, Some(Outcome::Skipped)) => &mut counts.skipped,
            (TargetState::Done, Some(Outcome::Inconclusive | Outcome::Unrecognized(_)) | None) => {
                &mut counts.inconclusive
            }
        };
        *column += 1;
    }
    counts
}

/// The phase of the run. Any Fail is Failed; else cancelled is Cancelled; else any Inconclusive, or all Skipped, is
/// Inconclusive; else Passed.
pub(super) fn phase(targets: &[Target], counts: &Counts) -> Phase {
    let was_cancelled = || {
        let mut reasons = targets.iter().filter_map(|t| t.reason.as_deref());
        reasons.any(|r| r == reason::CANCELLED)
    };
    if counts.running > 0 {
        Phase::Running
    } else if counts.waiting > 0 {
        Phase::WaitingForIdle
    } else if counts.pending > 0 {
        Phase::Pending
    } else if counts.failed > 0 {
        Phase::Failed
    } else if was_cancelled() {
        Phase::Cancelled
    } else if counts.inconclusive > 0 || counts.skipped == counts.total {
        Phase::Inconclusive
    } else {
        Phase::Passed
    }
}

/// The six conditions of each phase.
pub(super) fn table(phase: &Phase) -> [(&'static str, Status); 6] {
    use Status::{False, True, Unknown};
    let [accepted, complete, passed, ready, reconciling, stalled] = match phase {
        Phase::Pending | Phase::WaitingForIdle | Phase::Running | Phase::Unrecognized(_) => {
            [True, False, Unknown, False, True, False]
        }
        Phase::Passed => [True, True, True, True, False, False],
        Phase::Failed | Phase::Inconclusive | Phase::Cancelled => [True, True, False, False, False, True],
        Phase::Rejected => [False, True, False, False, False, True],
    };
    [
        ("Accepted", accepted),
        ("Complete", complete),
        ("Passed", passed),
        ("Ready", ready),
        ("Reconciling", reconciling),
        ("Stalled", stalled),
    ]
}

/// Updates everything that is derived from the targets. `ahead`: the runs for which nodes of this one wait, each with the
/// number of these nodes.
pub(super) fn derive(
    status: &mut HealthCheckRunStatus,
    run: &HealthCheckRun,
    ahead: &BTreeMap<&str, usize>,
    hold_everything: bool,
    now: Time,
) {
    status.counts = counts(&status.targets);
    status.phase = phase(&status.targets, &status.counts);
    if status.phase.is_final() && status.completion_time.is_none() {
        status.completion_time = Some(now);
    }
    let suspended = run.spec.suspend && matches!(status.phase, Phase::Pending | Phase::WaitingForIdle);
    status.summary = RunSummary {
        reason: Some(if suspended { reason::SUSPENDED } else { word(status) }.to_owned()),
        message: Some(truncate(&(sentence(status, run, hold_everything) + &behind(ahead)), 512)),
        deadline: status.start_time.map(|start| start.plus(run.spec.deadline_seconds)),
    };
    tell(status, run, now);
}

/// The status of a run that was suspended before it began: its targets are not chosen yet.
pub(super) fn suspended(run: &HealthCheckRun, now: Time) -> HealthCheckRunStatus {
    let before = run.status.as_ref();
    let message = "suspended before the start: set spec.suspend to false to begin";
    let mut status = HealthCheckRunStatus {
        summary: RunSummary {
            reason: Some(reason::SUSPENDED.to_owned()),
            message: Some(message.to_owned()),
            deadline: None,
        },
        conditions: before.map(|s| s.conditions.clone()).unwrap_or_default(),
        ..HealthCheckRunStatus::default()
    };
    tell(&mut status, run, now);
    status
}

/// The status of a rejected run.
pub(super) fn rejected(run: &HealthCheckRun, reason: &str, message: &str, now: Time) -> HealthCheckRunStatus {
    let before = run.status.as_ref();
    let mut status = HealthCheckRunStatus {
        phase: Phase::Rejected,
        completion_time: Some(now),
        summary: RunSummary { reason: Some(reason.to_owned()), message: Some(truncate(message, 512)), deadline: None },
        conditions: before.map(|s| s.conditions.clone()).unwrap_or_default(),
        ..HealthCheckRunStatus::default()
    };
    tell(&mut status, run, now);
    status
}

/// Sets the conditions of the phase, for the current generation of the run.
pub(super) fn tell(status: &mut HealthCheckRunStatus, run: &HealthCheckRun, now: Time) {
    let why = status.summary.reason.clone().unwrap_or_default();
    let message = status.summary.message.clone().unwrap_or_default();
    let wanted = table(&status.phase).map(|(type_, value)| {
        if type_ == "Accepted" && value == Status::True {
            let accepted = match status.start_time {
                Some(_) => "the list of targets is fixed and every check is known",
                None => "every check is known; the list of targets is fixed when the run begins",
            };
            Wanted::new(type_, value, reason::POLICY_ACCEPTED, accepted)
        } else {
            Wanted::new(type_, value, &why, message.as_str())
        }
    });
    status.observed_generation = run.metadata.generation;
    status.conditions = condition::merge(&status.conditions, wanted.to_vec(), run.metadata.generation, now);
}

/// The targets that explain the phase.
fn telling(status: &HealthCheckRunStatus) -> Vec<&Target> {
    let outcome = match &status.phase {
        Phase::Failed => Some(Outcome::Fail),
        Phase::Inconclusive if status.counts.inconclusive > 0 => Some(Outcome::Inconclusive),
        Phase::Inconclusive => Some(Outcome::Skipped),
        Phase::WaitingForIdle => None,
        Phase::Pending
        | Phase::Running
        | Phase::Passed
        | Phase::Cancelled
        | Phase::Rejected
        | Phase::Unrecognized(_) => return Vec::new(),
    };
    let targets = status.targets.iter();
    match outcome {
        Some(outcome) => targets.filter(|t| t.outcome.as_ref() == Some(&outcome)).collect(),
        None => targets.filter(|t| t.state == TargetState::Waiting).collect(),
    }
}

/// The reason that these targets share, else the phase.
fn word(status: &HealthCheckRunStatus) -> &str {
    let telling = telling(status);
    let first = telling.first().and_then(|t| t.reason.as_deref());
    match (&status.phase, first) {
        (Phase::WaitingForIdle, _) => reason::WAITING_FOR_IDLE,
        (_, Some(first)) if telling.iter().all(|t| t.reason.as_deref() == Some(first)) => first,
        (phase, _) => phase.as_str(),
    }
}

fn sentence(status: &HealthCheckRunStatus, run: &HealthCheckRun, hold_everything: bool) -> String {
    let c = &status.counts;
    let some = |n: i64| format!("{n} of {} nodes", c.total);
    let why = by_reason(&telling(status));
    match &status.phase {
        Phase::Pending | Phase::WaitingForIdle if run.spec.suspend => {
            format!("suspended, {} not tested: set spec.suspend to false to go on", some(c.pending + c.waiting))
        }
        Phase::Pending if hold_everything => {
            format!("{} waiting: the operator runs with --hold-everything, so no test starts", some(c.pending))
        }
        Phase::Pending => format!("{} waiting for their turn", some(c.pending)),
        Phase::WaitingForIdle => format!("{} waiting: {why}", some(c.waiting)),
        Phase::Running | Phase::Unrecognized(_) => {
            let done = c.total - c.running - c.waiting - c.pending;
            let waiting = c.waiting + c.pending;
            let suspended = if run.spec.suspend { "; suspended: nothing else starts" } else { "" };
            format!("{} running, {waiting} waiting, {done} done{suspended}", some(c.running))
        }
        Phase::Passed if c.warned + c.skipped > 0 => {
            format!("{} passed, {} with a warning; {} skipped", some(c.passed + c.warned), c.warned, c.skipped)
        }
        Phase::Passed => format!("all {} nodes passed", c.total),
        Phase::Failed => format!("{} failed: {why}; see status.worst for the findings", some(c.failed)),
        Phase::Inconclusive if c.inconclusive > 0 => {
            format!("{} inconclusive: {why}", some(c.inconclusive))
        }
        Phase::Inconclusive => format!("all nodes skipped: {why}"),
        Phase::Cancelled => format!("cancelled; {} had already finished", some(ended_before_cancel(status))),
        Phase::Rejected => String::new(),
    }
}

/// For example `; behind the runs burn-in (3 nodes), ring (1 node)`; empty if no node waits for another run.
fn behind(ahead: &BTreeMap<&str, usize>) -> String {
    let mut ahead: Vec<(&str, usize)> = ahead.iter().map(|(run, nodes)| (*run, *nodes)).collect();
    ahead.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
    let named = ahead.iter().take(NAMED);
    let named = named.map(|(run, nodes)| format!("{run} ({nodes} {})", if *nodes == 1 { "node" } else { "nodes" }));
    let more = if ahead.len() > NAMED { ", …" } else { "" };
    match ahead.len() {
        0 => String::new(),
        1 => format!("; behind the run {}", named.collect::<String>()),
        _ => format!("; behind the runs {}{more}", named.collect::<Vec<_>>().join(", ")),
    }
}

fn ended_before_cancel(status: &HealthCheckRunStatus) -> i64 {
    let cancelled = status.targets.iter();
    let cancelled = cancelled.filter(|t| t.reason.as_deref() == Some(reason::CANCELLED));
    status.counts.total - i64::try_from(cancelled.count()).unwrap_or_default()
}

/// For example `NodeBusy 4 (a, b, c, …), AgentSilent 1 (d)`.
fn by_reason(targets: &[&Target]) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for target in targets {
        let why = target.reason.as_deref().unwrap_or("no reason given");
        groups.entry(why).or_default().push(&target.node);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
    let texts = groups.iter().map(|(why, nodes)| {
        let named = &nodes[..nodes.len().min(NAMED)];
        let more = if nodes.len() > NAMED { ", …" } else { "" };
        format!("{why} {} ({}{more})", nodes.len(), named.join(", "))
    });
    texts.collect::<Vec<_>>().join(", ")
}
