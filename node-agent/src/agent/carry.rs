//! What an agent takes over from the report of the previous process.

use super::event::{LogEntry, Order};
use super::positions::{KERNEL_LOG, SWITCHES};
use super::state::State;
use crate::dispatch::Work;
use crate::judge::core::events::end_with_boot;
use crate::judge::same_verdict;
use crate::kernel_log::Cursor;
use crate::time::Now;
use crds::Time;
use crds::check::Check;
use crds::node_health::{Baseline, Report, RunReport};

/// The limit of a baseline's values, in bytes.
const VALUES_MAX: usize = 256;

/// Takes over the report found when the object is first seen: findings, rows, runs, the position in the log.
pub(super) fn take_over(state: &mut State, order: &Order, now: Now) {
    let report = order.report.as_deref().cloned().unwrap_or_default();
    let same_boot = report.agent.boot_id == state.facts.boot_id || report.agent.boot_id.is_empty();
    for finding in &report.findings {
        let live = state.standing.findings.get(&finding.check, &finding.target);
        if live.is_none_or(|live| same_verdict(live, finding)) {
            state.standing.findings.put(finding.clone());
        }
    }
    state.log.switches = switches(&report);
    if same_boot {
        // The agent before this one read the log, and judged what it saw.
        state.first_ran = report.agent.started_at.into_iter().fold(state.first_ran, Time::min);
        state.log.known_gpus = report.inventory.gpus.iter().map(|gpu| (&gpu.pci_address).into()).collect();
        // What this process has already measured is newer.
        if state.senses.inventory.gpus.is_empty() {
            state.senses.inventory = report.inventory.clone();
        }
    } else {
        end_with_boot(&mut state.standing.findings);
    }
    state.standing.rows.clone_from(&report.checks);
    // Readings taken before are taken again, to be recorded with the counters from which they rose.
    state.senses.memory.restore(&report.baselines, &state.facts.boot_id, now);
    state.senses.read_again();
    for assignment in &order.spec.assignments {
        if let Some(run) = report.runs.iter().find(|run| run.id == assignment.id) {
            state.works.push(Work::taken_over(assignment, run.clone(), &state.standing.findings, state.checks, now));
        }
    }
    let was_given = |run: &RunReport| order.spec.assignments.iter().any(|assignment| assignment.id == run.id);
    for run in report.runs.iter().filter(|run| !was_given(run)) {
        state.works.extend(Work::left_over(run.clone(), state.checks, now));
    }
    let reported = cursor(&report).filter(|cursor| cursor.boot_id == state.facts.boot_id);
    let waiting = std::mem::take(&mut state.waiting);
    if state.cursor.is_none() {
        state.cursor.clone_from(&reported);
    }
    state.reported_up_to = reported;
    for entry in waiting {
        state.fold(&entry, now);
    }
    if order.report.is_some() {
        state.writer.begin_with(report);
    }
}

/// Whether the entry comes from a record that the report already covers.
pub(super) fn was_reported(entry: &LogEntry, cursor: Option<&Cursor>) -> bool {
    match (entry, cursor) {
        (LogEntry::Fault { seq, usec, .. }, Some(cursor)) => match (seq, cursor.seq) {
            (Some(seq), Some(last)) => *seq <= last,
            _ => *usec != 0 && *usec <= cursor.usec,
        },
        _ => false,
    }
}

/// The position in the kernel log, as the report stores it.
pub(super) fn cursor_baseline(cursor: &Cursor, at: Time) -> Baseline {
    let seq = cursor.seq.map(|seq| format!("seq={seq};")).unwrap_or_default();
    Baseline {
        target: KERNEL_LOG.to_owned(),
        boot_id: cursor.boot_id.clone(),
        at,
        values: format!("{seq}usec={}", cursor.usec),
    }
}

/// The position in the kernel log that a report stores; `None` if there is none or it cannot be parsed.
pub fn cursor(report: &Report) -> Option<Cursor> {
    let baseline = report.baselines.iter().find(|baseline| baseline.target == KERNEL_LOG)?;
    let value = |name: &str| {
        baseline.values.split(';').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?.parse::<u64>().ok()
    };
    Some(Cursor { boot_id: baseline.boot_id.clone(), seq: value("seq"), usec: value("usec")? })
}

/// The switches named in the log. A pass after the next boot must cover them, and no inventory lists them.
pub(super) fn switches_baseline(switches: &[String], boot_id: &str, at: Time) -> Option<Baseline> {
    let mut values = String::new();
    for switch in switches {
        if values.len() + switch.len() < VALUES_MAX {
            if !values.is_empty() {
                values.push(' ');
            }
            values.push_str(switch);
        }
    }
    (!values.is_empty()).then(|| Baseline { target: SWITCHES.to_owned(), boot_id: boot_id.to_owned(), at, values })
}

fn switches(report: &Report) -> Vec<String> {
    let kept = report.baselines.iter().filter(|baseline| baseline.target == SWITCHES);
    let mut switches: Vec<String> = kept
        .flat_map(|baseline| baseline.values.split(' '))
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect();
    let reported = report.findings.iter().filter(|finding| {
        finding.check == Check::Xid.name() && finding.evidence.as_deref().is_some_and(|text| text.starts_with("SXid"))
    });
    for finding in reported {
        if !switches.contains(&finding.target) {
            switches.push(finding.target.clone());
        }
    }
    switches
}
