//! A kernel log as a file of another machine: records of /dev/kmsg, or what dmesg or journalctl printed.

use crate::agent::LogEntry;
use crate::kernel_log::KernelRecord;
use crate::xid::{LineAssembler, LogFact};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The longest line that is looked at, in bytes; the rest of a longer one is passed over.
const LINE_MAX: usize = 16 * 1024;
/// How every line of the drivers begins that we read.
const BEGINS: &[&str] = &["NVRM: ", "nvidia-nvswitch"];

/// Every fault in the file, in its order.
pub(super) fn faults(path: &Path) -> std::io::Result<Vec<LogEntry>> {
    let mut reader = BufReader::new(std::fs::File::open(path)?);
    let mut lines = LineAssembler::default();
    let mut entries = Vec::new();
    let mut line = Vec::new();
    let mut number = 0_u64;
    while next_line(&mut reader, &mut line)? {
        number += 1;
        let Some((message, usec)) = message(&line) else { continue };
        for fact in lines.push(&message) {
            if let LogFact::Fault(observed) = fact {
                entries.push(LogEntry::Fault { observed: Box::new(observed), at: None, seq: Some(number), usec });
            }
        }
    }
    Ok(entries)
}

/// At most [`LINE_MAX`] bytes of the next line; false at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        let room = LINE_MAX.saturating_sub(line.len());
        line.extend_from_slice(buffer.get(..end.unwrap_or(taken).min(room)).unwrap_or_default());
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// The driver's part of a line and the microseconds since boot (0 where unknown). A record that a program wrote is none.
fn message(line: &[u8]) -> Option<(String, u64)> {
    if let Some(record) = KernelRecord::from_line(line) {
        return record.is_kernel().then_some((record.message, record.usec));
    }
    let text = String::from_utf8_lossy(line);
    let begin = BEGINS.iter().filter_map(|begin| text.find(begin)).min()?;
    Some((text[begin..].to_owned(), 0))
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
                LogEntry::Overrun | LogEntry::Rotated => None,
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
    fn what_a_program_wrote_and_what_is_no_line_of_a_driver_is_nothing() {
        assert_eq!(events_in("12,18,5,-;NVRM: Xid (PCI:0000:02:00): 79, forged\n"), []);
        assert_eq!(events_in(&format!("{}\n\u{0}\u{1}\n", "x".repeat(100_000))), []);
    }
}
