//! Turns the outcome of a probe into the result of one check of a run.

use crate::judge::{Findings, Found, Judged, bounded, same_verdict};
use crate::readings::program::{self as custom, CustomReport};
use crate::time::Now;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::{Aggregate, CheckResult, Finding, Gpu};
use crds::{CheckSpec, Outcome, Severity, Time, reason};

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
        let tested = targets.iter().filter(|result| result.tested).take(MAX_TESTED);
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
            aggregates: aggregates.into_iter().take(4).collect(),
        }
    }
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

/// The verdict of a user's program. A failure stays as a finding until the same program passes for its target; a pass
/// for the node as a whole covers every target.
pub(super) fn of_custom(spec: &CheckSpec, report: &CustomReport, findings: &mut Findings, now: Time) -> Verdict {
    let check = spec.reported_as();
    let said = &report.verdict;
    let outcome = outcome_of(said.outcome);
    let severity = said.severity.clone();
    let target = address_or_text(&said.target);
    let mut tested = vec![target.clone()];
    match outcome {
        Outcome::Fail | Outcome::Warn => {
            let found = Found {
                target: target.clone(),
                outcome: outcome.clone(),
                severity: severity.clone(),
                reason: said.reason.clone(),
                message: said.message.clone(),
                evidence: Some(report.evidence.clone()),
            };
            findings.put(seen_again(findings.get(&check, &target), found.as_finding(&check, now)));
        }
        Outcome::Pass => {
            let healed =
                |finding: &Finding| finding.check == check && (target == TARGET_NODE || finding.target == target);
            tested.extend(findings.iter().filter(|f| healed(f) && f.target != target).map(|f| f.target.clone()));
            findings.retain(|finding| !healed(finding));
        }
        _ => tested.clear(),
    }
    let words = if outcome == Outcome::Inconclusive {
        format!("{} ({})", said.message, report.evidence)
    } else {
        said.message.clone()
    };
    let verdict = Verdict {
        outcome,
        severity,
        reason: Some(stable_reason(&said.reason).to_owned()),
        message: (!words.is_empty()).then_some(words),
        ..Verdict::default()
    };
    verdict.of_each(tested)
}

/// A failure found again by another run is another sighting.
fn seen_again(known: Option<&Finding>, fresh: Finding) -> Finding {
    match known {
        Some(known) if same_verdict(known, &fresh) => {
            Finding { since: known.since, count: known.count.saturating_add(1).min(1_000_000_000), ..fresh }
        }
        _ => fresh,
    }
}

/// Reasons of the probe that have a different name in the API.
const REASONS: &[(&str, &str)] = &[
    ("NotExecutable", reason::PROGRAM_NOT_EXECUTABLE),
    ("KilledBySignal", reason::PROGRAM_KILLED),
    ("ProgramSilent", reason::PROBE_DEADLINE_EXCEEDED),
    ("EmptyOutput", reason::NO_OUTPUT),
];

fn stable_reason(reason: &str) -> &str {
    REASONS.iter().find(|(probe, _)| *probe == reason).map_or(reason, |(_, api)| api)
}

/// A PCI address in the spelling of the report; any other text unchanged.
fn address_or_text(target: &str) -> String {
    target.parse::<crate::pci::PciAddress>().map_or_else(|_| target.to_owned(), |address| address.to_string())
}

fn outcome_of(outcome: custom::Outcome) -> Outcome {
    match outcome {
        custom::Outcome::Pass => Outcome::Pass,
        custom::Outcome::Warn => Outcome::Warn,
        custom::Outcome::Fail => Outcome::Fail,
        custom::Outcome::Inconclusive => Outcome::Inconclusive,
        custom::Outcome::Skipped => Outcome::Skipped,
    }
}
