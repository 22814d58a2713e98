//! Board or job: for Xids that either may cause, the history of sightings shows which one to suspect.
//!
//! ```text
//!  one board, several jobs          → look at the board
//!  one job, several boards          → look at the job
//!  one board, the same GPC and TPC  → run the field diagnostic (NVIDIA's WORKFLOW_XID_13)
//! ```
//!
//! A job is the pod whose process the driver names, found by the process's cgroup; without a pod, the process itself.
//! This is a hint for people: severities remain those of the tables. The history is lost when the agent restarts, which
//! costs a hint and no verdict. NVIDIA describes this for Xid 13 and 31 in its catalogue, workflows XID_13 and XID_31.

use super::catalogue::{self, Concern};
use super::observation::{XidEvent, XidObservation};
use std::collections::VecDeque;

/// The limit of the history: 8 boards with 8 jobs each.
const SEEN: usize = 64;
/// How long a sighting counts, in milliseconds: a day.
const REMEMBERED_MS: u64 = 24 * 3_600 * 1_000;
/// Lines of one fault are seconds apart; a line this much later is another fault, in milliseconds.
const ANOTHER_MS: u64 = 60_000;
/// From this many jobs on, failures on one board are no coincidence.
const JOBS: usize = 3;
/// From this many boards on, failures of one job are no coincidence.
const BOARDS: usize = 2;
/// From this many times on, failures in the same part of a board are no coincidence.
const TIMES: u32 = 3;

/// Application Xids that only report the end of a program: killing three jobs is no evidence against a board.
const ENDINGS: [u32; 3] = [43, 45, 174];
/// A contained ECC error ends the program that hit it, and recurs if the memory is bad.
const CONTAINED_ECC: u32 = 94;

/// A part of a GPU: graphics processing cluster and texture processing cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    gpc: u32,
    tpc: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sighting {
    code: u32,
    board: String,
    owner: Option<String>,
    part: Option<Part>,
    times: u32,
    last: u64,
}

/// What the evidence points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// The same part of the same board, this many times.
    Part {
        /// The graphics processing cluster.
        gpc: u32,
        /// The texture processing cluster.
        tpc: u32,
        /// How often.
        times: u32,
    },
    /// The same board, under this many jobs that fail on no other board.
    Board {
        /// How many.
        jobs: usize,
    },
    /// The same job, on this many boards.
    Job {
        /// How many.
        boards: usize,
    },
}

impl Suspect {
    /// The text for people.
    pub fn says(self, code: u32) -> String {
        match self {
            Self::Part { gpc, tpc, times } => {
                format!("Xid {code} {times} times at GPC {gpc}, TPC {tpc} of this board: run the field diagnostic")
            }
            Self::Board { jobs } => format!("Xid {code} on this board under {jobs} different jobs: look at the board"),
            Self::Job { boards } => format!("Xid {code} in the same job on {boards} boards: look at the job"),
        }
    }
}

/// The sightings of the last day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    seen: VecDeque<Sighting>,
}

/// Whether this Xid may be caused by either the board or the job.
pub fn is_either(code: u32) -> bool {
    let application = catalogue::row(code).is_some_and(|row| row.concern == Concern::Application);
    code == CONTAINED_ECC || (application && !ENDINGS.contains(&code))
}

impl Owners {
    /// Records a fault of a board (its serial number, or its PCI address if there is none), and returns what the
    /// evidence now points to.
    pub fn sight(&mut self, observed: &XidObservation, board: &str, now_ms: u64) -> Option<Suspect> {
        let XidEvent::Xid(code) = observed.event else { return None };
        if !is_either(code) {
            return None;
        }
        self.seen.retain(|seen| now_ms.saturating_sub(seen.last) < REMEMBERED_MS);
        let sighting = Sighting {
            code,
            board: board.to_owned(),
            owner: owner(observed),
            part: part(&observed.message),
            times: 1,
            last: now_ms,
        };
        self.remember(sighting.clone());
        self.part(&sighting).or_else(|| self.board(code, board)).or_else(|| self.job(code, sighting.owner.as_deref()))
    }

