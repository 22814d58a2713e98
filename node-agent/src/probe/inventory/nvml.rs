//! GPUs as NVIDIA's management library sees them.
//!
//! The library is loaded when asked and let go at the end of the probe: a process that holds it blocks the unloading of
//! the kernel module.

use std::path::Path;

use nvml_wrapper::error::NvmlError as Error;
use nvml_wrapper::{Device, Nvml};
use serde::{Deserialize, Serialize};

use crate::pci::PciAddress;

/// Indices beyond which no GPU is looked for: four times the largest node that is built.
const MAX_INDEX: u32 = 64;

/// Return codes (nvml.h) and the stable names that reasons are made of.
const KINDS: &[(u32, &str)] = &[
    (1, "Uninitialized"),
    (2, "InvalidArgument"),
    (3, "NotSupported"),
    (4, "NoPermission"),
    (6, "NotFound"),
    (7, "InsufficientSize"),
    (8, "InsufficientPower"),
    (9, "DriverNotLoaded"),
    (10, "Timeout"),
    (11, "IrqIssue"),
    (12, "LibraryNotFound"),
    (13, "FunctionNotFound"),
    (14, "CorruptedInforom"),
    (15, "GpuLost"),
    (16, "ResetRequired"),
    (17, "OperatingSystem"),
    (18, "LibRmVersionMismatch"),
    (19, "InUse"),
    (20, "InsufficientMemory"),
    (21, "NoData"),
    (23, "InsufficientResources"),
    (25, "ArgumentVersionMismatch"),
    (26, "Deprecated"),
    (27, "NotReady"),
    (28, "GpuNotFound"),
    (29, "InvalidState"),
    (999, "Unknown"),
];

/// Answers that say that a value does not exist here, which is no error of the GPU.
const ABSENCE: &[&str] = &["NotSupported", "FunctionNotFound", "NoData"];

/// Answers to an index that say that the numbering has a hole there.
const HOLE: &[&str] = &["InvalidArgument", "NotFound", "GpuNotFound"];

/// What the library answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlView {
    /// `Ok`, or the kind of the error that kept us from asking for GPUs: `LibraryNotFound`, `DriverNotLoaded`,
    /// `LibRmVersionMismatch`, …, `Unknown(CODE)` for a code that has no name here.
    pub status: String,
    /// What the library or the loader said, where the status is not `Ok`.
    pub message: Option<String>,
    /// Version of the driver.
    pub driver: Option<String>,
    /// How many GPUs the library counts. Those that it then gives no handle for are among `errors`.
    pub count: Option<u32>,
    /// GPUs that have a handle, by index.
    pub gpus: Vec<NvmlGpu>,
    /// Calls that failed, as far as the failure tells something about a GPU.
    pub errors: Vec<NvmlError>,
}

/// A GPU that the library gives a handle for. Each field is absent where its call failed or is not supported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlGpu {
    /// The library's index. Not stable over reboots, and it may have holes.
    pub index: u32,
    /// PCI address as sysfs writes it.
    pub pci: Option<String>,
    /// `GPU-…`
    pub uuid: Option<String>,
    /// The board's serial number.
    pub serial: Option<String>,
    /// Model.
    pub name: Option<String>,
    /// Version of the VBIOS.
    pub vbios: Option<String>,
    /// Memory, in MiB, rounded down.
    pub memory_mib: Option<u64>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NvmlError {
    /// The GPU's index; absent where the call was not about one.
    pub index: Option<u32>,
    /// The GPU's PCI address, where the library still told it.
    pub pci: Option<String>,
    /// The call, without its prefix: `DeviceGetUUID`.
    pub call: String,
    /// As in `status`.
    pub kind: String,
}

/// Loads the library, asks, and lets it go. Blocks for as long as the driver does.
pub(super) fn read_library(library: &Path) -> NvmlView {
    let mut view = NvmlView {
        status: NvmlView::OK.to_owned(),
        message: None,
        driver: None,
        count: None,
        gpus: Vec::new(),
        errors: Vec::new(),
    };
    let nvml = match Nvml::builder().lib_path(library.as_os_str()).init() {
        Ok(nvml) => nvml,
        Err(error) => return view.failed(error),
    };
    view.driver = view.keep(None, "SystemGetDriverVersion", nvml.sys_driver_version());
    match nvml.device_count() {
        Ok(count) => {
            view.count = Some(count);
            view.read_gpus(&nvml, count);
            view
        }
        Err(error) => view.failed(error),
    }
}

