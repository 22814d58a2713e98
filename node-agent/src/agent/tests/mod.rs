//! The core, event by event. Nothing here waits: time is an argument.

mod assignments;
mod counting;
mod doubts;
mod drills;
mod faults;
mod field_cases;
mod groups;
mod inventory;
mod messages;
mod moves;
mod properties;
mod reading;
mod roots;
mod sampling;
mod steps;
mod writing;
mod xids;

use super::*;
use crate::dispatch::{ANSWER_MS, Measured, Probe, READING_MS, SAMPLER_DEADLINE_MS, SECTION_MS, SLOT_MISSED};
use crate::kernel_log::Cursor;
use crate::pci::PciAddress;
use crate::readings::TreeReport;
use crate::readings::inventory::{Accelerator, ConfigSpace, InventoryReport, NvmlGpu, NvmlView, Vendor};
use crate::readings::sample::GpuReadings;
use crate::readings::talk::Hung;
use crate::readings::{Ask, Said, Sample, Section};
use crate::xid::{XidDetail, XidEvent};
use crds::Time;
use crds::node_health::{Assignment, CheckRow, Monitor, NodeHealthSpec, Report};
use crds::{CheckSpec, Outcome, reason};

/// A moment long after the boot of the node, in seconds since 1970.
const MORNING: i64 = 1_800_000_000;

/// An agent and its surroundings: every report is accepted unless a test says otherwise.
struct Bench {
    state: State,
    now: Now,
    /// Every effect so far.
    effects: Vec<Effect>,
    /// What the API server answers to the next reports.
    answer: Result<(), Refusal>,
    /// Reports without texts are accepted all the same.
    only_texts_are_refused: bool,
    written: Vec<Report>,
    /// Questions already answered: sampler and id.
    answered: std::collections::BTreeSet<(u64, u64)>,
    /// The result of every measurement that the core asks for; without it the test answers by hand.
    world: Option<InventoryReport>,
}

fn facts(boot_id: &str) -> Facts {
    Facts {
        version: "1.0.0".into(),
        boot_id: boot_id.into(),
        booted_at: Some(Time::from_unix(MORNING - 86_400)),
        started_at: Time::from_unix(MORNING),
        addresses: vec!["10.0.0.1".into()],
    }
}

impl Bench {
    fn new() -> Self {
        Self::booted("boot-1")
    }

    fn booted(boot_id: &str) -> Self {
        let now = Now { unix_ms: MORNING * 1000, mono_ms: 1_000 };
        let state = State::new(facts(boot_id), now);
        Self {
            state,
            now,
            effects: Vec::new(),
            answer: Ok(()),
            only_texts_are_refused: false,
            written: Vec::new(),
            answered: std::collections::BTreeSet::default(),
            world: None,
        }
    }

    /// An agent that has seen its NodeHealth, its kernel log and healthy hardware.
    fn at_rest(spec: NodeHealthSpec) -> Self {
        let mut bench = Self::new();
        bench.begin(order(spec, None));
        bench
    }

    /// First sight of everything. An agent that takes over a report has started later, and says so.
    fn begin(&mut self, order: Order) {
        if let Some(report) = &order.report {
            self.state.facts.started_at = report.agent.started_at.unwrap_or_default().plus(1);
        }
        self.send(Event::KernelLogOpened { source: "kmsg:/dev/kmsg".into() });
        self.send(Event::SpecChanged(Box::new(order)));
        self.measure(healthy(2));
        self.world = Some(healthy(2));
    }

