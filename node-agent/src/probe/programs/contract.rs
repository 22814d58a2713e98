//! What a custom check prints: the contract line of the AWS bring-your-own check, or a JSON object.

use serde::Deserialize;

use crate::readings::program::{Outcome, Severity, Verdict};
use crate::text::{EVIDENCE_CHARS, bounded, key};

/// Why an output is not a verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The output has neither form.
    #[error(
        "the output has no verdict: print HEALTH_CHECK_RESULT:<host>:<Passed|Failed|Skipped>:<none|reboot|replace>:<reason>, \
         or one JSON object with `outcome`"
    )]
    NoVerdict,
    /// A contract line with an invalid part.
    #[error("`{part}` is no {what} of a HEALTH_CHECK_RESULT line; use {allowed}")]
    Contract {
        /// Which part.
        what: &'static str,
        /// The invalid text.
        part: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// A JSON object that does not match.
    #[error("the JSON verdict does not fit: {0}")]
    Json(String),
}

const PREFIX: &str = "HEALTH_CHECK_RESULT:";
const REPORTED: &str = "ReportedByProgram";

/// Parses a verdict: the last contract line; without one, the whole output or its last line as a JSON object.
pub fn read(stdout: &str) -> Result<Verdict, Unknown> {
    if let Some(line) = stdout.lines().rev().find_map(|line| line.trim().strip_prefix(PREFIX)) {
        return contract(line);
    }
    let whole = stdout.trim();
    let last = whole.lines().next_back().unwrap_or_default().trim();
    let object = [whole, last].into_iter().find(|text| text.starts_with('{') && text.ends_with('}'));
    object.map_or(Err(Unknown::NoVerdict), json)
}

