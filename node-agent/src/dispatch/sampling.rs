//! The one sampler: when it is started and stopped, what it is asked for, and how silence is handled.
//!
//! ```text
//!  no child ──(not before)──▶ idle ──Ask──▶ asked ──Sample──▶ idle
//!     ▲                        │              │ Hung, or no answer in time
//!     └──── its end is seen ───┴── stopping ◀─┘      (each failure doubles the pause before the next start)
//! ```
//!
//! What must stay true: at most one child, and at most one open question to it; the end of a stopped child is awaited;
//! while no child answers, [`Readings::trouble`] says why.

use super::probe::{Command, Measured, Probe};
use super::turn::Turn;
use crate::judge::{Readings, Trouble, registry};
use crate::readings::talk::{Ask, DriverEvent, Hung, Said};
use crate::readings::{Sample, Section};
use crate::runner::protocol::MAX_DEADLINE_MS;
use crds::check::Check;
use crds::node_health::Monitor;
use crds::reason;
use std::collections::{BTreeMap, BTreeSet};

/// The sampler is replaced after a day, because vendor libraries leak.
pub const SAMPLER_DEADLINE_MS: u64 = MAX_DEADLINE_MS;
/// If no answer comes within this time plus [`SECTION_MS`] for each section, and no hanging call was reported, the
/// sampler is replaced, in milliseconds. It reports a hang itself: after 10 s, at the start of the library after 120 s.
pub const ANSWER_MS: u64 = 150_000;
/// The time for each section beyond [`ANSWER_MS`], enough for sixteen slow GPUs, in milliseconds.
pub const SECTION_MS: u64 = 3_000;
/// How long a hang of the thread that waits for events is remembered, in milliseconds: no sample makes its calls.
const EVENT_SUSPECT_MS: u64 = 600_000;
/// The first and the longest pause before a failed sampler is restarted, in milliseconds.
pub const PAUSE_MS: (u64, u64) = (1_000, 300_000);
/// Sections due this soon are asked for together with those due now, so that different intervals do not drift apart.
const ALONG_MS: u64 = 1_000;
/// The pause between two unscheduled questions, in milliseconds.
pub const PROMPT_MS: u64 = 1_000;

/// How often each section is read, in milliseconds. The identity of the GPUs is always read.
pub(super) fn plan(monitors: &[Monitor]) -> BTreeMap<Section, u64> {
    let identity = Monitor { name: Check::Inventory.name().to_owned(), interval_seconds: None };
    let mut plan = BTreeMap::new();
    let identity = monitors.iter().all(|monitor| monitor.name != identity.name).then_some(identity);
    for monitor in monitors.iter().chain(&identity) {
        let Some(row) = registry::named(&monitor.name) else { continue };
        let ms = u64::try_from(row.reading_seconds(monitor)).unwrap_or(1).saturating_mul(1000);
        for section in row.reads.driver {
            plan.entry(*section).and_modify(|known: &mut u64| *known = (*known).min(ms)).or_insert(ms);
        }
    }
    plan
}

/// The sections to read at once after an event of the driver (event bits of nvml.h; Xid 48, 63, 64, 94, 95: NVIDIA's
/// catalogue, memory errors and row remapping; 154: the recovery action has changed).
pub(super) fn concerned(event: &DriverEvent) -> Vec<Section> {
    const MEMORY: u64 = 0x2 | 0x4 | 0x200 | 0x400 | 0x800;
    const RECOVERY_ACTION: u64 = 0x8000;
    let mut sections = event.xid.map_or_else(Vec::new, concerned_by_xid);
    if event.bits & MEMORY != 0 {
        sections.extend([Section::Ecc, Section::RowRemap]);
    }
    if event.bits & RECOVERY_ACTION != 0 {
        sections.push(Section::RecoveryAction);
    }
    sections
}

/// The sections to read at once after an Xid. Any Xid may have changed the driver's recovery action.
pub(crate) fn concerned_by_xid(code: u32) -> Vec<Section> {
    match code {
        48 | 63 | 64 | 94 | 95 => vec![Section::RowRemap, Section::Ecc, Section::RecoveryAction],
        _ => vec![Section::RecoveryAction],
    }
}

