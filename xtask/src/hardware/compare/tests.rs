use super::*;
use crate::hardware::smi;
use node_agent::readings::inventory::{NvmlGpu, NvmlView};
use node_agent::readings::sample::{
    BankSpares, ClocksReading, DriverReading, EccReading, GpuReadings, PcieReading, PowerReading, RemapReading,
    ThermalReading,
};

const A100: &str = include_str!("../testdata/a100-sxm4-mig.xml");
const T4: &str = include_str!("../testdata/tesla-t4.xml");
const BLACKWELL: &str = include_str!("../testdata/rtx-pro-6000.xml");

/// The agent's readings for the recorded A100.
fn a100() -> Sample {
    let pci = "0000:01:00.0".to_owned();
    Sample {
        sections: Vec::new(),
        took_ms: 0,
        slowest: None,
        view: NvmlView {
            status: "Ok".into(),
            message: None,
            driver: Some("535.54.03".into()),
            count: Some(1),
            gpus: vec![NvmlGpu {
                index: 0,
                pci: Some(pci.clone()),
                uuid: Some("GPU-513536b6-7d19-9063-b049-1e69664bb298".into()),
                serial: Some("1650522003820".into()),
                name: Some("NVIDIA A100-SXM4-80GB".into()),
                vbios: Some("92.00.36.00.02".into()),
                memory_mib: Some(81_920),
            }],
            errors: Vec::new(),
        },
        device_access: None,
        device_nodes: None,
        library_version: None,
        calls: Vec::new(),
        gpus: vec![GpuReadings {
            pci,
            driver: Some(DriverReading {
                persistence: Some(false),
                mig: Some(true),
                processes: Some(0),
                platform: None,
                uptime_seconds: None,
            }),
            ecc: Some(EccReading {
                sram_sources: None,
                enabled: Some(true),
                pending: Some(true),
                volatile_uncorrected: Some(0),
                volatile_corrected: Some(0),
                aggregate_uncorrected: Some(0),
                aggregate_corrected: Some(0),
                dram_uncorrected: Some(0),
                sram_uncorrected: Some(0),
                sram_threshold_exceeded: None,
            }),
            row_remap: Some(RemapReading::default()),
            clocks: Some(ClocksReading {
                reasons: Some(0),
                sm_mhz: Some(1275),
                max_sm_mhz: Some(1410),
                memory_mhz: Some(1593),
                ..ClocksReading::default()
            }),
            thermal: Some(ThermalReading {
                gpu_celsius: Some(29),
                memory_celsius: Some(44),
                slowdown_celsius: Some(89),
                shutdown_celsius: Some(92),
                gpu_max_celsius: Some(85),
                memory_max_celsius: Some(95),
                ..ThermalReading::default()
            }),
            power: Some(PowerReading {
                draw_milliwatts: Some(68_120),
                limit_milliwatts: Some(500_000),
                enforced_milliwatts: Some(500_000),
                default_milliwatts: Some(500_000),
            }),
            pcie: Some(PcieReading {
                generation: Some(4),
                width: Some(16),
                max_generation: Some(4),
                max_width: Some(16),
                replays: Some(0),
            }),
            ..GpuReadings::default()
        }],
    }
}

fn agreement(rows: &[Row], field: &str) -> Agreement {
    rows.iter().find(|row| row.field == field).unwrap_or_else(|| panic!("no row {field}")).agreement
}

#[test]
fn a_recorded_a100_matches_its_readings() {
    let rows = compare(&a100(), &smi::read(A100).unwrap());
    let odd: Vec<_> = rows.iter().filter(|row| row.agreement > Agreement::Absent).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert_eq!(agreement(&rows, "serial"), Agreement::Equal);
    assert_eq!(agreement(&rows, "temperature, C"), Agreement::Moved);
    assert_eq!(agreement(&rows, "rows remapped, correctable"), Agreement::Absent, "MIG hides them on both sides");
}

#[test]
fn a_reading_that_is_wrong_by_one_is_different() {
    let mut sample = a100();
    sample.gpus[0].pcie.as_mut().unwrap().width = Some(15);
    sample.gpus[0].ecc.as_mut().unwrap().aggregate_uncorrected = Some(1);
    let rows = compare(&sample, &smi::read(A100).unwrap());
    assert_eq!(agreement(&rows, "PCIe width"), Agreement::Different);
    assert_eq!(agreement(&rows, "ECC aggregate uncorrected"), Agreement::Different);
}

#[test]
fn a_field_that_only_one_side_has_is_marked() {
    let mut sample = a100();
    sample.gpus[0].row_remap.as_mut().unwrap().banks = Some(BankSpares { max: 640, ..BankSpares::default() });
    sample.gpus[0].driver = None;
    let rows = compare(&sample, &smi::read(A100).unwrap());
    assert_eq!(agreement(&rows, "banks with all spares"), Agreement::OnlyAgent);
    assert_eq!(agreement(&rows, "persistence mode"), Agreement::OnlySmi);
}

#[test]
fn a_gpu_that_only_one_side_has_is_a_row_of_its_own() {
    let rows = compare(&a100(), &smi::read(T4).unwrap());
    assert_eq!(rows.iter().map(|row| row.agreement).collect::<Vec<_>>(), [Agreement::OnlyAgent, Agreement::OnlySmi]);
}

#[test]
fn older_and_newer_forms_of_the_document_are_read() {
    let value = |text: &str, field: &str| {
        let gpu = &smi::read(text).unwrap()[0];
        (FIELDS.iter().find(|known| known.name == field).unwrap().smi)(gpu)
    };
    assert_eq!(value(T4, "limit in force, mW"), Some(Value::Number(70_000.0)));
    assert_eq!(value(T4, "clock event reasons"), Some(Value::Number(0.0)));
    assert_eq!(value(T4, "pages retired, double-bit"), Some(Value::Number(0.0)));
    assert_eq!(value(T4, "PCIe width"), Some(Value::Number(8.0)));
    assert_eq!(value(BLACKWELL, "banks with all spares"), Some(Value::Number(512.0)));
    assert_eq!(value(BLACKWELL, "recovery action"), Some(Value::Number(0.0)));
    assert_eq!(value(BLACKWELL, "HW thermal slowdown, ns"), Some(Value::Number(0.0)));
    assert_eq!(value(BLACKWELL, "slowdown at, C"), None, "newer drivers report margins to the limit instead");
    assert_eq!(value(BLACKWELL, "ECC volatile uncorrected"), None);
}
