//! A node over time, as samples see it: each step goes the way that real readings go.

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
use crds::hardware_profile::ExpectedGpus;
use crds::node_health::{Expected, Gpu, NodeHealthSpec};

/// When scenes begin, in seconds since the Unix epoch.
const BEGIN: i64 = 1_800_000_000;

/// The address of the GPU with this index.
pub(crate) fn address(index: u32) -> String {
    format!("0000:{:02x}:00.0", 0x18 + index)
}

/// [`address`] of index 0.
pub(crate) const GPU: &str = "0000:18:00.0";

/// A node and what is known of it.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) spec: NodeHealthSpec,
    pub(crate) booted_at: Option<Time>,
    pub(crate) readings: Readings,
    pub(crate) memory: Memory,
    pub(crate) findings: Findings,
    pub(crate) interval_seconds: i64,
    pub(crate) now: Now,
    /// What the driver answered last.
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

    /// So many seconds pass, and the driver answers again.
    pub(crate) fn later(mut self, seconds: u32, change: impl FnOnce(&mut Sample)) -> Self {
        self.now.unix_ms += i64::from(seconds) * 1000;
        self.now.mono_ms += u64::from(seconds) * 1000;
        change(&mut self.sample);
        self.readings.take(&self.sample, self.now.mono_ms);
        self.memory.note_sample(&self.sample, self.now);
        self
    }

    /// A minute passes, and the first GPU answers otherwise.
    pub(crate) fn then(self, change: impl FnOnce(&mut GpuReadings)) -> Self {
        self.later(60, |sample| change(&mut sample.gpus[0]))
    }

    /// What sysfs tells.
    pub(crate) fn tree(mut self, tree: TreeReport) -> Self {
        self.memory.note_tree(&tree, self.now);
        self.readings.tree = Some((tree, self.now.mono_ms));
        self
    }

    /// The driver does not answer any more.
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

    /// The profile of the node declares this of its GPUs.
    pub(crate) fn expecting(mut self, gpus: ExpectedGpus) -> Self {
        self.spec.expected = Some(Expected { gpus: Some(gpus), ..Expected::default() });
        self
    }

    /// What the judge says now stands from now on.
    pub(crate) fn settled(mut self, page: &Page, judge: Judge) -> Self {
        let judged = self.judge(judge);
        self.findings.settle(page.check.name(), &judged, &self.boards(), self.now.wall());
        self
    }

    /// A finding of this row stands.
    pub(crate) fn standing(mut self, page: &Page, reason: &str, target: &str) -> Self {
        let found = rule::found(page.rules, reason, target, "it stands".to_owned(), String::new());
        self.findings.put(found.as_finding(page.check.name(), self.now.wall()));
        self
    }

    /// The GPUs as the report shows them.
    pub(crate) fn boards(&self) -> Vec<Gpu> {
        self.readings.view.clone().map_or_else(Vec::new, |nvml| {
            let report = InventoryReport { pci: Vec::new(), nics: Vec::new(), pci_errors: Vec::new(), nvml };
            as_reported(&report).gpus
        })
    }

    /// What the judge says now.
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

    /// The reasons that the judge finds now, with their targets.
    pub(crate) fn found(&self, judge: Judge) -> Vec<(String, String)> {
        self.judge(judge).found.into_iter().map(|found| (found.target, found.reason)).collect()
    }
}
