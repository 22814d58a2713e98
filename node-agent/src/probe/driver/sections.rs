//! One function per section: the calls it makes, and the fallbacks for older libraries.
//!
//! The numbers are from nvml.h.

mod fabric;
mod memory;
mod nvlink;

use std::collections::BTreeMap;

use nvml_wrapper_sys::bindings::nvmlPlatformInfo_t;

use super::identity::{Failures, is_serial};
use super::raw::{ARGUMENT_VERSION_MISMATCH, Answer, FUNCTION_NOT_FOUND, Failure, Gpu, Library};
use crate::readings::sample::{
    ClocksReading, DriverReading, GpuReadings, MarginLimits, PcieReading, PlatformReading, PowerReading,
    RecoveryReading, Section, ThermalReading,
};

const NOT_SUPPORTED: u32 = 3;
const INVALID_ARGUMENT: u32 = 2;
const GPU_LOST: u32 = 15;

/// `NVML_PSTATE_UNKNOWN`
const STATE_UNKNOWN: u32 = 32;
/// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`
const RECOVERY_ACTION: u32 = 230;
/// `NVML_FI_DEV_MEMORY_TEMP`
const MEMORY_TEMPERATURE: u32 = 82;
/// `NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT`, `_SLOWDOWN_TLIMIT`, `_MEM_MAX_TLIMIT`, `_GPU_MAX_TLIMIT`: in degrees
/// Celsius of T.Limit, Ada and later
const MARGIN_LIMITS: [u32; 4] = [193, 194, 195, 196];

/// The fields of accumulated time in software thermal, hardware thermal and power brake slowdown. Driver 580.82 gave
/// them other numbers (<https://docs.nvidia.com/deploy/nvml-api/known-issues.html>).
pub(super) fn slowdown_fields(driver: Option<&str>) -> [u32; 3] {
    let mut parts = driver.unwrap_or_default().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version >= (580, 82) { [269, 270, 271] } else { [251, 252, 253] }
}

/// Reads one GPU, and stops as soon as the library reports that it is lost.
pub(super) struct Reader<'a> {
    pub(super) library: &'a Library,
    pub(super) gpu: Gpu<'a>,
    pub(super) pci: &'a str,
    pub(super) slowdown_fields: [u32; 3],
    pub(super) remotes: &'a mut Remotes,
    pub(super) failures: &'a mut Failures,
    lost: bool,
}

/// The remote ends of one GPU's links, by link. What a link leads to stays the same while it is up, so it is read once.
pub(super) type Remotes = BTreeMap<u32, String>;

impl<'a> Reader<'a> {
    pub(super) fn new(
        library: &'a Library,
        (gpu, pci): (Gpu<'a>, &'a str),
        slowdown_fields: [u32; 3],
        remotes: &'a mut Remotes,
        failures: &'a mut Failures,
    ) -> Self {
        Self { library, gpu, pci, slowdown_fields, remotes, failures, lost: false }
    }

    /// Reads these sections. Topology is read elsewhere, because it is about pairs.
    pub(super) fn read(&mut self, sections: &[Section]) -> GpuReadings {
        let mut readings = GpuReadings { pci: self.pci.to_owned(), ..GpuReadings::default() };
        for section in sections {
            if self.lost {
                break;
            }
            match section {
                Section::Driver => readings.driver = Some(self.driver()),
                Section::RecoveryAction => readings.recovery_action = Some(self.recovery_action()),
                Section::Ecc => readings.ecc = Some(self.ecc()),
                Section::RowRemap => readings.row_remap = Some(self.row_remap()),
                Section::Clocks => readings.clocks = Some(self.clocks()),
                Section::Thermal => readings.thermal = Some(self.thermal()),
                Section::Power => readings.power = Some(self.power()),
                Section::Pcie => readings.pcie = Some(self.pcie()),
                Section::Nvlink => readings.nvlink = Some(self.nvlink()),
                Section::Fabric => readings.fabric = Some(self.fabric()),
                Section::Topology => {}
            }
        }
        readings
    }

    fn get<T>(&mut self, ask: impl FnOnce(&'a Library, Gpu<'a>) -> Answer<T>) -> Option<T> {
        if self.lost {
            return None;
        }
        let answer = ask(self.library, self.gpu);
        self.keep(answer)
    }

