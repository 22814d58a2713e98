//! What a record proves: which of its lines a driver wrote, and which the kernel merely quotes.
//!
//! The kernel prints names that programs choose: the file in `segfault at … in NAME[…]`, the program in `process NAME
//! started with executable stack`, the name of a task. Such a record has facility 0, and a line feed in the name begins
//! what looks like a line of its own. An unprivileged container can so write `NVRM: Xid (…): 79` into the kernel's log.
//!
//! ```text
//!  record ─▶ begins with a driver's prefix?  no ─▶ nothing in it is the driver's
//!              │ yes
//!              ▼
//!            at a level of that prefix, and known to begin a record?  no ─▶ lines, not proven
//!              │ yes
//!              ▼
//!            its first line, proven; further lines only behind one that quotes nobody
//! ```

use super::KernelRecord;
use crate::pci::PciAddress;
use std::borrow::Cow;

/// A prefix with which only a driver begins a record.
struct Prefix {
    text: &'static str,
    /// The least severe level at which the driver reports faults; user-space faults are printed at 6.
    level: u8,
    /// Every record is one line, so that a line feed in it comes from a name that it quotes.
    one_line: bool,
}

/// Longest prefix first.
///
/// Levels: `nv_printf` uses the kernel's default level, 4 (`CONFIG_MESSAGE_LOGLEVEL_DEFAULT`); `nvswitch_os_print` reports
/// SXids at 3 and 4 (open-gpu-kernel-modules, `nv-procfs.c`, `linux_nvswitch.c`). Where an administrator has set
/// another default level (second number of `kernel.printk`), Xids are not proven and need a second witness.
const PREFIXES: &[Prefix] = &[
    Prefix { text: "NVRM: Xid (", level: 4, one_line: true },
    Prefix { text: "NVRM: ", level: 4, one_line: false },
    Prefix { text: "nvidia-nvswitch", level: 4, one_line: true },
];

/// Beginnings of lines that hold no text of a program long enough to forge the line after them. An Xid names a process,
/// but with 15 bytes (`TASK_COMM_LEN`), too few for the shortest fault. `NVRM: API mismatch` quotes 63 bytes of a client
/// (`NV_RM_API_VERSION_STRING_LENGTH`), and so is none.
const QUOTES_NOBODY: &[&str] = &[
    "NVRM: Xid (",
    "NVRM: The NVIDIA GPU ",
    "NVRM: (PCI ID: ",
    "NVRM: fallen off the bus",
    "NVRM: GPU at PCI:",
    "NVRM: GPU Board Serial Number: ",
    "NVRM: GPU ",
    "NVRM: loading NVIDIA UNIX",
    "NVRM: installed in this system",
    "NVRM: This PCI I/O region assigned",
    "NVRM: The NVIDIA probe routine",
    "NVRM: A GPU crash dump",
    "NVRM: Rate limiting GSP RPC error prints",
    "NVRM: RmInitAdapter",
    "NVRM: osInitNvMapping",
    "NVRM: nvAssert",
    "NVRM: nvCheck",
    "NVRM: _kgsp",
    "NVRM: kgsp",
    "NVRM: knvlink",
    "nvidia-nvswitch",
    "mce: [Hardware Error]",
    "EDAC ",
];

/// One line of a driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'record> {
    /// The line, beginning with the driver's prefix.
    pub line: Cow<'record, str>,
    /// The driver itself wrote it. Otherwise a program may have: it neither condemns nor lifts without a second witness.
    pub proven: bool,
}

impl KernelRecord {
    /// The lines that a driver wrote or seems to have written; none of a record that merely quotes such a line.
    pub fn told(&self) -> Vec<Told<'_>> {
        let Some(prefix) = prefix_of(&self.message).filter(|_| self.is_kernel()) else { return Vec::new() };
        let is_proven = self.begins && self.level <= prefix.level;
        if prefix.one_line {
            let line = if self.message.contains('\n') {
                Cow::Owned(self.message.replace('\n', " "))
            } else {
                Cow::Borrowed(self.message.as_str())
            };
            return vec![Told { line, proven: is_proven }];
        }
        let mut proven = is_proven;
        let mut told = Vec::new();
        let mut before: Option<&str> = None;
        for line in self.message.lines() {
            proven &= before.is_none_or(quotes_nobody);
            before = Some(line);
            if prefix_of(line).is_some() {
                told.push(Told { line: Cow::Borrowed(line), proven });
            }
        }
        told
    }

    /// Whether the record holds lines that look like a driver's behind a first line that is not one: a name that a
    /// program chose, or a driver whose form we do not know.
    pub fn quotes_a_driver(&self) -> bool {
        self.is_kernel()
            && prefix_of(&self.message).is_none()
            && self.message.lines().skip(1).any(|line| prefix_of(line).is_some())
    }
}

fn prefix_of(line: &str) -> Option<&'static Prefix> {
    PREFIXES.iter().find(|prefix| line.starts_with(prefix.text))
}

fn quotes_nobody(line: &str) -> bool {
    QUOTES_NOBODY.iter().any(|begin| line.starts_with(begin)) || is_of_a_pci_device(line) || is_of_a_numbered_gpu(line)
}

/// `pcieport 0000:00:03.0: …` (`dev_printk`): driver and address are the kernel's. Drivers of PCI devices quote at most the
/// name of a task.
fn is_of_a_pci_device(line: &str) -> bool {
    let Some((driver, rest)) = line.split_once(' ') else { return false };
    let is_driver = driver.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let address = rest.split_once(": ").map(|(address, _)| address);
    !driver.is_empty()
        && is_driver
        && address.is_some_and(|text| text.len() >= 12 && text.parse::<PciAddress>().is_ok())
}

/// `NVRM: GPU5 _kgspRpcRecvPoll: …`: a function of the driver speaks of its own state.
fn is_of_a_numbered_gpu(line: &str) -> bool {
    line.strip_prefix("NVRM: GPU").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Finds out which lines of a text begin a record, where the text has split records at their line feeds: `syslog(2)`
/// gives each line of a record the record's level and time again.
///
/// A line begins a record if its level or time differs from the line before, or if that line is known to begin a record
/// and quotes nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries {
    before: Option<Before>,
    /// Nothing was read yet of a text that begins with the first line of a record.
    at_start: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    facility: u32,
    level: u8,
    usec: u64,
    /// It begins a record and quotes nobody.
    is_closed: bool,
}

impl Boundaries {
    /// For a text that begins with the first line of a record, such as a whole file.
    pub(super) const fn of_whole_text() -> Self {
        Self { before: None, at_start: true }
    }

    /// Marks the next record of the source. Records of /dev/kmsg are left as they are.
    pub(super) fn mark(&mut self, record: &mut KernelRecord) {
        if record.seq.is_some() {
            self.before = None;
            return;
        }
        let at_start = std::mem::take(&mut self.at_start);
        record.begins = at_start
            || self.before.as_ref().is_some_and(|before| {
                let differs =
                    (before.facility, before.level, before.usec) != (record.facility, record.level, record.usec);
                differs || before.is_closed
            });
        self.before = Some(Before {
            facility: record.facility,
            level: record.level,
            usec: record.usec,
            is_closed: record.begins && quotes_nobody(&record.message),
        });
    }

    /// Lines were lost: what comes next may be the middle of a record.
    pub(super) fn forget(&mut self) {
        self.before = None;
    }
}

#[cfg(test)]
mod tests;
