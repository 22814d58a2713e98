//! Messages of several records: one that opens, and one that closes it soon after.

use super::message::Says;
use crds::reason::{DRIVER_OOPS, DRIVER_UNSUITABLE, HARDWARE_ERROR, TASKS_STUCK};

/// How a story ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closes {
    /// A frame of a call trace in NVIDIA's driver: ` uvm_gpu_retain_by_uuid+0x1e/0x40 [nvidia_uvm]`.
    FrameOfTheDriver,
    /// The instruction at fault lies in NVIDIA's driver: `RIP: 0010:nvidia_vma_access+0x1b/0x350 [nvidia]`, on arm64 `pc :`.
    InstructionOfTheDriver,
    /// The line contains one of these.
    AnyOf(&'static [&'static str]),
}

/// What the finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The node.
    Node,
    /// The GPU whose address the opening line names.
    GpuOfTheOpening,
    /// The GPU whose address the closing line names.
    GpuOfTheEnd,
}

/// One story.
#[derive(Debug)]
pub struct Story {
    /// A line opens it that contains these parts in this order, the first at its beginning.
    pub opens: &'static [&'static [&'static str]],
    /// How it ends.
    pub closes: Closes,
    /// What it is about.
    pub about: About,
    /// What it says.
    pub says: Says,
    /// Who published such records.
    pub source: &'static str,
}

/// Every story.
#[rustfmt::skip]
pub static STORIES: &[Story] = &[
    Story {
        opens: &[&["INFO: task ", " blocked for more than "]],
        closes: Closes::FrameOfTheDriver, about: About::Node, says: Says::Reason(TASKS_STUCK),
        source: "k8s-device-plugin 77; gpud pull request 117",
    },
    Story {
        opens: &[&["BUG: unable to handle "], &["BUG: kernel NULL pointer dereference"], &["Oops: "], &["general protection fault"], &["kernel BUG at "], &["Unable to handle kernel "], &["Internal error: Oops"]],
        closes: Closes::InstructionOfTheDriver, about: About::Node, says: Says::Reason(DRIVER_OOPS),
        source: "open-gpu-kernel-modules 1107 and 1141",
    },
    Story {
        opens: &[&["{", "[Hardware Error]: event severity: recoverable"], &["{", "[Hardware Error]: event severity: fatal"]],
        closes: Closes::AnyOf(&["section_type: memory error", "section_type: PCIe error"]), about: About::Node, says: Says::Reason(HARDWARE_ERROR),
        source: "mcelog 74",
    },
    Story {
        opens: &[&["NVRM: The NVIDIA GPU "]],
        closes: Closes::AnyOf(&["installed in this system requires use of the NVIDIA open kernel modules", "installed in this system is not supported by "]), about: About::GpuOfTheOpening, says: Says::Reason(DRIVER_UNSUITABLE),
        source: "open-gpu-kernel-modules, osinit.c and nv-pci.c; boot logs of RTX 50 boards under the closed modules",
    },
    Story {
        opens: &[&["NVRM: This PCI I/O region assigned to your NVIDIA device is invalid"]],
        closes: Closes::AnyOf(&["NVRM: BAR"]), about: About::GpuOfTheEnd, says: Says::Reason(DRIVER_UNSUITABLE),
        source: "gpu-operator 492",
    },
];
