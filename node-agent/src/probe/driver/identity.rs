//! Which GPUs are present, and which calls about them failed.

use std::collections::BTreeMap;

use crate::pci::PciAddress;
use crate::readings::inventory::{NvmlError, NvmlGpu, NvmlView};
use crate::readings::return_codes::{Means, at_handle, at_reading, name_of};

use super::raw::{Answer, Failure, Gpu, Library, text_of};

/// The highest index at which a GPU is looked for: four times the largest node that is built.
const MAX_INDEX: u32 = 64;
/// How many failures are listed per GPU: if every call fails, more of them add nothing.
const MAX_FAILURES: usize = 8;

/// The failures that are informative about a GPU.
#[derive(Default)]
pub(super) struct Failures(Vec<NvmlError>);

impl Failures {
    /// The value, or `None`; a failure that is more than the absence of a value is recorded.
    pub(super) fn keep<T>(&mut self, index: Option<u32>, pci: Option<&str>, answer: Answer<T>) -> Option<T> {
        answer
            .map_err(|failure| {
                if at_reading(failure.code) != Means::Absent {
                    self.note(index, pci, failure);
                }
            })
            .ok()
    }

    fn note(&mut self, index: Option<u32>, pci: Option<&str>, failure: Failure) {
        if self.0.iter().filter(|error| error.index == index).count() >= MAX_FAILURES {
            return;
        }
        self.0.push(NvmlError {
            index,
            pci: pci.map(str::to_owned),
            call: spoken(failure.symbol).to_owned(),
            kind: name_of(failure.code),
        });
    }

    /// After the last GPU the holes never end; only those before it are informative.
    fn forget_trailing_holes(&mut self, last: Option<u32>) {
        self.0.retain(|error| error.means() != Means::Hole || error.index <= last);
    }

    pub(super) fn into_list(self) -> Vec<NvmlError> {
        self.0
    }
}

/// The name without its prefix and version: `nvmlDeviceGetHandleByIndex_v2` is `DeviceGetHandleByIndex`.
fn spoken(symbol: &str) -> &str {
    let name = symbol.strip_prefix("nvml").unwrap_or(symbol);
    name.rsplit_once("_v").filter(|(_, version)| version.parse::<u8>().is_ok()).map_or(name, |(name, _)| name)
}

/// What the library reports about itself and its GPUs. `errors` is left empty, because they are among the failures.
/// `addresses` has the last known address of each index: the numbering is stable while the library is loaded.
pub(super) fn read<'library>(
    library: &'library Library,
    addresses: &BTreeMap<u32, String>,
    failures: &mut Failures,
) -> (NvmlView, Vec<(Gpu<'library>, NvmlGpu)>) {
    let mut view = NvmlView::empty();
    view.driver = failures.keep(None, None, library.driver_version());
    let count = match library.count() {
        Ok(count) => count,
        Err(failure) => {
            view.fail(name_of(failure.code), &format!("{} answered {}", failure.symbol, failure.code));
            return (view, Vec::new());
        }
    };
    view.count = Some(count);
    (view, read_gpus(library, count, addresses, failures))
}

/// A hole in the numbering does not count towards the library's number of GPUs.
fn read_gpus<'library>(
    library: &'library Library,
    count: u32,
    addresses: &BTreeMap<u32, String>,
    failures: &mut Failures,
) -> Vec<(Gpu<'library>, NvmlGpu)> {
    let mut gpus = Vec::new();
    let mut end = count.min(MAX_INDEX);
    let mut index = 0;
    while index < end {
        match library.gpu(index) {
            Ok(gpu) => gpus.push(read_gpu(library, gpu, (index, addresses.get(&index)), failures)),
            Err(failure) => {
                if at_handle(failure.code) == Means::Hole {
                    end = (end + 1).min(MAX_INDEX);
                }
                failures.note(Some(index), None, failure);
            }
        }
        index += 1;
    }
    failures.forget_trailing_holes(gpus.iter().map(|(_, gpu)| gpu.index).max());
    gpus
}

