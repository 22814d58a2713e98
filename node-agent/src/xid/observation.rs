//! The content of one log line, before it is judged.

use super::repair::{self, RepairText};
use crate::pci::PciAddress;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XidEvent {
    /// A GPU's Xid.
    Xid(u32),
    /// An NVSwitch's SXid.
    SXid(u32),
    /// A GPU left the bus, logged without an Xid.
    FallenOffTheBus,
}

/// The MIG instance in which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MigInstance {
    /// The GPU instance.
    pub gpu: u32,
    /// The compute instance in it, where the line names one.
    pub compute: Option<u32>,
}

/// The fields of Xid 144 to 150.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvLink5 {
    /// `i1`: a test injected it.
    pub injected: bool,
    /// The link; None for `-1`.
    pub link: Option<u32>,
    /// The first word in the parentheses.
    pub intr_info: u32,
    /// The second word.
    pub error_status: Option<u32>,
}

/// The fields of Xid 74.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvLinkFault {
    /// The link.
    pub link: u32,
    /// The seven registers.
    pub registers: [u32; 7],
}

/// The recovery that Xid 94 and 95 ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Containment {
    /// `RST: Yes`: a reset.
    pub reset: bool,
    /// `D-RST: Yes`: drain, then reset.
    pub drain_and_reset: bool,
}

/// The fields of an SXid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchFault {
    /// The N of `nvidia-nvswitchN`.
    pub switch: u32,
    /// `Fatal` or `Non-fatal`; None where the line says neither.
    pub fatal: Option<bool>,
    /// The link (port of the switch), where the line names one.
    pub link: Option<u32>,
}

/// The fields that only some codes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XidDetail {
    /// None.
    Plain,
    /// Xid 74 with its registers.
    NvLink(NvLinkFault),
    /// Xid 94 and 95 with RST and D-RST.
    Containment(Containment),
    /// Xid 64 with a text that decides.
    Repair(&'static RepairText),
    /// Xid 144 to 150.
    NvLink5(NvLink5),
    /// Xid 154: the recovery action before and after.
    Recovery {
        /// The value before.
        from: u32,
        /// The value now.
        to: u32,
    },
    /// An SXid.
    Switch(SwitchFault),
}

/// One fault, as one line of the log reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XidObservation {
    /// The GPU, or the NVSwitch of an SXid; always function 0.
    pub pci: PciAddress,
    /// What happened.
    pub event: XidEvent,
    /// The MIG instance, if the GPU is partitioned.
    pub mig: Option<MigInstance>,
    /// The process, if the driver knew it.
    pub pid: Option<u32>,
    /// The process's name, at most 64 characters; the program can choose any name.
    pub process: Option<String>,
    /// The uid of the pod that owns the process. It is not in the line; the reader of the log may look it up
    /// ([`super::owner_of_cgroup`]).
    pub owner: Option<String>,
    /// The Xid that the driver names as the cause of this one (45 alone).
    pub caused_by: Option<u32>,
    /// Further fields.
    pub detail: XidDetail,
    /// The text after code and process, printable, at most 256 characters.
    pub message: String,
    /// The driver itself reported it. Otherwise a program may have written the line, and it neither condemns nor lifts
    /// without a second witness ([`crate::kernel_log::Told`]).
    pub proven: bool,
}

/// The identity of a fault: lines with the same key within a short window count once. Two values of a recovery action,
/// two links, or two decodes of one code are different faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DedupeKey {
    pci: PciAddress,
    event: XidEvent,
    detail: [u32; 3],
}

impl XidObservation {
    /// The key of this fault. A GPU that left the bus has one key, with or without an Xid 79. An Xid 154 is a state:
    /// apply each in order, and skip it only if it repeats the latest.
    pub fn dedupe_key(&self) -> DedupeKey {
        let event = match self.event {
            XidEvent::FallenOffTheBus => XidEvent::Xid(79),
            XidEvent::Xid(_) | XidEvent::SXid(_) => self.event,
        };
        let detail = match &self.detail {
            XidDetail::Plain => [0; 3],
            XidDetail::NvLink(fault) => {
                [fault.link, super::nvlink_registers::read(&fault.registers).map_or(u32::MAX, |sign| sign as u32), 0]
            }
            XidDetail::Containment(needed) => [needed.reset.into(), needed.drain_and_reset.into(), 0],
            XidDetail::Repair(text) => {
                let row = repair::TEXTS.iter().position(|row| row == *text).and_then(|row| u32::try_from(row).ok());
                [row.map_or(u32::MAX, |row| row + 1), 0, 0]
            }
            XidDetail::NvLink5(fault) => {
                [fault.link.unwrap_or(u32::MAX), fault.intr_info, fault.error_status.unwrap_or(0)]
            }
            XidDetail::Recovery { from: _, to } => [*to, 0, 0],
            XidDetail::Switch(fault) => [fault.link.unwrap_or(u32::MAX), fault.fatal.map_or(2, u32::from), 0],
        };
        DedupeKey { pci: self.pci, event, detail }
    }
}
