//! The inputs of a judgement, and the checks that every judge of driver readings runs first.

use super::expectation::Expectation;
use super::found::{Findings, Judged};
use super::hardware::{Hardware, NVIDIA_DRIVER};
use super::log_state::KernelLog;
use super::memory::Memory;
use super::readings::Readings;
use crate::readings::TreeReport;
use crate::readings::inventory::{Accelerator, DISPLAY_CLASS, NvmlError, NvmlView, Vendor};
use crate::readings::mismatch::Mismatch;
use crate::readings::return_codes::{Means, at_init};
use crate::readings::sample::{DeviceAccess, GpuReadings, Section};
use crate::time::Now;
use crds::node_health::Gpu;
use crds::reason;

/// A section is overdue when it is older than this many of its intervals plus a margin.
const OVERDUE_INTERVALS: u64 = 3;
/// The margin, in milliseconds: the deadline of one call plus the back-off after it.
const OVERDUE_MARGIN_MS: u64 = 30_000;

/// Everything a judgement may use.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What the node is expected to be.
    pub expected: &'a Expectation<'a>,
    /// The last inventory, or why there is none.
    pub hardware: &'a Hardware,
    /// How the kernel log is being read.
    pub kernel_log: &'a KernelLog,
    /// The last readings of the driver's library and sysfs.
    pub readings: &'a Readings,
    /// Counter increases, and the best that each board has shown.
    pub memory: &'a Memory,
    /// The standing findings, for rules with hysteresis.
    pub findings: &'a Findings,
    /// The GPUs as the report identifies them.
    pub gpus: &'a [Gpu],
    /// How often the check runs, in seconds.
    pub interval_seconds: i64,
    /// The current time.
    pub now: Now,
}