    fn send(&mut self, event: Event) {
        let effects = step(&mut self.state, event, self.now);
        let reports: Vec<Report> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Report { report, .. } => Some(report.as_ref().clone()),
                _ => None,
            })
            .collect();
        self.effects.extend(effects.iter().cloned());
        for report in reports {
            let is_taken = self.only_texts_are_refused && report.agent.refused.is_some();
            let answer = if is_taken { Ok(()) } else { self.answer };
            if answer.is_ok() {
                self.written.push(report);
            }
            self.send(Event::ReportApplied(answer));
        }
        if let Some(world) = self.world.clone() {
            for effect in effects {
                match effect {
                    Effect::StartProbe { id, probe: Probe::Tree, .. } => self.finish(id, tree_of(&world)),
                    Effect::Ask { .. } if self.asked().is_some() => self.answer_with(sample_of(world.nvml.clone())),
                    _ => {}
                }
            }
        }
    }

    /// From now on the test answers the core's questions itself.
    fn by_hand(&mut self) {
        self.world = None;
    }

    /// Time passes; the core is called whenever it asked to be.
    fn pass(&mut self, ms: u64) {
        if ms == 0 {
            return;
        }
        let end = self.now.mono_ms + ms;
        let mut calls = 0;
        loop {
            calls += 1;
            assert!(calls < 200 + ms / 500, "the core asks to be called all the time");
            let wake = self.wake().clamp(self.now.mono_ms + 1, end);
            self.now.unix_ms += i64::try_from(wake - self.now.mono_ms).unwrap();
            self.now.mono_ms = wake;
            self.send(Event::Tick);
            if wake == end {
                return;
            }
        }
    }

    fn wake(&self) -> u64 {
        let wakes = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Wake { at } => Some(*at),
            _ => None,
        });
        wakes.unwrap_or(self.now.mono_ms)
    }

    /// The probes of this kind that are running, newest last.
    fn running(&self, wanted: impl Fn(&Probe) -> bool) -> Vec<u64> {
        let started = self.effects.iter().filter_map(|effect| match effect {
            Effect::StartProbe { id, probe, .. } if wanted(probe) => Some(*id),
            _ => None,
        });
        started.filter(|id| self.state.probes.is_running(*id)).collect()
    }

    fn started(&self, wanted: impl Fn(&Probe) -> bool) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::StartProbe { probe, .. } if wanted(probe))).count()
    }

    fn stopped(&self, id: u64) -> bool {
        self.effects.contains(&Effect::StopProbe { id })
    }

    fn finish(&mut self, id: u64, measured: Measured) {
        self.send(Event::ProbeFinished { id, measured, duration_ms: 40 });
    }

    /// The running sampler, if any.
    fn sampler(&self) -> Option<u64> {
        self.running(|probe| *probe == Probe::Sampler).last().copied()
    }

    /// The open question to the sampler.
    fn asked(&self) -> Option<Ask> {
        let sampler = self.sampler()?;
        let asked = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Ask { id, ask } if *id == sampler => Some(ask.clone()),
            _ => None,
        });
        asked.filter(|ask| !self.answered.contains(&(sampler, ask.id)))
    }

    fn say(&mut self, said: Said) {
        let id = self.sampler().expect("a sampler runs");
        self.send(Event::SamplerSaid { id, said });
    }

    /// Answers the open question.
    fn answer_with(&mut self, sample: Sample) {
        let ask = self.asked().expect("something is asked");
        self.answered.insert((self.sampler().unwrap(), ask.id));
        self.say(Said::Sample { id: ask.id, sample: Box::new(Sample { sections: ask.sections, ..sample }) });
    }

    fn tree_probe(&self) -> Option<u64> {
        self.running(|probe| *probe == Probe::Tree).last().copied()
    }

    /// From now on the hardware is as given: first sysfs reads it, then the driver.
    #[expect(clippy::needless_pass_by_value)]
    fn measure(&mut self, report: InventoryReport) {
        if let Some(id) = self.tree_probe() {
            self.finish(id, tree_of(&report));
        }
        while self.asked().is_some() {
            self.answer_with(sample_of(report.nvml.clone()));
        }
    }

    /// Waits until both were measured again.
    fn measure_again(&mut self, report: InventoryReport) {
        self.world = Some(report);
        self.pass(62_000);
    }

    fn hang(&mut self, call: &str, pci: Option<&str>) {
        let (call, pci) = (call.to_owned(), pci.map(str::to_owned));
        self.say(Said::Hung(Hung { call, index: None, pci, for_ms: 10_000, in_kernel: false }));
    }

    /// The sampler hangs, its successor hangs in the same call.
    fn hang_twice(&mut self, call: &str, pci: Option<&str>) {
        self.hang(call, pci);
        self.lose_sampler(reason::INTERRUPTED);
        while self.asked().is_none() {
            self.pass(500);
        }
        self.hang(call, pci);
    }

    /// Ends the sampler.
    fn lose_sampler(&mut self, reason: &str) {
        let id = self.sampler().expect("a sampler runs");
        self.finish(id, Measured::Unknown { reason: reason.into(), message: "process 7".into() });
    }

    /// The moments at which a sampler was started, in milliseconds since the first call of this.
    fn starts(&mut self, ms: u64, mut each: impl FnMut(&mut Self)) -> Vec<u64> {
        let began = self.now.mono_ms;
        let mut at = Vec::new();
        let mut known = self.started(|probe| *probe == Probe::Sampler);
        while self.now.mono_ms < began + ms {
            if self.sampler().is_some() {
                each(self);
            }
            self.pass(100);
            let started = self.started(|probe| *probe == Probe::Sampler);
            if started > known {
                at.push(self.now.mono_ms - began);
                known = started;
            }
        }
        at
    }

    fn fault(&mut self, entry: LogEntry) {
        self.send(Event::KernelLog { entries: vec![entry], cursor: None });
    }

    fn report(&self) -> &Report {
        self.written.last().expect("a report was written")
    }

    fn row(&self, check: &str) -> &CheckRow {
        self.report().checks.iter().find(|row| row.check == check).expect("a row")
    }

    fn row_says(&self, check: &str) -> (Outcome, &str) {
        let row = self.row(check);
        (row.outcome.clone(), row.reason.as_deref().unwrap_or_default())
    }

    fn finding(&self, check: &str, target: &str) -> Option<&Finding> {
        self.report().findings.iter().find(|f| f.check == check && f.target == target)
    }
}

