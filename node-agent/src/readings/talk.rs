//! Requests to the sampler and its answers: one JSON document per line, at most [`MAX_SAID_BYTES`].

use super::sample::{Sample, Section};
use serde::{Deserialize, Serialize};

/// The longest line of the sampler, in bytes, including the newline. Sixteen GPUs with 36 links each, whose
/// counters have long values, stay below it.
pub const MAX_SAID_BYTES: usize = 192 * 1024;

/// A request to the sampler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// Repeated in the answer.
    pub id: u64,
    /// What to read.
    pub sections: Vec<Section>,
    /// Load the library anew first: it has not seen a GPU that has come back since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reload: bool,
    /// Include how long each C function took (`cargo xtask hardware`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timings: bool,
}

/// A line from the sampler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    /// The answer to an [`Ask`].
    Sample {
        /// Its id.
        id: u64,
        /// What was read.
        sample: Box<Sample>,
    },
    /// A call is past its deadline and has not returned. Sent once per call, while it hangs.
    Hung(Hung),
    /// The driver announced an event (NVML event set).
    Event(DriverEvent),
}

/// A call that does not return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hung {
    /// The C function, `nvmlDeviceGetTotalEccErrors`; `dlopen` or `open` where it was not a function of the library.
    pub call: String,
    /// The library's index of the GPU, where the call is about one.
    pub index: Option<u32>,
    /// Its PCI address, where it is known.
    pub pci: Option<String>,
    /// How long it has hung, in milliseconds.
    pub for_ms: u64,
    /// It hangs in the kernel (state D): no signal ends it, and another process would hang too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_kernel: bool,
}

/// An event of the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriverEvent {
    /// The GPU's PCI address, where known.
    pub pci: Option<String>,
    /// The event bits of nvml.h (0x8 Xid, 0x200 single-bit storm, 0x400/0x800 DRAM retirement, 0x8000 recovery action, …).
    pub bits: u64,
    /// The Xid, for an event of bit 0x8.
    pub xid: Option<u32>,
}
