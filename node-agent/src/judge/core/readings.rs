//! The last readings of every GPU and of the device tree. The sections of a sample are taken at different times, and
//! each replaces only its own previous reading.

use crate::readings::TreeReport;
use crate::readings::inventory::NvmlView;
use crate::readings::sample::{DeviceAccess, GpuReadings, Sample, Section};
use std::collections::BTreeMap;

/// The last readings of the driver's library and of sysfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// The last readings by PCI address; GPUs that the library no longer shows are removed.
    pub gpus: BTreeMap<String, GpuReadings>,
    /// The previous content of [`Self::gpus`], section by section, for rules that need two samples in a row.
    pub before: BTreeMap<String, GpuReadings>,
    /// The GPUs whose uptime began anew, or was read for the first time.
    pub initialised: BTreeMap<String, Initialised>,
    /// When each section was last read, by the monotonic clock in milliseconds.
    pub taken: BTreeMap<Section, u64>,
    /// Versions and GPUs of the last sample.
    pub view: Option<NvmlView>,
    /// Access to the device nodes, from the last sample in which something failed.
    pub device_access: Option<DeviceAccess>,
    /// The numbers of the driver's device nodes that exist for us, from the last sample.
    pub device_nodes: Option<Vec<u32>>,
    /// The version of the library.
    pub library_version: Option<String>,
    /// The slowest call of the last sample: name, milliseconds.
    pub slowest: Option<(String, u64)>,
    /// The last reading of sysfs, and when it was taken, by the monotonic clock in milliseconds.
    pub tree: Option<(TreeReport, u64)>,
    /// Why the last attempt to read the tree failed: reason and message.
    pub tree_failed: Option<(String, String)>,
    /// What keeps the sampler from answering now, if anything does.
    pub trouble: Option<Trouble>,
    /// A probe of a run has the driver's library for itself now, and nothing else reads it.
    pub is_lent: bool,
}

/// The last time that the driver initialised a GPU, by the monotonic clock in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// When it was; below zero if it was before that clock began.
    pub at: i64,
    /// When that was read.
    pub read: u64,
}

/// Why the driver's library is not being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A const of `crds::reason`: `CALL_UNANSWERED`, `CALL_HUNG`, `CHILD_UNKILLABLE`, `SAMPLER_CRASHED`, `RUNNER_GONE`,
    /// `RUNNER_SILENT`, `TOOL_ERROR`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The C function that hangs, where it is known.
    pub call: Option<String>,
    /// The GPU concerned, where it is known.
    pub pci: Option<String>,
    /// When it began, by the monotonic clock in milliseconds.
    pub since: u64,
}

impl Readings {
    /// Records a sample: each section it has replaces the previous one.
    pub fn take(&mut self, sample: &Sample, at: u64) {
        let Sample {
            sections,
            took_ms: _,
            slowest,
            view,
            device_access,
            device_nodes,
            library_version,
            gpus,
            calls: _,
        } = sample;
        let mut former = std::mem::take(&mut self.gpus);
        self.before.retain(|pci, _| gpus.iter().any(|fresh| fresh.pci == *pci));
        self.initialised.retain(|pci, _| gpus.iter().any(|fresh| fresh.pci == *pci));
        for fresh in gpus {
            let mut kept = former.remove(&fresh.pci).unwrap_or_default();
            if let Some(seconds) = uptime_that_began_anew(&kept, fresh) {
                let uptime_ms = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
                let begun = i64::try_from(at).unwrap_or(i64::MAX).saturating_sub(uptime_ms);
                self.initialised.insert(fresh.pci.clone(), Initialised { at: begun, read: at });
            }
            self.before.entry(fresh.pci.clone()).or_default().replace(&kept, sections);
            kept.replace(fresh, sections);
            self.gpus.insert(fresh.pci.clone(), kept);
        }
        for section in sections {
            self.taken.insert(*section, at);
        }
        self.view = Some(view.clone());
        self.device_access = *device_access;
        self.device_nodes.clone_from(device_nodes);
        self.library_version.clone_from(library_version);
        self.slowest.clone_from(slowest);
        self.trouble = None;
    }

    /// Forgets the driver's readings: none of them is valid after maintenance.
    pub fn forget_driver(&mut self) {
        let (tree, tree_failed) = (self.tree.take(), self.tree_failed.take());
        *self = Self { tree, tree_failed, ..Self::default() };
    }

    /// The tree, if it was ever read.
    pub fn tree(&self) -> Option<&TreeReport> {
        self.tree.as_ref().map(|(tree, _)| tree)
    }
}

/// The seconds since the GPU was initialised, if that was after the former reading, or there is none.
fn uptime_that_began_anew(former: &GpuReadings, fresh: &GpuReadings) -> Option<u64> {
    let uptime = fresh.driver.as_ref()?.seconds_since_reset()?;
    let before = former.driver.as_ref().and_then(|driver| driver.uptime_seconds);
    before.is_none_or(|before| uptime < before).then_some(uptime)
}

impl GpuReadings {
    fn replace(&mut self, fresh: &Self, sections: &[Section]) {
        self.pci.clone_from(&fresh.pci);
        for section in sections {
            match section {
                Section::Driver => self.driver.clone_from(&fresh.driver),
                Section::RecoveryAction => self.recovery_action.clone_from(&fresh.recovery_action),
                Section::Ecc => self.ecc.clone_from(&fresh.ecc),
                Section::RowRemap => self.row_remap.clone_from(&fresh.row_remap),
                Section::Clocks => self.clocks.clone_from(&fresh.clocks),
                Section::Thermal => self.thermal.clone_from(&fresh.thermal),
                Section::Power => self.power.clone_from(&fresh.power),
                Section::Pcie => self.pcie.clone_from(&fresh.pcie),
                Section::Nvlink => self.nvlink.clone_from(&fresh.nvlink),
                Section::Fabric => self.fabric.clone_from(&fresh.fabric),
                Section::Topology => self.topology.clone_from(&fresh.topology),
            }
        }
    }
}