impl NvmlView {
    /// `status` of a library that answered.
    pub const OK: &str = "Ok";

    fn failed(mut self, error: Error) -> Self {
        self.message = Some(super::super::bounded(&error.to_string()));
        self.status = kind_of(error);
        self
    }

    /// A hole in the numbering does not count as one of the GPUs that the library counted.
    fn read_gpus(&mut self, nvml: &Nvml, count: u32) {
        let mut end = count.min(MAX_INDEX);
        let mut index = 0;
        while index < end {
            match nvml.device_by_index(index) {
                Ok(device) => self.read_gpu(index, &device),
                Err(error) => {
                    let kind = kind_of(error);
                    if HOLE.contains(&kind.as_str()) {
                        end = (end + 1).min(MAX_INDEX);
                    }
                    self.fail(Some(index), None, "DeviceGetHandleByIndex", kind);
                }
            }
            index += 1;
        }
        self.forget_trailing_holes();
    }

    /// Behind the last GPU there are holes without end; only those before it tell anything.
    fn forget_trailing_holes(&mut self) {
        let last = self.gpus.iter().map(|gpu| gpu.index).max();
        self.errors.retain(|error| !HOLE.contains(&error.kind.as_str()) || error.index <= last);
    }

    fn read_gpu(&mut self, index: u32, device: &Device<'_>) {
        let pci = self.keep(Some(index), "DeviceGetPciInfo", device.pci_info());
        // Text that is no address is shown as it is: it is the driver's, and matches nothing.
        let pci = pci.map(|pci| pci.bus_id.parse::<PciAddress>().map_or(pci.bus_id, |address| address.to_string()));
        let before = self.errors.len();
        let gpu = NvmlGpu {
            index,
            uuid: self.keep(Some(index), "DeviceGetUUID", device.uuid()),
            serial: self.keep(Some(index), "DeviceGetSerial", device.serial()),
            name: self.keep(Some(index), "DeviceGetName", device.name()),
            vbios: self.keep(Some(index), "DeviceGetVbiosVersion", device.vbios_version()),
            memory_mib: self
                .keep(Some(index), "DeviceGetMemoryInfo", device.memory_info())
                .map(|memory| memory.total / (1024 * 1024)),
            pci: pci.clone(),
        };
        for error in &mut self.errors[before..] {
            error.pci.clone_from(&pci);
        }
        self.gpus.push(gpu);
    }

    fn keep<T>(&mut self, index: Option<u32>, call: &str, answer: Result<T, Error>) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                let kind = kind_of(error);
                if !ABSENCE.contains(&kind.as_str()) {
                    self.fail(index, None, call, kind);
                }
                None
            }
        }
    }

    fn fail(&mut self, index: Option<u32>, pci: Option<String>, call: &str, kind: String) {
        self.errors.push(NvmlError { index, pci, call: call.to_owned(), kind });
    }
}

/// A stable name for an error of the library or of its loading.
fn kind_of(error: Error) -> String {
    match error {
        Error::LibloadingError(_) => "LibraryNotFound".to_owned(),
        Error::FailedToLoadSymbol(_) => "FunctionNotFound".to_owned(),
        Error::Utf8Error(_) | Error::NulError(_) | Error::StringTooLong { .. } | Error::IncorrectBits(_) => {
            "UnreadableAnswer".to_owned()
        }
        // Each other variant stands for a return code, and those without a variant carry theirs.
        other => name_of(u32::from(other)),
    }
}

fn name_of(code: u32) -> String {
    let known = KINDS.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("Unknown({code})"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_return_code_has_a_stable_name() {
        let name = |code: u32| kind_of(Error::from(code));
        assert_eq!(name(9), "DriverNotLoaded");
        assert_eq!(name(15), "GpuLost");
        assert_eq!(name(16), "ResetRequired");
        assert_eq!(name(18), "LibRmVersionMismatch");
        assert_eq!(name(28), "GpuNotFound");
        assert_eq!(name(999), "Unknown");
        assert_eq!(name(1234), "Unknown(1234)");
    }

    #[test]
    fn a_library_that_is_not_there_is_named_so() {
        let view = read_library(Path::new("/nonexistent/libnvidia-ml.so.1"));
        assert_eq!(view.status, "LibraryNotFound");
        assert!(view.message.unwrap().contains("/nonexistent/libnvidia-ml.so.1"));
        assert!(view.gpus.is_empty());
    }
}
