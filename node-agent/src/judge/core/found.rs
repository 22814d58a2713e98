//! Findings by key, and the result of one judgement.

use super::whereabouts::{Place, Whereabouts, address_in};
use crate::text::{bounded, key};
use crds::check::Check;
use crds::node_health::{Finding, Gpu};
use crds::{Outcome, Severity, Time};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The bound of `report.checks[].covered`.
pub const MAX_COVERED: usize = 49;

/// How many findings of one check are kept whose target is no known hardware. Whoever can write into the kernel log, or
/// supplies a custom check, can name as many targets as he likes.
pub const MAX_UNKNOWN: usize = 64;

/// The bound of a finding's message, in characters.
const MESSAGE_MAX: usize = 256;

/// Where a finding that has moved was first seen.
const FOUND_AT: &str = " (found at ";

/// Check and target.
pub type Key = (String, String);

/// A fault as one judgement sees it, without history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The PCI address, link, port or `node`.
    pub target: String,
    /// Warn or Fail.
    pub outcome: Outcome,
    /// What cures it.
    pub severity: Severity,
    /// The reason: one word.
    pub reason: String,
    /// The message: one sentence.
    pub message: String,
    /// The text that supports it, such as a log line or raw values.
    pub evidence: Option<String>,
}

/// The result of a check at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Pass if the check could judge (its findings then make the row worse); otherwise Skipped or Inconclusive.
    pub outcome: Outcome,
    /// The reason: one word.
    pub reason: Option<String>,
    /// The message: one sentence.
    pub message: Option<String>,
    /// The targets it could judge.
    pub covered: Vec<String>,
    /// What is wrong, from current state rather than events.
    pub found: Vec<Found>,
    /// Whether `found` lists everything wrong with the covered targets. If so, earlier findings of this check on
    /// covered targets that are not in it are removed; findings on other targets stay, because absence never heals. If
    /// not, `found` only adds.
    pub complete: bool,
}

impl Judged {
    /// The check could not judge: findings stay as they are.
    pub fn unknown(reason: &str, message: String) -> Self {
        Self::without_verdict(Outcome::Inconclusive, reason, Some(message))
    }

    /// The check judged these targets, and its findings were added as their events came.
    pub fn by_events(covered: Vec<String>) -> Self {
        Self { outcome: Outcome::Pass, reason: None, message: None, covered, found: Vec::new(), complete: false }
    }

    /// The check does not apply now: findings stay as they are.
    pub fn skipped(reason: &str) -> Self {
        Self::without_verdict(Outcome::Skipped, reason, None)
    }

    fn without_verdict(outcome: Outcome, reason: &str, message: Option<String>) -> Self {
        Self {
            outcome,
            reason: Some(reason.to_owned()),
            message,
            covered: Vec::new(),
            found: Vec::new(),
            complete: false,
        }
    }
}

/// How many findings of boards that are gone are kept, and how many vacant addresses.
const MAX_GONE: usize = 64;

/// What is wrong, unique by check and target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    by_key: BTreeMap<Key, Finding>,
    /// Findings of boards that are not in the node now. They stand again when their board does.
    gone: Vec<Finding>,
    /// Addresses that their boards have left.
    vacated: BTreeSet<String>,
}

