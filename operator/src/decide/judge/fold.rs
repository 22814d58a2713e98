//! Causes: what condemns a node or makes it suspect, from the first finding to the pass that lifts it.
//!
//! A cause opens with a finding (or a failed result of a run) and is remembered in `status.decision.causes`. It lifts
//! only by a later pass of the same check that covered the same target. Absence, `Inconclusive`, `Skipped`, a truncated
//! list and a silent agent lift nothing. Drills have a rule of their own (see [`super::drill_causes`]).
//!
//! What reports say of driver, inventory and fabric during a maintenance opens nothing.

use super::{drill_causes, verdict::has_verdict};
use crate::{
    decide::govern::{monitors, selection::Subject},
    world::{Node, Taint},
};
use crds::{
    Check, HealthCheckPolicy, NodeHealth, Outcome, Severity, State, Time,
    check::Class,
    condition::truncate,
    health_check_policy::ClaimFor,
    names,
    node_health::{Assignment, Cause, CheckResult, Finding, Lift, MAX_CAUSES, MAX_HISTORY, Occurrence, Report},
    reason,
};
use std::cmp::Reverse;

/// The check of the cause of a node that bears our taint while nothing tells why.
pub(crate) const ADOPTED_CHECK: &str = "adopted";

/// The checks of which a maintenance may say anything: the driver is unloaded, GPUs come and go.
const MAINTAINED: [Check; 3] = [Check::Driver, Check::Inventory, Check::Fabric];

/// The open causes of a node after this look at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Folded {
    /// Worst first.
    pub(crate) causes: Vec<Cause>,
    /// Newest last.
    pub(crate) history: Vec<Occurrence>,
    /// Whether only the taint that stands on the Node tells of the causes that condemn it.
    pub(crate) adopted: bool,
}

/// Folds the report of the agent into the causes that are remembered. `orders`: what the node shall work on.
pub(crate) fn fold(
    subject: &Subject<'_>,
    health: &NodeHealth,
    orders: &[Assignment],
    claim: Option<&ClaimFor>,
    silent: bool,
    marks_are_frozen: bool,
    now: Time,
) -> Folded {
    let node = subject.node;
    let status = health.status.as_ref();
    let before = status.and_then(|s| s.decision.as_ref());
    let report = status.and_then(|s| s.report.as_ref());
    let remembered = before.map_or(&[][..], |d| d.causes.as_slice());
    let counts = |check: &str| node.maintenance().is_none() || !MAINTAINED.iter().any(|c| c.name() == check);
    let mut causes = remembered.to_vec();
    for finding in report.iter().flat_map(|r| &r.findings).filter(|f| is_bad(&f.outcome) && counts(&f.check)) {
        let opened = if drill_causes::is_of_drill(&finding.check) {
            // What a drill makes of a node must not be taken for what its checks have said.
            let goes_on = causes.iter().any(|c| c.is_drill() && c.target == finding.target);
            let may_open = goes_on || report.is_some_and(has_verdict);
            drill_causes::cause(finding, orders, now).filter(|_| may_open)
        } else {
            Some(from_finding(finding, now))
        };
        if let Some(cause) = opened {
            fold_in(&mut causes, cause);
        }
    }
    for (id, result) in report.into_iter().flat_map(failed_results).filter(|(_, result)| counts(&result.check)) {
        let order = health.spec.assignments.iter().find(|a| a.id == id);
        fold_in(&mut causes, from_result(result, order.map(|a| a.run.as_str()), now));
    }
    let found = causes.iter().any(Cause::condemns);
    // While marks are frozen the mark outlives what lifted its cause: a judgement that stands has explained it.
    let is_explained = found || (marks_are_frozen && before.is_some());
    if !is_explained && node.taints.iter().any(removes_capacity) {
        for cause in adopted_causes(node, claim, now) {
            fold_in(&mut causes, cause);
        }
    }
    causes.retain(|cause| {
        if cause.is_drill() {
            drill_causes::goes_on(cause, orders, report)
        } else {
            silent || !report.is_some_and(|report| is_lifted(cause, subject.policy, report))
        }
    });
    // What is real comes before a drill, however bad the drill makes it.
    causes.sort_by_cached_key(|c| {
        let badness = (Reverse(c.condemns()), c.is_drill(), Reverse(c.severity.rank()));
        (badness, c.since, c.check.clone(), c.target.clone())
    });
    causes.truncate(MAX_CAUSES);
    let explained = |cause: &Cause| report.is_some_and(|r| is_reported(cause, r));
    let was_adopted = !found || before.is_some_and(|d| d.reason == reason::ADOPTED);
    Folded {
        history: history(before.map_or(&[], |d| d.history.as_slice()), remembered, &causes, now),
        adopted: was_adopted
            && causes.iter().any(Cause::condemns)
            && !causes.iter().any(|c| c.condemns() && explained(c)),
        causes,
    }
}