/// The child, and when each section is read next.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampling {
    child: Option<Child>,
    not_before: u64,
    failures: u32,
    /// A child could not be killed, and none has answered since: that child may still have the driver open.
    stuck: bool,
    due: BTreeMap<Section, u64>,
    /// Sections to read outside the schedule.
    wanted: BTreeSet<Section>,
    prompt_after: u64,
    /// When the question behind the last reading of each section was asked.
    read: BTreeMap<Section, u64>,
    last_ask: u64,
    /// The library is loaded anew at the next question.
    reload: bool,
    /// The call that the last sampler hung in. Slow is not hung: only the same call in a second one counts.
    suspect: Option<Suspect>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Suspect {
    call: String,
    gpu: (Option<u32>, Option<String>),
    /// What was asked for when it hung: an answer to all of it clears the suspicion.
    sections: Vec<Section>,
    at: u64,
}

impl Suspect {
    fn of(hung: &Hung, asked: Option<&Asked>, at: u64) -> Self {
        let sections = asked.map_or_else(Vec::new, |asked| asked.sections.clone());
        Self { call: hung.call.clone(), gpu: (hung.index, hung.pci.clone()), sections, at }
    }

    /// Whether the same call hangs again.
    fn is_same(&self, other: &Self) -> bool {
        self.call == other.call && self.gpu == other.gpu
    }

    /// Whether this sample made the call, and it returned; or it was too long ago.
    fn is_cleared_by(&self, sample: &Sample, now: u64) -> bool {
        if self.call.starts_with("nvmlEventSet") {
            return now.saturating_sub(self.at) > EVENT_SUSPECT_MS;
        }
        self.sections.iter().all(|section| sample.sections.contains(section))
    }
}

#[derive(Clone, Debug)]
struct Child {
    probe: u64,
    began: u64,
    stopping: bool,
    asked: Option<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    id: u64,
    sections: Vec<Section>,
    at: u64,
    until: u64,
}

impl Sampling {
    /// Whether one of our children has the driver open, or may have.
    pub(super) const fn may_hold_driver(&self) -> bool {
        self.child.is_some() || self.stuck
    }

    /// Whether the section was in the answer to a question asked at this moment or later.
    pub(super) fn has_read(&self, section: Section, since: u64) -> bool {
        self.read.get(&section).is_some_and(|asked| *asked >= since)
    }

    /// Reads the section at once, unless it was asked for since.
    pub(super) fn want(&mut self, section: Section, since: u64) {
        let asked = self.child.as_ref().and_then(|child| child.asked.as_ref());
        if !asked.is_some_and(|asked| asked.at >= since && asked.sections.contains(&section)) {
            self.wanted.insert(section);
        }
    }

    /// Forgets all state of the schedule and reads everything again.
    pub(super) fn restart(&mut self, now_ms: u64) {
        self.due.clear();
        self.read.clear();
        self.failures = 0;
        self.not_before = now_ms;
    }

    /// Loads the library anew and reads everything again: it does not see a GPU that appears after its start. A sampler
    /// that starts later sees it anyway.
    pub(super) fn reload(&mut self) {
        self.reload = self.child.is_some();
        self.read_again();
    }

    /// Reads again everything that was read before.
    pub(super) fn read_again(&mut self) {
        self.due.retain(|section, _| !self.read.contains_key(section));
    }

    /// Stops the child, so that it releases the driver.
    pub(super) fn release(&mut self, turn: &mut Turn<'_>) {
        self.wanted.clear();
        self.stop(turn);
    }

    fn stop(&mut self, turn: &mut Turn<'_>) {
        if let Some(child) = &mut self.child {
            child.stopping = true;
            child.asked = None;
            turn.probes.stop(child.probe, turn.commands);
        }
    }

