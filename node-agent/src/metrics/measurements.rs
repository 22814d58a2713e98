//! Every measurement of the last sample and the last reading of sysfs, as Prometheus series: rows of data.
//!
//! Nothing is computed until a scrape. A GPU or port that is gone has no series, and while the driver does not answer,
//! its earlier readings are not shown as current.

use crate::judge::Readings;
use crate::readings::sample::{GpuReadings, LinkReading};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// One metric, and how its values are read.
#[derive(Debug)]
pub struct Measurement {
    /// Its name.
    pub name: &'static str,
    /// Its meaning and unit.
    pub help: &'static str,
    /// `gauge`, or `counter` for a value that the hardware only increases.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    read: Read,
}

/// What the metric is about, and a function that reads each value with its labels.
#[derive(Debug)]
enum Read {
    /// Per GPU; the PCI address is the first label.
    Gpu(fn(&GpuReadings, &mut Series)),
    /// For the whole node.
    Node(fn(&Readings, &mut Series)),
}

/// The values of one metric.
type Series = Vec<(Vec<String>, f64)>;

/// The last readings, shared with the metrics endpoint.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    shown: Arc<Mutex<Readings>>,
}

impl Measurements {
    /// Replaces the readings shown.
    pub fn show(&self, readings: &Readings) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone_from(readings);
    }

    /// Appends all series in the text format of Prometheus.
    pub(super) fn write(&self, text: &mut String) {
        let readings = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for measurement in MEASUREMENTS {
            let series = measurement.series(&readings);
            if series.is_empty() {
                continue;
            }
            let Measurement { name, help, kind, labels, read: _ } = measurement;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (values, value) in series {
                let pairs: Vec<String> = labels
                    .iter()
                    .zip(&values)
                    .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                    .collect();
                let _ = writeln!(text, "{name}{{{}}} {value}", pairs.join(","));
            }
        }
    }
}

