//! Causes: why a node is quarantined or suspect, from the first finding to the pass that lifts it.
//!
//! A cause opens with a finding (or a failed result of a run) and is kept in `status.decision.causes`. It is lifted
//! only by a later pass of the same check that covered the same target. Absence, `Inconclusive`, `Skipped`, a truncated
//! list and a silent agent lift nothing. A board that moves takes its causes along (see [`super::boards`]). Drills have a rule of their own (see [`super::drill_causes`]).
//!
//! Findings about driver, inventory and fabric open nothing during maintenance.

use super::{
    adopt::adopted_causes,
    boards::followed,
    drill_causes,
    evidence::{Fault, Results, has_verdict, is_bad, is_echo, is_reported},
    facts::Facts,
    lift::{is_lifted, one_pass, one_pass_at},
    rules::removes_capacity,
    stray,
};
use crds::{
    Check, Severity, Time,
    condition::{truncate, word},
    names,
    node_health::{Cause, Finding, MAX_CAUSES, MAX_HISTORY, Occurrence},
    reason,
};
use std::cmp::Reverse;

/// The checks that are unreliable during maintenance: the driver is unloaded, GPUs come and go.
const MAINTAINED: [Check; 3] = [Check::Driver, Check::Inventory, Check::Fabric];

/// The open causes of a node after this decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Folded {
    /// Worst first.
    pub(crate) causes: Vec<Cause>,
    /// Newest last.
    pub(crate) history: Vec<Occurrence>,
    /// Whether the only trace of the causes that quarantine the node is its taint.
    pub(crate) adopted: bool,
}

/// Merges the agent's report into the known causes.
pub(crate) fn fold(facts: &Facts<'_>) -> Folded {
    let Facts { subject, health, orders, claim, silent, marks_are_frozen, now } = *facts;
    let node = subject.node;
    let (before, report) = (facts.before(), facts.report());
    let remembered = followed(before.map_or(&[][..], |d| d.causes.as_slice()), report);
    let counts = |check: &str| node.maintenance().is_none() || !MAINTAINED.iter().any(|c| c.name() == check);
    let mut causes = remembered.clone();
    let gpus = health.status.as_ref().map_or(&[][..], |s| s.gpus.as_slice());
    let is_stray = |finding: &Finding| report.is_some_and(|report| stray::error(finding, report, gpus).is_some());
    let findings = report.iter().flat_map(|r| &r.findings);
    for finding in findings.filter(|f| is_bad(&f.outcome) && counts(&f.check) && !is_stray(f)) {
        let opened = if drill_causes::is_of_drill(&finding.check) {
            // The effects of a drill must not be mistaken for findings of real checks.
            let is_open = causes.iter().any(|c| c.is_drill() && c.target == finding.target);
            let may_open = is_open || report.is_some_and(has_verdict);
            drill_causes::cause(finding, orders, now).filter(|_| may_open)
        } else {
            Some(from_finding(finding, now))
        };
        if let Some(cause) = opened {
            if report.is_some_and(|report| is_echo(finding, report)) {
                lower(&mut causes, &cause);
            }
            fold_in(&mut causes, cause);
        }
    }
    let results = report.map(|report| Results { report, orders: &health.spec.assignments });
    let faults = results.into_iter().flat_map(Results::faults);
    for fault in faults.filter(|fault| counts(&fault.result.check) && stray::is_check(&fault.result.check)) {
        fold_in(&mut causes, from_fault(fault, now));
    }
    let found = causes.iter().any(Cause::condemns);
    // While marks are frozen, a mark can outlive its cause: an existing judgement already explains it.
    let is_explained = found || (marks_are_frozen && before.is_some());
    if !is_explained && node.taints.iter().any(removes_capacity) {
        for cause in adopted_causes(node, claim, now) {
            fold_in(&mut causes, cause);
        }
    }
    causes.retain(|cause| {
        if cause.is_drill() {
            drill_causes::is_running(cause, orders, report)
        } else {
            silent || !results.is_some_and(|results| is_lifted(cause, subject.policy, results, gpus))
        }
    });
    // Real causes come before drills, whatever the severity of the drill.
    causes.sort_by_cached_key(|c| {
        let badness = (Reverse(c.condemns()), c.is_drill(), Reverse(c.severity.rank()));
        (badness, c.since, c.check.clone(), c.target.clone())
    });
    causes.truncate(MAX_CAUSES);
    let explained = |cause: &Cause| results.is_some_and(|results| is_reported(cause, results));
    let was_adopted = !found || before.is_some_and(|d| d.reason == reason::ADOPTED);
    Folded {
        history: history(before.map_or(&[], |d| d.history.as_slice()), &remembered, &causes, now),
        adopted: was_adopted
            && causes.iter().any(Cause::condemns)
            && !causes.iter().any(|c| c.condemns() && explained(c)),
        causes,
    }
}