fn monitors() -> Vec<Monitor> {
    ["inventory", "xid"].map(|name| Monitor { name: name.into(), interval_seconds: None }).to_vec()
}

fn spec() -> NodeHealthSpec {
    NodeHealthSpec { monitors: monitors().into(), ..NodeHealthSpec::default() }
}

fn spec_with(assignments: Vec<Assignment>) -> NodeHealthSpec {
    NodeHealthSpec { assignments, ..spec() }
}

fn order(spec: NodeHealthSpec, report: Option<Report>) -> Order {
    Order { uid: "uid-1".into(), generation: 1, spec, report: report.map(Box::new) }
}

fn gpu(index: u8) -> String {
    PciAddress { domain: 0, bus: 0x18 + index, device: 0, function: 0 }.to_string()
}

/// PCI and driver agree on this many GPUs.
fn healthy(count: u8) -> InventoryReport {
    InventoryReport {
        pci: (0..count).map(|index| on_pci(&gpu(index))).collect(),
        nics: Vec::new(),
        pci_errors: Vec::new(),
        nvml: NvmlView {
            status: "Ok".into(),
            message: None,
            driver: Some("570.86.15".into()),
            count: Some(u32::from(count)),
            gpus: (0..count).map(|index| in_driver(index, &gpu(index))).collect(),
            errors: Vec::new(),
        },
    }
}

/// The library's answer: every GPU has readings, empty unless a test sets them.
fn sample_of(view: NvmlView) -> Sample {
    let gpus = view.gpus.iter().filter_map(|gpu| gpu.pci.clone());
    let gpus = gpus.map(|pci| GpuReadings { pci, ..GpuReadings::default() }).collect();
    Sample {
        sections: Vec::new(),
        took_ms: 5,
        slowest: None,
        view,
        device_access: None,
        device_nodes: None,
        library_version: None,
        gpus,
        calls: Vec::new(),
    }
}

fn tree_of(report: &InventoryReport) -> Measured {
    let InventoryReport { pci, nics, pci_errors, nvml: _ } = report.clone();
    Measured::Tree(Box::new(TreeReport { pci, nics, pci_errors, ..TreeReport::default() }))
}

fn on_pci(address: &str) -> Accelerator {
    Accelerator {
        address: address.into(),
        vendor: Vendor::Nvidia,
        device: 0x2330,
        class: 0x0302,
        numa_node: None,
        driver: Some("nvidia".into()),
        slot: None,
        config_space: ConfigSpace::Answers,
    }
}

fn in_driver(index: u8, address: &str) -> NvmlGpu {
    NvmlGpu {
        index: index.into(),
        pci: Some(address.into()),
        uuid: Some(format!("GPU-{index}")),
        serial: Some(format!("serial-{index}")),
        name: Some("NVIDIA H100 80GB HBM3".into()),
        vbios: None,
        memory_mib: Some(81_559),
    }
}

fn xid(address: &str, code: u32) -> LogEntry {
    record(address, XidEvent::Xid(code), XidDetail::Plain, 1)
}

fn record(address: &str, event: XidEvent, detail: XidDetail, seq: u64) -> LogEntry {
    LogEntry::Fault {
        observed: Box::new(crate::xid::XidObservation {
            pci: address.parse().unwrap(),
            event,
            mig: None,
            pid: None,
            process: None,
            owner: None,
            caused_by: None,
            detail,
            message: format!("{event:?}"),
            proven: true,
        }),
        at: None,
        seq: Some(seq),
        usec: seq * 10_000_000,
    }
}

fn reported(report: &crate::readings::program::CustomReport) -> Measured {
    Measured::Report(serde_json::to_value(report).unwrap())
}

fn is_custom(probe: &Probe) -> bool {
    matches!(probe, Probe::Check { probe: "custom", .. })
}

fn custom(name: &str) -> CheckSpec {
    CheckSpec {
        name: name.into(),
        custom: Some(crds::check::Custom { program: name.into(), ..crds::check::Custom::default() }),
        ..CheckSpec::default()
    }
}

fn assignment(id: &str, checks: Vec<CheckSpec>) -> Assignment {
    Assignment {
        id: id.into(),
        run: "run".into(),
        checks,
        deadline: Time::from_unix(MORNING + 3_600),
        ..Assignment::default()
    }
}