    fn remember(&mut self, fresh: Sighting) {
        let same = self.seen.iter().position(|seen| {
            (seen.code, &seen.board, &seen.owner, seen.part) == (fresh.code, &fresh.board, &fresh.owner, fresh.part)
        });
        let kept = match same.and_then(|at| self.seen.remove(at)) {
            // Lines of the same fault do not move its time; otherwise a fault that never stops would count only once.
            Some(seen) if fresh.last.saturating_sub(seen.last) < ANOTHER_MS => seen,
            Some(seen) => Sighting { times: seen.times.saturating_add(1), ..fresh },
            None => fresh,
        };
        self.seen.push_back(kept);
        if self.seen.len() > SEEN {
            self.seen.pop_front();
        }
    }

    fn part(&self, fresh: &Sighting) -> Option<Suspect> {
        let part = fresh.part?;
        let here = self.seen.iter().filter(|s| s.code == fresh.code && s.board == fresh.board && s.part == Some(part));
        let times = here.map(|seen| seen.times).sum();
        (times >= TIMES).then_some(Suspect::Part { gpc: part.gpc, tpc: part.tpc, times })
    }

    /// A job that also fails on other boards is evidence against itself, not against this board.
    fn board(&self, code: u32, board: &str) -> Option<Suspect> {
        let mut jobs: Vec<&str> = Vec::new();
        for seen in self.seen.iter().filter(|seen| seen.code == code && seen.board == board) {
            if let Some(owner) = seen.owner.as_deref()
                && self.boards_of(code, owner).len() == 1
                && !jobs.contains(&owner)
            {
                jobs.push(owner);
            }
        }
        (jobs.len() >= JOBS).then_some(Suspect::Board { jobs: jobs.len() })
    }

    fn job(&self, code: u32, owner: Option<&str>) -> Option<Suspect> {
        let boards = self.boards_of(code, owner?).len();
        (boards >= BOARDS).then_some(Suspect::Job { boards })
    }

    fn boards_of(&self, code: u32, owner: &str) -> Vec<&str> {
        let mut boards: Vec<&str> = Vec::new();
        for seen in self.seen.iter().filter(|seen| seen.code == code && seen.owner.as_deref() == Some(owner)) {
            if !boards.contains(&seen.board.as_str()) {
                boards.push(&seen.board);
            }
        }
        boards
    }
}

/// The pod, or the process if there is none; None if the driver knew neither.
fn owner(observed: &XidObservation) -> Option<String> {
    let process = || Some(format!("{} {}", observed.process.as_deref().unwrap_or("pid"), observed.pid?));
    observed.owner.as_ref().map(|pod| format!("pod {pod}")).or_else(process)
}

/// `… on (GPC 7, TPC 7, SM 0): …`.
fn part(message: &str) -> Option<Part> {
    let number = |word: &str| {
        let (_, rest) = message.split_once(word)?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    Some(Part { gpc: number("(GPC ")?, tpc: number(", TPC ")? })
}

/// The uid of the pod that a process belongs to, from the text of its `/proc/<pid>/cgroup`; None if it belongs to no
/// pod.
///
/// Covers both cgroup drivers of the kubelet and both cgroup versions: `…/kubepods-burstable-pod0c5bd4a5_….slice/…`
/// (systemd) and `/kubepods/burstable/pod0c5bd4a5-…/…` (cgroupfs). A static pod's uid is a hash of 32 digits without
/// dashes.
pub fn owner_of_cgroup(text: &str) -> Option<String> {
    text.lines().flat_map(|line| line.split('/')).filter(|part| part.len() <= 256).find_map(pod_uid)
}

fn pod_uid(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match name.rsplit_once("-pod") {
        Some((slice, uid)) if slice.contains("kubepods") => uid,
        _ => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-").to_ascii_lowercase();
    let hexadecimal = uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let dashes: Vec<usize> = uid.match_indices('-').map(|(at, _)| at).collect();
    let whole = (uid.len() == 36 && dashes == [8, 13, 18, 23]) || (uid.len() == 32 && dashes.is_empty());
    (hexadecimal && whole).then_some(uid)
}

#[cfg(test)]
mod tests;
