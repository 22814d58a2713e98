//! Follows the kernel log, and opens it again whenever reading fails.

use super::back_off::BackOff;
use crate::agent::{Event, LogEntry};
use crate::kernel_log::{Batch, Item, KernelLogChoice, KernelRecord, Source};
use crate::metrics::Metrics;
use crate::xid::{LineAssembler, LogFact, owner_of_cgroup};
use crds::Time;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// First and longest pause before a log that cannot be read is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Which log, of which boot.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) choice: KernelLogChoice,
    pub(super) boot_id: String,
    pub(super) booted_at: Option<Time>,
    /// Where the processes of the node are seen.
    pub(super) proc_root: PathBuf,
}

/// Sends what the log says to the core. The core itself knows what it read before a restart.
pub(super) async fn follow(place: Place, events: mpsc::Sender<Event>, metrics: Metrics) {
    let mut back_off = BackOff::new(PAUSE.0, PAUSE.1);
    let mut cursor = None;
    let mut lines = LineAssembler::default();
    loop {
        let error = match Source::open(&place.choice, place.boot_id.clone(), cursor.as_ref()) {
            Ok(mut source) => {
                let name = source.name().to_owned();
                tracing::info!(source = name, "reading the kernel log");
                metrics.kernel_log_readable.set(1);
                let stamps = stamps_of(&name).then_some(place.booted_at).flatten();
                let _ = events.send(Event::KernelLogOpened { source: name }).await;
                loop {
                    match source.next().await {
                        Ok(batch) => {
                            back_off.succeeded();
                            let entries = read(batch, &mut lines, stamps, &place.proc_root, &metrics);
                            cursor = source.cursor();
                            // A new place alone does not wake the core; it goes along with the next fault.
                            if !entries.is_empty() {
                                let _ = events.send(Event::KernelLog { entries, cursor: cursor.clone() }).await;
                            }
                        }
                        Err(error) => break error,
                    }
                }
            }
            Err(error) => error,
        };
        metrics.kernel_log_readable.set(0);
        let pause = back_off.pause();
        tracing::warn!(%error, again_in = ?pause, "cannot read the kernel log");
        let _ = events.send(Event::KernelLogUnreadable { message: error.to_string() }).await;
        tokio::time::sleep(pause).await;
    }
}

/// Whether the records carry time stamps of this kernel. A file may have been written by anyone, at any time.
fn stamps_of(source: &str) -> bool {
    source == "syslog" || source.starts_with("kmsg:")
}

fn read(
    batch: Batch,
    lines: &mut LineAssembler,
    booted_at: Option<Time>,
    proc_root: &Path,
    metrics: &Metrics,
) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    for item in batch.items {
        match item {
            Item::Record(record) => {
                metrics.kernel_log_records.inc();
                // A program can write anything into the log, but never as the kernel.
                if record.is_kernel() {
                    faults(&record, lines, booted_at, proc_root, &mut entries);
                }
            }
            Item::Overrun { lost } => {
                metrics.kernel_log_overruns.inc();
                tracing::warn!(lost, "kernel log records were overwritten before they were read");
                entries.push(LogEntry::Overrun);
            }
            Item::Rotated => entries.push(LogEntry::Rotated),
        }
    }
    let faults = entries.iter().filter(|entry| matches!(entry, LogEntry::Fault { .. })).count();
    metrics.kernel_log_faults.inc_by(u64::try_from(faults).unwrap_or(0));
    metrics.kernel_log_not_understood.set(i64::try_from(lines.not_understood()).unwrap_or(i64::MAX));
    entries
}

fn faults(
    record: &KernelRecord,
    lines: &mut LineAssembler,
    booted_at: Option<Time>,
    proc_root: &Path,
    entries: &mut Vec<LogEntry>,
) {
    let since_boot = i64::try_from(record.usec / 1_000_000).unwrap_or(i64::MAX);
    let at = booted_at.filter(|_| record.usec > 0).map(|booted| booted.plus(since_boot));
    for fact in lines.push(&record.message) {
        match fact {
            LogFact::Fault(mut observed) => {
                observed.owner = observed.pid.and_then(|pid| pod_of(proc_root, pid));
                tracing::warn!(pci = %observed.pci, event = ?observed.event, message = observed.message, "fault in the kernel log");
                entries.push(LogEntry::Fault { observed: Box::new(observed), at, seq: record.seq, usec: record.usec });
            }
            LogFact::Board(board) => tracing::debug!(?board, "board named in the kernel log"),
        }
    }
}

/// The pod of a process, while the process is still there to be asked and seen from here.
fn pod_of(proc_root: &Path, pid: u32) -> Option<String> {
    owner_of_cgroup(&std::fs::read_to_string(proc_root.join(pid.to_string()).join("cgroup")).ok()?)
}
