//! Healthy GPUs as published captures show them, idle.

use super::address;
use crate::readings::Sample;
use crate::readings::inventory::{NvmlGpu, NvmlView};
use crate::readings::sample::{
    BankSpares, ClocksReading, DriverReading, EccReading, FabricReading, GpuReadings, LinkReading, LinkState,
    MarginLimits, NvlinkReading, PcieReading, PowerReading, RecoveryReading, RemapReading, Section, ThermalReading,
    TopologyReading,
};

/// NVIDIA H200, driver 590.48.01. Source: `nvidia_gpu_exporter` testdata/captures/linux-x86_64__nvidia-h200__590.48.01;
/// it prints values of T.Limit (slowdown at -2) in place of thresholds.
pub(crate) fn h200(count: u32) -> Sample {
    answer(count, "NVIDIA H200", "590.48.01", 143_771, |pci| GpuReadings {
        ecc: Some(ecc(true)),
        row_remap: Some(RemapReading {
            correctable: Some(0),
            uncorrectable: Some(0),
            pending: Some(false),
            failure: Some(false),
            banks: Some(BankSpares { max: 3072, ..BankSpares::default() }),
            ..RemapReading::default()
        }),
        clocks: Some(ClocksReading {
            reasons: Some(1),
            sw_thermal_ns: Some(0),
            hw_thermal_ns: Some(0),
            power_brake_ns: Some(0),
            sm_mhz: Some(345),
            max_sm_mhz: Some(1980),
            memory_mhz: Some(3201),
            utilization_percent: Some(0),
            performance_state: Some(0),
        }),
        thermal: Some(ThermalReading {
            gpu_celsius: Some(28),
            memory_celsius: Some(32),
            margin_celsius: Some(56),
            margin_limits: MarginLimits {
                shutdown: Some(-8),
                slowdown: Some(-2),
                memory_max: Some(0),
                gpu_max: Some(0),
            },
            ..ThermalReading::default()
        }),
        power: Some(power(77_670, 700_000)),
        recovery_action: Some(RecoveryReading { action: Some(0) }),
        pcie: Some(pcie(5, 16)),
        nvlink: Some(NvlinkReading { links: (0..18).map(link).collect(), ..NvlinkReading::default() }),
        fabric: Some(FabricReading { state: Some(3), status: Some(0), ..FabricReading::default() }),
        ..common(pci)
    })
}

/// NVIDIA A100-SXM4-80GB with MIG on, driver 535.54.03. Source: telegraf `plugins/inputs/nvidia_smi/testdata/a100-sxm4-v12.xml`.
pub(crate) fn a100_mig(count: u32) -> Sample {
    answer(count, "NVIDIA A100-SXM4-80GB", "535.54.03", 81_920, |pci| GpuReadings {
        driver: Some(DriverReading {
            persistence: Some(false),
            mig: Some(true),
            processes: Some(0),
            ..DriverReading::default()
        }),
        ecc: Some(EccReading { sram_threshold_exceeded: None, ..ecc(true) }),
        row_remap: Some(RemapReading::default()),
        clocks: Some(ClocksReading {
            reasons: Some(0),
            sm_mhz: Some(1275),
            max_sm_mhz: Some(1410),
            memory_mhz: Some(1593),
            performance_state: Some(0),
            ..ClocksReading::default()
        }),
        thermal: Some(ThermalReading {
            gpu_celsius: Some(27),
            memory_celsius: Some(44),
            slowdown_celsius: Some(89),
            shutdown_celsius: Some(92),
            gpu_max_celsius: Some(85),
            memory_max_celsius: Some(95),
            ..ThermalReading::default()
        }),
        power: Some(power(67_030, 500_000)),
        pcie: Some(pcie(4, 16)),
        nvlink: Some(NvlinkReading::default()),
        ..common(pci)
    })
}

/// Tesla T4 in an x8 slot, driver 515.105.01. Source: telegraf `plugins/inputs/nvidia_smi/testdata/tesla-t4.xml`.
pub(crate) fn t4(count: u32) -> Sample {
    answer(count, "Tesla T4", "515.105.01", 15_360, |pci| GpuReadings {
        driver: Some(DriverReading {
            persistence: Some(false),
            mig: None,
            processes: Some(1),
            ..DriverReading::default()
        }),
        ecc: Some(EccReading { sram_threshold_exceeded: None, ..ecc(true) }),
        row_remap: Some(RemapReading {
            retired_single_bit: Some(0),
            retired_double_bit: Some(0),
            retirement_pending: Some(false),
            ..RemapReading::default()
        }),
        clocks: Some(ClocksReading {
            reasons: Some(0),
            sm_mhz: Some(585),
            max_sm_mhz: Some(1590),
            memory_mhz: Some(5000),
            utilization_percent: Some(0),
            performance_state: Some(0),
            ..ClocksReading::default()
        }),
        thermal: Some(ThermalReading {
            gpu_celsius: Some(40),
            memory_celsius: None,
            slowdown_celsius: Some(93),
            shutdown_celsius: Some(96),
            gpu_max_celsius: Some(85),
            memory_max_celsius: None,
            ..ThermalReading::default()
        }),
        power: Some(power(26_780, 70_000)),
        pcie: Some(PcieReading { max_width: Some(16), ..pcie(3, 8) }),
        ..common(pci)
    })
}

