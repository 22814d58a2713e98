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

/// Every story. A task's name (15 bytes, of which a line feed is one) must be too short for an opening.
#[rustfmt::skip]
pub static STORIES: &[Story] = &[
    Story {
        opens: &[&["INFO: task ", " blocked for more than "]],
        closes: Closes::FrameOfTheDriver, about: About::Node, says: Says::Reason(TASKS_STUCK),
        source: "k8s-device-plugin 77; gpud pull request 117",
    },
    Story {
        opens: &[&["BUG: unable to handle "], &["BUG: kernel NULL pointer dereference"], &["general protection fault"], &["kernel BUG at ", ".c:"], &["Unable to handle kernel "], &["Internal error: Oops"]],
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

/// Beginnings of the kernel's own lines between an opening and the call trace, without the blanks before them.
const AROUND_A_TRACE: &[&str] = &[
    "Tainted: ",
    "Not tainted ",
    "\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\"",
    "task:",
    "Call Trace:",
    "<TASK>",
];

/// Whether the line belongs to a call trace, or to what the kernel prints around one. A line that names a process
/// (`NAME[99]: segfault at …`) does not, whatever the name is.
pub(super) fn is_of_a_trace(line: &str) -> bool {
    let line = line.trim_start();
    !line.contains("]: ") && (AROUND_A_TRACE.iter().any(|begin| line.starts_with(begin)) || is_frame(line))
}

/// `__schedule+0x24e/0x590`, with nothing but the module behind it.
fn is_frame(line: &str) -> bool {
    let frame = line.trim_start_matches([' ', '?']);
    let (symbol, module) = frame.split_once(' ').unwrap_or((frame, ""));
    let is_symbol = symbol.split_once("+0x").is_some_and(|(name, offsets)| !name.is_empty() && offsets.contains("/0x"));
    let is_module = |text: &str| {
        text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).is_some_and(|name| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' '))
        })
    };
    is_symbol && (module.is_empty() || is_module(module))
}
