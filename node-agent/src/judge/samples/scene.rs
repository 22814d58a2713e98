//! A node over time, for samples: each step takes the same path as real readings.

use super::Judge;
use crate::judge::core::hardware::as_reported;
use crate::judge::core::{
    Expectation, Findings, Ground, Hardware, Judged, KernelLog, Memory, Page, Readings, Trouble, rule,
};
use crate::readings::Sample;
use crate::readings::TreeReport;
use crate::readings::inventory::InventoryReport;
use crate::readings::sample::GpuReadings;
use crate::time::Now;
use crds::Time;
use crds::node_hardware_profile::ExpectedGpus;
use crds::node_health::{Expected, Gpu, NodeHealthSpec};

/// When scenes begin, in seconds since the Unix epoch.
const BEGIN: i64 = 1_800_000_000;

/// The address of the GPU with this index.
pub(crate) fn address(index: u32) -> String {
    format!("0000:{:02x}:00.0", 0x18 + index)
}

/// [`address`] of index 0.
pub(crate) const GPU: &str = "0000:18:00.0";

/// A node, with the current readings and findings.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) spec: NodeHealthSpec,
    pub(crate) booted_at: Option<Time>,
    pub(crate) readings: Readings,
    pub(crate) memory: Memory,
    pub(crate) findings: Findings,
    pub(crate) interval_seconds: i64,
    pub(crate) now: Now,
    /// The last sample of the driver.
    pub(crate) sample: Sample,
}

impl Scene {
    /// A node whose driver has answered once.
    pub(crate) fn of(sample: Sample) -> Self {
        let now = Now { unix_ms: BEGIN * 1000, mono_ms: 10_000_000 };
        Self {
            spec: NodeHealthSpec::default(),
            booted_at: None,
            readings: Readings::default(),
            memory: Memory::default(),
            findings: Findings::default(),
            interval_seconds: 60,
            now,
            sample,
        }
        .later(0, |_| {})
    }

    /// This many seconds pass, and the driver answers again.
    pub(crate) fn later(mut self, seconds: u32, change: impl FnOnce(&mut Sample)) -> Self {
        self.now.unix_ms += i64::from(seconds) * 1000;
        self.now.mono_ms += u64::from(seconds) * 1000;
        change(&mut self.sample);
        self.readings.take(&self.sample, self.now.mono_ms);
        self.memory.note_sample(&self.sample, self.now);
        self
    }

    /// A minute passes, and the first GPU's readings change.
    pub(crate) fn then(self, change: impl FnOnce(&mut GpuReadings)) -> Self {
        self.later(60, |sample| change(&mut sample.gpus[0]))
    }

    /// Sets the reading of sysfs.
    pub(crate) fn tree(mut self, tree: TreeReport) -> Self {
        self.memory.note_tree(&tree, self.now);
        self.readings.tree = Some((tree, self.now.mono_ms));
        self
    }

    /// The driver no longer answers.
    pub(crate) fn trouble(mut self, reason: &str, call: Option<&str>, pci: Option<&str>) -> Self {
        self.readings.trouble = Some(Trouble {
            reason: reason.to_owned(),
            message: format!("{} has not come back for 10 s", call.unwrap_or("the sampler")),
            call: call.map(str::to_owned),
            pci: pci.map(str::to_owned),
            since: self.now.mono_ms,
        });
        self
    }

    /// The node's profile declares this about its GPUs.
    pub(crate) fn expecting(mut self, gpus: ExpectedGpus) -> Self {
        self.spec.expected = Some(Expected { gpus: Some(gpus), ..Expected::default() }.into());
        self
    }

    /// The judge's current findings stand from now on.
    pub(crate) fn settled(mut self, page: &Page, judge: Judge) -> Self {
        let judged = self.judge(judge);
        self.findings.settle(page.check.name(), &judged, &self.boards(), self.now.wall());
        self
    }

    /// A finding of this rule stands.
    pub(crate) fn standing(mut self, page: &Page, reason: &str, target: &str) -> Self {
        let found = rule::found(page.rules, reason, target, "it stands".to_owned(), String::new());
        self.findings.put(found.as_finding(page.check.name(), self.now.wall()));
        self
    }

    /// The GPUs as the report identifies them.
    pub(crate) fn boards(&self) -> Vec<Gpu> {
        self.readings.view.clone().map_or_else(Vec::new, |nvml| {
            let report = InventoryReport { pci: Vec::new(), nics: Vec::new(), pci_errors: Vec::new(), nvml };
            as_reported(&report).gpus
        })
    }

    /// The judge's current result.
    pub(crate) fn judge(&self, judge: Judge) -> Judged {
        let gpus = self.boards();
        let expected = Expectation { spec: Some(&self.spec), booted_at: self.booted_at };
        judge(&Ground {
            expected: &expected,
            hardware: &Hardware::NotYet,
            kernel_log: &KernelLog::default(),
            readings: &self.readings,
            memory: &self.memory,
            findings: &self.findings,
            gpus: &gpus,
            interval_seconds: self.interval_seconds,
            now: self.now,
        })
    }

    /// The reasons of the judge's current findings, with their targets.
    pub(crate) fn found(&self, judge: Judge) -> Vec<(String, String)> {
        self.judge(judge).found.into_iter().map(|found| (found.target, found.reason)).collect()
    }
}