    /// Starts the child, asks for what is due, and detects a missing answer.
    pub(super) fn look(&mut self, plan: &BTreeMap<Section, u64>, readings: &mut Readings, turn: &mut Turn<'_>) {
        let now = turn.now.mono_ms;
        self.hurry(plan, now);
        if self.child.is_none() {
            if now < self.not_before {
                turn.wake_at(self.not_before);
                return;
            }
            let probe = turn.probes.start(Probe::Sampler, SAMPLER_DEADLINE_MS, turn.commands);
            self.child = Some(Child { probe, began: now, stopping: false, asked: None });
        }
        let sections = self.to_ask(plan, turn);
        let Some(child) = self.child.as_mut().filter(|child| !child.stopping) else { return };
        match &child.asked {
            Some(asked) if now >= asked.until => {
                // A driver that hangs is reported while it hangs, by a thread that calls nothing. Who does not even report
                // stands still.
                let message = format!(
                    "the sampler has neither answered nor reported a hanging call for {} s: it is stopped, frozen or gets no CPU",
                    now.saturating_sub(asked.at) / 1000
                );
                be_in_trouble(readings, reason::RUNNER_SILENT, message, None, now);
                self.stop(turn);
            }
            Some(asked) => turn.wake_at(asked.until),
            None if sections.is_empty() => {}
            None => {
                self.last_ask += 1;
                let patience = SECTION_MS.saturating_mul(u64::try_from(sections.len()).unwrap_or(0));
                let until = now.saturating_add(ANSWER_MS).saturating_add(patience);
                child.asked = Some(Asked { id: self.last_ask, sections: sections.clone(), at: now, until });
                turn.wake_at(until);
                for section in &sections {
                    self.wanted.remove(section);
                    let is_due = self.due.get(section).is_none_or(|due| *due <= now.saturating_add(ALONG_MS));
                    if let Some(interval) = plan.get(section).filter(|_| is_due) {
                        self.due.insert(*section, now.saturating_add(*interval));
                    }
                }
                self.prompt_after = now.saturating_add(PROMPT_MS);
                let reload = std::mem::take(&mut self.reload);
                let ask = Ask { id: self.last_ask, sections, reload, timings: false };
                turn.commands.push(Command::Ask { id: child.probe, ask });
            }
        }
    }

    /// A shortened interval takes effect now, not only after the reading planned by the longer one.
    fn hurry(&mut self, plan: &BTreeMap<Section, u64>, now: u64) {
        for (section, due) in &mut self.due {
            if let Some(interval) = plan.get(section) {
                *due = (*due).min(now.saturating_add(*interval));
            }
        }
    }

    fn is_due(&self, section: Section, at: u64) -> bool {
        self.due.get(&section).is_none_or(|due| *due <= at)
    }

    /// The sections that are due, with those due soon; empty if none is due.
    fn to_ask(&self, plan: &BTreeMap<Section, u64>, turn: &mut Turn<'_>) -> Vec<Section> {
        let now = turn.now.mono_ms;
        let is_prompt = !self.wanted.is_empty() && now >= self.prompt_after;
        let is_asked = self.child.as_ref().is_some_and(|child| child.asked.is_some() || child.stopping);
        if !is_prompt && !plan.keys().any(|section| self.is_due(*section, now)) {
            if !is_asked {
                let next = plan.keys().filter_map(|section| self.due.get(section)).min();
                let prompt = (!self.wanted.is_empty()).then_some(&self.prompt_after);
                next.into_iter().chain(prompt).for_each(|at| turn.wake_at(*at));
            }
            return Vec::new();
        }
        let mut sections: BTreeSet<Section> =
            plan.keys().copied().filter(|section| self.is_due(*section, now.saturating_add(ALONG_MS))).collect();
        sections.extend(&self.wanted);
        sections.into_iter().collect()
    }

    /// Processes a message of the child. Returns what concerns others: a sample, or an event of the driver.
    pub(super) fn said(&mut self, probe: u64, said: Said, readings: &mut Readings, turn: &mut Turn<'_>) -> Heard {
        let Some(child) = self.child.as_mut().filter(|child| child.probe == probe && !child.stopping) else {
            return Heard::Nothing;
        };
        match said {
            Said::Sample { id, sample } => {
                let Some(asked) = child.asked.take_if(|asked| asked.id == id) else { return Heard::Nothing };
                for section in &sample.sections {
                    self.read.insert(*section, asked.at);
                }
                self.failures = 0;
                self.stuck = false;
                self.suspect.take_if(|suspect| suspect.is_cleared_by(&sample, turn.now.mono_ms));
                Heard::Sample(sample)
            }
            Said::Hung(hung) => {
                let fresh = Suspect::of(&hung, child.asked.as_ref(), turn.now.mono_ms);
                let again = self.suspect.as_ref().is_some_and(|suspect| suspect.is_same(&fresh));
                self.suspect = Some(fresh);
                let why = if again || hung.in_kernel { reason::CALL_HUNG } else { reason::CALL_UNANSWERED };
                be_in_trouble(readings, why, in_words(&hung), Some(hung), turn.now.mono_ms);
                self.stop(turn);
                Heard::Nothing
            }
            Said::Event(event) => Heard::Event(event),
        }
    }

