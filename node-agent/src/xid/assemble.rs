//! Facts that span more than one line.
//!
//! A printk of several lines may arrive as one record with line feeds, or as several records with others in between. An
//! unfinished fact is dropped after some lines, so that memory is bounded and lines hours apart are never joined.

use super::observation::XidObservation;
use super::parse::{address, claims_a_fault, lost, observe_line};
use crate::kernel_log::KernelRecord;
use crate::kernel_messages::{Message, Messages};
use crate::pci::PciAddress;
use crate::text::printable;
use std::collections::VecDeque;

/// How many GPUs may have an unfinished three-line loss message at once; a node has at most 16.
const UNDER_WAY: usize = 16;
/// After this many further lines, the rest of a loss message or a serial number is no longer expected.
const PATIENCE: u32 = 64;

/// `NVRM: loading NVIDIA UNIX x86_64 Kernel Module  570.86.15 …`, `… UNIX Open Kernel Module for x86_64 …`
/// (open-gpu-kernel-modules, `osapi.c` and `nv.c`; every published boot log has one of the two).
const LOADED: &str = "loading NVIDIA UNIX ";

/// The board at an address, as the driver logs it before a GPU's first Xid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardIdentity {
    /// The GPU.
    pub pci: PciAddress,
    /// `GPU-…`, at most 64 characters.
    pub uuid: Option<String>,
    /// The board's serial number, at most 64 characters.
    pub serial: Option<String>,
}

/// The content of one line, or of several joined lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFact {
    /// A fault.
    Fault(XidObservation),
    /// An identity.
    Board(BoardIdentity),
    /// What the kernel or the driver says besides Xids.
    Message(Message),
    /// The kernel module was loaded, and with that every GPU initialised anew.
    DriverLoaded,
}

/// Reads the messages of kernel records one after the other.
#[derive(Debug, Default)]
pub struct LineAssembler {
    /// GPUs with a `The NVIDIA GPU …` line; the first is the next to be continued.
    leaving: VecDeque<Leaving>,
    /// The GPU whose UUID was logged last, and the number of lines since.
    board: Option<(PciAddress, u32)>,
    messages: Messages,
    not_understood: u64,
    not_proven: u64,
}

#[derive(Debug)]
struct Leaving {
    pci: PciAddress,
    proven: bool,
    /// `(PCI ID: …) installed in this system has` has followed.
    installed: bool,
    lines: u32,
}

impl LineAssembler {
    /// Processes the next record and returns the facts that it completes. What a program wrote or the kernel quotes is
    /// none.
    pub fn push(&mut self, record: &KernelRecord) -> Vec<LogFact> {
        self.not_proven += u64::from(record.quotes_a_driver());
        let mut facts: Vec<LogFact> =
            record.told().into_iter().filter_map(|told| self.push_line(&told.line, told.proven)).collect();
        facts.extend(self.messages.push(record).into_iter().map(LogFact::Message));
        facts
    }

    /// The number of faults that the driver is not known to have written: the record quotes them, or cannot be told from
    /// the record before it.
    pub const fn not_proven(&self) -> u64 {
        self.not_proven
    }

    /// The number of lines that look like an Xid or SXid but could not be parsed, not counting companion lines. Above
    /// zero, some driver writes a form that we do not know.
    pub const fn not_understood(&self) -> u64 {
        self.not_understood
    }

    fn push_line(&mut self, line: &str, proven: bool) -> Option<LogFact> {
        self.age();
        if let Some(fault) = observe_line(line) {
            self.not_proven += u64::from(!proven);
            return Some(LogFact::Fault(XidObservation { proven, ..fault }));
        }
        if claims_a_fault(line) {
            let companion = line.contains("): ") && [", Severity ", ", Data "].iter().any(|word| line.contains(word));
            self.not_understood += u64::from(!companion);
            return None;
        }
        let text = line.strip_prefix("NVRM: ")?;
        if proven && text.starts_with(LOADED) {
            return Some(LogFact::DriverLoaded);
        }
        self.identity(text).map(LogFact::Board).or_else(|| self.farewell(text, proven).map(LogFact::Fault))
    }

    fn age(&mut self) {
        for leaving in &mut self.leaving {
            leaving.lines += 1;
        }
        self.leaving.retain(|leaving| leaving.lines <= PATIENCE);
        self.board = self.board.map(|(pci, lines)| (pci, lines + 1)).filter(|(_, lines)| *lines <= PATIENCE);
    }

    /// `GPU at PCI:0000:02:00: GPU-<uuid>`, `GPU Board Serial Number: …`, `GPU 0000:29:00.0: GPU serial number is …`.
    fn identity(&mut self, text: &str) -> Option<BoardIdentity> {
        if let Some(rest) = text.strip_prefix("GPU at ") {
            let (place, uuid) = rest.split_once(": ")?;
            let pci = address(place)?;
            let uuid = word(uuid).filter(|uuid| uuid.starts_with("GPU-"))?;
            self.board = Some((pci, 0));
            return Some(BoardIdentity { pci, uuid: Some(uuid), serial: None });
        }
        if let Some(serial) = text.strip_prefix("GPU Board Serial Number: ") {
            let (pci, _) = self.board.take()?;
            return Some(BoardIdentity { pci, uuid: None, serial: Some(word(serial)?) });
        }
        let (place, serial) = text.strip_prefix("GPU ")?.split_once(": GPU serial number is ")?;
        Some(BoardIdentity { pci: address(place)?, uuid: None, serial: Some(word(serial)?) })
    }

    /// `The NVIDIA GPU 0000:b3:00.0`, `(PCI ID: 10de:26b5) installed in this system has`,
    /// `fallen off the bus and is not responding to commands.`
    fn farewell(&mut self, text: &str, proven: bool) -> Option<XidObservation> {
        if let Some(rest) = text.strip_prefix("The NVIDIA GPU ") {
            let pci = address(rest.split_ascii_whitespace().next()?)?;
            if self.leaving.len() == UNDER_WAY {
                self.leaving.pop_front();
            }
            self.leaving.push_back(Leaving { pci, proven, installed: false, lines: 0 });
        } else if text.starts_with("(PCI ID: ") {
            let waiting = self.leaving.iter().position(|leaving| !leaving.installed)?;
            if text.ends_with("installed in this system has") {
                let leaving = self.leaving.get_mut(waiting)?;
                leaving.installed = true;
                leaving.proven &= proven;
            } else {
                // `… is not supported` and the like: a different message with the same beginning.
                self.leaving.remove(waiting);
            }
        } else if text.starts_with("fallen off the bus") {
            let said = self.leaving.iter().position(|leaving| leaving.installed)?;
            let leaving = self.leaving.remove(said)?;
            let proven = leaving.proven && proven;
            self.not_proven += u64::from(!proven);
            return Some(XidObservation { proven, ..lost(leaving.pci, text) });
        }
        None
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.leaving.len()
    }
}

/// A single word, the UUID or serial number; a trailing full stop belongs to the sentence.
fn word(text: &str) -> Option<String> {
    let word = text.split_ascii_whitespace().next()?.trim_end_matches('.');
    (!word.is_empty()).then(|| printable(word, 64))
}