/// Whether the two are known to be about different boards.
fn of_another_board(a: &Cause, b: &Cause) -> bool {
    a.serial.is_some() && b.serial.is_some() && a.serial != b.serial
}

/// The consequence of another fault condemns nothing, also where it was reported before its root was known: what stands is
/// the root.
fn lower(causes: &mut [Cause], echo: &Cause) {
    let known = causes.iter_mut().find(|c| c.check == echo.check && c.target == echo.target);
    if let Some(known) = known.filter(|known| !of_another_board(known, echo)) {
        (known.outcome, known.severity) = (echo.outcome.clone(), echo.severity.clone());
    }
}

/// Opens a cause, or refreshes it: its severity may rise but never falls while it is open. A cause about another board at
/// the same address replaces the old one.
fn fold_in(causes: &mut Vec<Cause>, new: Cause) {
    let known = causes.iter_mut().find(|c| c.check == new.check && c.target == new.target);
    match known {
        None => causes.push(new),
        Some(known) if of_another_board(known, &new) => *known = new,
        Some(known) => {
            let level = known.level.max(new.level);
            let badness = |c: &Cause| (c.condemns(), c.severity.rank(), c.outcome.rank());
            if new.is_drill() || badness(&new) >= badness(known) {
                *known = Cause {
                    since: known.since,
                    level,
                    lift: if level == known.level { known.lift.clone() } else { new.lift },
                    rule: known.rule.clone(),
                    run: new.run.or_else(|| known.run.take()),
                    serial: new.serial.or_else(|| known.serial.take()),
                    ..new
                };
            }
        }
    }
}

fn from_finding(finding: &Finding, now: Time) -> Cause {
    Cause {
        check: truncate(&finding.check, 80),
        target: truncate(&finding.target, 64),
        outcome: finding.outcome.clone(),
        severity: finding.severity.clone(),
        reason: word(&finding.reason),
        message: truncate(&finding.message, 256),
        since: now,
        lift: one_pass(&finding.check, &finding.target),
        code: finding.code.as_deref().map(|code| truncate(code, 32)),
        serial: finding.serial.as_deref().map(|serial| truncate(serial, 64)),
        ..Cause::default()
    }
}

fn from_fault(fault: Fault<'_>, now: Time) -> Cause {
    let Fault { result, run, target, outcome, severity, reason: why, level } = fault;
    let target = if stray::is_target(target) { target } else { names::TARGET_NODE };
    let severity = match severity {
        Severity::None => Severity::Monitor,
        given => given.clone(),
    };
    Cause {
        check: truncate(&result.check, 80),
        target: truncate(target, 64),
        run: run.map(|r| truncate(r, 253)),
        outcome: outcome.clone(),
        severity,
        reason: word(why.unwrap_or(reason::FAILED)),
        message: truncate(result.message.as_deref().unwrap_or_default(), 256),
        since: now,
        lift: one_pass_at(&result.check, target, level),
        level,
        ..Cause::default()
    }
}

/// The recorded occurrences, plus one for each cause that opens now, drills excepted.
fn history(before: &[Occurrence], remembered: &[Cause], causes: &[Cause], now: Time) -> Vec<Occurrence> {
    let is_known = |cause: &Cause| {
        let mut same = remembered.iter().filter(|r| r.check == cause.check && r.target == cause.target);
        same.any(|r| !of_another_board(r, cause))
    };
    let opened = causes.iter().filter(|cause| !cause.is_drill() && !is_known(cause));
    let mut history = before.to_vec();
    history.extend(opened.map(|cause| Occurrence {
        check: cause.check.clone(),
        target: cause.target.clone(),
        reason: cause.reason.clone(),
        received_at: now,
    }));
    history.drain(..history.len().saturating_sub(MAX_HISTORY));
    history
}