impl Findings {
    /// All findings, by check and target.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.by_key.values()
    }

    /// The findings of one check.
    pub fn of<'a>(&'a self, check: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.by_key.values().filter(move |finding| finding.check == check)
    }

    /// The finding for this check and target.
    pub fn get(&self, check: &str, target: &str) -> Option<&Finding> {
        self.by_key.get(&(check.to_owned(), target.to_owned()))
    }

    /// Inserts a finding, replacing one with the same check and target.
    pub fn put(&mut self, finding: Finding) {
        self.by_key.insert((finding.check.clone(), finding.target.clone()), finding);
    }

    /// Removes the findings for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&Finding) -> bool) {
        self.by_key.retain(|_, finding| keep(finding));
    }

    /// Adds what was found. A known finding with the same verdict keeps its history: a state that persists is not a new
    /// sighting, so count and time stay. `boards` says which board the finding is about: the same fault on another
    /// board is another finding.
    pub fn add_state(&mut self, check: &str, found: &Found, boards: &[Gpu], at: Time) {
        let mut fresh = found.as_finding(check, at);
        identify(&mut fresh, boards);
        let former = self.get(check, &fresh.target).filter(|known| is_of_another_board(known, boards)).cloned();
        if let Some(former) = former {
            self.take_out(&former);
        }
        let finding = match self.get(check, &fresh.target) {
            Some(known) if same_verdict(known, &fresh) => Finding {
                since: known.since,
                last_seen: known.last_seen,
                count: known.count,
                uuid: fresh.uuid.or_else(|| known.uuid.clone()),
                serial: fresh.serial.or_else(|| known.serial.clone()),
                ..fresh
            },
            _ => fresh,
        };
        self.put(finding);
    }

    /// Applies a judgement to the standing findings. A finding about a board that is no longer at its address is
    /// removed once the check has judged the board that is there now.
    pub fn settle(&mut self, check: &str, judged: &Judged, boards: &[Gpu], at: Time) {
        let is_found = |finding: &Finding| judged.found.iter().any(|found| found.target == finding.target);
        if judged.complete {
            let covered = |finding: &Finding| judged.covered.contains(&finding.target);
            self.retain(|finding| finding.check != check || !covered(finding) || is_found(finding));
        }
        if judged.outcome == Outcome::Pass {
            let former: Vec<Finding> = self
                .of(check)
                .filter(|finding| judged.covered.contains(&finding.target) && is_of_another_board(finding, boards))
                .cloned()
                .collect();
            for finding in former {
                self.take_out(&finding);
            }
        }
        for found in &judged.found {
            self.add_state(check, found, boards, at);
        }
    }

    /// Moves the findings with their boards, as [`super::whereabouts`] says. `reads_hardware`: whether a check names only
    /// what it has read, by its name.
    pub fn follow(&mut self, boards: &Whereabouts, reads_hardware: impl Fn(&str) -> bool) {
        let mut moved: Vec<(Finding, String)> = Vec::new();
        for finding in self.by_key.values().filter(|finding| finding.check != Check::Drill.name()) {
            let Some(address) = address_in(&finding.target) else { continue };
            let was_board = reads_hardware(&finding.check) || self.vacated.contains(address);
            match boards.place_of(finding, address, was_board) {
                Place::There => {}
                Place::At(now) => moved.push((finding.clone(), now)),
                Place::Gone => moved.push((finding.clone(), String::new())),
            }
        }
        for (finding, _) in &moved {
            self.vacated.extend(address_in(&finding.target).map(str::to_owned));
            self.take_out(finding);
        }
        for (finding, now) in moved.into_iter().filter(|(_, now)| !now.is_empty()) {
            self.gone.retain(|gone| *gone != finding);
            self.put_at(finding, &now);
        }
        for finding in std::mem::take(&mut self.gone) {
            match boards.seen_at(&finding).map(str::to_owned) {
                Some(now) => self.put_at(finding, &now),
                None => self.gone.push(finding),
            }
        }
        self.vacated.retain(|address| !boards.has_board(address));
        while self.vacated.len() > MAX_GONE {
            self.vacated.pop_first();
        }
    }

    /// The addresses that boards with findings have left.
    pub fn vacated(&self) -> impl Iterator<Item = &String> {
        self.vacated.iter()
    }

    /// Takes out a finding whose board is not at its address, and keeps it for the return of that board.
    fn take_out(&mut self, finding: &Finding) {
        self.by_key.remove(&(finding.check.clone(), finding.target.clone()));
        if finding.uuid.is_some() || finding.serial.is_some() {
            self.gone.push(finding.clone());
            if self.gone.len() > MAX_GONE {
                self.gone.remove(0);
            }
        }
    }

    /// Puts a finding at the address where its board is now. Of two about the same board the worse one stays.
    fn put_at(&mut self, finding: Finding, address: &str) {
        let Some(former) = address_in(&finding.target).map(str::to_owned) else { return };
        let target = finding.target.replacen(&former, address, 1);
        let mut moved = Finding { target, ..finding };
        if former != address && !moved.message.contains(FOUND_AT) {
            let note = format!("{FOUND_AT}{former})");
            let room = MESSAGE_MAX.saturating_sub(note.len());
            moved.message = format!("{}{note}", bounded(&moved.message, room));
        }
        if let Some(known) = self.get(&moved.check, &moved.target) {
            let badness = |finding: &Finding| (finding.outcome.rank(), finding.severity.rank());
            let since = known.since.min(moved.since);
            let worse = if badness(known) >= badness(&moved) { known.clone() } else { moved };
            moved = Finding { since, ..worse };
        }
        self.put(moved);
    }

    /// Keeps at most [`MAX_UNKNOWN`] findings of each check on targets that are not known: the worst, then the oldest,
    /// so that a flood neither displaces what is worse nor changes what is kept. Findings on known targets all stay: a
    /// pass covers them, and would take a missing finding for a fault that is over.
    pub fn bound(&mut self, is_known: impl Fn(&str) -> bool) {
        if self.by_key.len() <= MAX_UNKNOWN {
            return;
        }
        let mut unknown: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in self.by_key.values().filter(|finding| !is_known(&finding.target)) {
            unknown.entry(&finding.check).or_default().push(finding);
        }
        let mut over: Vec<Key> = Vec::new();
        for mut findings in unknown.into_values().filter(|findings| findings.len() > MAX_UNKNOWN) {
            findings.sort_by_key(|f| (Reverse((f.outcome.rank(), f.severity.rank())), f.since));
            over.extend(findings.iter().skip(MAX_UNKNOWN).map(|f| (f.check.clone(), f.target.clone())));
        }
        for key in over {
            self.by_key.remove(&key);
        }
    }

    /// Sets the board of each finding that has none yet.
    pub fn identify(&mut self, boards: &[Gpu]) {
        for finding in self.by_key.values_mut().filter(|finding| finding.serial.is_none() && finding.uuid.is_none()) {
            identify(finding, boards);
        }
    }
}