    fn keep<T>(&mut self, answer: Answer<T>) -> Option<T> {
        self.lost |= matches!(&answer, Err(Failure { code: GPU_LOST, .. }));
        self.failures.keep(self.gpu.about.index, Some(self.pci), answer)
    }

    /// Fields that a driver does not know are absent, however it reports that.
    fn fields<const N: usize>(&mut self, ids: [(u32, u32); N]) -> [Option<i128>; N] {
        let Some(values) = self.get(|library, gpu| library.fields(gpu, ids)) else { return [None; N] };
        values.map(|value| match value {
            Err(Failure { code: INVALID_ARGUMENT, .. }) => None,
            value => self.keep(value),
        })
    }

    fn driver(&mut self) -> DriverReading {
        DriverReading {
            persistence: self.get(Library::persistence).and_then(flag),
            mig: self.get(Library::mig_mode).and_then(flag),
            processes: self.get(Library::processes),
            platform: self.get(Library::platform).map(|info| platform(&info)),
            uptime_seconds: self.get(Library::uptime).and_then(|uptime| unless_sentinel(uptime.seconds.into())),
        }
    }

    fn recovery_action(&mut self) -> RecoveryReading {
        let [action] = self.fields([(RECOVERY_ACTION, 0)]);
        RecoveryReading { action: action.and_then(|action| u32::try_from(action).ok()) }
    }

    fn clocks(&mut self) -> ClocksReading {
        const SM: u32 = 1;
        const MEMORY: u32 = 2;
        let [software, hardware, brake] = self.fields(self.slowdown_fields.map(|field| (field, 0)));
        ClocksReading {
            reasons: self.get(|library, gpu| or_if_old(library.event_reasons(gpu), || library.throttle_reasons(gpu))),
            sw_thermal_ns: count(software),
            hw_thermal_ns: count(hardware),
            power_brake_ns: count(brake),
            sm_mhz: self.get(|library, gpu| library.clock(gpu, SM)).and_then(unless_sentinel_32),
            max_sm_mhz: self.get(|library, gpu| library.max_clock(gpu, SM)).and_then(unless_sentinel_32),
            memory_mhz: self.get(|library, gpu| library.clock(gpu, MEMORY)).and_then(unless_sentinel_32),
            utilization_percent: self.get(Library::utilization).map(|utilization| utilization.gpu),
            performance_state: self.get(Library::performance_state).filter(|state| *state != STATE_UNKNOWN),
        }
    }

    fn thermal(&mut self) -> ThermalReading {
        const CORE: u32 = 0;
        const SHUTDOWN: u32 = 0;
        const SLOWDOWN: u32 = 1;
        const MEMORY_MAX: u32 = 2;
        const GPU_MAX: u32 = 3;
        let [shutdown, slowdown, memory_max, gpu_max] = MARGIN_LIMITS;
        let [memory, shutdown, slowdown, memory_max, gpu_max] =
            self.fields([MEMORY_TEMPERATURE, shutdown, slowdown, memory_max, gpu_max].map(|field| (field, 0)));
        let degrees = |value: Option<i128>| value.and_then(|value| i32::try_from(value).ok());
        let gpu_celsius = self.get(|library, gpu| library.temperature(gpu, CORE)).map(celsius);
        let mut at = |threshold| self.get(|library, gpu| library.temperature_threshold(gpu, threshold)).map(celsius);
        ThermalReading {
            gpu_celsius,
            // GPUs without such a sensor answer 0.
            memory_celsius: degrees(memory).filter(|memory| *memory != 0),
            slowdown_celsius: at(SLOWDOWN),
            shutdown_celsius: at(SHUTDOWN),
            gpu_max_celsius: at(GPU_MAX),
            memory_max_celsius: at(MEMORY_MAX),
            margin_celsius: self.get(Library::margin),
            margin_limits: MarginLimits {
                shutdown: degrees(shutdown),
                slowdown: degrees(slowdown),
                memory_max: degrees(memory_max),
                gpu_max: degrees(gpu_max),
            },
        }
    }

