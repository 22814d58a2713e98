//! One message of the kernel log.

use crate::pci::PciAddress;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Says {
    /// A fault or a circumstance, by its reason: a const of [`crds::reason`].
    Reason(&'static str),
    /// The kernel recovered the device from a PCIe error.
    Recovered,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The GPU at this address; always function 0.
    Gpu(PciAddress),
    /// A PCI function that may belong to a GPU, or a port that may stand above one.
    Device(PciAddress),
    /// The driver's own number of a GPU (`GPU5`). It is no index of NVML and no minor: which GPU it is, is told only where
    /// there is only one.
    Instance(u32),
    /// The node.
    Node,
}

/// One message, as one record or several report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub says: Says,
    /// What it is about.
    pub place: Place,
    /// The line, printable, at most 256 characters.
    pub text: String,
    /// The kernel itself wrote it. Otherwise a program may have, and it needs a second witness.
    pub proven: bool,
}
