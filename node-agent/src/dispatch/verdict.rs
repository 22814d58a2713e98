//! Turns the outcome of a probe into the result of one check of a run.

use crate::judge::{Findings, Judged, bounded};
use crate::time::Now;
use crds::check::Check;
use crds::node_health::{Aggregate, CheckResult, FailedTarget, Finding, Gpu, MAX_FAILED};
use crds::{CheckSpec, Outcome, Severity, reason};

/// The limit of `report.runs[].results[].tested`.
const MAX_TESTED: usize = 16;

/// The result of a run's check for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TargetResult {
    pub(super) target: String,
    pub(super) outcome: Outcome,
    pub(super) severity: Severity,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    /// Whether this run tested the target; otherwise an earlier finding still stands.
    pub(super) tested: bool,
}

/// The result of a run's check: for the check as a whole, and for each target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) severity: Severity,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) targets: Vec<TargetResult>,
    pub(super) aggregates: Vec<Aggregate>,
}

impl TargetResult {
    const fn is_bad(&self) -> bool {
        matches!(self.outcome, Outcome::Fail | Outcome::Warn)
    }
}

impl Verdict {
    pub(super) fn unknown(reason: &str, message: String) -> Self {
        Self {
            outcome: Outcome::Inconclusive,
            reason: Some(reason.to_owned()),
            message: Some(message),
            ..Self::default()
        }
    }

    pub(super) fn skipped(reason: &str) -> Self {
        Self { outcome: Outcome::Skipped, reason: Some(reason.to_owned()), ..Self::default() }
    }

    /// What the check changed could not be restored. A fault that it found is still told first.
    pub(super) fn unrestored(self, why: &str) -> Self {
        match self.outcome {
            Outcome::Fail | Outcome::Warn => {
                let said = self.message.map(|said| format!("{said}; {why}"));
                Self { message: Some(said.unwrap_or_else(|| why.to_owned())), ..self }
            }
            _ => Self { targets: self.targets, ..Self::unknown(reason::RESTORE_FAILED, why.to_owned()) },
        }
    }

    /// The same verdict for each of these targets, all of which were tested.
    pub(super) fn of_each(self, tested: impl IntoIterator<Item = String>) -> Self {
        let result = |target| TargetResult {
            target,
            outcome: self.outcome.clone(),
            severity: self.severity.clone(),
            reason: self.reason.clone(),
            message: self.message.clone(),
            tested: true,
        };
        let targets = tested.into_iter().map(result).collect();
        Self { targets, ..self }
    }

    /// The result of the check within the limits of the API: that of the worst target, or of the check as a whole if no
    /// target is bad. Of equally bad targets the first by name counts.
    pub(super) fn into_result(self, spec: &CheckSpec, duration_ms: u64) -> CheckResult {
        let Self { outcome, severity, reason, message, targets, aggregates } = self;
        let failed = failed(&targets);
        // A target that is tested and not listed as failed has passed.
        let is_told = |result: &&TargetResult| {
            failed.is_empty() || !result.is_bad() || failed.iter().any(|f| f.target == result.target)
        };
        let tested = targets.iter().filter(|result| result.tested).filter(is_told).take(MAX_TESTED);
        let tested = tested.map(|result| bounded(&result.target, 64)).collect();
        let badness = |result: &TargetResult| (result.outcome.rank(), result.severity.rank());
        let worst = targets
            .into_iter()
            .filter(TargetResult::is_bad)
            .max_by(|one, other| badness(one).cmp(&badness(other)).then_with(|| other.target.cmp(&one.target)));
        let (outcome, severity, reason, message) = worst.map_or((outcome, severity, reason, message), |worst| {
            let TargetResult { target: _, outcome, severity, reason, message, tested: _ } = worst;
            (outcome, severity, reason, message)
        });
        let severity = match outcome {
            Outcome::Fail | Outcome::Warn => severity,
            _ => Severity::None,
        };
        CheckResult {
            name: bounded(&spec.name, 63),
            check: bounded(&spec.reported_as(), 80),
            outcome,
            severity,
            reason: reason.map(|text| bounded(&text, 63)),
            message: message.map(|text| bounded(&text, 256)),
            duration_ms: i64::try_from(duration_ms).unwrap_or(i64::MAX).min(604_800_000),
            tested,
            failed,
            aggregates: aggregates.into_iter().take(4).collect(),
        }
    }
}

/// The targets that failed, worst first, if the check has a verdict on several.
fn failed(targets: &[TargetResult]) -> Vec<FailedTarget> {
    if targets.len() < 2 {
        return Vec::new();
    }
    let mut bad: Vec<&TargetResult> = targets.iter().filter(|result| result.is_bad()).collect();
    bad.sort_by(|one, other| {
        let badness = |result: &TargetResult| (result.outcome.rank(), result.severity.rank());
        badness(other).cmp(&badness(one)).then_with(|| one.target.cmp(&other.target))
    });
    let of = |result: &&TargetResult| FailedTarget {
        target: bounded(&result.target, 64),
        outcome: result.outcome.clone(),
        severity: result.severity.clone(),
        reason: result.reason.as_deref().map(|text| bounded(text, 63)),
    };
    bad.iter().take(MAX_FAILED).map(of).collect()
}