    /// Processes the end of the child. Returns whether it was ours.
    pub(super) fn ended(
        &mut self,
        probe: u64,
        measured: &Measured,
        is_released: bool,
        readings: &mut Readings,
        now: u64,
    ) -> bool {
        let Some(child) = self.child.take_if(|child| child.probe == probe) else { return false };
        if let Some(asked) = &child.asked {
            self.due.retain(|section, _| !asked.sections.contains(section));
        }
        let (why, message) = match measured {
            Measured::Unknown { reason, message } => (reason.as_str(), message.clone()),
            Measured::Tree(_) | Measured::Report(_) | Measured::Iperf(_) => {
                (reason::TOOL_ERROR, "the sampler returned the report of another probe".to_owned())
            }
        };
        let tells_less =
            (self.stuck && why == reason::TOOL_ERROR) || (why == reason::RUNNER_GONE && is_stale(readings));
        self.stuck |= why == reason::CHILD_UNKILLABLE;
        if is_released {
            return true;
        }
        let is_old = now.saturating_sub(child.began).saturating_add(PAUSE_MS.1) >= SAMPLER_DEADLINE_MS;
        if why == reason::PROBE_DEADLINE_EXCEEDED && is_old {
            self.not_before = now;
            return true;
        }
        // A child that we stopped already has its trouble recorded, unless it was released for maintenance that is now
        // over.
        if why == reason::INTERRUPTED && child.stopping {
            if readings.trouble.is_none() {
                return true;
            }
        } else if !tells_less {
            be_in_trouble(readings, why, message, None, now);
        }
        let pause = PAUSE_MS.0.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MS.1);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(pause);
        self.due.clear();
        true
    }
}

/// A runner that ends because its library is out of date is expected to be gone until its container is back.
fn is_stale(readings: &Readings) -> bool {
    readings.trouble.as_ref().is_some_and(|trouble| trouble.reason == reason::AGENT_LIBRARY_STALE)
}

/// Records why the driver does not answer. A child that cannot be killed hangs in the call that it reported before.
fn be_in_trouble(readings: &mut Readings, why: &str, message: String, hung: Option<Hung>, now: u64) {
    let before = readings.trouble.take();
    let since = before.as_ref().map_or(now, |before| before.since);
    let (call, pci) = match (hung, before) {
        (Some(hung), _) => (Some(hung.call), hung.pci),
        (None, Some(before)) if why == reason::CHILD_UNKILLABLE => (before.call, before.pci),
        (None, _) => (None, None),
    };
    let message = match &call {
        Some(call) if why == reason::CHILD_UNKILLABLE => {
            let place = pci.as_deref().map(|pci| format!(" about GPU {pci}")).unwrap_or_default();
            format!("{message}; it called {call}{place}")
        }
        _ => message,
    };
    readings.trouble = Some(Trouble { reason: why.to_owned(), message, call, pci, since });
}

fn in_words(hung: &Hung) -> String {
    let place = match (&hung.pci, hung.index) {
        (Some(pci), _) => format!(" about GPU {pci}"),
        (None, Some(index)) => format!(" about the GPU of index {index}"),
        (None, None) => String::new(),
    };
    let state = if hung.in_kernel { ", stuck in the kernel (state D)" } else { "" };
    format!("the driver call {}{place} has not returned for {} s{state}", hung.call, hung.for_ms / 1000)
}

/// What a message of the sampler contains for others.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// Readings.
    Sample(Box<Sample>),
    /// An event of the driver.
    Event(DriverEvent),
}
