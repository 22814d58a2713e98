//! The world of one agent: time, a machine, an API server that takes every report.

use super::machine::Machine;
use crds::node_health::{Maintenance, Monitor, NodeHealthSpec, Report};
use crds::{Check, Outcome, Time};
use node_agent::agent::{Effect, Event, Facts, LogEntry, Order, State, step};
use node_agent::dispatch::{Measured, Probe};
use node_agent::kernel_log::KernelRecord;
use node_agent::readings::talk::Hung;
use node_agent::readings::{Ask, Said};
use node_agent::time::Now;
use node_agent::xid::LineAssembler;
use std::collections::{BTreeSet, VecDeque};

/// The first boot of every world, in seconds since 1970.
const DAWN: i64 = 1_800_000_000;
/// When the core wakes if it waits for nothing.
const IDLE_MS: u64 = 60_000;
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const MINUTE: u64 = 60_000;

/// An agent and everything around it.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) steps: u64,
    /// What took the node out of use, as `check target reason`.
    pub(crate) condemned: BTreeSet<String>,
    /// What was worth a look.
    pub(crate) warned: BTreeSet<String>,
    state: State,
    now: Now,
    booted_at: i64,
    boots: u32,
    spec: NodeHealthSpec,
    generation: i64,
    sampler: Option<u64>,
    report: Option<Report>,
    wake: u64,
    interval_ms: u64,
    lines: LineAssembler,
    log_seq: u64,
    /// How long the library takes to start.
    pub(crate) start_ms: u64,
    /// The next question hangs in this call.
    pub(crate) hangs: Option<&'static str>,
    /// A sampler that has not answered yet.
    is_fresh: bool,
    /// A question that is answered later: when, by whom, and the question.
    slow: Option<(u64, u64, Ask)>,
}

impl World {
    /// A node that boots now, watched at this interval.
    pub(crate) fn boot(machine: Machine, interval_seconds: i64, mut spec: NodeHealthSpec) -> Self {
        let monitors =
            Check::ALL.iter().filter(|check| check.is_monitor() && check.is_built() && **check != Check::Drift);
        spec.monitors = monitors
            .map(|check| Monitor { name: check.name().into(), interval_seconds: Some(interval_seconds) })
            .collect();
        let now = Now { unix_ms: DAWN * 1000, mono_ms: 1_000 };
        let state = State::new(facts(1, DAWN, DAWN), now);
        let mut world = Self {
            machine,
            steps: 0,
            condemned: BTreeSet::new(),
            warned: BTreeSet::new(),
            state,
            now,
            booted_at: DAWN,
            boots: 1,
            spec,
            generation: 0,
            sampler: None,
            report: None,
            wake: 0,
            interval_ms: interval_seconds.unsigned_abs() * 1000,
            lines: LineAssembler::default(),
            log_seq: 0,
            start_ms: 0,
            hangs: None,
            is_fresh: true,
            slow: None,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.send(Event::KernelLogOpened { source: "kmsg:/dev/kmsg".into() });
        self.order();
    }

    fn order(&mut self) {
        self.generation += 1;
        let report = self.report.clone().map(Box::new);
        let order = Order { uid: "uid".into(), generation: self.generation, spec: self.spec.clone(), report };
        self.send(Event::SpecChanged(Box::new(order)));
    }

    /// Time passes; the agent is woken whenever it asked to be. If it samples less often than every minute, wakes with
    /// nothing to do are skipped: they cost most of the time and find nothing new.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.mono_ms + ms;
        while self.now.mono_ms < end {
            let is_idle = self.wake == self.now.mono_ms + IDLE_MS;
            let wake = if is_idle { self.now.mono_ms + self.interval_ms.max(IDLE_MS) } else { self.wake };
            let wake = self.slow.as_ref().map_or(wake, |(at, ..)| wake.min(*at));
            self.advance_to(wake.clamp(self.now.mono_ms + 1, end));
            match self.slow.take_if(|(at, ..)| *at <= self.now.mono_ms) {
                Some((_, id, ask)) => {
                    let said = self.answer(&ask);
                    self.send(Event::SamplerSaid { id, said });
                }
                None => self.send(Event::Tick),
            }
        }
    }

    fn advance_to(&mut self, mono_ms: u64) {
        self.machine.uptime_s += (mono_ms - self.now.mono_ms) / 1000;
        self.now.unix_ms += i64::try_from(mono_ms - self.now.mono_ms).unwrap_or(0);
        self.now.mono_ms = mono_ms;
    }

    /// The wall clock is set.
    pub(crate) fn clock_jumps(&mut self, seconds: i64) {
        self.now.unix_ms += seconds * 1000;
        self.send(Event::Tick);
    }

    /// The agent's process ends and another one begins; what it knew is in its report.
    pub(crate) fn restart_agent(&mut self) {
        self.sampler = None;
        self.slow = None;
        self.state = State::new(facts(self.boots, self.booted_at, self.now.wall().unix()), self.now);
        self.begin();
    }

    /// The node boots: counters of the run begin at zero.
    pub(crate) fn reboot(&mut self) {
        self.boots += 1;
        self.booted_at = self.now.wall().unix();
        self.log_seq = 0;
        self.machine.aer_correctable = 0;
        self.machine.uptime_s = 0;
        for board in &mut self.machine.boards {
            board.replays = 0;
            board.sw_thermal_ns = 0;
            board.link_replays = 0;
        }
        self.machine.link_downed = 0;
        self.restart_agent();
    }

