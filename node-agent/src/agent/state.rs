//! The agent's state between two steps.

use super::event::{LogEntry, Order};
use super::held::{Held, HeldMessage};
use super::writer::Writer;
use crate::dispatch::checks::{CHECKS, ProbeCheck};
use crate::dispatch::{Probes, Senses, Work};
use crate::judge::{Expectation, KernelLog, Readings, Standing, registry};
use crate::kernel_log::Cursor;
use crate::time::Now;
use crate::xid::{DedupeKey, Merge, Owners};
use crds::Time;
use crds::node_health::{CheckRow, Finding, Inventory};
use std::collections::VecDeque;

/// The first report waits this long for the first inventory and the kernel log, in milliseconds.
const FIRST_REPORT_MS: u64 = 5_000;

/// What does not change while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version of the agent.
    pub version: String,
    /// The boot id of the node's kernel.
    pub boot_id: String,
    /// When the node booted, by its own clock.
    pub booted_at: Option<Time>,
    /// When the agent started, by the node's clock.
    pub started_at: Time,
    /// Addresses at which peers can reach this node.
    pub addresses: Vec<String>,
}

/// The agent's whole state.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) facts: Facts,
    pub(super) order: Option<Order>,
    /// The agent's own last report was read, or there is none.
    pub(super) carried: bool,
    pub(super) first_report_by: u64,
    pub(super) senses: Senses,
    /// When the node booted, by the current wall clock; shifted whenever that clock is set.
    pub(super) booted_at: Option<Time>,
    /// The wall clock at zero of the monotonic clock, as of the agent's start, in milliseconds.
    clock_began: i64,
    pub(super) log: KernelLog,
    pub(super) merge: Merge,
    /// Board or job: which owner's Xids were seen on which board.
    pub(super) owners: Owners,
    pub(super) cursor: Option<Cursor>,
    /// The report of a previous process covers the log up to here.
    pub(super) reported_up_to: Option<Cursor>,
    pub(super) waiting: VecDeque<LogEntry>,
    pub(super) recent_faults: VecDeque<(DedupeKey, u64)>,
    /// Faults that need a second witness.
    pub(super) doubts: Vec<Held>,
    /// Messages that wait for a reading of the driver, or for a second witness.
    pub(super) messages: Vec<HeldMessage>,
    /// When witnesses were last read for a line that a program may have written, by the monotonic clock in milliseconds.
    pub(super) witnesses_asked_ms: Option<u64>,
    /// When messages last had the driver read, by the monotonic clock in milliseconds.
    pub(super) driver_asked_ms: Option<u64>,
    /// When an agent first ran on this boot, as far as known.
    pub(super) first_ran: Time,
    /// When the first fault that is not yet in a report was read, by the monotonic clock in milliseconds.
    pub(super) fault_read_at: Option<u64>,
    /// When the first sample arrived that changed findings not yet in a report. While a sample is being processed, when
    /// that one arrived.
    pub(super) sample_read_at: Option<u64>,
    pub(super) standing: Standing,
    pub(super) works: Vec<Work>,
    /// The checks of runs that a probe answers.
    pub(super) checks: &'static [ProbeCheck],
    pub(super) probes: Probes,
    pub(super) writer: Writer,
}

impl State {
    /// An agent that has just started and has no observations yet.
    pub fn new(facts: Facts, now: Now) -> Self {
        let (booted_at, first_ran) = (facts.booted_at, facts.started_at);
        Self {
            facts,
            order: None,
            carried: false,
            first_report_by: now.mono_ms.saturating_add(FIRST_REPORT_MS),
            senses: Senses::default(),
            booted_at,
            clock_began: clock_began(now),
            log: KernelLog::default(),
            merge: Merge::default(),
            owners: Owners::default(),
            cursor: None,
            reported_up_to: None,
            waiting: VecDeque::new(),
            recent_faults: VecDeque::new(),
            doubts: Vec::new(),
            messages: Vec::new(),
            witnesses_asked_ms: None,
            driver_asked_ms: None,
            first_ran,
            fault_read_at: None,
            sample_read_at: None,
            standing: Standing::default(),
            works: Vec::new(),
            checks: CHECKS,
            probes: Probes::default(),
            writer: Writer::default(),
        }
    }

    /// The current findings, by check and target.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.standing.findings.iter()
    }

    /// The current rows of the monitors.
    pub fn rows(&self) -> &[CheckRow] {
        &self.standing.rows
    }

    /// The accelerators and network devices seen last.
    pub fn inventory(&self) -> &Inventory {
        &self.senses.inventory
    }

    /// The last readings of the driver's library and sysfs.
    pub const fn readings(&self) -> &Readings {
        &self.senses.readings
    }

    /// Whether all that the monitors need was asked for at this moment or later and was read, or cannot be read. By the
    /// monotonic clock in milliseconds.
    pub fn is_read_since(&self, mono_ms: u64) -> bool {
        self.senses.is_read_since(&registry::wanted(&self.expectation()), mono_ms)
    }

    /// When the next fault that the driver announced is believed without its line in the kernel log, by the monotonic clock
    /// in milliseconds.
    pub fn next_announced(&self) -> Option<u64> {
        self.merge.next_due()
    }

    pub(super) fn expectation(&self) -> Expectation<'_> {
        Expectation { spec: self.order.as_ref().map(|order| &order.spec), booted_at: self.booted_at }
    }

    pub(super) fn in_maintenance(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.spec.maintenance.is_some())
    }

    /// Whether one of our processes has the driver open, or may open it.
    pub(super) fn holds_driver(&self) -> bool {
        !self.in_maintenance() || self.senses.may_hold_driver() || self.probes.may_hold_driver()
    }

    /// Whether a first report would contain any measurement.
    pub(super) fn is_ready(&self) -> bool {
        let log = self.log.source.is_some() || self.log.unreadable.is_some();
        log && self.senses.is_complete(&registry::wanted(&self.expectation()), self.in_maintenance())
    }

    /// The wall clock may be set while the agent runs: the boot time is shifted with it.
    pub(super) fn follow_the_clock(&mut self, now: Now) {
        let set_by = (clock_began(now) - self.clock_began).div_euclid(1000);
        self.booted_at = self.facts.booted_at.map(|booted| booted.plus(set_by));
    }
}

/// The wall clock at zero of the monotonic one: changes only if the wall clock is set.
fn clock_began(now: Now) -> i64 {
    now.unix_ms.saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX))
}
