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

pub mod clocks;
pub mod driver;
pub mod ecc;
pub mod efa;
pub mod fabric;
mod found;
pub mod ground;
pub mod inventory;
mod like_load;
pub mod memory;
pub mod nvlink;
pub mod pages;
pub mod pcie_link;
pub mod peers;
pub mod power;
#[cfg(test)]
mod properties;
pub mod rates;
pub mod rdma_link;
pub mod readings;
pub mod recovery;
pub mod row_remap;
pub mod rule;
#[cfg(test)]
pub(crate) mod samples;
mod tally;
pub mod thermal;
pub mod topology;
pub mod xid;

pub use found::{Findings, Found, Judged, Key, bounded, same_verdict, worst_first};
pub use ground::Ground;
pub use memory::{Counter, Memory};
pub use readings::{Readings, Trouble};
pub use rule::{Page, Rule};

use crate::readings::sample::Section;
use crate::time::Now;
use crds::check::Check;
use crds::node_health::{CheckRow, Gpu, Monitor, NodeHealthSpec};
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

/// The reading of the topology costs a call per pair of GPUs and changes with a reboot only: it is taken at every tenth
/// interval of its monitor.
pub const TOPOLOGY_INTERVALS: i64 = 10;

/// How old the readings of a monitor may become by plan, in seconds.
fn reading_seconds(check: Check, monitor: &Monitor) -> i64 {
    let interval = interval_seconds(monitor);
    if check == Check::Topology { interval.saturating_mul(TOPOLOGY_INTERVALS) } else { interval }
}

/// What was measured last.
#[derive(Clone, Copy, Debug)]
pub struct Measurements<'a> {
    /// The last inventory, or why there is none.
    pub hardware: &'a Hardware,
    /// How the kernel log is being read.
    pub kernel_log: &'a KernelLog,
    /// What the driver's library and the device tree said last.
    pub readings: &'a Readings,
    /// Counters by difference, and the best that boards have shown.
    pub memory: &'a Memory,
    /// The GPUs as the report shows them.
    pub gpus: &'a [Gpu],
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
    xid::lift_by_recovery_action(&mut findings, measured.readings);
    let mut rows = Vec::new();
    for monitor in expected.monitors().iter().take(MAX_ROWS) {
        let mut judged = match Check::from_name(&monitor.name) {
            Some(check) => judge_check(check, reading_seconds(check, monitor), expected, measured, &findings, now)
                .unwrap_or_else(|| not_implemented(&monitor.name)),
            None => not_implemented(&monitor.name),
        };
        if monitor.name == Check::Inventory.name() {
            let row = rows_before.iter().find(|row| row.check == monitor.name);
            inventory::cover_gone(expected, &mut judged, &findings, row);
        }
        findings.settle(&monitor.name, &judged, measured.gpus, now.wall());
        if rows.iter().all(|row: &CheckRow| row.check != monitor.name) {
            rows.push(row(&monitor.name, judged, &findings, &rows_before, now));
        }
    }
    findings.identify(measured.gpus);
    Standing { findings, rows }
}

/// Judges one check; `None` for one that is no monitor, or none that this version has. `interval_seconds` is how often
/// its readings are taken.
pub fn judge_check(
    check: Check,
    interval_seconds: i64,
    expected: &Expectation<'_>,
    measured: &Measurements<'_>,
    findings: &Findings,
    now: Now,
) -> Option<Judged> {
    if BOOT_GRACE.contains(&check)
        && let Some(pause) = expected.pause(now)
    {
        return Some(Judged::skipped(pause));
    }
    if was_read_in_boot_grace(check, expected, measured.readings, now) {
        return Some(Judged::skipped(reason::BOOT_GRACE));
    }
    let ground = Ground {
        expected,
        readings: measured.readings,
        memory: measured.memory,
        findings,
        gpus: measured.gpus,
        interval_seconds,
        now,
    };
    judge_one(check, &ground, measured)
}

/// What is silent under maintenance and for some time after a boot, while the driver and its daemons come up.
const BOOT_GRACE: &[Check] = &[Check::Driver, Check::Inventory, Check::Fabric];

/// Whether the last reading for this check was taken before the boot grace ended: it tells nothing about the time after
/// it. The next one does, and so does the failure of the next one.
fn was_read_in_boot_grace(check: Check, expected: &Expectation<'_>, readings: &Readings, now: Now) -> bool {
    let section = match check {
        Check::Driver | Check::Inventory => Section::Driver,
        Check::Fabric => Section::Fabric,
        _ => return false,
    };
    let Some(end) = expected.boot_grace_ends() else { return false };
    let since_ms = u64::try_from(now.unix_ms.saturating_sub(end.unix().saturating_mul(1000))).unwrap_or(0);
    let is_earlier = |taken: &u64| now.mono_ms.saturating_sub(*taken) > since_ms;
    let driver = readings.trouble.is_none() && readings.taken.get(&section).is_some_and(is_earlier);
    let tree = readings.tree_failed.is_none() && readings.tree.as_ref().is_some_and(|(_, taken)| is_earlier(taken));
    driver || (check != Check::Fabric && tree)
}

/// `None` for a check that is no monitor, or none that this version has.
fn judge_one(check: Check, ground: &Ground<'_>, measured: &Measurements<'_>) -> Option<Judged> {
    Some(match check {
        Check::Inventory => inventory::judge(ground.expected, measured.hardware, ground.now),
        Check::Xid => xid::judge(measured, ground.findings, ground.interval_seconds, ground.now),
        Check::Clocks => clocks::judge(ground),
        Check::Driver => driver::judge(ground),
        Check::Ecc => ecc::judge(ground),
        Check::Efa => efa::judge(ground),
        Check::Fabric => fabric::judge(ground),
        Check::Nvlink => nvlink::judge(ground),
        Check::PcieLink => pcie_link::judge(ground),
        Check::Power => power::judge(ground),
        Check::RdmaLink => rdma_link::judge(ground),
        Check::RecoveryAction => recovery::judge(ground),
        Check::RowRemap => row_remap::judge(ground),
        Check::Thermal => thermal::judge(ground),
        Check::Topology => topology::judge(ground),
        _ => return None,
    })
}

/// The page of each check that this agent judges, in the order of the documentation.
pub static PAGES: &[&Page] = &[
    &driver::PAGE,
    &recovery::PAGE,
    &ecc::PAGE,
    &row_remap::PAGE,
    &clocks::PAGE,
    &thermal::PAGE,
    &power::PAGE,
    &pcie_link::PAGE,
    &nvlink::PAGE,
    &fabric::PAGE,
    &topology::PAGE,
    &rdma_link::PAGE,
    &efa::PAGE,
];

/// The bound of `report.checks`.
const MAX_ROWS: usize = 24;
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
        check: bounded(check, 32),
        outcome,
        covered,
        since: Some(since),
        reason,
        message: judged.message.map(|text| bounded(&text, 256)),
    }
}