impl<'a> Ground<'a> {
    /// The GPUs that have a reading of this section, or why there is none: maintenance, a hang, a lost device, no
    /// library, nothing read yet, or an overdue reading. Judges of driver readings return that result unchanged.
    pub fn driver(&self, section: Section) -> Result<Vec<&'a GpuReadings>, Box<Judged>> {
        let view = self.answered(section)?;
        let gpus: Vec<_> = self.readings.gpus.values().collect();
        if gpus.is_empty() {
            return Err(Box::new(none_read(view).unwrap_or_else(|| self.no_accelerator())));
        }
        Ok(gpus)
    }

    /// What the library said when it last read this section, also if it read no GPU; or why there is no answer.
    pub fn answered(&self, section: Section) -> Result<&'a NvmlView, Box<Judged>> {
        if self.expected.in_maintenance() {
            return Err(Box::new(Judged::skipped(reason::MAINTENANCE)));
        }
        if self.has_no_nvidia() {
            return Err(Box::new(self.no_accelerator()));
        }
        if let Some(elsewhere) = self.all_elsewhere() {
            return Err(Box::new(elsewhere));
        }
        if let Some(trouble) = &self.readings.trouble {
            return Err(Box::new(Judged::unknown(&trouble.reason, trouble.message.clone())));
        }
        let Some(view) = &self.readings.view else {
            return Err(Box::new(never()));
        };
        if let Some(silent) = self.silent(view) {
            return Err(Box::new(silent));
        }
        let Some(taken) = self.readings.taken.get(&section) else {
            return Err(Box::new(never()));
        };
        self.in_time(*taken, "the driver's library")?;
        Ok(view)
    }

    /// The last reading of sysfs, or why there is none.
    pub fn tree(&self) -> Result<&'a TreeReport, Box<Judged>> {
        if let Some((reason, message)) = &self.readings.tree_failed {
            return Err(Box::new(Judged::unknown(reason, message.clone())));
        }
        let Some((tree, taken)) = &self.readings.tree else {
            return Err(Box::new(never()));
        };
        self.in_time(*taken, "the node's device tree")?;
        Ok(tree)
    }

    /// Whether the kernel log can be read, or why not.
    pub fn log(&self) -> Result<(), Box<Judged>> {
        if let Some(why) = &self.kernel_log.unreadable {
            return Err(Box::new(Judged::unknown(reason::KERNEL_LOG_UNREADABLE, why.clone())));
        }
        if self.kernel_log.source.is_none() {
            let why = "the kernel log has not been opened yet".to_owned();
            return Err(Box::new(Judged::unknown(reason::NEVER_JUDGED, why)));
        }
        Ok(())
    }

    /// Whether records of the kernel log were lost within the last interval.
    pub fn log_has_gap(&self) -> bool {
        self.kernel_log.overrun_ends(self.interval_seconds).is_some_and(|ends| self.now.mono_ms < ends)
    }

    /// The serial number at an address, where it is known.
    pub fn serial(&self, pci: &str) -> Option<&'a str> {
        self.gpus.iter().find(|gpu| gpu.pci_address == pci)?.serial.as_deref()
    }

    /// The previous reading of the same GPU.
    pub fn before(&self, pci: &str) -> Option<&'a GpuReadings> {
        self.readings.before.get(pci)
    }

    /// Whether PCI was read and shows no NVIDIA GPU, and the library knows of none either.
    fn has_no_nvidia(&self) -> bool {
        let Some(tree) = self.readings.tree().filter(|tree| tree.pci_errors.is_empty()) else {
            return false;
        };
        tree.pci.iter().all(|gpu| gpu.vendor != Vendor::Nvidia)
            && self
                .readings
                .view
                .as_ref()
                .is_none_or(|view| view.count.unwrap_or(0) == 0 && view.gpus.is_empty() && view.errors.is_empty())
    }

    /// The NVIDIA GPUs on PCI, if the whole tree could be read.
    fn nvidia_on_pci(&self) -> Option<Vec<&'a Accelerator>> {
        let tree = self.readings.tree().filter(|tree| tree.pci_errors.is_empty())?;
        Some(tree.pci.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia).collect())
    }

    /// Skipped if NVIDIA's driver has no GPU to show: all are bound to another one, for example for virtual machines. A
    /// display card next to boards without display output says nothing about those.
    pub(in crate::judge) fn all_elsewhere(&self) -> Option<Judged> {
        let mut gpus = self.nvidia_on_pci()?;
        if gpus.iter().any(|gpu| gpu.driver.as_deref() == Some(NVIDIA_DRIVER)) {
            return None;
        }
        if gpus.iter().any(|gpu| gpu.class != DISPLAY_CLASS) {
            gpus.retain(|gpu| gpu.class != DISPLAY_CLASS);
        }
        let mut drivers: Vec<&str> = gpus.iter().filter_map(|gpu| gpu.driver.as_deref()).collect();
        let library_sees = self.readings.view.as_ref().is_some_and(|view| view.count.unwrap_or(0) > 0);
        if drivers.is_empty() || library_sees {
            return None;
        }
        drivers.sort_unstable();
        drivers.dedup();
        let message = format!("no GPU is bound to NVIDIA's driver: {} bound to {}", gpus.len(), drivers.join(", "));
        Some(Judged { message: Some(message), ..Judged::skipped(reason::OTHER_KERNEL_DRIVER) })
    }

    /// Nothing to judge. Earlier findings are removed only if no accelerator is expected: absence never heals.
    fn no_accelerator(&self) -> Judged {
        let gpus = self.expected.spec.and_then(|spec| spec.expected.as_ref()?.gpus.as_ref());
        let complete = gpus.and_then(|gpus| gpus.count).unwrap_or(0) == 0;
        Judged { complete, ..Judged::skipped(reason::NO_ACCELERATOR) }
    }

    /// Which of library and kernel module is the older one.
    pub(in crate::judge) fn mismatch(&self) -> Mismatch {
        let module = self.readings.tree().and_then(|tree| tree.module_version.as_deref());
        Mismatch::of(self.readings.library_version.as_deref(), module)
    }

    fn in_time(&self, taken: u64, what: &str) -> Result<(), Box<Judged>> {
        let interval = u64::try_from(self.interval_seconds).unwrap_or(0).saturating_mul(1000);
        let old = self.now.mono_ms.saturating_sub(taken);
        if old <= interval.saturating_mul(OVERDUE_INTERVALS).saturating_add(OVERDUE_MARGIN_MS) {
            return Ok(());
        }
        let message =
            format!("{what} was last read {} s ago; a reading is due every {} s", old / 1000, interval / 1000);
        Err(Box::new(Judged::unknown(reason::OVERDUE, message)))
    }

    /// Why the library's answer is not about any GPU, if it is not.
    pub(in crate::judge) fn silent(&self, view: &NvmlView) -> Option<Judged> {
        if view.status == NvmlView::OK {
            return None;
        }
        if self.readings.device_access == Some(DeviceAccess::Refused) {
            return Some(Judged::unknown(
                reason::AGENT_LOST_DEVICE_ACCESS,
                "the driver's device nodes exist but deny access: restart the agent's pod; the node is not at fault"
                    .to_owned(),
            ));
        }
        if at_init(&view.status) == Means::Mismatch {
            return Some(mismatched(&self.mismatch()));
        }
        let pci = self.nvidia_on_pci().map(|gpus| !gpus.is_empty());
        // A node without GPUs was recognized earlier; if PCI has not been read yet, there may be none.
        if view.status == LIBRARY_NOT_FOUND && self.readings.tree().is_none() {
            return Some(never());
        }
        Some(Judged::unknown(reason_of_silence(&view.status), silence_in_words(view, pci)))
    }
}

