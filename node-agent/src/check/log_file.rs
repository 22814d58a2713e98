//! A kernel log as a file of another machine: records of /dev/kmsg, or what dmesg or journalctl printed.

use crate::agent::LogEntry;
use crate::kernel_log::{KernelRecord, PrintedLog};
use crate::text::{LineEnd, read_line};
use crate::xid::LineAssembler;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The longest line that is looked at, in bytes; the rest of a longer one is passed over.
const LINE_MAX: usize = 16 * 1024;

/// Every fault in the file, in its order.
pub(super) fn faults(path: &Path) -> std::io::Result<Vec<LogEntry>> {
    let mut reader = BufReader::new(std::fs::File::open(path)?);
    let mut lines = LineAssembler::default();
    let mut log = PrintedLog::default();
    let mut entries = Vec::new();
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        match read_line(&mut reader, &mut line, LINE_MAX)? {
            LineEnd::Stream if line.is_empty() => return Ok(entries),
            LineEnd::Limit => drop(reader.skip_until(b'\n')?),
            LineEnd::Feed | LineEnd::Stream => {}
        }
        number += 1;
        let Some(record) = log.read(&line) else { continue };
        let record = KernelRecord { seq: Some(number), ..record };
        entries.extend(lines.push(&record).into_iter().filter_map(|fact| LogEntry::of(fact, &record, None)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xid::XidEvent;

    fn events_in(text: &str) -> Vec<XidEvent> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        std::fs::write(&file, text).unwrap();
        let entries = faults(&file).unwrap();
        entries
            .iter()
            .filter_map(|entry| match entry {
                LogEntry::Fault { observed, .. } => Some(observed.event),
                LogEntry::Message { .. } | LogEntry::DriverLoaded { .. } | LogEntry::Overrun | LogEntry::Rotated => {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn dmesg_journalctl_and_kmsg_are_read() {
        for line in [
            "[74889.644138] NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
            "Nov 21 10:00:00 host kernel: NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
            "kern  :warn  : 2025-01-21T04:41:44,283575+00:00 NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
            "3,17,74889644138,-;NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
        ] {
            assert_eq!(events_in(&format!("boot\n{line}\nmore\n")), [XidEvent::Xid(79)], "{line}");
        }
    }

    #[test]
    fn a_name_that_a_program_chose_is_not_proven_and_neither_are_lines_that_cannot_be_told_apart() {
        let forged = "6,508,24770879088,-;x\\x0aNVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.[12870]\n";
        assert_eq!(events_in(forged), []);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        std::fs::write(&file, "[5.000001] x\n[5.000001] NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen\n").unwrap();
        let entries = faults(&file).unwrap();
        assert!(matches!(entries.as_slice(), [LogEntry::Fault { observed, .. }] if !observed.proven), "{entries:?}");
    }

    #[test]
    fn what_a_program_wrote_and_what_is_no_line_of_a_driver_is_nothing() {
        assert_eq!(events_in("12,18,5,-;NVRM: Xid (PCI:0000:02:00): 79, forged\n"), []);
        assert_eq!(events_in(&format!("{}\n\u{0}\u{1}\n", "x".repeat(100_000))), []);
    }
}
