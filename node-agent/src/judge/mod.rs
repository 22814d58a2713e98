//! From measurements to findings and check rows. Pure: no clock, no client, no memory of its own.
//!
//! ```text
//!  expectation (spec, boot) ──┐
//!  measurements (inventory)  ─┼─▶ judge ─▶ Standing { findings, rows }
//!  standing (before)         ─┘
//! ```
//!
//! Events (Xids) are folded into the standing findings by [`xid::observe`]; states (the inventory) replace what was
//! found before. What must stay true:
//! - findings are unique by check and target, because they are keyed by them;
//! - whatever could not be judged neither adds a finding nor removes one;
//! - severities come from tables ([`inventory::RULES`], the Xid catalogue), never from the middle of the code.

mod found;
pub mod inventory;
pub mod xid;

pub use found::{Findings, Found, Judged, Key, bounded, same_verdict, worst_first};

use crate::time::Now;
use crds::check::Check;
use crds::node_health::{CheckRow, Monitor, NodeHealthSpec};
use crds::{Outcome, Time, reason};
use inventory::Hardware;
use xid::KernelLog;

/// How often a monitor looks where the spec does not say, in seconds (the default of `spec.monitors.intervalSeconds`).
pub const DEFAULT_INTERVAL_SECONDS: i64 = 60;

/// What the node is expected to be, and in which state it is by order.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The order; `None` until the NodeHealth exists.
    pub spec: Option<&'a NodeHealthSpec>,
    /// When the node booted, by its own clock; without it there is no boot grace.
    pub booted_at: Option<Time>,
}

impl Expectation<'_> {
    /// The monitors to judge: those of the spec, or the built-in ones until there is a spec.
    pub fn monitors(&self) -> Vec<Monitor> {
        match self.spec {
            Some(spec) => spec.monitors.clone(),
            None => [Check::Inventory, Check::Xid]
                .into_iter()
                .map(|check| Monitor { name: check.name().to_owned(), interval_seconds: None })
                .collect(),
        }
    }

    /// Why checks of the driver are silent at the moment, if they are.
    pub fn pause(&self, now: Now) -> Option<&'static str> {
        if self.spec.is_some_and(|spec| spec.maintenance.is_some()) {
            return Some(reason::MAINTENANCE);
        }
        self.boot_grace_ends().filter(|end| now.wall() < *end).map(|_| reason::BOOT_GRACE)
    }

    /// When the boot grace ends, by the node's clock.
    pub fn boot_grace_ends(&self) -> Option<Time> {
        let grace = self
            .spec
            .and_then(|spec| spec.boot_grace_seconds)
            .unwrap_or(crds::health_check_policy::DEFAULT_BOOT_GRACE_SECONDS);
        self.booted_at.map(|booted| booted.plus(grace))
    }
}

/// How often this monitor looks, in seconds.
pub fn interval_seconds(monitor: &Monitor) -> i64 {
    monitor.interval_seconds.unwrap_or(DEFAULT_INTERVAL_SECONDS).max(1)
}

/// How often the monitor of this check looks, in seconds; the default where it is not enabled.
pub fn interval_of(monitors: &[Monitor], check: Check) -> i64 {
    let monitor = monitors.iter().find(|monitor| monitor.name == check.name());
    monitor.map_or(DEFAULT_INTERVAL_SECONDS, interval_seconds)
}

/// What was measured last.
#[derive(Clone, Copy, Debug)]
pub struct Measurements<'a> {
    /// The last inventory, or why there is none.
    pub hardware: &'a Hardware,
    /// How the kernel log is being read.
    pub kernel_log: &'a KernelLog,
}

/// What stands: the findings and the rows of the monitors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is wrong, by check and target.
    pub findings: Findings,
    /// One row per monitor, in the order of the spec.
    pub rows: Vec<CheckRow>,
}

/// Judges everything that is monitored.
pub fn judge(expected: &Expectation<'_>, measured: &Measurements<'_>, before: Standing, now: Now) -> Standing {
    let Standing { mut findings, rows: rows_before } = before;
    xid::expire(&mut findings, now);
    let mut rows = Vec::new();
    for monitor in expected.monitors().iter().take(MAX_ROWS) {
        let judged = match Check::from_name(&monitor.name) {
            Some(Check::Inventory) => inventory::judge(expected, measured.hardware, now),
            Some(Check::Xid) => xid::judge(measured, &findings, interval_seconds(monitor), now),
            _ => not_implemented(&monitor.name),
        };
        findings.settle(&monitor.name, &judged, now.wall());
        if rows.iter().all(|row: &CheckRow| row.check != monitor.name) {
            rows.push(row(&monitor.name, judged, &findings, &rows_before, now));
        }
    }
    Standing { findings, rows }
}

/// The bound of `report.checks`.
const MAX_ROWS: usize = 32;
/// The bound of `report.checks[].covered`.
pub const MAX_COVERED: usize = 49;

fn not_implemented(check: &str) -> Judged {
    Judged::unknown(
        reason::NOT_IMPLEMENTED,
        format!(
            "this version of the agent has no monitor named {check}; take it out of the policy or update the agent"
        ),
    )
}

/// The worst of what the check said and of its standing findings, unless it could not judge at all.
fn row(check: &str, judged: Judged, findings: &Findings, before: &[CheckRow], now: Now) -> CheckRow {
    let worst = worst_first(findings.of(check)).first().map(|f| (f.outcome.clone(), f.reason.clone()));
    let (outcome, reason) = match (judged.outcome, worst) {
        (Outcome::Pass, Some((outcome, reason))) => (outcome, Some(reason)),
        (outcome, _) => (outcome, judged.reason.map(|text| bounded(&text, 63))),
    };
    let since = before
        .iter()
        .find(|row| row.check == check && row.outcome == outcome && row.reason == reason)
        .and_then(|row| row.since)
        .unwrap_or_else(|| now.wall());
    let mut covered = judged.covered;
    covered.truncate(MAX_COVERED);
    CheckRow {
        check: bounded(check, 80),
        outcome,
        covered,
        since: Some(since),
        reason,
        message: judged.message.map(|text| bounded(&text, 256)),
    }
}
