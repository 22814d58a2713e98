//! From measurements to findings and check rows. Pure: no clock, no client, no state of its own.
//!
//! ```text
//!  expectation (spec, boot) ──┐
//!  measurements              ─┼─▶ judge ─▶ Standing { findings, rows }
//!  standing (before)         ─┘
//! ```
//!
//! Events (Xids) are added to the standing findings by [`xid::observe`]; states (everything else that is read) replace
//! earlier findings. [`registry`] has one row per monitor; [`core`] is what all judges are built from. What must stay
//! true:
//! - Findings are unique by check and target, because they are keyed by them.
//! - A check that could not judge neither adds nor removes a finding.
//! - Severities come from tables (the rules of each check, the Xid catalogue), never from the middle of the code.

pub mod core;
pub mod drift;
pub mod gpu;
pub mod kernel_log;
pub mod link;
pub mod net;
#[cfg(test)]
mod properties;
pub mod registry;
#[cfg(test)]
pub(crate) mod samples;
pub mod xid;

pub use core::{
    Counter, DEFAULT_INTERVAL_SECONDS, Expectation, Findings, Found, Ground, Hardware, Judged, KernelLog, Key,
    MAX_COVERED, Memory, Page, Readings, Rule, Trouble, Whereabouts, bounded, interval_of, interval_seconds,
    same_verdict, worst_first,
};

use crate::time::Now;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::{CheckRow, Gpu};
use crds::{Outcome, Time, reason};
use gpu::inventory;
use registry::{Grace, Monitor, Tree};
use std::collections::BTreeSet;

/// The last measurements.
#[derive(Clone, Copy, Debug)]
pub struct Measurements<'a> {
    /// The last inventory, or why there is none.
    pub hardware: &'a Hardware,
    /// How the kernel log is being read.
    pub kernel_log: &'a KernelLog,
    /// The last readings of the driver's library and the device tree.
    pub readings: &'a Readings,
    /// Counter increases, and the best that each board has shown.
    pub memory: &'a Memory,
    /// The GPUs as the report identifies them.
    pub gpus: &'a [Gpu],
}

/// The current findings, and the rows of the monitors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is wrong, by check and target.
    pub findings: Findings,
    /// One row per monitor, in the order of the spec.
    pub rows: Vec<CheckRow>,
}

/// Judges every monitor.
pub fn judge(expected: &Expectation<'_>, measured: &Measurements<'_>, before: Standing, now: Now) -> Standing {
    let Standing { mut findings, rows: rows_before } = before;
    let boards = Whereabouts::of(expected, measured.hardware);
    if let Some(boards) = &boards {
        findings.follow(boards, reads_hardware);
    }
    core::events::expire(&mut findings, now);
    kernel_log::lift(&mut findings, measured.readings, now);
    xid::lift_by_recovery_action(&mut findings, measured.readings);
    xid::lift_by_reset(&mut findings, measured.readings, measured.kernel_log.driver_loaded_at, now);
    let mut judged_all = Vec::new();
    let wanted = registry::wanted(expected);
    for monitor in wanted.iter().take(MAX_ROWS) {
        let known = registry::named(&monitor.name);
        let mut judged = match known {
            Some(row) => judge_one(row, row.reading_seconds(monitor), expected, measured, &findings, now),
            None => not_implemented(&monitor.name),
        };
        let ran = known.filter(|_| judged.outcome == Outcome::Pass);
        let ran = ran.and_then(|row| last_run(row, row.reading_seconds(monitor), measured.readings, now));
        if let Some(boards) = boards.as_ref().filter(|_| monitor.name == Check::Inventory.name()) {
            let row = rows_before.iter().find(|row| row.check == monitor.name);
            inventory::cover_vacant(boards, &mut judged, &findings, row);
        }
        findings.settle(&monitor.name, &judged, measured.gpus, now.wall());
        judged_all.push((&monitor.name, judged, ran));
    }
    xid::attribute(&mut findings);
    let mut rows: Vec<CheckRow> = Vec::new();
    for (check, judged, ran) in judged_all {
        if rows.iter().all(|row| row.check != *check) {
            rows.push(row(check, judged, ran, &findings, &rows_before, now));
        }
    }
    findings.identify(measured.gpus);
    let known: BTreeSet<&str> = known_targets(measured, &rows).collect();
    findings.bound(|target| known.contains(target));
    Standing { findings, rows }
}

/// Whether a check names only GPUs that it has read, and none that a log or a program has named.
fn reads_hardware(check: &str) -> bool {
    registry::named(check).is_some_and(|monitor| !monitor.reads.driver.is_empty())
}

/// The hardware of the node, and whatever a check has covered.
fn known_targets<'a>(measured: &Measurements<'a>, rows: &'a [CheckRow]) -> impl Iterator<Item = &'a str> {
    let gpus = measured.gpus.iter().map(|gpu| gpu.pci_address.as_str());
    let earlier = measured.kernel_log.known_gpus.iter().map(String::as_str);
    let covered = rows.iter().flat_map(|row| row.covered.iter().map(String::as_str));
    gpus.chain(earlier).chain(covered).chain([TARGET_NODE])
}

