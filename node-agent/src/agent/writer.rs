//! When the report is written: only if something changed, and not too often.
//!
//! At most one write per second. A new or worse Fail is written at once, up to [`BURST`] writes in any second. The
//! count and time of a known finding are updated once a minute. Baselines and the times at which checks last ran never
//! cause a write: they travel with the next.
//!
//! If the API server does not take the full report, the same one without texts goes at once, and so do all changes until
//! the full one is accepted; only that one waits.

use super::event::Refusal;
use super::texts::without_texts;
use crate::judge::Key;
use crate::time::Now;
use crds::node_health::{CheckRow, Finding, Report};
use crds::{Outcome, Time};
use std::collections::{BTreeMap, VecDeque};

/// The pause between two ordinary writes, in milliseconds.
pub const PAUSE_MS: u64 = 1_000;
/// The most writes within any second.
pub const BURST: usize = 5;
/// The pause between two updates of one finding's count and lastSeen, in milliseconds.
pub const COUNT_PAUSE_MS: u64 = 60_000;

/// The first and the longest pause after a refusal, in milliseconds. A refusal that only a person can resolve is
/// retried rarely.
const fn back_off(refusal: Refusal) -> (u64, u64) {
    match refusal {
        Refusal::Transient => (500, 15_000),
        Refusal::NotFound | Refusal::Forbidden => (5_000, 60_000),
        Refusal::Schema => (60_000, 600_000),
    }
}

/// The pause after so many refusals.
fn pause(refusal: Refusal, before: u32) -> u64 {
    let (first, longest) = back_off(refusal);
    first.saturating_mul(1 << before.min(10)).min(longest)
}

/// The full report was refused for its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    /// When it was first refused.
    since: Time,
    /// When it is tried again.
    full_again_at: u64,
    times: u32,
}

/// What was written, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    /// The report in the object, as far as known.
    published: Option<Report>,
    /// A write failed: the content of the object is unknown.
    uncertain: bool,
    under_way: Option<Report>,
    recent: VecDeque<u64>,
    not_before: u64,
    refusals: u32,
    refused: Option<Refused>,
    /// When count and lastSeen of each finding were last updated.
    moved: BTreeMap<Key, u64>,
}

/// What to do with a candidate report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// No change, or a write is in flight.
    Nothing,
    /// Not before this moment.
    Later(u64),
    /// Write it.
    Now,
}

impl Writer {
    /// The object is a different one, or gone, and its report with it.
    pub(super) fn forget(&mut self) {
        self.published = None;
        self.uncertain = false;
    }

    /// Sets the report that the object had when first seen.
    pub(super) fn begin_with(&mut self, report: Report) {
        self.published = Some(report);
    }

    /// The rows in the object.
    pub(super) fn published_rows(&self) -> Option<&[CheckRow]> {
        self.published.as_ref().map(|report| report.checks.as_slice())
    }

    /// The object was seen: writes refused because it was missing may be retried.
    pub(super) fn try_again(&mut self) {
        self.not_before = 0;
        self.refusals = 0;
    }

    /// The report as the API server takes it, as far as known: without texts while it refuses the full one.
    pub(super) fn as_accepted(&self, full: Report, mono_ms: u64) -> Report {
        match self.refused.filter(|refused| mono_ms < refused.full_again_at) {
            Some(refused) => without_texts(full, refused.since),
            None => full,
        }
    }

    /// When the full report is tried again, if it was refused.
    pub(super) fn full_again_at(&self, mono_ms: u64) -> Option<u64> {
        self.refused.map(|refused| refused.full_again_at).filter(|at| mono_ms < *at)
    }

    /// Holds count and time of known findings constant for a minute. Returns when the first of them may change.
    pub(super) fn damp(&self, findings: &mut [Finding], mono_ms: u64) -> Option<u64> {
        let published = self.published.as_ref()?;
        let mut next = None;
        for finding in findings {
            let known = published.findings.iter().find(|known| {
                known.check == finding.check
                    && known.target == finding.target
                    && crate::judge::same_verdict(known, finding)
            });
            let Some(known) = known else { continue };
            if known.count == finding.count && known.last_seen == finding.last_seen {
                continue;
            }
            let free = self.moved.get(&key(finding)).map_or(0, |moved| moved + COUNT_PAUSE_MS);
            if mono_ms < free {
                (finding.count, finding.last_seen) = (known.count, known.last_seen);
                next = Some(next.map_or(free, |next: u64| next.min(free)));
            }
        }
        next
    }

