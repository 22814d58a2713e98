//! The state file: the machine, and its GPUs as their models say with what the file says on top.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::fault::Faults;
use crate::gpu::Gpu;
use crate::models;
use crate::symbols::SYMBOLS;

/// The simulated machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The version of the library.
    pub(crate) driver: String,
    /// The version of the kernel module.
    pub(crate) module: String,
    pub(crate) nvml: String,
    /// 1000 * major + 10 * minor.
    pub(crate) cuda: i32,
    pub(crate) calls: Faults,
    /// Functions that this driver does not have.
    pub(crate) missing: Vec<String>,
    pub(crate) timing: Timing,
    pub(crate) events: Vec<Event>,
    pub(crate) gpus: Vec<Gpu>,
    by_pci: BTreeMap<String, usize>,
}

/// How long calls take.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Timing {
    /// As long as they need here.
    #[default]
    None,
    /// As long as a real driver's.
    Real,
}

/// Something that the driver announces to event sets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    /// Each number is delivered once to each event set.
    pub(crate) seq: u64,
    /// The GPU.
    pub(crate) pci: String,
    /// One of the event bits of nvml.h.
    pub(crate) bits: u64,
    /// For bit 8 the Xid.
    #[serde(default)]
    pub(crate) data: u64,
    #[serde(default = "no_instance")]
    pub(crate) gpu_instance: u32,
    #[serde(default = "no_instance")]
    pub(crate) compute_instance: u32,
    /// Delivered also to event sets in which the GPU is registered after it.
    #[serde(default)]
    pub(crate) late: bool,
}

fn no_instance() -> u32 {
    u32::MAX
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default = "driver")]
    driver: String,
    module: Option<String>,
    nvml: Option<String>,
    #[serde(default = "cuda")]
    cuda: i32,
    /// For GPUs that name none.
    #[serde(default = "model")]
    model: String,
    #[serde(default)]
    calls: Faults,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    timing: Timing,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    gpus: Vec<Value>,
}

fn driver() -> String {
    "570.86.15".to_owned()
}
fn cuda() -> i32 {
    12_080
}
fn model() -> String {
    "H100-SXM".to_owned()
}

impl Machine {
    /// Reads a document, or says what is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if let Some(name) = document.missing.iter().find(|name| !SYMBOLS.contains(&name.as_str())) {
            return Err(format!("missing: {name} is no function of this library"));
        }
        let mut gpus = Vec::with_capacity(document.gpus.len());
        let mut by_pci = BTreeMap::new();
        for (index, stated) in document.gpus.into_iter().enumerate() {
            let whole = models::complete(&document.model, stated).map_err(|error| format!("gpus[{index}]: {error}"))?;
            let gpu: Gpu = serde_json::from_value(whole).map_err(|error| format!("gpus[{index}]: {error}"))?;
            if let Some(other) = by_pci.insert(gpu.pci.clone(), index) {
                return Err(format!("gpus[{index}]: pci {} is that of gpus[{other}]", gpu.pci));
            }
            gpus.push(gpu);
        }
        let events = document.events;
        Ok(Self {
            // The real library's version is that of the driver, with a number of its own before it.
            nvml: document.nvml.unwrap_or_else(|| format!("12.{}", document.driver)),
            module: document.module.unwrap_or_else(|| document.driver.clone()),
            driver: document.driver,
            cuda: document.cuda,
            calls: document.calls,
            missing: document.missing,
            timing: document.timing,
            events,
            gpus,
            by_pci,
        })
    }

    /// The GPU at an address as the file writes it, and its index.
    pub(crate) fn gpu_at(&self, pci: &str) -> Option<(usize, &Gpu)> {
        let index = *self.by_pci.get(pci)?;
        Some((index, self.gpus.get(index)?))
    }

    /// The first part of the driver's version.
    pub(crate) fn major(&self) -> u32 {
        self.driver.split('.').next().and_then(|part| part.parse().ok()).unwrap_or_default()
    }

    /// Whether the driver numbers the fields 251 to 273 as CUDA 13.0 Update 1 does (580.82 and later).
    pub(crate) fn has_new_field_ids(&self) -> bool {
        let mut parts = self.driver.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        (major, minor) >= (580, 82)
    }
}