/// The board at the address in a target.
fn board_at<'b>(target: &str, boards: &'b [Gpu]) -> Option<&'b Gpu> {
    let address = address_in(target)?;
    boards.iter().find(|board| board.pci_address == address)
}

fn identify(finding: &mut Finding, boards: &[Gpu]) {
    if let Some(board) = board_at(&finding.target, boards) {
        finding.uuid = board.uuid.as_ref().map(String::from);
        finding.serial = board.serial.as_ref().map(String::from);
    }
}

/// Whether the finding is about another board: by serial number, or by UUID if there is none.
fn is_of_another_board(finding: &Finding, boards: &[Gpu]) -> bool {
    let Some(board) = board_at(&finding.target, boards) else { return false };
    match (&finding.serial, &board.serial) {
        (Some(then), Some(now)) => then != now,
        _ => finding.uuid.is_some() && board.uuid.is_some() && finding.uuid.as_deref() != board.uuid.as_deref(),
    }
}

impl Found {
    /// The finding, first seen at `at`, within the bounds of the API.
    pub fn as_finding(&self, check: &str, at: Time) -> Finding {
        Finding {
            check: key(check, 80),
            target: key(&self.target, 64),
            outcome: self.outcome.clone(),
            severity: self.severity.clone(),
            reason: key(&self.reason, 63),
            message: bounded(&self.message, MESSAGE_MAX),
            since: at,
            last_seen: at,
            count: 1,
            evidence: self.evidence.as_deref().map(|text| bounded(text, 256)),
            code: None,
            uuid: None,
            serial: None,
            caused_by: None,
        }
    }
}

/// Whether two findings have the same verdict, ignoring times and counts.
pub fn same_verdict(one: &Finding, other: &Finding) -> bool {
    one.outcome == other.outcome && one.severity == other.severity && one.reason == other.reason
}

/// Fail before Warn, then by severity, then by check and target.
pub fn worst_first<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<&'a Finding> {
    let mut sorted: Vec<_> = findings.collect();
    sorted.sort_by_key(|f| std::cmp::Reverse((f.outcome.rank(), f.severity.rank())));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_judgement_heals_what_it_covered_and_leaves_what_it_did_not_see() {
        let wrong = |target: &str| Found {
            target: target.to_owned(),
            outcome: Outcome::Fail,
            severity: Severity::Reset,
            reason: "RemapPending".to_owned(),
            message: String::new(),
            evidence: None,
        };
        let judged = |covered: &[&str], found: Vec<Found>| Judged {
            outcome: Outcome::Pass,
            reason: None,
            message: None,
            covered: covered.iter().map(|target| (*target).to_owned()).collect(),
            found,
            complete: true,
        };
        let mut findings = Findings::default();
        let all = ["a", "b", "c"];
        findings.settle("rowRemap", &judged(&all, all.map(wrong).to_vec()), &[], Time::from_unix(1));
        findings.settle("rowRemap", &judged(&["a", "b"], vec![wrong("b")]), &[], Time::from_unix(2));
        let stands: Vec<_> = findings.iter().map(|finding| finding.target.as_str()).collect();
        assert_eq!(stands, ["b", "c"]);
    }
}