fn contract(line: &str) -> Result<Verdict, Unknown> {
    let mut parts = line.splitn(4, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (_host, status, action, words) = (next(), next(), next(), next());
    let wrong = |what, part, allowed| Unknown::Contract { what, part: bounded(part, EVIDENCE_CHARS), allowed };
    let cure = match action {
        "none" => Severity::Monitor,
        "reboot" => Severity::Reboot,
        "replace" => Severity::Isolate,
        other => return Err(wrong("action", other, "none, reboot or replace")),
    };
    let (outcome, severity) = match status {
        "Passed" => (Outcome::Pass, Severity::None),
        "Failed" => (Outcome::Fail, cure),
        "Skipped" => (Outcome::Skipped, Severity::None),
        other => return Err(wrong("status", other, "Passed, Failed or Skipped")),
    };
    Ok(verdict(outcome, severity, words.trim(), words.trim(), None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    outcome: Outcome,
    severity: Option<Severity>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    target: Option<String>,
}

fn json(text: &str) -> Result<Verdict, Unknown> {
    let document: Document =
        serde_json::from_str(text).map_err(|error| Unknown::Json(bounded(&error.to_string(), EVIDENCE_CHARS)))?;
    let Document { outcome, severity, reason, message, target } = document;
    if let Some(Severity::Unrecognized(other)) = &severity {
        let known: Vec<&str> = Severity::ALL.iter().map(Severity::as_str).collect();
        return Err(Unknown::Json(bounded(
            &format!("unknown severity `{other}`, expected one of {}", known.join(", ")),
            EVIDENCE_CHARS,
        )));
    }
    let severity = match outcome {
        // A failure without a severity is set to Monitor.
        Outcome::Fail | Outcome::Warn => severity.filter(|named| *named != Severity::None).unwrap_or(Severity::Monitor),
        Outcome::Pass | Outcome::Inconclusive | Outcome::Skipped => Severity::None,
    };
    let message = if message.is_empty() { reason.clone() } else { message };
    Ok(verdict(outcome, severity, &reason, &message, target))
}

fn verdict(outcome: Outcome, severity: Severity, reason: &str, message: &str, target: Option<String>) -> Verdict {
    let reason = if is_reason(reason) { reason } else { REPORTED };
    let target = target.filter(|target| !target.is_empty()).unwrap_or_else(|| "node".to_owned());
    Verdict {
        outcome,
        severity,
        reason: reason.to_owned(),
        message: bounded(message, EVIDENCE_CHARS),
        target: key(&target, 64),
    }
}

/// One PascalCase word of at most 64 characters, as reasons are written.
fn is_reason(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|char| char.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_ok(text: &str) -> (Outcome, Severity, String, String) {
        let verdict = read(text).unwrap();
        (verdict.outcome, verdict.severity, verdict.reason, verdict.message)
    }

    #[test]
    fn the_contract_line_maps_to_outcome_and_severity() {
        let said = |line: &str| read_ok(&format!("HEALTH_CHECK_RESULT:host-1:{line}\n"));
        let reported = || REPORTED.to_owned();
        assert_eq!(said("Passed:none:"), (Outcome::Pass, Severity::None, reported(), String::new()));
        assert_eq!(
            said("Failed:replace:dcgm: level 4, GPU 3"),
            (Outcome::Fail, Severity::Isolate, reported(), "dcgm: level 4, GPU 3".to_owned())
        );
        assert_eq!(
            said("Failed:reboot:DriverHung"),
            (Outcome::Fail, Severity::Reboot, "DriverHung".to_owned(), "DriverHung".to_owned())
        );
        assert_eq!(said("Failed:none:x").1, Severity::Monitor);
        assert_eq!(said("Skipped:none:busy").0, Outcome::Skipped);
        assert_eq!(said("Passed:replace:odd").1, Severity::None);
    }

    #[test]
    fn the_last_contract_line_wins_over_earlier_ones_and_over_json() {
        let text = "HEALTH_CHECK_RESULT:h:Failed:reboot:first\nnoise\n  HEALTH_CHECK_RESULT:h:Passed:none:second\n{\"outcome\":\"Fail\"}";
        assert_eq!(read_ok(text).0, Outcome::Pass);
    }

    #[test]
    fn json_is_read_from_the_whole_output_or_its_last_line() {
        let text = "{\n \"outcome\": \"Fail\", \"severity\": \"Reset\",\n \"reason\": \"SlowDisk\", \"target\": \"0000:18:00.0\"}\n";
        let verdict = read(text).unwrap();
        assert_eq!((verdict.outcome, verdict.severity), (Outcome::Fail, Severity::Reset));
        assert_eq!((verdict.reason.as_str(), verdict.message.as_str()), ("SlowDisk", "SlowDisk"));
        assert_eq!(verdict.target, "0000:18:00.0");
        let verdict = read("starting\n{\"outcome\":\"Warn\",\"message\":\"hm\"}").unwrap();
        assert_eq!((verdict.outcome, verdict.severity), (Outcome::Warn, Severity::Monitor));
        assert_eq!((verdict.target.as_str(), verdict.message.as_str()), ("node", "hm"));
    }

    #[test]
    fn what_does_not_fit_names_the_part_and_what_may_stand_there() {
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said("all good").contains("no verdict"), "{}", said("all good"));
        let line = said("HEALTH_CHECK_RESULT:h:OK:none:x");
        assert!(line.contains("`OK` is no status") && line.contains("Passed, Failed or Skipped"), "{line}");
        let line = said("HEALTH_CHECK_RESULT:h:Failed:drain:x");
        assert!(line.contains("`drain` is no action"), "{line}");
        assert!(said(r#"{"outcome":"Good"}"#).contains("unknown variant `Good`"));
        assert!(said(r#"{"outcome":"Pass","sevrity":"None"}"#).contains("unknown field `sevrity`"));
        assert!(said(r#"{"outcome":"Fail","severity":"Grave"}"#).contains("unknown severity `Grave`"));
        assert!(said(r#"{"severity":"None"}"#).contains("missing field `outcome`"));
    }

    proptest! {
        #[test]
        fn no_output_makes_it_panic_and_every_word_stays_within_its_bound(text in "(HEALTH_CHECK_RESULT:|\\{|\\PC|\n|:){0,40}") {
            if let Ok(verdict) = read(&text) {
                prop_assert!(verdict.message.chars().count() <= 256 && verdict.target.len() <= 64 && is_reason(&verdict.reason));
            }
        }
    }
}
