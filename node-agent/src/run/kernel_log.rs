//! Follows the kernel log, and opens it again whenever reading fails.

use super::back_off::BackOff;
use crate::agent::{Event, LogEntry};
use crate::kernel_log::{Batch, Item, KernelLogChoice, KernelRecord, Source};
use crate::metrics::Metrics;
use crate::xid::{LineAssembler, owner_of_cgroup};
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
    let hosts = Some(place.proc_root.as_path()).filter(|root| shows_the_hosts_processes(root));
    if hosts.is_none() {
        tracing::info!("the processes of the host are not seen from here: no Xid is told together with its pod");
    }
    loop {
        let error = match Source::open(&place.choice, place.boot_id.clone(), cursor.as_ref()) {
            Ok(mut source) => {
                let name = source.name().to_owned();
                tracing::info!(source = name, "reading the kernel log");
                metrics.kernel_log_readable.set(1);
                let stamps = place.booted_at.filter(|_| source.has_times_of_this_boot());
                let _ = events.send(Event::KernelLogOpened { source: name }).await;
                loop {
                    match source.next().await {
                        Ok(batch) => {
                            back_off.succeeded();
                            let entries = read(batch, &mut lines, stamps, hosts, &metrics);
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

fn read(
    batch: Batch,
    lines: &mut LineAssembler,
    booted_at: Option<Time>,
    proc_root: Option<&Path>,
    metrics: &Metrics,
) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    for item in batch.items {
        match item {
            Item::Record(record) => {
                metrics.kernel_log_records.inc();
                faults(&record, lines, booted_at, proc_root, &mut entries);
            }
            Item::Overrun { lost } => {
                metrics.kernel_log_overruns.inc();
                tracing::warn!(lost, "kernel log records were overwritten before they were read");
                entries.push(LogEntry::Overrun);
            }
            Item::Rotated => entries.push(LogEntry::Rotated),
        }
    }
    let faults =
        entries.iter().filter(|entry| matches!(entry, LogEntry::Fault { .. } | LogEntry::Message { .. })).count();
    metrics.kernel_log_faults.inc_by(u64::try_from(faults).unwrap_or(0));
    metrics.kernel_log_not_understood.set(i64::try_from(lines.not_understood()).unwrap_or(i64::MAX));
    metrics.kernel_log_not_proven.set(i64::try_from(lines.not_proven()).unwrap_or(i64::MAX));
    entries
}

fn faults(
    record: &KernelRecord,
    lines: &mut LineAssembler,
    booted_at: Option<Time>,
    proc_root: Option<&Path>,
    entries: &mut Vec<LogEntry>,
) {
    let at = record.printed_at(booted_at);
    for fact in lines.push(record) {
        let Some(mut entry) = LogEntry::of(fact, record, at) else { continue };
        match &mut entry {
            LogEntry::Fault { observed, .. } => {
                observed.owner = observed.pid.and_then(|pid| pod_of(proc_root?, pid));
                tracing::warn!(pci = %observed.pci, event = ?observed.event, proven = observed.proven, message = observed.message, "fault in the kernel log");
            }
            LogEntry::Message { message, .. } => {
                tracing::warn!(place = ?message.place, says = ?message.says, proven = message.proven, text = message.text, "message in the kernel log");
            }
            LogEntry::DriverLoaded { .. } => tracing::info!("the driver's kernel module was loaded"),
            LogEntry::Overrun | LogEntry::Rotated => {}
        }
        entries.push(entry);
    }
}

/// Whether the tree shows the host's process ids, which are the ones that the kernel prints. Kernel threads exist only in
/// the host's namespace; in that of a container, process 2 is a program or nothing.
fn shows_the_hosts_processes(proc_root: &Path) -> bool {
    const KERNEL_THREAD: u32 = 0x0020_0000; // PF_KTHREAD, include/linux/sched.h
    let stat = procfs::process::Process::new_with_root(proc_root.join("2")).and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.flags & KERNEL_THREAD != 0)
}

/// The pod of a process, while the process is still there to be asked and seen from here.
fn pod_of(proc_root: &Path, pid: u32) -> Option<String> {
    owner_of_cgroup(&std::fs::read_to_string(proc_root.join(pid.to_string()).join("cgroup")).ok()?)
}