/// A check with no kind or several kinds.
pub(super) fn invalid(spec: &CheckSpec) -> Verdict {
    let kinds: Vec<&str> = spec.kinds().into_iter().map(crds::Check::name).collect();
    let given = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
    Verdict::unknown(
        reason::INVALID_SPEC,
        format!("check {}: exactly one kind is needed, for example networkBandwidth: {{}}; given: {given}", spec.name),
    )
}

/// A check that this version cannot run.
pub(super) fn not_implemented(check: Check) -> Verdict {
    let message = format!("this version of the agent ({}) cannot run {}", env!("CARGO_PKG_VERSION"), check.name());
    Verdict::unknown(reason::NOT_IMPLEMENTED, message)
}

/// The current result of a passive check for each target. Earlier findings of its monitor still stand unless this
/// judgement lifts them.
pub(super) fn of_judged(check: Check, judged: Judged, standing: &Findings, boards: &[Gpu], now: Now) -> Verdict {
    let mut findings = Findings::default();
    standing.of(check.name()).for_each(|finding| findings.put(finding.clone()));
    findings.settle(check.name(), &judged, boards, now.wall());
    let says = judged.outcome == Outcome::Pass || !judged.found.is_empty();
    let of_finding = |finding: &Finding, tested| TargetResult {
        target: finding.target.clone(),
        outcome: finding.outcome.clone(),
        severity: finding.severity.clone(),
        reason: Some(finding.reason.clone()),
        message: Some(finding.message.clone()),
        tested,
    };
    let of_covered = |target: &String| match findings.get(check.name(), target).filter(|_| says) {
        Some(finding) => of_finding(finding, true),
        None => {
            TargetResult { target: target.clone(), outcome: Outcome::Pass, tested: true, ..TargetResult::default() }
        }
    };
    let mut targets: Vec<TargetResult> = judged.covered.iter().map(of_covered).collect();
    let others = findings.iter().filter(|finding| says && !judged.covered.contains(&finding.target));
    targets.extend(others.map(|finding| of_finding(finding, false)));
    Verdict { outcome: judged.outcome, reason: judged.reason, message: judged.message, targets, ..Verdict::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(target: &str, outcome: Outcome, severity: Severity) -> TargetResult {
        let reason = Some(format!("Of{target}"));
        TargetResult { target: target.to_owned(), outcome, severity, reason, message: None, tested: true }
    }

    fn verdict(targets: Vec<TargetResult>) -> Verdict {
        Verdict { outcome: Outcome::Pass, targets, ..Verdict::default() }
    }

    #[test]
    fn the_worst_target_is_the_result_of_the_check_and_all_tested_targets_are_named() {
        let earlier = TargetResult { tested: false, ..result("d", Outcome::Warn, Severity::Monitor) };
        let targets = vec![
            result("a", Outcome::Pass, Severity::None),
            result("c", Outcome::Fail, Severity::Reset),
            result("b", Outcome::Fail, Severity::Reset),
            result("e", Outcome::Fail, Severity::Monitor),
            earlier,
        ];
        let result = verdict(targets).into_result(&CheckSpec::default(), 7);
        assert_eq!(
            (result.outcome, result.severity, result.reason.as_deref()),
            (Outcome::Fail, Severity::Reset, Some("Ofb"))
        );
        assert_eq!(result.tested, ["a", "c", "b", "e"]);
        let failed: Vec<&str> = result.failed.iter().map(|failed| failed.target.as_str()).collect();
        assert_eq!(failed, ["b", "c", "e", "d"]);
    }

    #[test]
    fn a_result_never_says_that_a_target_passed_which_did_not() {
        let targets: Vec<TargetResult> =
            (0..20).map(|n| result(&format!("{n:02}"), Outcome::Fail, Severity::Reset)).collect();
        let result = verdict(targets).into_result(&CheckSpec::default(), 7);
        assert_eq!(result.failed.len(), 16);
        assert!((0..20).all(|n| result.on(&format!("{n:02}")).is_none_or(|(outcome, _)| *outcome == Outcome::Fail)));
    }

    #[test]
    fn a_fault_outweighs_that_something_was_not_restored_and_a_pass_does_not() {
        let unrestored = |outcome| Verdict { outcome, ..verdict(Vec::new()) }.unrestored("the power limit");
        let fail = unrestored(Outcome::Fail);
        assert_eq!((fail.outcome, fail.message.as_deref()), (Outcome::Fail, Some("the power limit")));
        let pass = unrestored(Outcome::Pass);
        assert_eq!((pass.outcome, pass.reason.as_deref()), (Outcome::Inconclusive, Some(reason::RESTORE_FAILED)));
    }
}
