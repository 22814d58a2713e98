//! Every measurement of the last sample and the last reading of sysfs, as Prometheus series: rows of data.
//!
//! Nothing is computed until a scrape. A GPU or port that is gone has no series, and while the driver does not answer,
//! its earlier readings are not shown as current.

use crate::judge::Readings;
use crate::readings::sample::{BankSpares, ErrorRate, GpuReadings, LinkReading, LinkState};
use crate::readings::sysfs::{PciLink, RdmaPort};
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

/// What the metric is about, and its values. What it is about gives the first labels.
#[derive(Debug)]
enum Read {
    /// Per GPU: its PCI address.
    Gpu(&'static [Value<GpuReadings>]),
    /// Per NVLink: the PCI address of its GPU, and its number.
    Link(&'static [Value<LinkReading>]),
    /// Per accelerator on PCI: its address.
    Pci(&'static [Value<PciLink>]),
    /// Per RDMA port: its name.
    Port(&'static [Value<RdmaPort>]),
    /// For the whole node; all labels are read with the values.
    Node(fn(&Readings, &mut Series)),
}

/// One value: its last labels, and where it is found.
type Value<T> = (&'static [&'static str], fn(&T) -> Option<f64>);

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
        let gpus = readings.gpus.values().filter(|_| readings.trouble.is_none());
        let tree = readings.tree().into_iter();
        match self.read {
            Read::Gpu(values) => gpus.for_each(|gpu| put(&mut series, &[&gpu.pci], gpu, values)),
            Read::Link(values) => {
                for gpu in gpus {
                    for link in gpu.nvlink.iter().flat_map(|nvlink| &nvlink.links) {
                        put(&mut series, &[&gpu.pci, &link.link.to_string()], link, values);
                    }
                }
            }
            Read::Pci(values) => {
                tree.flat_map(|tree| &tree.links).for_each(|(pci, link)| put(&mut series, &[pci], link, values));
            }
            Read::Port(values) => {
                tree.flat_map(|tree| &tree.rdma).for_each(|port| put(&mut series, &[&port.name], port, values));
            }
            Read::Node(read) => read(readings, &mut series),
        }
        series
    }
}

fn put<T>(series: &mut Series, first: &[&str], of: &T, values: &[Value<T>]) {
    for (labels, read) in values {
        if let Some(value) = read(of) {
            series.push((first.iter().chain(*labels).map(|label| (*label).to_owned()).collect(), value));
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What a double holds exactly: yes or no as 1 or 0, and numbers of at most 32 bits.
fn small(value: Option<impl Into<f64>>) -> Option<f64> {
    value.map(Into::into)
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

fn hertz(mhz: Option<u32>) -> Option<f64> {
    small(mhz).map(|mhz| mhz * 1e6)
}

fn banks(gpu: &GpuReadings) -> Option<BankSpares> {
    gpu.row_remap.as_ref()?.banks
}

/// Whether a bit of the clock event reasons is set (nvml.h, `nvmlClocksEventReason*`).
fn reason(gpu: &GpuReadings, bit: u64) -> Option<f64> {
    gpu.clocks.as_ref()?.reasons.map(|reasons| f64::from(reasons & bit != 0))
}

const GPU: &[&str] = &["pci_address"];
const GPU_KIND: &[&str] = &["pci_address", "kind"];
const GPU_LIMIT: &[&str] = &["pci_address", "limit"];
const PORT: &[&str] = &["port"];

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str, read: Read) -> Measurement {
    Measurement { name, help, kind: "gauge", labels, read }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str, read: Read) -> Measurement {
    Measurement { name, help, kind: "counter", labels, read }
}

use Read::{Gpu, Link, Node, Pci, Port};

/// All measurements, in the order of the documentation.
#[rustfmt::skip]
pub static MEASUREMENTS: &[Measurement] = &[
    gauge("gpu_health_driver_info", &["driver", "library"], "1; the versions of driver and library.", Node(driver_info)),
    gauge("gpu_health_gpu_uptime_seconds", GPU, "Time since the driver initialised the GPU, in seconds.",
        Gpu(&[(&[], |gpu| number(gpu.driver.as_ref()?.uptime_seconds))])),
    gauge("gpu_health_gpu_recovery_action", GPU,
        "What the driver asks for: 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset, 5 recover IMEX domain.",
        Gpu(&[(&[], |gpu| small(gpu.recovery_action.as_ref()?.action))])),
    gauge("gpu_health_gpu_ecc_enabled", GPU, "1 where ECC is on.", Gpu(&[(&[], |gpu| small(gpu.ecc.as_ref()?.enabled))])),
    gauge("gpu_health_gpu_ecc_errors", &["pci_address", "kind", "counter", "location"],
        "ECC errors: volatile since the driver was loaded or the GPU reset, aggregate in the life of the board.",
        Gpu(&[
            (&["uncorrected", "volatile", "all"], |gpu| number(gpu.ecc.as_ref()?.volatile_uncorrected)),
            (&["corrected", "volatile", "all"], |gpu| number(gpu.ecc.as_ref()?.volatile_corrected)),
            (&["uncorrected", "aggregate", "all"], |gpu| number(gpu.ecc.as_ref()?.aggregate_uncorrected)),
            (&["corrected", "aggregate", "all"], |gpu| number(gpu.ecc.as_ref()?.aggregate_corrected)),
            (&["uncorrected", "volatile", "dram"], |gpu| number(gpu.ecc.as_ref()?.dram_uncorrected)),
            (&["uncorrected", "volatile", "sram"], |gpu| number(gpu.ecc.as_ref()?.sram_uncorrected)),
        ])),
    gauge("gpu_health_gpu_remapped_rows", GPU_KIND, "Memory rows remapped in the life of the board.",
        Gpu(&[
            (&["correctable"], |gpu| number(gpu.row_remap.as_ref()?.correctable)),
            (&["uncorrectable"], |gpu| number(gpu.row_remap.as_ref()?.uncorrectable)),
        ])),
    gauge("gpu_health_gpu_remap_pending", GPU, "1 while a row remapping waits for a reset.",
        Gpu(&[(&[], |gpu| small(gpu.row_remap.as_ref()?.pending))])),
    gauge("gpu_health_gpu_remap_failure", GPU, "1 where a row remapping failed.",
        Gpu(&[(&[], |gpu| small(gpu.row_remap.as_ref()?.failure))])),
    gauge("gpu_health_gpu_remap_banks", &["pci_address", "spares"], "Memory banks by how many spare rows they have left.",
        Gpu(&[
            (&["max"], |gpu| small(Some(banks(gpu)?.max))),
            (&["high"], |gpu| small(Some(banks(gpu)?.high))),
            (&["partial"], |gpu| small(Some(banks(gpu)?.partial))),
            (&["low"], |gpu| small(Some(banks(gpu)?.low))),
            (&["none"], |gpu| small(Some(banks(gpu)?.none))),
        ])),
    gauge("gpu_health_gpu_inactive_remapped_rows", GPU_KIND, "Remappings of memory rows that are not in effect.",
        Gpu(&[
            (&["correctable"], |gpu| number(gpu.row_remap.as_ref()?.correctable_inactive)),
            (&["uncorrectable"], |gpu| number(gpu.row_remap.as_ref()?.uncorrectable_inactive)),
        ])),
    gauge("gpu_health_gpu_bank_remaps", &["pci_address", "state"], "Memory banks that are remapped, by whether that is in effect.",
        Gpu(&[
            (&["active"], |gpu| number(gpu.row_remap.as_ref()?.bank_remaps?.active)),
            (&["inactive"], |gpu| number(gpu.row_remap.as_ref()?.bank_remaps?.inactive)),
        ])),
    gauge("gpu_health_gpu_repair_pending", GPU_KIND, "1 while a repair waits for a reset.",
        Gpu(&[
            (&["bank"], |gpu| small(gpu.row_remap.as_ref()?.bank_remaps?.pending)),
            (&["channel"], |gpu| small(gpu.row_remap.as_ref()?.channel_repair_pending)),
            (&["tpc"], |gpu| small(gpu.row_remap.as_ref()?.tpc_repair_pending)),
        ])),
    gauge("gpu_health_gpu_unrepairable_memory", GPU, "1 where the driver flags memory that cannot be repaired.",
        Gpu(&[(&[], |gpu| small(gpu.row_remap.as_ref()?.unrepairable))])),
    gauge("gpu_health_gpu_retired_pages", GPU_KIND, "Memory pages retired in the life of the board (GPUs before Ampere).",
        Gpu(&[
            (&["single_bit"], |gpu| number(gpu.row_remap.as_ref()?.retired_single_bit)),
            (&["double_bit"], |gpu| number(gpu.row_remap.as_ref()?.retired_double_bit)),
        ])),
    gauge("gpu_health_gpu_clock_event_reason", &["pci_address", "reason"], "1 while this reason holds the clocks down.",
        Gpu(&[
            (&["gpu_idle"], |gpu| reason(gpu, 0x1)),
            (&["applications_clocks"], |gpu| reason(gpu, 0x2)),
            (&["sw_power_cap"], |gpu| reason(gpu, 0x4)),
            (&["hw_slowdown"], |gpu| reason(gpu, 0x8)),
            (&["sync_boost"], |gpu| reason(gpu, 0x10)),
            (&["sw_thermal_slowdown"], |gpu| reason(gpu, 0x20)),
            (&["hw_thermal_slowdown"], |gpu| reason(gpu, 0x40)),
            (&["hw_power_brake"], |gpu| reason(gpu, 0x80)),
            (&["display_clocks"], |gpu| reason(gpu, 0x100)),
            (&["board_limit"], |gpu| reason(gpu, 0x200)),
            (&["reliability"], |gpu| reason(gpu, 0x400)),
        ])),
    counter("gpu_health_gpu_slowdown_seconds_total", GPU_KIND, "Time in slowdown since the driver was loaded, in seconds.",
        Gpu(&[
            (&["sw_thermal"], |gpu| seconds(gpu.clocks.as_ref()?.sw_thermal_ns)),
            (&["hw_thermal"], |gpu| seconds(gpu.clocks.as_ref()?.hw_thermal_ns)),
            (&["power_brake"], |gpu| seconds(gpu.clocks.as_ref()?.power_brake_ns)),
        ])),
    gauge("gpu_health_gpu_clock_hertz", GPU_KIND, "Clocks, in hertz.",
        Gpu(&[
            (&["sm"], |gpu| hertz(gpu.clocks.as_ref()?.sm_mhz)),
            (&["sm_max"], |gpu| hertz(gpu.clocks.as_ref()?.max_sm_mhz)),
            (&["memory"], |gpu| hertz(gpu.clocks.as_ref()?.memory_mhz)),
        ])),
    gauge("gpu_health_gpu_utilization_ratio", GPU, "Share of time in which a kernel ran, from 0 to 1.",
        Gpu(&[(&[], |gpu| small(gpu.clocks.as_ref()?.utilization_percent).map(|percent| percent / 100.0))])),
    gauge("gpu_health_gpu_temperature_celsius", &["pci_address", "location"], "Temperatures, in degrees Celsius.",
        Gpu(&[
            (&["gpu"], |gpu| small(gpu.thermal.as_ref()?.gpu_celsius)),
            (&["memory"], |gpu| small(gpu.thermal.as_ref()?.memory_celsius)),
        ])),
    gauge("gpu_health_gpu_temperature_limit_celsius", GPU_LIMIT, "The GPU's own limits, in degrees Celsius.",
        Gpu(&[
            (&["slowdown"], |gpu| small(gpu.thermal.as_ref()?.slowdown_celsius)),
            (&["shutdown"], |gpu| small(gpu.thermal.as_ref()?.shutdown_celsius)),
            (&["gpu_max"], |gpu| small(gpu.thermal.as_ref()?.gpu_max_celsius)),
            (&["memory_max"], |gpu| small(gpu.thermal.as_ref()?.memory_max_celsius)),
        ])),
    gauge("gpu_health_gpu_temperature_margin_celsius", GPU,
        "T.Limit, the distance to the nearest slowdown threshold, in degrees Celsius; below zero it is passed.",
        Gpu(&[(&[], |gpu| small(gpu.thermal.as_ref()?.margin_celsius))])),
    gauge("gpu_health_gpu_temperature_margin_limit_celsius", GPU_LIMIT,
        "Values of T.Limit beyond which the GPU is slowed down or shut down, in degrees Celsius.",
        Gpu(&[
            (&["slowdown"], |gpu| small(gpu.thermal.as_ref()?.margin_limits.slowdown)),
            (&["shutdown"], |gpu| small(gpu.thermal.as_ref()?.margin_limits.shutdown)),
            (&["gpu_max"], |gpu| small(gpu.thermal.as_ref()?.margin_limits.gpu_max)),
            (&["memory_max"], |gpu| small(gpu.thermal.as_ref()?.margin_limits.memory_max)),
        ])),
    gauge("gpu_health_gpu_power_watts", GPU, "Draw, in watts.",
        Gpu(&[(&[], |gpu| per_thousand(gpu.power.as_ref()?.draw_milliwatts))])),
    gauge("gpu_health_gpu_power_limit_watts", GPU_LIMIT, "Power limits, in watts.",
        Gpu(&[
            (&["set"], |gpu| per_thousand(gpu.power.as_ref()?.limit_milliwatts)),
            (&["enforced"], |gpu| per_thousand(gpu.power.as_ref()?.enforced_milliwatts)),
            (&["default"], |gpu| per_thousand(gpu.power.as_ref()?.default_milliwatts)),
        ])),
    gauge("gpu_health_pcie_link_generation", GPU, "Generation of the PCIe link at the moment; idle GPUs drop it.",
        Gpu(&[(&[], |gpu| small(gpu.pcie.as_ref()?.generation))])),
    gauge("gpu_health_pcie_link_width_lanes", GPU, "Lanes of the PCIe link at the moment.",
        Gpu(&[(&[], |gpu| small(gpu.pcie.as_ref()?.width))])),
    counter("gpu_health_pcie_replays_total", GPU, "PCIe replays since the driver was loaded.",
        Gpu(&[(&[], |gpu| number(gpu.pcie.as_ref()?.replays))])),
    counter("gpu_health_pcie_aer_errors_total", GPU_KIND, "PCIe errors that AER counts since the device was found.",
        Pci(&[
            (&["correctable"], |link| number(link.aer_correctable)),
            (&["nonfatal"], |link| number(link.aer_nonfatal)),
            (&["fatal"], |link| number(link.aer_fatal)),
        ])),
    gauge("gpu_health_nvlink_links_up", GPU, "NVLinks that are up.",
        Gpu(&[(&[], |gpu| count(gpu.nvlink.as_ref()?.links.iter().filter(|link| link.state.is_up()).count()))])),
    gauge("gpu_health_nvlink_link_up", &["pci_address", "link"], "1 where the NVLink is up.",
        Link(&[(&[], |link| small(Some(link.state.is_up())))])),
    gauge("gpu_health_nvlink_link_state", &["pci_address", "link"], "0 down, 1 up, 2 asleep, 3 up but not usable for traffic.",
        Link(&[(&[], |link| small(Some(state(link))))])),
    gauge("gpu_health_nvlink_bit_error_ratio", &["pci_address", "link", "kind"], "Bit error rates of an NVLink (NVLink 5 and later), in errors per bit.",
        Link(&[
            (&["effective"], |link| link.newer.effective_ber.map(ErrorRate::per_bit)),
            (&["symbol"], |link| link.newer.symbol_ber.map(ErrorRate::per_bit)),
        ])),
    gauge("gpu_health_c2c_links", &["pci_address", "state"], "Chip-to-chip links between GPU and CPU.",
        Gpu(&[
            (&["present"], |gpu| small(gpu.nvlink.as_ref()?.c2c_links)),
            (&["active"], |gpu| small(gpu.nvlink.as_ref()?.c2c_active)),
        ])),
    counter("gpu_health_nvlink_errors_total", &["pci_address", "link", "kind"], "NVLink errors since the driver was loaded.",
        Link(&[
            (&["replay"], |link| number(link.replays)),
            (&["recovery"], |link| number(link.recoveries)),
            (&["crc_flit"], |link| number(link.crc_flit)),
            (&["crc_data"], |link| number(link.crc_data)),
            (&["failed_recovery"], |link| number(link.newer.failed_recoveries)),
            (&["receive"], |link| number(link.newer.receive_errors)),
            (&["buffer_overrun"], |link| number(link.newer.buffer_overruns)),
            (&["integrity"], |link| number(link.newer.integrity_errors)),
            (&["send_discard"], |link| number(link.newer.send_discards)),
            (&["effective"], |link| number(link.newer.effective_errors)),
            (&["symbol"], |link| number(link.newer.symbol_errors)),
        ])),
    gauge("gpu_health_fabric_state", GPU, "NVSwitch fabric: 0 not supported, 1 not started, 2 in progress, 3 completed.",
        Gpu(&[(&[], |gpu| small(gpu.fabric.as_ref()?.state))])),
    gauge("gpu_health_fabric_health_mask", GPU, "The health mask of the NVSwitch fabric, as a number.",
        Gpu(&[(&[], |gpu| small(gpu.fabric.as_ref()?.health_mask))])),
    gauge("gpu_health_rdma_port_state", PORT, "State of an RDMA port: 1 down, 2 init, 3 armed, 4 active, 5 active and deferred.",
        Port(&[(&[], |port| small(port.state))])),
    gauge("gpu_health_rdma_port_rate_bits_per_second", PORT, "Rate of an RDMA port, in bits per second.",
        Port(&[(&[], |port| small(port.rate_gbps).map(|rate| rate * 1e9))])),
    counter("gpu_health_rdma_port_errors_total", &["port", "counter"],
        "Error counters of an RDMA port, by the name of their file in sysfs.", Node(port_errors)),
    gauge("gpu_health_efa_devices", &["seen"], "EFA devices, by where they are seen.", Node(efa_devices)),
];

/// As field 165 has it.
fn state(link: &LinkReading) -> u8 {
    match link.state {
        LinkState::Inactive => 0,
        LinkState::Active => 1,
        LinkState::Asleep => 2,
        LinkState::NoTraffic => 3,
    }
}

fn count(items: usize) -> Option<f64> {
    u32::try_from(items).ok().map(f64::from)
}

fn driver_info(readings: &Readings, series: &mut Series) {
    let view = readings.view.as_ref().filter(|_| readings.trouble.is_none());
    if let Some(driver) = view.and_then(|view| view.driver.clone()) {
        series.push((vec![driver, readings.library_version.clone().unwrap_or_default()], 1.0));
    }
}

fn port_errors(readings: &Readings, series: &mut Series) {
    for port in readings.tree().into_iter().flat_map(|tree| &tree.rdma) {
        for (counter, value) in &port.counters {
            series.extend(number(Some(*value)).map(|value| (vec![port.name.clone(), counter.clone()], value)));
        }
    }
}

fn efa_devices(readings: &Readings, series: &mut Series) {
    let Some(efa) = readings.tree().map(|tree| &tree.efa) else { return };
    for (seen, devices) in [("pci", &efa.pci), ("rdma", &efa.rdma), ("uverbs", &efa.uverbs)] {
        series.extend(count(devices.len()).map(|count| (vec![seen.to_owned()], count)));
    }
}

#[cfg(test)]
mod tests;