/// Tesla V100-SXM2-32GB. Source of clocks: l4rz, "Dell iDRAC reverse engineering"; retired pages as on every Volta
/// board.
pub(crate) fn v100(count: u32) -> Sample {
    answer(count, "Tesla V100-SXM2-32GB", "450.80.02", 32_510, |pci| GpuReadings {
        ecc: Some(EccReading { sram_threshold_exceeded: None, ..ecc(true) }),
        row_remap: Some(RemapReading {
            retired_single_bit: Some(0),
            retired_double_bit: Some(0),
            retirement_pending: Some(false),
            ..RemapReading::default()
        }),
        clocks: Some(ClocksReading {
            reasons: Some(0),
            sm_mhz: Some(1530),
            max_sm_mhz: Some(1530),
            memory_mhz: Some(877),
            utilization_percent: Some(99),
            performance_state: Some(0),
            ..ClocksReading::default()
        }),
        thermal: Some(ThermalReading {
            gpu_celsius: Some(60),
            memory_celsius: Some(58),
            slowdown_celsius: Some(87),
            shutdown_celsius: Some(90),
            gpu_max_celsius: Some(83),
            memory_max_celsius: Some(85),
            ..ThermalReading::default()
        }),
        power: Some(power(250_000, 300_000)),
        pcie: Some(pcie(3, 16)),
        nvlink: Some(NvlinkReading { links: (0..6).map(link).collect(), ..NvlinkReading::default() }),
        ..common(pci)
    })
}

fn answer(count: u32, name: &str, driver: &str, memory_mib: u64, gpu: impl Fn(String) -> GpuReadings) -> Sample {
    let identity = |index| NvmlGpu {
        index,
        pci: Some(address(index)),
        uuid: Some(format!("GPU-00000000-0000-0000-0000-{index:012}")),
        serial: Some(format!("165052200{index:04}")),
        name: Some(name.to_owned()),
        vbios: None,
        memory_mib: Some(memory_mib),
    };
    let addresses: Vec<String> = (0..count).map(address).collect();
    let gpus = addresses.iter().cloned().map(gpu).map(|gpu| GpuReadings {
        topology: Some(TopologyReading {
            ancestors: addresses.iter().filter(|other| **other != gpu.pci).map(|other| (other.clone(), 50)).collect(),
        }),
        ..gpu
    });
    Sample {
        sections: Section::ALL.to_vec(),
        took_ms: 40,
        slowest: Some(("nvmlDeviceGetFieldValues".to_owned(), 12)),
        view: NvmlView {
            status: NvmlView::OK.to_owned(),
            message: None,
            driver: Some(driver.to_owned()),
            count: Some(count),
            gpus: (0..count).map(identity).collect(),
            errors: Vec::new(),
        },
        device_access: None,
        device_nodes: None,
        library_version: Some(format!("12.{driver}")),
        gpus: gpus.collect(),
        calls: Vec::new(),
    }
}

/// What every healthy GPU shows; sections that a model lacks were read and are empty.
fn common(pci: String) -> GpuReadings {
    GpuReadings {
        pci,
        driver: Some(DriverReading {
            persistence: Some(true),
            mig: Some(false),
            processes: Some(0),
            ..DriverReading::default()
        }),
        recovery_action: Some(RecoveryReading::default()),
        nvlink: Some(NvlinkReading::default()),
        fabric: Some(FabricReading { state: Some(0), ..FabricReading::default() }),
        ..GpuReadings::default()
    }
}

fn ecc(on: bool) -> EccReading {
    EccReading {
        enabled: Some(on),
        pending: Some(on),
        volatile_uncorrected: Some(0),
        volatile_corrected: Some(0),
        aggregate_uncorrected: Some(0),
        aggregate_corrected: Some(0),
        dram_uncorrected: Some(0),
        sram_uncorrected: Some(0),
        sram_threshold_exceeded: Some(false),
        sram_sources: None,
    }
}

fn power(draw: u64, limit: u64) -> PowerReading {
    PowerReading {
        draw_milliwatts: Some(draw),
        limit_milliwatts: Some(limit),
        enforced_milliwatts: Some(limit),
        default_milliwatts: Some(limit),
    }
}

fn pcie(generation: u32, width: u32) -> PcieReading {
    PcieReading {
        generation: Some(generation),
        width: Some(width),
        max_generation: Some(generation),
        max_width: Some(width),
        replays: Some(0),
    }
}

fn link(link: u32) -> LinkReading {
    LinkReading {
        link,
        state: LinkState::Active,
        replays: Some(0),
        recoveries: Some(0),
        crc_flit: Some(0),
        crc_data: Some(0),
        ..LinkReading::default()
    }
}
