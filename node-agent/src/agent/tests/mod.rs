//! The core, event by event. Nothing here waits: time is an argument.

mod assignments;
mod faults;
mod groups;
mod inventory;
mod properties;
mod writing;

use super::*;
use crate::pci::PciAddress;
use crate::probe::inventory::{Accelerator, ConfigSpace, InventoryReport, NvmlGpu, NvmlView, Vendor};
use crate::xid::{XidDetail, XidEvent};
use crds::node_health::{Assignment, CheckRow, Monitor, NodeHealthSpec, Report};
use crds::{CheckSpec, Outcome, reason};

/// A moment long after the boot of the node, in seconds since 1970.
const MORNING: i64 = 1_800_000_000;

/// An agent and the world that answers it: every report is taken, until told otherwise.
struct Bench {
    state: State,
    now: Now,
    /// Every effect so far.
    effects: Vec<Effect>,
    /// What the API server answers to the next reports.
    answer: Result<(), Refusal>,
    written: Vec<Report>,
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
        Self { state, now, effects: Vec::new(), answer: Ok(()), written: Vec::new() }
    }

    /// An agent that has seen its NodeHealth, its kernel log and healthy hardware.
    fn at_rest(spec: NodeHealthSpec) -> Self {
        let mut bench = Self::new();
        bench.begin(order(spec, None));
        bench
    }

    /// The first sight of everything. An agent that takes over has started later, and says so.
    fn begin(&mut self, order: Order) {
        if let Some(report) = &order.report {
            self.state.facts.started_at = report.agent.started_at.unwrap_or_default().plus(1);
        }
        self.send(Event::KernelLogOpened { source: "kmsg:/dev/kmsg".into() });
        self.send(Event::SpecChanged(Box::new(order)));
        self.measure(healthy(2));
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
        self.effects.extend(effects);
        for report in reports {
            if self.answer.is_ok() {
                self.written.push(report);
            }
            self.send(Event::ReportApplied(self.answer));
        }
    }

    /// Time passes; the core is woken whenever it asked to be.
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

    /// The probes of this kind that were started and not ended yet, newest last.
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

    /// Ends the monitor's inventory.
    fn measure(&mut self, report: InventoryReport) {
        let id = self.state.inventory_probe.expect("an inventory is under way");
        self.finish(id, Measured::Inventory(Box::new(report)));
    }

    /// Waits for the next inventory of the monitor and ends it.
    fn measure_again(&mut self, report: InventoryReport) {
        while self.state.inventory_probe.is_none() {
            self.pass(1_000);
        }
        self.measure(report);
        self.pass(2_000);
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
    NodeHealthSpec { monitors: monitors(), ..NodeHealthSpec::default() }
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

/// PCI and driver agree on so many GPUs.
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

fn on_pci(address: &str) -> Accelerator {
    Accelerator {
        address: address.into(),
        vendor: Vendor::Nvidia,
        device: 0x2330,
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
        }),
        at: None,
        seq: Some(seq),
        usec: seq * 10_000_000,
    }
}

fn custom(name: &str) -> CheckSpec {
    CheckSpec {
        name: name.into(),
        custom: Some(crds::check::Custom { program: name.into(), ..crds::check::Custom::default() }),
        ..CheckSpec::default()
    }
}

fn assignment(id: &str, checks: Vec<CheckSpec>) -> Assignment {
    Assignment { id: id.into(), run: "run".into(), checks, deadline: Time::from_unix(MORNING + 3_600), group: None }
}