    fn power(&mut self) -> PowerReading {
        PowerReading {
            draw_milliwatts: self.get(Library::power_usage).and_then(unless_sentinel_32).map(u64::from),
            limit_milliwatts: self.get(Library::power_limit).and_then(unless_sentinel_32).map(u64::from),
            enforced_milliwatts: self.get(Library::enforced_power_limit).and_then(unless_sentinel_32).map(u64::from),
            default_milliwatts: self.get(Library::default_power_limit).and_then(unless_sentinel_32).map(u64::from),
        }
    }

    fn pcie(&mut self) -> PcieReading {
        PcieReading {
            generation: self.get(Library::link_generation).and_then(unless_sentinel_32),
            width: self.get(Library::link_width).and_then(unless_sentinel_32),
            max_generation: self.get(Library::max_link_generation).and_then(unless_sentinel_32),
            max_width: self.get(Library::max_link_width).and_then(unless_sentinel_32),
            replays: self.get(Library::pcie_replays).and_then(unless_sentinel_32).map(u64::from),
        }
    }
}

fn platform(info: &nvmlPlatformInfo_t) -> PlatformReading {
    let serial: String =
        info.chassisSerialNumber.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    PlatformReading {
        chassis_serial: Some(serial)
            .filter(|serial| is_serial(serial) && serial.bytes().all(|byte| byte.is_ascii_graphic())),
        slot: info.slotNumber.into(),
        tray: info.trayIndex.into(),
        host: info.hostId.into(),
        peer_type: info.peerType.into(),
        module: info.moduleId.into(),
    }
}

/// Nearest common ancestors: for each GPU those with the others. Each pair is read once.
pub(super) fn ancestors(
    library: &Library,
    gpus: &[(Gpu<'_>, String)],
    failures: &mut Failures,
) -> Vec<Vec<(String, u32)>> {
    let mut ancestors = vec![Vec::new(); gpus.len()];
    for (at, (gpu, pci)) in gpus.iter().enumerate() {
        for (other_at, (other, other_pci)) in gpus.iter().enumerate().skip(at + 1) {
            let answer = library.common_ancestor(*gpu, *other);
            let lost = matches!(&answer, Err(Failure { code: GPU_LOST | FUNCTION_NOT_FOUND, .. }));
            if let Some(level) = failures.keep(gpu.about.index, Some(pci), answer) {
                ancestors[at].push((other_pci.clone(), level));
                ancestors[other_at].push((pci.clone(), level));
            }
            if lost {
                break;
            }
        }
    }
    ancestors
}

/// The fallback for a function or struct that this library does not know yet.
fn or_if_old<T>(answer: Answer<T>, older: impl FnOnce() -> Answer<T>) -> Answer<T> {
    match answer {
        Err(Failure { code: FUNCTION_NOT_FOUND | ARGUMENT_VERSION_MISMATCH, .. }) => older(),
        answer => answer,
    }
}

fn count(value: Option<i128>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok()).and_then(unless_sentinel)
}

/// All ones mean "no value": `NVML_VALUE_NOT_AVAILABLE` of nvml.h, and what reading a device that is gone returns.
fn unless_sentinel(value: u64) -> Option<u64> {
    (value != u64::MAX && value != u64::from(u32::MAX)).then_some(value)
}

/// As [`unless_sentinel`].
fn unless_sentinel_32(value: u32) -> Option<u32> {
    (value != u32::MAX).then_some(value)
}

/// Yes or no (`NVML_FEATURE_ENABLED` and its like); any other value is no answer.
fn flag(value: impl Into<u64>) -> Option<bool> {
    match value.into() {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The library's numbers are unsigned but temperatures are not: below zero they are in two's complement.
fn celsius(value: u32) -> i32 {
    value.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_slowdown_moved_in_driver_580_82() {
        for old in [None, Some(""), Some("garbage"), Some("535.129.03"), Some("580.65.06"), Some("580")] {
            assert_eq!(slowdown_fields(old), [251, 252, 253], "{old:?}");
        }
        for new in ["580.82.07", "580.126.09", "590.48.01", "600"] {
            assert_eq!(slowdown_fields(Some(new)), [269, 270, 271], "{new}");
        }
    }
}