impl Measurement {
    fn series(&self, readings: &Readings) -> Series {
        let mut series = Series::new();
        match self.read {
            Read::Gpu(_) if readings.trouble.is_some() => {}
            Read::Gpu(read) => {
                for gpu in readings.gpus.values() {
                    let before = series.len();
                    read(gpu, &mut series);
                    for (labels, _) in series.iter_mut().skip(before) {
                        labels.insert(0, gpu.pci.clone());
                    }
                }
            }
            Read::Node(read) => read(readings, &mut series),
        }
        series
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn put(series: &mut Series, labels: &[&str], value: Option<impl Into<f64>>) {
    if let Some(value) = value {
        series.push((labels.iter().map(|label| (*label).to_owned()).collect(), value.into()));
    }
}

/// 64-bit counters: beyond 2^53 a double loses the last digits, which no rate shows.
#[expect(clippy::cast_precision_loss)]
fn number(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

fn per_thousand(value: Option<u64>) -> Option<f64> {
    number(value).map(|value| value / 1e3)
}

fn seconds(nanoseconds: Option<u64>) -> Option<f64> {
    number(nanoseconds).map(|value| value / 1e9)
}

fn flag(value: Option<bool>) -> Option<u8> {
    value.map(u8::from)
}

/// Bits of the clock event reasons (nvml.h, `nvmlClocksEventReason*`).
const REASONS: &[(u64, &str)] = &[
    (0x1, "gpu_idle"),
    (0x2, "applications_clocks"),
    (0x4, "sw_power_cap"),
    (0x8, "hw_slowdown"),
    (0x10, "sync_boost"),
    (0x20, "sw_thermal_slowdown"),
    (0x40, "hw_thermal_slowdown"),
    (0x80, "hw_power_brake"),
    (0x100, "display_clocks"),
];

const GPU: &[&str] = &["pci_address"];
const GPU_KIND: &[&str] = &["pci_address", "kind"];

/// All measurements, in the order of the documentation.
pub static MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "gpu_health_driver_info",
        help: "1; the versions of driver and library.",
        kind: "gauge",
        labels: &["driver", "library"],
        read: Read::Node(|readings, series| {
            let view = readings.view.as_ref().filter(|_| readings.trouble.is_none());
            if let Some(driver) = view.and_then(|view| view.driver.as_deref()) {
                put(series, &[driver, readings.library_version.as_deref().unwrap_or_default()], Some(1));
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_recovery_action",
        help: "What the driver asks for: 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset, 5 recover IMEX domain.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.recovery_action.as_ref().and_then(|read| read.action))),
    },
    Measurement {
        name: "gpu_health_gpu_ecc_enabled",
        help: "1 where ECC is on.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.ecc.as_ref().and_then(|ecc| flag(ecc.enabled)))),
    },
    Measurement {
        name: "gpu_health_gpu_ecc_errors",
        help: "ECC errors: volatile since the driver was loaded or the GPU reset, aggregate in the life of the board.",
        kind: "gauge",
        labels: &["pci_address", "kind", "counter", "location"],
        read: Read::Gpu(ecc_errors),
    },
    Measurement {
        name: "gpu_health_gpu_remapped_rows",
        help: "Memory rows remapped in the life of the board.",
        kind: "gauge",
        labels: GPU_KIND,
        read: Read::Gpu(|gpu, series| {
            if let Some(remap) = &gpu.row_remap {
                put(series, &["correctable"], number(remap.correctable));
                put(series, &["uncorrectable"], number(remap.uncorrectable));
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_remap_pending",
        help: "1 while a row remapping waits for a reset.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.row_remap.as_ref().and_then(|read| flag(read.pending)))),
    },
    Measurement {
        name: "gpu_health_gpu_remap_failure",
        help: "1 where a row remapping failed.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.row_remap.as_ref().and_then(|read| flag(read.failure)))),
    },
    Measurement {
        name: "gpu_health_gpu_remap_banks",
        help: "Memory banks by how many spare rows they have left.",
        kind: "gauge",
        labels: &["pci_address", "spares"],
        read: Read::Gpu(|gpu, series| {
            if let Some(banks) = gpu.row_remap.as_ref().and_then(|read| read.banks) {
                let by = [
                    ("max", banks.max),
                    ("high", banks.high),
                    ("partial", banks.partial),
                    ("low", banks.low),
                    ("none", banks.none),
                ];
                for (spares, count) in by {
                    put(series, &[spares], Some(count));
                }
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_retired_pages",
        help: "Memory pages retired in the life of the board (GPUs before Ampere).",
        kind: "gauge",
        labels: GPU_KIND,
        read: Read::Gpu(|gpu, series| {
            if let Some(remap) = &gpu.row_remap {
                put(series, &["single_bit"], number(remap.retired_single_bit));
                put(series, &["double_bit"], number(remap.retired_double_bit));
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_clock_event_reason",
        help: "1 while this reason holds the clocks down.",
        kind: "gauge",
        labels: &["pci_address", "reason"],
        read: Read::Gpu(|gpu, series| {
            if let Some(reasons) = gpu.clocks.as_ref().and_then(|clocks| clocks.reasons) {
                for (bit, name) in REASONS {
                    put(series, &[name], Some(u8::from(reasons & bit != 0)));
                }
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_slowdown_seconds_total",
        help: "Time in slowdown since the driver was loaded, in seconds.",
        kind: "counter",
        labels: GPU_KIND,
        read: Read::Gpu(|gpu, series| {
            if let Some(clocks) = &gpu.clocks {
                put(series, &["sw_thermal"], seconds(clocks.sw_thermal_ns));
                put(series, &["hw_thermal"], seconds(clocks.hw_thermal_ns));
                put(series, &["power_brake"], seconds(clocks.power_brake_ns));
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_clock_hertz",
        help: "Clocks, in hertz.",
        kind: "gauge",
        labels: GPU_KIND,
        read: Read::Gpu(|gpu, series| {
            let hertz = |mhz: Option<u32>| mhz.map(|mhz| f64::from(mhz) * 1e6);
            if let Some(clocks) = &gpu.clocks {
                put(series, &["sm"], hertz(clocks.sm_mhz));
                put(series, &["sm_max"], hertz(clocks.max_sm_mhz));
                put(series, &["memory"], hertz(clocks.memory_mhz));
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_utilization_ratio",
        help: "Share of time in which a kernel ran, from 0 to 1.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| {
            let percent = gpu.clocks.as_ref().and_then(|clocks| clocks.utilization_percent);
            put(series, &[], percent.map(|percent| f64::from(percent) / 100.0));
        }),
    },
    Measurement {
        name: "gpu_health_gpu_temperature_celsius",
        help: "Temperatures, in degrees Celsius.",
        kind: "gauge",
        labels: &["pci_address", "location"],
        read: Read::Gpu(|gpu, series| {
            if let Some(thermal) = &gpu.thermal {
                put(series, &["gpu"], thermal.gpu_celsius);
                put(series, &["memory"], thermal.memory_celsius);
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_temperature_limit_celsius",
        help: "The GPU's own limits, in degrees Celsius.",
        kind: "gauge",
        labels: &["pci_address", "limit"],
        read: Read::Gpu(|gpu, series| {
            if let Some(thermal) = &gpu.thermal {
                put(series, &["slowdown"], thermal.slowdown_celsius);
                put(series, &["shutdown"], thermal.shutdown_celsius);
                put(series, &["gpu_max"], thermal.gpu_max_celsius);
                put(series, &["memory_max"], thermal.memory_max_celsius);
            }
        }),
    },
    Measurement {
        name: "gpu_health_gpu_power_watts",
        help: "Draw, in watts.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| {
            put(series, &[], gpu.power.as_ref().and_then(|power| per_thousand(power.draw_milliwatts)));
        }),
    },
    Measurement {
        name: "gpu_health_gpu_power_limit_watts",
        help: "Power limits, in watts.",
        kind: "gauge",
        labels: &["pci_address", "limit"],
        read: Read::Gpu(|gpu, series| {
            if let Some(power) = &gpu.power {
                put(series, &["set"], per_thousand(power.limit_milliwatts));
                put(series, &["enforced"], per_thousand(power.enforced_milliwatts));
                put(series, &["default"], per_thousand(power.default_milliwatts));
            }
        }),
    },
    Measurement {
        name: "gpu_health_pcie_link_generation",
        help: "Generation of the PCIe link at the moment; idle GPUs drop it.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.pcie.as_ref().and_then(|pcie| pcie.generation))),
    },
    Measurement {
        name: "gpu_health_pcie_link_width_lanes",
        help: "Lanes of the PCIe link at the moment.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.pcie.as_ref().and_then(|pcie| pcie.width))),
    },
    Measurement {
        name: "gpu_health_pcie_replays_total",
        help: "PCIe replays since the driver was loaded.",
        kind: "counter",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.pcie.as_ref().and_then(|pcie| number(pcie.replays)))),
    },
    Measurement {
        name: "gpu_health_pcie_aer_errors_total",
        help: "PCIe errors that AER counts since the device was found.",
        kind: "counter",
        labels: GPU_KIND,
        read: Read::Node(aer_errors),
    },
    Measurement {
        name: "gpu_health_nvlink_links_up",
        help: "NVLinks that are up.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| {
            if let Some(nvlink) = &gpu.nvlink {
                let up = nvlink.links.iter().filter(|link| link.active).count();
                put(series, &[], u32::try_from(up).ok());
            }
        }),
    },
    Measurement {
        name: "gpu_health_nvlink_link_up",
        help: "1 where the NVLink is up.",
        kind: "gauge",
        labels: &["pci_address", "link"],
        read: Read::Gpu(|gpu, series| {
            let links = gpu.nvlink.iter().flat_map(|nvlink| &nvlink.links);
            links.for_each(|link| put(series, &[&link.link.to_string()], Some(u8::from(link.active))));
        }),
    },
    Measurement {
        name: "gpu_health_nvlink_errors_total",
        help: "NVLink errors since the driver was loaded.",
        kind: "counter",
        labels: &["pci_address", "link", "kind"],
        read: Read::Gpu(|gpu, series| {
            gpu.nvlink.iter().flat_map(|nvlink| &nvlink.links).for_each(|link| link_errors(link, series));
        }),
    },
    Measurement {
        name: "gpu_health_fabric_state",
        help: "NVSwitch fabric: 0 not supported, 1 not started, 2 in progress, 3 completed.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.fabric.as_ref().and_then(|fabric| fabric.state))),
    },
    Measurement {
        name: "gpu_health_fabric_health_mask",
        help: "The health mask of the NVSwitch fabric, as a number.",
        kind: "gauge",
        labels: GPU,
        read: Read::Gpu(|gpu, series| put(series, &[], gpu.fabric.as_ref().and_then(|fabric| fabric.health_mask))),
    },
    Measurement {
        name: "gpu_health_rdma_port_state",
        help: "State of an RDMA port: 1 down, 2 init, 3 armed, 4 active, 5 active and deferred.",
        kind: "gauge",
        labels: &["port"],
        read: Read::Node(|readings, series| {
            let ports = readings.tree().into_iter().flat_map(|tree| &tree.rdma);
            ports.for_each(|port| put(series, &[&port.name], port.state));
        }),
    },
    Measurement {
        name: "gpu_health_rdma_port_rate_bits_per_second",
        help: "Rate of an RDMA port, in bits per second.",
        kind: "gauge",
        labels: &["port"],
        read: Read::Node(|readings, series| {
            let ports = readings.tree().into_iter().flat_map(|tree| &tree.rdma);
            ports.for_each(|port| put(series, &[&port.name], port.rate_gbps.map(|rate| f64::from(rate) * 1e9)));
        }),
    },
    Measurement {
        name: "gpu_health_rdma_port_errors_total",
        help: "Error counters of an RDMA port, by the name of their file in sysfs.",
        kind: "counter",
        labels: &["port", "counter"],
        read: Read::Node(|readings, series| {
            for port in readings.tree().into_iter().flat_map(|tree| &tree.rdma) {
                port.counters.iter().for_each(|(name, value)| put(series, &[&port.name, name], number(Some(*value))));
            }
        }),
    },
    Measurement {
        name: "gpu_health_efa_devices",
        help: "EFA devices, by where they are seen.",
        kind: "gauge",
        labels: &["seen"],
        read: Read::Node(|readings, series| {
            let Some(efa) = readings.tree().map(|tree| &tree.efa) else { return };
            for (seen, devices) in [("pci", &efa.pci), ("rdma", &efa.rdma), ("uverbs", &efa.uverbs)] {
                put(series, &[seen], u32::try_from(devices.len()).ok());
            }
        }),
    },
];

fn ecc_errors(gpu: &GpuReadings, series: &mut Series) {
    let Some(ecc) = &gpu.ecc else { return };
    let all = [
        (["uncorrected", "volatile", "all"], ecc.volatile_uncorrected),
        (["corrected", "volatile", "all"], ecc.volatile_corrected),
        (["uncorrected", "aggregate", "all"], ecc.aggregate_uncorrected),
        (["corrected", "aggregate", "all"], ecc.aggregate_corrected),
        (["uncorrected", "volatile", "dram"], ecc.dram_uncorrected),
        (["uncorrected", "volatile", "sram"], ecc.sram_uncorrected),
    ];
    for (labels, value) in all {
        put(series, &labels, number(value));
    }
}

fn link_errors(link: &LinkReading, series: &mut Series) {
    let number_of = link.link.to_string();
    let all = [
        ("replay", link.replays),
        ("recovery", link.recoveries),
        ("crc_flit", link.crc_flit),
        ("crc_data", link.crc_data),
    ];
    for (kind, value) in all {
        put(series, &[&number_of, kind], number(value));
    }
}

fn aer_errors(readings: &Readings, series: &mut Series) {
    for (pci, link) in readings.tree().into_iter().flat_map(|tree| &tree.links) {
        let all = [("correctable", link.aer_correctable), ("nonfatal", link.aer_nonfatal), ("fatal", link.aer_fatal)];
        for (kind, value) in all {
            put(series, &[pci, kind], number(value));
        }
    }
}

#[cfg(test)]
mod tests;