/// Judges one check. `interval_seconds` is how often its readings are taken.
pub fn judge_one(
    monitor: &Monitor,
    interval_seconds: i64,
    expected: &Expectation<'_>,
    measured: &Measurements<'_>,
    findings: &Findings,
    now: Now,
) -> Judged {
    match monitor.grace {
        Grace::None => {}
        Grace::BootAndMaintenance => {
            if let Some(pause) = expected.pause(now) {
                return Judged::skipped(pause);
            }
            if was_read_in_boot_grace(monitor, expected, measured.readings, now) {
                return Judged::skipped(reason::BOOT_GRACE);
            }
        }
    }
    if measured.readings.is_lent && !monitor.reads.driver.is_empty() {
        return Judged::skipped(reason::NODE_BUSY);
    }
    let Measurements { hardware, kernel_log, readings, memory, gpus } = *measured;
    (monitor.judge)(&Ground { expected, hardware, kernel_log, readings, memory, findings, gpus, interval_seconds, now })
}

/// Whether the monitor's last reading was taken before the boot grace ended: such a reading says nothing about the time
/// after it. Only the next reading, or its failure, counts.
fn was_read_in_boot_grace(monitor: &Monitor, expected: &Expectation<'_>, readings: &Readings, now: Now) -> bool {
    let Some(end) = expected.boot_grace_ends() else { return false };
    let since_ms = u64::try_from(now.unix_ms.saturating_sub(end.unix().saturating_mul(1000))).unwrap_or(0);
    let is_earlier = |taken: &u64| now.mono_ms.saturating_sub(*taken) > since_ms;
    let mut sections = monitor.reads.driver.iter().filter_map(|section| readings.taken.get(section));
    let driver = readings.trouble.is_none() && sections.any(is_earlier);
    let reads_tree = match monitor.reads.tree {
        Tree::Unread => false,
        Tree::Shared | Tree::Read => true,
    };
    let tree = readings.tree_failed.is_none() && readings.tree.as_ref().is_some_and(|(_, taken)| is_earlier(taken));
    driver || (reads_tree && tree)
}

/// When the oldest of the readings was taken that a monitor judges now, by the wall clock. The kernel log is read all the
/// time: the last whole interval counts.
fn last_run(monitor: &Monitor, interval_seconds: i64, readings: &Readings, now: Now) -> Option<Time> {
    let sections = monitor.reads.driver.iter().filter_map(|section| readings.taken.get(section).copied());
    let tree = match monitor.reads.tree {
        Tree::Unread => None,
        Tree::Shared | Tree::Read => readings.tree.as_ref().map(|(_, taken)| *taken),
    };
    let oldest = sections.chain(tree).min().map(|taken| {
        let age = i64::try_from(now.mono_ms.saturating_sub(taken)).unwrap_or(i64::MAX);
        Time::from_unix(now.unix_ms.saturating_sub(age).div_euclid(1000))
    });
    let seconds = now.wall().unix();
    oldest.or_else(|| {
        monitor.reads.kernel_log.then(|| Time::from_unix(seconds - seconds.rem_euclid(interval_seconds.max(1))))
    })
}

/// The limit of `report.checks`.
const MAX_ROWS: usize = 24;

fn not_implemented(check: &str) -> Judged {
    Judged::unknown(
        reason::NOT_IMPLEMENTED,
        format!(
            "this version of the agent has no monitor named {check}; remove it from the policy or update the agent"
        ),
    )
}

/// The row: the worse of the check's result and its standing findings, unless the check could not judge at all.
fn row(check: &str, judged: Judged, ran: Option<Time>, findings: &Findings, before: &[CheckRow], now: Now) -> CheckRow {
    let before = before.iter().find(|row| row.check == check);
    let worst = worst_first(findings.of(check)).first().map(|f| (f.outcome.clone(), f.reason.clone()));
    let (outcome, reason) = match (judged.outcome, worst) {
        (Outcome::Pass, Some((outcome, reason))) => (outcome, Some(reason)),
        (outcome, _) => (outcome, judged.reason.map(|text| bounded(&text, 63))),
    };
    let since = before
        .filter(|row| row.outcome == outcome && row.reason == reason)
        .and_then(|row| row.since)
        .unwrap_or_else(|| now.wall());
    let mut covered = judged.covered;
    covered.truncate(MAX_COVERED);
    CheckRow {
        check: bounded(check, 32),
        outcome,
        covered: covered.into(),
        since: Some(since),
        last_run: ran.or_else(|| before.and_then(|row| row.last_run)),
        reason,
        message: judged.message.map(|text| bounded(&text, 256)),
    }
}