/// Whether this is our taint in a form that keeps pods away.
pub(crate) fn removes_capacity(taint: &Taint) -> bool {
    taint.key == names::TAINT_UNHEALTHY && taint.effect != "PreferNoSchedule"
}

/// Whether the two are about different boards, as far as is known.
fn of_another_board(a: &Cause, b: &Cause) -> bool {
    a.serial.is_some() && b.serial.is_some() && a.serial != b.serial
}

/// Opens a cause, or refreshes it: its severity may rise and never falls while it stands. One about another board at the
/// same address takes the place of the former.
fn fold_in(causes: &mut Vec<Cause>, new: Cause) {
    let known = causes.iter_mut().find(|c| c.check == new.check && c.target == new.target);
    match known {
        None => causes.push(new),
        Some(known) if of_another_board(known, &new) => *known = new,
        Some(known) => {
            let badness = |c: &Cause| (c.condemns(), c.severity.rank(), c.outcome.rank());
            if new.is_drill() || badness(&new) >= badness(known) {
                *known = Cause {
                    since: known.since,
                    lift: known.lift.clone(),
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
        reason: truncate(&finding.reason, 63),
        message: truncate(&finding.message, 256),
        since: now,
        lift: one_pass(&finding.check, &finding.target),
        serial: finding.serial.as_deref().map(|serial| truncate(serial, 64)),
        ..Cause::default()
    }
}

fn from_result(result: &CheckResult, run: Option<&str>, now: Time) -> Cause {
    let target = match result.tested.as_slice() {
        [only] => only.as_str(),
        _ => names::TARGET_NODE,
    };
    let severity = match &result.severity {
        Severity::None => Severity::Monitor,
        given => given.clone(),
    };
    Cause {
        check: truncate(&result.check, 80),
        target: truncate(target, 64),
        run: run.map(|r| truncate(r, 253)),
        outcome: result.outcome.clone(),
        severity,
        reason: truncate(result.reason.as_deref().unwrap_or(reason::FAILED), 63),
        message: truncate(result.message.as_deref().unwrap_or_default(), 256),
        since: now,
        lift: one_pass(&result.check, target),
        ..Cause::default()
    }
}

/// One later pass lifts; rules of policies will ask for more.
fn one_pass(check: &str, target: &str) -> Lift {
    Lift { text: truncate(&format!("1 pass of {check} on {target}"), 128), required_passes: 1, ..Lift::default() }
}

const fn is_bad(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Warn)
}

/// Whether the outcome is a verdict.
pub(crate) const fn is_verdict(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Pass | Outcome::Warn | Outcome::Fail => true,
        Outcome::Skipped | Outcome::Inconclusive | Outcome::Unrecognized(_) => false,
    }
}

/// The last verdict of the runs on each check. Of two at the same time the worse one counts.
fn last_result<'r>(report: &'r Report, check: &str) -> Option<&'r CheckResult> {
    report
        .runs
        .iter()
        .flat_map(|run| run.results.iter().map(move |result| (run.finished_at, result)))
        .filter(|(_, result)| result.check == check && is_verdict(&result.outcome))
        .max_by_key(|(finished, result)| (*finished, result.outcome.rank()))
        .map(|(_, result)| result)
}

/// Results of runs that say that this node is bad, with the ids of their work orders, where no finding of the agent says
/// so already. A failed check between nodes is left to the run, which sees both ends of each pair.
fn failed_results(report: &Report) -> impl Iterator<Item = (&str, &CheckResult)> {
    report.runs.iter().flat_map(|run| run.results.iter().map(|result| (run.id.as_str(), result))).filter(
        |(_, result)| {
            is_bad(&result.outcome)
                && !drill_causes::is_of_drill(&result.check)
                && Check::from_name(&result.check).is_none_or(|c| c.class() != Class::Group)
                && last_result(report, &result.check).is_some_and(|last| std::ptr::eq(last, *result))
                && !report.findings.iter().any(|f| f.check == result.check)
        },
    )
}

/// Whether the present report still holds the evidence of a cause.
fn is_reported(cause: &Cause, report: &Report) -> bool {
    report.findings.iter().any(|f| is_bad(&f.outcome) && f.check == cause.check && f.target == cause.target)
        || last_result(report, &cause.check).is_some_and(|r| is_bad(&r.outcome))
}