    /// Whether, and when, to write the candidate.
    pub(super) fn consider(&self, candidate: &Report, mono_ms: u64) -> Writing {
        if self.under_way.is_some() || (!self.uncertain && !self.is_news(candidate)) {
            return Writing::Nothing;
        }
        let spaced = if self.is_urgent(candidate) {
            match self.recent.len().checked_sub(BURST) {
                Some(oldest) => self.recent.get(oldest).map_or(0, |at| at + PAUSE_MS),
                None => 0,
            }
        } else {
            self.recent.back().map_or(0, |at| at + PAUSE_MS)
        };
        let at = spaced.max(self.not_before);
        if mono_ms < at { Writing::Later(at) } else { Writing::Now }
    }

    fn is_news(&self, candidate: &Report) -> bool {
        self.published.as_ref().is_none_or(|published| !same_but_for_baselines(published, candidate))
    }

    /// Whether the candidate has a Fail that is new or worse than in what is published or being written.
    pub(super) fn is_urgent(&self, candidate: &Report) -> bool {
        let standing = self.under_way.as_ref().or(self.published.as_ref());
        let known = |finding: &Finding| {
            standing.iter().flat_map(|report| &report.findings).any(|known| {
                known.check == finding.check
                    && known.target == finding.target
                    && known.outcome == Outcome::Fail
                    && known.severity.rank() >= finding.severity.rank()
            })
        };
        candidate.findings.iter().any(|finding| finding.outcome == Outcome::Fail && !known(finding))
    }

    /// The candidate is being written.
    pub(super) fn sent(&mut self, report: Report, mono_ms: u64) {
        for finding in &report.findings {
            let still = self.published.iter().flat_map(|published| &published.findings).any(|known| {
                key(known) == key(finding) && known.count == finding.count && known.last_seen == finding.last_seen
            });
            if !still {
                self.moved.insert(key(finding), mono_ms);
            }
        }
        self.moved.retain(|key_, _| report.findings.iter().any(|finding| key(finding) == *key_));
        self.under_way = Some(report);
        self.recent.push_back(mono_ms);
        while self.recent.len() > BURST {
            self.recent.pop_front();
        }
    }

    /// The write ended. Returns the report if it is now on the server.
    pub(super) fn applied(&mut self, outcome: Result<(), Refusal>, now: Now) -> Option<&Report> {
        let report = self.under_way.take()?;
        let is_full = report.agent.refused.is_none();
        match outcome {
            Ok(()) => {
                if is_full {
                    self.refused = None;
                }
                self.uncertain = false;
                self.refusals = 0;
                self.not_before = 0;
                self.published = Some(report);
                self.published.as_ref()
            }
            // Nothing was stored, so what is published stays known, and the rest of the report need not wait.
            Err(Refusal::Schema) if is_full => {
                let times = self.refused.map_or(0, |refused| refused.times);
                self.refused = Some(Refused {
                    since: self.refused.map_or_else(|| now.wall(), |refused| refused.since),
                    full_again_at: now.mono_ms.saturating_add(pause(Refusal::Schema, times)),
                    times: times.saturating_add(1),
                });
                None
            }
            Err(refusal) => {
                self.not_before = now.mono_ms.saturating_add(pause(refusal, self.refusals));
                self.refusals = self.refusals.saturating_add(1);
                self.uncertain = true;
                None
            }
        }
    }
}

fn key(finding: &Finding) -> Key {
    (finding.check.clone(), finding.target.clone())
}

fn same_but_for_last_run(rows: &[CheckRow], others: &[CheckRow]) -> bool {
    let same = |one: &CheckRow, other: &CheckRow| {
        let CheckRow { check, outcome, covered, since, last_run: _, reason, message } = one;
        *check == other.check
            && *outcome == other.outcome
            && *covered == other.covered
            && *since == other.since
            && *reason == other.reason
            && *message == other.message
    };
    rows.len() == others.len() && rows.iter().zip(others).all(|(one, other)| same(one, other))
}

fn same_but_for_baselines(one: &Report, other: &Report) -> bool {
    let Report { observed_generation, agent, inventory, fabric, checks, findings, truncated, baselines: _, runs } = one;
    *observed_generation == other.observed_generation
        && *agent == other.agent
        && *inventory == other.inventory
        && *fabric == other.fabric
        && same_but_for_last_run(checks, &other.checks)
        && *findings == other.findings
        && *truncated == other.truncated
        && *runs == other.runs
}
