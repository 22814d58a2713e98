//! The result: what was seen, the overall verdict, and its document.

use crds::node_health::{CheckRow, Finding, Inventory};
use crds::{Action, Outcome, Severity};
use serde::Serialize;

/// Exit status of a healthy machine.
pub(super) const EXIT_HEALTHY: u8 = 0;
/// Exit status when something failed.
pub(super) const EXIT_FAILED: u8 = 1;
/// Exit status when it could not be judged, or there is no accelerator.
pub(super) const EXIT_INCONCLUSIVE: u8 = 2;

/// All that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The host's name.
    pub node: String,
    /// The profile that it was compared with.
    pub profile: Option<String>,
    /// Where the kernel log was read.
    pub kernel_log: Option<String>,
    /// The hardware.
    pub inventory: Inventory,
    /// One row per check.
    pub rows: Vec<CheckRow>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// What a Pass does not speak for: a sentence each.
    pub unjudged: Vec<String>,
}

/// The overall verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Everything that was asked for was judged, and nothing failed.
    Healthy,
    /// Something failed.
    Failed,
    /// Nothing failed, but not everything could be judged.
    Inconclusive,
    /// No accelerator was found.
    NoAccelerator,
}

impl Verdict {
    /// The exit status of the program.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Healthy => EXIT_HEALTHY,
            Self::Failed => EXIT_FAILED,
            Self::Inconclusive | Self::NoAccelerator => EXIT_INCONCLUSIVE,
        }
    }
}

/// The document of `-o json` and `-o yaml`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    node: &'a str,
    agent: &'static str,
    verdict: Verdict,
    severity: Severity,
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_log: Option<&'a str>,
    checks: &'a [CheckRow],
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    not_judged: &'a [String],
    inventory: &'a Inventory,
}

impl Looked {
    /// The overall verdict.
    pub fn verdict(&self) -> Verdict {
        if self.findings.iter().any(|finding| finding.outcome == Outcome::Fail) {
            return Verdict::Failed;
        }
        let judged = self.rows.iter().any(|row| matches!(row.outcome, Outcome::Pass | Outcome::Warn));
        let is_open = |row: &CheckRow| matches!(row.outcome, Outcome::Inconclusive | Outcome::Unrecognized(_));
        let unjudged = self.rows.iter().any(is_open);
        if self.inventory.gpus.is_empty() && !unjudged {
            return Verdict::NoAccelerator;
        }
        if unjudged || !judged || !self.unjudged.is_empty() { Verdict::Inconclusive } else { Verdict::Healthy }
    }

    /// The severity of the worst failure.
    pub fn severity(&self) -> Severity {
        let failed = self.findings.iter().filter(|finding| finding.outcome == Outcome::Fail);
        failed.map(|finding| finding.severity.clone()).max_by_key(Severity::rank).unwrap_or_default()
    }

    pub(super) fn document(&self) -> Document<'_> {
        let severity = self.severity();
        Document {
            node: &self.node,
            agent: env!("CARGO_PKG_VERSION"),
            verdict: self.verdict(),
            action: Action::for_severity(&severity),
            severity,
            profile: self.profile.as_deref(),
            kernel_log: self.kernel_log.as_deref(),
            checks: &self.rows,
            findings: &self.findings,
            not_judged: &self.unjudged,
            inventory: &self.inventory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::node_health::Gpu;

    fn looked(outcomes: &[Outcome], finding: Option<Outcome>, gpus: usize) -> Looked {
        Looked {
            node: "n".into(),
            profile: None,
            kernel_log: None,
            inventory: Inventory { gpus: vec![Gpu::default(); gpus], ..Inventory::default() },
            rows: outcomes.iter().map(|outcome| CheckRow { outcome: outcome.clone(), ..CheckRow::default() }).collect(),
            findings: finding
                .map(|outcome| Finding { outcome, severity: Severity::Reset, ..Finding::default() })
                .into_iter()
                .collect(),
            unjudged: Vec::new(),
        }
    }

    #[test]
    fn the_exit_status_tells_healthy_failed_and_not_judged_apart() {
        use Outcome::{Fail, Inconclusive, Pass, Skipped, Warn};
        for (rows, finding, gpus, verdict, exit) in [
            (vec![Pass, Pass], None, 8, Verdict::Healthy, 0),
            (vec![Pass, Skipped], None, 8, Verdict::Healthy, 0),
            (vec![Pass, Warn], Some(Warn), 8, Verdict::Healthy, 0),
            (vec![Pass, Fail], Some(Fail), 8, Verdict::Failed, 1),
            (vec![Inconclusive, Fail], Some(Fail), 0, Verdict::Failed, 1),
            (vec![Pass, Inconclusive], None, 8, Verdict::Inconclusive, 2),
            (vec![Skipped, Pass], None, 0, Verdict::NoAccelerator, 2),
            (vec![Skipped], None, 8, Verdict::Inconclusive, 2),
        ] {
            let looked = looked(&rows, finding, gpus);
            assert_eq!((looked.verdict(), looked.verdict().exit()), (verdict, exit), "{rows:?}");
        }
    }

    #[test]
    fn what_a_pass_does_not_speak_for_keeps_the_machine_from_being_healthy() {
        let mut looked = looked(&[Outcome::Pass], None, 8);
        assert_eq!(looked.verdict(), Verdict::Healthy);
        looked.unjudged.push("ecc did not judge GPU 7".into());
        assert_eq!(looked.verdict(), Verdict::Inconclusive);
        let document = serde_json::to_value(looked.document()).unwrap();
        assert_eq!(document["notJudged"][0], "ecc did not judge GPU 7");
    }

    #[test]
    fn the_document_has_one_entry_per_check() {
        let looked = looked(&[Outcome::Pass, Outcome::Fail], Some(Outcome::Fail), 1);
        let document = serde_json::to_value(looked.document()).unwrap();
        assert_eq!(document["checks"].as_array().unwrap().len(), 2);
        assert_eq!(document["checks"][1]["outcome"], "Fail");
        assert_eq!((document["verdict"].as_str(), document["action"].as_str()), (Some("Failed"), Some("ResetGpu")));
    }
}