/// Whether the report holds a pass that lifts the cause.
fn is_lifted(cause: &Cause, policy: Option<&HealthCheckPolicy>, report: &Report) -> bool {
    if report.truncated.is_some_and(|n| n > 0) {
        return false;
    }
    if cause.check == ADOPTED_CHECK {
        return every_check_passes(policy, report);
    }
    let has_finding = report.findings.iter().any(|f| f.check == cause.check && f.target == cause.target);
    if has_finding {
        return false;
    }
    let last = last_result(report, &cause.check);
    let by_run = last.is_some_and(|r| {
        r.outcome == Outcome::Pass && (cause.target == names::TARGET_NODE || r.tested.contains(&cause.target))
    });
    let by_monitor = report
        .checks
        .iter()
        .any(|row| row.check == cause.check && is_verdict(&row.outcome) && row.covered.contains(&cause.target));
    by_run || by_monitor
}

/// Whether every monitor that is ordered has passed, and nothing is found.
fn every_check_passes(policy: Option<&HealthCheckPolicy>, report: &Report) -> bool {
    let mut monitors = monitors::wanted(policy).peekable();
    monitors.peek().is_some()
        && report.findings.iter().all(|f| drill_causes::is_of_drill(&f.check))
        && monitors.all(|(name, _)| report.checks.iter().any(|row| row.check == name && row.outcome == Outcome::Pass))
}

/// The remembered occurrences and one for each cause that opens now; a drill is none.
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

/// What an annotation or a claim tells of a former judgement.
#[derive(serde::Deserialize)]
struct Remembered {
    state: Option<State>,
    severity: Option<Severity>,
    #[serde(default)]
    causes: Vec<RememberedCause>,
}

#[derive(serde::Deserialize)]
struct RememberedCause {
    check: String,
    target: String,
    reason: String,
}

/// The causes of a node that bears our taint without a known cause: from its claim, else from its annotation, else one
/// that a pass of every enabled check lifts. Never healed by forgetting; only a drill is, which is over by then.
fn adopted_causes(node: &Node, claim: Option<&ClaimFor>, now: Time) -> Vec<Cause> {
    let told: Option<Remembered> = node
        .summary
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .filter(|told: &Remembered| told.state == Some(State::Quarantined));
    let severity = told
        .as_ref()
        .and_then(|t| t.severity.clone())
        .into_iter()
        .chain(node.taints.iter().filter(|t| removes_capacity(t)).filter_map(severity_of))
        .find(Severity::condemns)
        .unwrap_or(Severity::Reset);
    let cause = |check: &str, target: &str, why: &str| {
        let lift = if check == ADOPTED_CHECK {
            Lift { text: "1 pass of every enabled check".into(), required_passes: 1, ..Lift::default() }
        } else {
            one_pass(check, target)
        };
        Cause {
            check: truncate(check, 80),
            target: truncate(target, 64),
            outcome: Outcome::Fail,
            severity: severity.clone(),
            reason: truncate(why, 63),
            message: "The Node bears our taint from before, and nothing lifted this cause since.".into(),
            since: now,
            lift,
            ..Cause::default()
        }
    };
    if let Some(check) =
        claim.and_then(|c| c.check.as_deref()).filter(|c| !c.is_empty() && !drill_causes::is_of_drill(c))
    {
        let target = claim.and_then(|c| c.target.as_deref()).unwrap_or(names::TARGET_NODE);
        let why = claim.and_then(|c| c.reason.as_deref()).unwrap_or(reason::ADOPTED);
        return vec![cause(check, target, why)];
    }
    let listed: Vec<&RememberedCause> = told
        .iter()
        .flat_map(|t| &t.causes)
        .filter(|c| !c.check.is_empty() && !c.target.is_empty() && !c.reason.is_empty())
        .take(MAX_CAUSES)
        .collect();
    let real = listed.iter().filter(|c| !drill_causes::is_of_drill(&c.check));
    let from_annotation: Vec<Cause> = real.map(|c| cause(&c.check, &c.target, &c.reason)).collect();
    if listed.is_empty() { vec![cause(ADOPTED_CHECK, names::TARGET_NODE, reason::ADOPTED)] } else { from_annotation }
}

/// The severity that the value of our taint tells.
fn severity_of(taint: &Taint) -> Option<Severity> {
    Severity::ALL.iter().find(|s| s.label() == taint.value).cloned()
}