/// A library that differs from the kernel module says nothing about any GPU.
fn mismatched(mismatch: &Mismatch) -> Judged {
    match mismatch {
        Mismatch::LibraryOlder { library, module } => Judged::unknown(
            reason::AGENT_LIBRARY_STALE,
            format!(
                "the kernel module is {module}, and the agent still has the library {library}: the driver was upgraded under the agent; the node is not at fault"
            ),
        ),
        Mismatch::ModuleOlder => Judged::unknown(reason::LIB_RM_VERSION_MISMATCH, UPGRADE_WAITS.to_owned()),
        Mismatch::Unknown => Judged::unknown(
            reason::LIB_RM_VERSION_MISMATCH,
            "the driver's library and its kernel module have different versions; which is older is not known"
                .to_owned(),
        ),
    }
}

/// What a kernel module that is older than the library on disk means.
pub(in crate::judge) const UPGRADE_WAITS: &str =
    "the upgrade of the driver waits for a reboot or a reload of the kernel module";

const LIBRARY_NOT_FOUND: &str = "LibraryNotFound";

/// The reason for a library that does not answer with this status.
fn reason_of_silence(status: &str) -> &str {
    match at_init(status) {
        _ if status == LIBRARY_NOT_FOUND => reason::DRIVER_LIBRARY_MISSING,
        Means::Unclear => reason::CODE_UNCLEAR,
        Means::Lost
        | Means::ResetRequired
        | Means::CorruptedInforom
        | Means::Trouble
        | Means::NotLoaded
        | Means::Mismatch
        | Means::Absent
        | Means::Withheld
        | Means::Hole => status,
    }
}

/// Why the library does not answer; `on_pci`: whether PCI shows NVIDIA GPUs, if it could be read.
fn silence_in_words(view: &NvmlView, on_pci: Option<bool>) -> String {
    let said = view.message.as_deref().unwrap_or(&view.status);
    if view.status != LIBRARY_NOT_FOUND {
        return format!("the driver's library does not answer: {said}");
    }
    let shows = if on_pci == Some(true) { "PCI shows NVIDIA GPUs but the" } else { "the" };
    format!("{shows} driver's library cannot be loaded ({said}): install the driver, or set --nvml-library")
}

/// The library counts GPUs, but none was read.
fn none_read(view: &NvmlView) -> Option<Judged> {
    let count = view.count.filter(|count| *count > 0)?;
    let why = view.errors.first().map_or_else(|| "no handle was given".to_owned(), NvmlError::in_words);
    Some(Judged::unknown(reason::CODE_UNCLEAR, format!("the library counts {count} GPUs, but none was read: {why}")))
}

fn never() -> Judged {
    Judged::unknown(reason::NEVER_JUDGED, "nothing has been measured yet".to_owned())
}
