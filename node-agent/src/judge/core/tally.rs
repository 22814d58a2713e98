//! Collects the answers of one check's rules per target, and decides which targets are covered.
//!
//! A target is covered if at least one rule had its input, and so did the rule behind the target's current finding. A
//! missing reading neither lifts a finding nor replaces it with a lesser one.

use super::found::{Findings, Found, Judged};
use super::ground::Ground;
use super::rule::{self, Page, Rule};
use crds::node_health::Gpu;
use crds::{Outcome, reason};

/// The answer of one rule for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::judge) enum Answer {
    /// Its input is missing.
    Unknown,
    /// It does not fire.
    Well,
    /// It fires.
    Wrong {
        /// The message: one sentence.
        message: String,
        /// The raw values.
        evidence: String,
    },
}

impl Answer {
    /// Fires on `Some(true)`; unknown on `None`.
    pub(in crate::judge) fn when(is_so: Option<bool>, say: impl FnOnce() -> (String, String)) -> Self {
        match is_so {
            None => Self::Unknown,
            Some(false) => Self::Well,
            Some(true) => {
                let (message, evidence) = say();
                Self::Wrong { message, evidence }
            }
        }
    }
}

/// Collects the answers.
pub(in crate::judge) struct Tally<'a> {
    check: &'static str,
    rules: &'static [Rule],
    findings: &'a Findings,
    gpus: &'a [Gpu],
    covered: Vec<String>,
    found: Vec<Found>,
}

impl<'a> Tally<'a> {
    pub(in crate::judge) fn new(page: &'static Page, ground: &Ground<'a>) -> Self {
        Self {
            check: page.check.name(),
            rules: page.rules,
            findings: ground.findings,
            gpus: ground.gpus,
            covered: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Whether the target has a standing finding with this reason.
    pub(in crate::judge) fn stands(&self, target: &str, reason: &str) -> bool {
        self.findings.get(self.check, target).is_some_and(|finding| finding.reason == reason)
    }

    /// The name of the GPU for messages.
    pub(in crate::judge) fn name(&self, pci: &str) -> String {
        gpu_name(self.gpus, pci)
    }

    /// Adds the answers of all rules for the target.
    pub(in crate::judge) fn ask(&mut self, target: &str, answers: impl IntoIterator<Item = (&'static str, Answer)>) {
        let mut answers: Vec<_> = answers.into_iter().collect();
        let standing = self.findings.get(self.check, target);
        let unasked = standing
            .filter(|standing| answers.iter().any(|(why, said)| *why == standing.reason && *said == Answer::Unknown));
        if unasked.is_none() && answers.iter().any(|(_, said)| *said != Answer::Unknown) {
            self.covered.push(target.to_owned());
        }
        // Among equals the standing finding wins, so that it keeps its age.
        answers.sort_by_key(|(why, _)| standing.is_none_or(|standing| standing.reason != *why));
        for (why, said) in answers {
            let Answer::Wrong { message, evidence } = said else { continue };
            let found = rule::found(self.rules, why, target, message, evidence);
            let is_lesser = |finding: &crds::node_health::Finding| {
                (found.outcome.rank(), found.severity.rank()) <= (finding.outcome.rank(), finding.severity.rank())
            };
            if !unasked.is_some_and(is_lesser) {
                self.found.push(found);
            }
        }
    }

    /// The judgement. If no target has what the check reads, the check does not apply.
    pub(in crate::judge) fn judged(self) -> Judged {
        let judged = rule::judged(self.covered, self.found);
        if judged.covered.is_empty() && judged.found.is_empty() {
            return Judged {
                outcome: Outcome::Skipped,
                reason: Some(reason::NOT_SUPPORTED.to_owned()),
                message: Some(format!("no GPU of this node supports what {} reads", self.check)),
                complete: false,
                ..judged
            };
        }
        judged
    }
}

/// `GPU 3 (0000:5d:00.0, serial 1650522001234)`, with the parts that are known.
pub(in crate::judge) fn gpu_name(gpus: &[Gpu], pci: &str) -> String {
    let gpu = gpus.iter().find(|gpu| gpu.pci_address == pci);
    let index = gpu.and_then(|gpu| gpu.index).map(|index| format!(" {index}")).unwrap_or_default();
    let serial = gpu.and_then(|gpu| gpu.serial.as_deref()).map(|serial| format!(", serial {serial}"));
    format!("GPU{index} ({pci}{})", serial.unwrap_or_default())
}

/// A value as evidence: the number, or `-` if it was not reported.
pub(in crate::judge) fn shown<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
