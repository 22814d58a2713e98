//! `custom`: a program that the user supplies.

use super::by_probe::{ByProbe, Evidence};
use crate::dispatch::verdict::Verdict;
use crate::judge::{Findings, Found, same_verdict};
use crate::probe::programs::{CustomAsked, CustomParameters, MARGIN_MS};
use crate::readings::program::{self as custom, CustomReport};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::Finding;
use crds::{CheckSpec, Outcome, Time, reason};

/// The time limit of a program if the check does not say, in seconds.
const DEFAULT_SECONDS: i64 = 300;

/// The check `custom`.
pub(super) struct Program;

impl ByProbe for Program {
    const CHECK: Check = Check::Custom;

    type Probe = CustomParameters;

    fn deadline_ms(spec: &CheckSpec) -> u64 {
        let given = spec.custom.as_ref().and_then(|custom| custom.timeout_seconds);
        let seconds = given.unwrap_or(DEFAULT_SECONDS).clamp(1, 86_400);
        u64::try_from(seconds).unwrap_or(0).saturating_mul(1000) + MARGIN_MS
    }

    fn parameters(spec: &CheckSpec, deadline_ms: u64) -> CustomAsked {
        let custom = spec.custom.clone().unwrap_or_default();
        CustomAsked {
            program: custom.program,
            args: custom.args,
            env: custom.env.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            deadline_ms: deadline_ms.saturating_sub(MARGIN_MS).max(1),
        }
    }

    fn judge(report: CustomReport, evidence: &Evidence<'_>, findings: &mut Findings) -> Verdict {
        verdict(evidence.spec, &report, findings, evidence.now.wall())
    }
}

/// The verdict of a user's program. A failure stays as a finding until the same program passes for its target; a pass
/// for the node as a whole covers every target.
fn verdict(spec: &CheckSpec, report: &CustomReport, findings: &mut Findings, now: Time) -> Verdict {
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