fn read_gpu<'library>(
    library: &'library Library,
    mut gpu: Gpu<'library>,
    (index, known): (u32, Option<&String>),
    failures: &mut Failures,
) -> (Gpu<'library>, NvmlGpu) {
    let info = failures.keep(Some(index), None, library.pci_info(gpu));
    // Text that is not an address is shown as it is: it comes from the driver, and matches nothing.
    let text = info.map(|info| text_of(&info.busId)).filter(|text| !text.is_empty());
    let address = text.as_ref().filter(|text| text.parse::<PciAddress>().is_ok()).or(known);
    gpu.about.pci = address.and_then(|text| text.parse().ok());
    let pci = gpu.about.pci.map(|address| address.to_string());
    let shown = pci.clone().or(text);
    let mut text =
        |answer: Answer<String>| failures.keep(Some(index), pci.as_deref(), answer).filter(|text| !text.is_empty());
    let mut read = NvmlGpu {
        index,
        pci: None,
        uuid: text(library.uuid(gpu)),
        serial: text(library.serial(gpu)).filter(|serial| is_serial(serial)),
        name: text(library.name(gpu)),
        vbios: text(library.vbios(gpu)),
        memory_mib: None,
    };
    let memory = failures.keep(Some(index), pci.as_deref(), library.memory(gpu));
    read.memory_mib = memory.map(|memory| memory.total / (1024 * 1024));
    read.pci = shown;
    (gpu, read)
}

/// What drivers and boards without a serial number put in its place.
const NO_SERIAL: &[&str] =
    &["N/A", "[N/A]", "NA", "None", "Unknown", "[Unknown Error]", "Not Supported", "[Not Supported]"];

/// Whether a text is the serial number of a board: two boards that share a placeholder are not one.
pub(super) fn is_serial(text: &str) -> bool {
    let is_blank = text.chars().all(|c| c == '0' || c == '-' || c == ' ');
    !is_blank && !NO_SERIAL.iter().any(|none| none.eq_ignore_ascii_case(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn failed(code: u32) -> Answer<()> {
        Err(Failure { symbol: "nvmlDeviceGetHandleByIndex_v2", code })
    }

    #[test]
    fn a_value_that_does_not_exist_is_no_failure_and_the_others_are_bounded() {
        let mut failures = Failures::default();
        for code in [3, 13, 21, 15, 999] {
            assert!(failures.keep(Some(1), Some("0000:18:00.0"), failed(code)).is_none());
        }
        let list = failures.into_list();
        let kinds: Vec<&str> = list.iter().map(|error| error.kind.as_str()).collect();
        assert_eq!(kinds, ["GpuLost", "Unknown"]);
        assert_eq!(list[0].call, "DeviceGetHandleByIndex");

        let mut failures = Failures::default();
        for _ in 0..100 {
            failures.keep(Some(1), None, failed(15));
        }
        failures.keep(Some(2), None, failed(15));
        assert_eq!(failures.into_list().len(), MAX_FAILURES + 1);
    }

    #[test]
    fn a_placeholder_is_no_serial_number() {
        for text in ["", "0", "0000000000000", "N/A", "n/a", "[N/A]", "Unknown", "none", "[Not Supported]", "--"] {
            assert!(!is_serial(text), "{text}");
        }
        for text in ["1650522001234", "SIM0000000001", "0001"] {
            assert!(is_serial(text), "{text}");
        }
    }

    #[test]
    fn a_name_without_a_version_stays_as_it_is() {
        assert_eq!(spoken("nvmlDeviceGetUUID"), "DeviceGetUUID");
        assert_eq!(spoken("nvmlDeviceGetPciInfo_v3"), "DeviceGetPciInfo");
        assert_eq!(spoken("nvmlDeviceGetGpuFabricInfoV"), "DeviceGetGpuFabricInfoV");
    }
}