    /// The operator orders a maintenance, or ends it.
    pub(crate) fn maintenance(&mut self, reason: Option<&str>) {
        let since = self.now.wall();
        self.spec.maintenance = reason.map(|reason| Maintenance { reason: reason.into(), since, until: None });
        self.order();
    }

    /// The kernel writes a line.
    pub(crate) fn kernel_says(&mut self, line: &str) {
        let record = self.record(4, self.now.wall().unix(), line);
        self.log_shows(&[record]);
    }

    /// A program without privileges has the kernel write a line of its choice: in a record of its own (`/dev/kmsg`), and
    /// as a line that cannot be told from one of the driver (`syslog(2)`).
    pub(crate) fn program_forges(&mut self, line: &str) {
        let now = self.now.wall().unix();
        let quoted = self.record(6, now, &format!("x\\x0a{line}[12870] likely on CPU 0"));
        let split = KernelRecord { begins: false, ..self.record(4, now, line) };
        self.log_shows(&[quoted, split]);
    }

    /// The agent is installed on a node that has been running for a long time, with these lines in its log: how many
    /// seconds ago, and what.
    pub(crate) fn first_install(&mut self, lines: &[(i64, String)]) {
        let now = self.now.wall().unix();
        self.booted_at = lines.iter().map(|(ago, _)| now - ago).min().unwrap_or(now) - 3_600;
        self.boots += 1;
        self.report = None;
        self.log_seq = 0;
        self.restart_agent();
        let records: Vec<KernelRecord> = lines.iter().map(|(ago, line)| self.record(4, now - ago, line)).collect();
        self.log_shows(&records);
    }

    fn record(&mut self, level: u8, at: i64, line: &str) -> KernelRecord {
        self.log_seq += 1;
        let usec = u64::try_from(at - self.booted_at).unwrap_or(0) * 1_000_000 + self.log_seq;
        KernelRecord::from_kmsg(format!("{level},{},{usec},-;{line}", self.log_seq).as_bytes()).expect("a record")
    }

    fn log_shows(&mut self, records: &[KernelRecord]) {
        let booted_at = Some(Time::from_unix(self.booted_at));
        let mut entries: Vec<LogEntry> = Vec::new();
        for record in records {
            let facts = self.lines.push(record).into_iter();
            entries.extend(facts.filter_map(|fact| LogEntry::of(fact, record, record.printed_at(booted_at))));
        }
        if !entries.is_empty() {
            self.send(Event::KernelLog { entries, cursor: None });
        }
    }

    fn answer(&self, ask: &Ask) -> Said {
        Said::Sample { id: ask.id, sample: Box::new(self.machine.sample(&ask.sections)) }
    }

    fn send(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.steps += 1;
            for effect in step(&mut self.state, event, self.now) {
                self.obey(effect, &mut events);
            }
            self.look();
        }
    }

    fn obey(&mut self, effect: Effect, events: &mut VecDeque<Event>) {
        match effect {
            Effect::StartProbe { id, probe, .. } => match probe {
                Probe::Sampler => {
                    self.sampler = Some(id);
                    self.is_fresh = true;
                }
                Probe::Tree => {
                    let measured = Measured::Tree(Box::new(self.machine.tree()));
                    events.push_back(Event::ProbeFinished { id, measured, duration_ms: 5 });
                }
                other => panic!("not ordered: {other:?}"),
            },
            Effect::StopProbe { id } => {
                self.sampler = self.sampler.filter(|sampler| *sampler != id);
                self.slow.take_if(|(_, slow, _)| *slow == id);
                let measured = Measured::Unknown { reason: crds::reason::INTERRUPTED.into(), message: String::new() };
                events.push_back(Event::ProbeFinished { id, measured, duration_ms: 5 });
            }
            Effect::Ask { id, ask } => {
                assert_eq!(self.sampler, Some(id), "only a sampler that runs can be asked");
                let starts = std::mem::take(&mut self.is_fresh) && self.start_ms > 0;
                if let Some(call) = self.hangs.take() {
                    let pci = Some(self.machine.address(0));
                    let hung = Hung { call: call.into(), index: Some(0), pci, for_ms: 10_000, in_kernel: false };
                    events.push_back(Event::SamplerSaid { id, said: Said::Hung(hung) });
                } else if starts {
                    self.slow = Some((self.now.mono_ms + self.start_ms, id, ask));
                } else {
                    events.push_back(Event::SamplerSaid { id, said: self.answer(&ask) });
                }
            }
            Effect::Report { report, .. } => {
                self.report = Some(*report);
                events.push_back(Event::ReportApplied(Ok(())));
            }
            Effect::Wake { at } => self.wake = at,
        }
    }

    fn look(&mut self) {
        for finding in self.state.findings() {
            let text = || format!("{} {} {}: {}", finding.check, finding.target, finding.reason, finding.message);
            if finding.outcome == Outcome::Fail && finding.severity.condemns() {
                self.condemned.insert(text());
            } else if self.warned.len() < 64 {
                self.warned.insert(format!("{} {}", finding.check, finding.reason));
            }
        }
    }
}

fn facts(boot: u32, booted_at: i64, started_at: i64) -> Facts {
    Facts {
        version: "1.0.0".into(),
        boot_id: format!("boot-{boot}"),
        booted_at: Some(Time::from_unix(booted_at)),
        started_at: Time::from_unix(started_at),
        addresses: vec!["10.0.0.1".into()],
    }
}
