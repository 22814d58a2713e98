//! What the product reads through nvml-wrapper, by model, with what a state file says on top.

#![allow(unsafe_code, reason = "raw calls of C functions, and the environment of this process")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod support;

use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, MemoryLocation, RetirementCause, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings as c;
use serde_json::{Value, json};
use support::{Machine, gpu};

fn with(gpu: &Value) -> Value {
    let mut whole = json!({"pci": "0000:18:00.0"});
    for (key, value) in gpu.as_object().unwrap() {
        whole[key] = value.clone();
    }
    json!({"gpus": [whole]})
}

/// One field by its canonical id, as a number.
fn field(gpu: &Device<'_>, id: u32) -> Result<i64, NvmlError> {
    let sample = gpu.field_values_for(&[FieldId(id)]).unwrap().remove(0).unwrap();
    sample.value.map(|value| match value {
        SampleValue::U32(value) => value.into(),
        SampleValue::U64(value) => i64::try_from(value).unwrap(),
        SampleValue::I64(value) => value,
        SampleValue::F64(value) => panic!("{id}: {value}"),
    })
}

/// A raw call that writes one value.
macro_rules! raw {
    ($nvml:expr, $gpu:expr, $call:ident($($argument:expr),*), $start:expr) => {{
        let mut room = $start;
        // SAFETY: the handle is used at once, and the room is of the type that the call writes.
        match unsafe { $nvml.lib().$call($gpu.handle(), $($argument,)* &raw mut room) } {
            0 => Ok(room),
            code => Err(code),
        }
    }};
}

/// A field with its scope: code, type and bits of the value.
fn raw_field(nvml: &Nvml, gpu: &Device<'_>, id: u32, scope: u32) -> (u32, u32, u64) {
    // SAFETY: zeros are a value of the type.
    let value = c::nvmlFieldValue_t { fieldId: id, scopeId: scope, ..unsafe { std::mem::zeroed() } };
    let value: Result<c::nvmlFieldValue_t, u32> = raw!(nvml, gpu, nvmlDeviceGetFieldValues(1), value);
    let value = value.unwrap();
    // SAFETY: zeros lie around every shorter value.
    (value.nvmlReturn, value.valueType, unsafe { value.value.ullVal })
}

/// Of type 5, signed int, which nvml-wrapper 0.13 does not know: it answers `UnexpectedVariant`.
fn signed(value: i32) -> (u32, u32, u64) {
    (0, 5, value.cast_unsigned().into())
}

#[test]
fn a_healthy_h100_reads_as_one() {
    let machine = Machine::new(&with(&json!({})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    assert_eq!(gpu.name().unwrap(), "NVIDIA H100 80GB HBM3");
    assert_eq!(gpu.uuid().unwrap(), "GPU-simulated-0000-0000-0000-000000000001");
    assert_eq!(
        (gpu.serial().unwrap(), gpu.board_part_number().unwrap()),
        ("SIM0000000001".into(), "SIMULATED-G520".into())
    );
    let pci = gpu.pci_info().unwrap();
    assert_eq!((pci.bus_id.as_str(), pci.pci_device_id), ("00000000:18:00.0", 0x2330_10de));
    let memory = gpu.memory_info().unwrap();
    assert_eq!((memory.total >> 20, memory.used, memory.reserved >> 20), (81_559, 0, 551));
    assert!(gpu.is_ecc_enabled().unwrap().currently_enabled);
    assert_eq!(gpu.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Aggregate).unwrap(), 0);
    assert_eq!(gpu.temperature(TemperatureSensor::Gpu).unwrap(), 31);
    assert_eq!(gpu.temperature_threshold(TemperatureThreshold::Shutdown).unwrap(), 95);
    assert_eq!((gpu.power_usage().unwrap(), gpu.enforced_power_limit().unwrap()), (77_710, 700_000));
    assert_eq!((gpu.clock_info(Clock::SM).unwrap(), gpu.max_clock_info(Clock::SM).unwrap()), (345, 1980));
    assert_eq!(gpu.current_throttle_reasons_strict().unwrap().bits(), 1);
    assert_eq!((gpu.current_pcie_link_gen().unwrap(), gpu.current_pcie_link_width().unwrap()), (5, 16));
    assert_eq!(gpu.gsp_firmware_version().unwrap(), "570.86.15");
    let links: Vec<bool> = (0..18).map(|link| gpu.link_wrapper_for(link).is_active().unwrap()).collect();
    assert_eq!(links, [true; 18]);
    assert!(matches!(gpu.link_wrapper_for(18).is_active(), Err(NvmlError::InvalidArg)));
    assert_eq!(gpu.link_wrapper_for(5).remote_pci_info().unwrap().bus_id, "00000000:08:00.0");
    let ids = [142, 143, 144, 145, 230, 82, 91];
    assert_eq!(ids.map(|id| field(&gpu, id).unwrap()), [0, 0, 0, 0, 0, 41, 18]);
    assert_eq!((raw_field(&nvml, &gpu, 193, 0), raw_field(&nvml, &gpu, 194, 0)), (signed(-8), signed(-2)));
    assert!(matches!(gpu.retired_pages(RetirementCause::DoubleBitEccError), Err(NvmlError::NotSupported)));
    assert_eq!(gpu.mig_mode().unwrap().current, 0);
}

#[test]
fn models_differ_as_the_real_ones_do() {
    let models = ["A100-SXM4-80GB", "A100-PCIE-80GB", "H200", "B200", "L4", "T4"];
    let gpus: Vec<Value> = models
        .iter()
        .enumerate()
        .map(|(at, model)| json!({"pci": format!("000{at}:18:00.0"), "model": model}))
        .collect();
    let machine = Machine::new(&json!({"gpus": gpus}));
    let nvml = machine.load();
    let seen: Vec<_> = (0..6)
        .map(|index| {
            let gpu = gpu(&nvml, index);
            let links = (0..18).filter(|link| gpu.link_wrapper_for(*link).is_active().is_ok());
            let up = links.clone().filter(|link| gpu.link_wrapper_for(*link).is_active().unwrap()).count();
            let width = (gpu.current_pcie_link_width().unwrap(), gpu.max_pcie_link_width().unwrap());
            (gpu.name().unwrap(), links.count(), up, width, field(&gpu, 142).is_ok(), gpu.pci_info().unwrap().domain)
        })
        .collect();
    let expected = [
        ("NVIDIA A100-SXM4-80GB", 12, 12, (16, 16), true, 0),
        ("NVIDIA A100 80GB PCIe", 12, 0, (16, 16), true, 1),
        ("NVIDIA H200", 18, 18, (16, 16), true, 2),
        ("NVIDIA B200", 18, 18, (16, 16), true, 3),
        ("NVIDIA L4", 0, 0, (8, 16), true, 4),
        ("Tesla T4", 0, 0, (8, 16), false, 5),
    ];
    assert_eq!(
        seen,
        expected.map(|(name, links, up, width, remap, domain)| (name.to_owned(), links, up, width, remap, domain))
    );
    let t4 = gpu(&nvml, 5);
    assert_eq!(t4.retired_pages(RetirementCause::DoubleBitEccError).unwrap().len(), 0);
    assert!(
        t4.is_ecc_enabled().is_ok()
            && t4.memory_error_counter(MemoryError::Corrected, EccCounter::Volatile, MemoryLocation::L2Cache).is_ok()
    );
    let fabric = |index| raw!(nvml, gpu(&nvml, index), nvmlDeviceGetGpuFabricInfoV(), fabric_v3());
    assert_eq!(fabric(3).map(|info| (info.state, info.healthMask, info.healthSummary)), Ok((3, 0x1aa, 1)));
    assert_eq!(fabric(4).map(|info| info.state), Err(3));
}

/// `NVML_STRUCT_VERSION`.
fn version(size: u32, version: u32) -> u32 {
    size | version << 24
}

/// As nvml.h asks for version 3: 40 bytes.
fn fabric_v3() -> c::nvmlGpuFabricInfoV_t {
    c::nvmlGpuFabricInfoV_t {
        version: version(40, 3),
        clusterUuid: [0; 16],
        status: 0,
        cliqueId: 0,
        state: 0,
        healthMask: 0,
        healthSummary: 0,
    }
}

#[test]
fn structs_of_another_version_are_refused_and_version_two_of_the_fabric_is_known() {
    let machine = Machine::new(&with(&json!({"fabric": {"mask": 0x1a9, "clique": 7}})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    let fabric = |version| {
        let room = c::nvmlGpuFabricInfoV_t { version, healthSummary: 99, ..fabric_v3() };
        let info: Result<c::nvmlGpuFabricInfoV_t, u32> = raw!(nvml, gpu, nvmlDeviceGetGpuFabricInfoV(), room);
        info.map(|info| (info.healthMask, info.cliqueId, info.healthSummary))
    };
    assert_eq!(fabric(version(40, 3)), Ok((0x1a9, 7, 0)));
    // The byte behind the 36 of version 2 stays as it was.
    assert_eq!(fabric(version(36, 2)), Ok((0x1a9, 7, 99)));
    assert_eq!(fabric(version(44, 4)), Err(25));
    let margin = |version| {
        let room = c::nvmlMarginTemperature_t { version, marginTemperature: 0 };
        let margin: Result<c::nvmlMarginTemperature_t, u32> = raw!(nvml, gpu, nvmlDeviceGetMarginTemperature(), room);
        margin.map(|margin| margin.marginTemperature)
    };
    assert_eq!((margin(version(8, 1)), margin(version(9, 1))), (Ok(87 - 31), Err(25)));
}

#[test]
fn a_bad_memory_shows_in_calls_and_fields_alike() {
    let machine = Machine::new(&with(&json!({
        "ecc": {"volatile_uncorrected": 3, "sram_threshold": true,
                "locations": {"sram": {"volatile_uncorrected": 1, "aggregate_uncorrected": 6}}},
        "remap": {"uncorrectable": 2, "pending": true, "failure": true, "banks": {"max": 2550, "none": 1}},
        "recovery_action": 1,
    })));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    let count = |location| gpu.memory_error_counter(MemoryError::Uncorrected, EccCounter::Volatile, location).unwrap();
    assert_eq!(gpu.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).unwrap(), 3);
    assert_eq!((count(MemoryLocation::Device), count(MemoryLocation::SRAM)), (2, 1));
    assert_eq!([143, 144, 145, 230, 4, 12].map(|id| field(&gpu, id).unwrap()), [2, 1, 1, 1, 3, 2]);
    // SAFETY: zeros are a value of the type.
    let status = c::nvmlEccSramErrorStatus_t { version: version(104, 1), ..unsafe { std::mem::zeroed() } };
    let status: Result<c::nvmlEccSramErrorStatus_t, u32> = raw!(nvml, gpu, nvmlDeviceGetSramEccErrorStatus(), status);
    assert_eq!(status.map(|sram| (sram.aggregateUncParity, sram.bThresholdExceeded)), Ok((6, 1)));
    let banks = c::nvmlRowRemapperHistogramValues_t { max: 0, high: 0, partial: 0, low: 0, none: 0 };
    let banks: Result<c::nvmlRowRemapperHistogramValues_t, u32> =
        raw!(nvml, gpu, nvmlDeviceGetRowRemapperHistogram(), banks);
    assert_eq!(banks.map(|banks| (banks.max, banks.none)), Ok((2550, 1)));
}

#[test]
fn pages_of_an_older_gpu_are_listed_with_their_times() {
    let machine = Machine::new(&with(&json!({"model": "T4", "retired": {"double_bit": 3, "pending": true}})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    let pages = gpu.retired_pages(RetirementCause::DoubleBitEccError).unwrap();
    assert_eq!(pages.iter().map(|page| page.address).collect::<Vec<_>>(), [0x51000, 0x51001, 0x51002]);
    assert!(pages.iter().all(|page| page.timestamp > 1_600_000_000_000_000));
    assert!(gpu.are_pages_pending_retired().unwrap());
    machine.becomes(&with(&json!({"model": "T4", "ecc": null})));
    assert!(matches!(gpu.is_ecc_enabled(), Err(NvmlError::NotSupported)));
    assert!(matches!(gpu.are_pages_pending_retired(), Err(NvmlError::NotSupported)));
}

#[test]
fn one_link_may_be_down_and_count_errors_of_its_own() {
    let links = json!({
        "3": {"up": false}, "7": {"replays": 5, "crc_flit": 6, "symbol_errors": 9, "remote": "0001:0b:00.0"},
    });
    let machine = Machine::new(&with(&json!({"nvlink": {"links": links}})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    let link = |number| gpu.link_wrapper_for(number);
    assert_eq!((link(3).is_active().unwrap(), link(4).is_active().unwrap()), (false, true));
    assert!(matches!(link(3).remote_pci_info(), Err(NvmlError::NotSupported)));
    assert_eq!(link(7).remote_pci_info().unwrap().bus_id, "00000001:0B:00.0");
    assert_eq!((link(7).error_counter(ErrorCounter::DlReplay).unwrap(), link(7).version().unwrap()), (5, 6));
    // By link, in total, and by the scope: state, speed, version, symbol errors.
    assert_eq!([97, 38].map(|id| field(&gpu, id).unwrap()), [6, 6]);
    let scoped = |id, scope| {
        let (code, _, value) = raw_field(&nvml, &gpu, id, scope);
        (code, value)
    };
    assert_eq!((scoped(165, 3), scoped(164, 3), scoped(164, 4)), ((0, 0), (0, 0), (0, 26_562)));
    assert_eq!((scoped(161, 7), scoped(221, 7).0, scoped(166, 7)), ((0, 5), 3, (0, 6)));
    // NVLink 5 counts other things; its version has the number 7.
    machine.becomes(&with(&json!({"model": "B200", "nvlink": {"links": links}})));
    assert_eq!((scoped(166, 7), scoped(221, 7), scoped(221, 8)), ((0, 7), (0, 9), (0, 0)));
    assert_eq!((scoped(161, 7).0, scoped(220, 7)), (3, (0, 0xfff)));
    assert!(matches!(link(7).error_counter(ErrorCounter::DlReplay), Err(NvmlError::NotSupported)));
    assert_eq!((scoped(221, 18).0, scoped(9999, 0).0), (2, 3));
    // Asleep, and up without traffic: the yes or no of the older call is yes.
    machine.becomes(&with(&json!({"nvlink": {"links": {"3": {"state": 2}, "4": {"state": 3}}}})));
    assert_eq!((scoped(165, 3), scoped(165, 4), scoped(165, 5)), ((0, 2), (0, 3), (0, 1)));
    assert!(link(3).is_active().unwrap() && link(4).is_active().unwrap());
    // A list says how the links are from 0 on.
    machine.becomes(&with(&json!({"nvlink": {"links": [{"up": false}, {}]}})));
    assert_eq!((link(0).is_active().unwrap(), link(1).is_active().unwrap()), (false, true));
}

#[test]
fn times_of_clock_reasons_have_other_ids_in_newer_drivers() {
    let clocks = json!({"reasons": 0x48, "sw_thermal_ns": 11, "hw_thermal_ns": 22, "power_brake_ns": 33});
    for driver in ["570.86.15", "580.65.06", "580.82.07", "595.80"] {
        let mut state = with(&json!({"clocks": clocks}));
        state["driver"] = json!(driver);
        let machine = Machine::new(&state);
        let nvml = machine.load();
        let gpu = gpu(&nvml, 0);
        // nvml-wrapper translates these ids by the driver's version.
        assert_eq!([251, 252, 253].map(|id| field(&gpu, id).unwrap()), [11, 22, 33], "{driver}");
        assert_eq!(gpu.current_throttle_reasons_strict().unwrap().bits(), 0x48);
    }
}

#[test]
fn fields_can_be_stated_by_id_and_scope() {
    let machine = Machine::new(&with(&json!({"fields": {
        "230": 6, "82": null, "142": {"return": 15}, "193": -4, "301": 5_000_000_000_u64,
    }})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    assert_eq!([230, 301].map(|id| field(&gpu, id).unwrap()), [6, 5_000_000_000]);
    assert_eq!(raw_field(&nvml, &gpu, 193, 0), signed(-4));
    assert!(matches!(field(&gpu, 82), Err(NvmlError::NotSupported)));
    assert!(matches!(field(&gpu, 142), Err(NvmlError::GpuLost)));
}

#[test]
fn mig_mode_takes_away_what_real_drivers_take_away() {
    let machine = Machine::new(&with(&json!({"model": "H200", "mig": {"enabled": true, "instances": [
        {"memory_mib": 17_920}, {"uuid": "MIG-simulated-other"},
    ]}})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    assert_eq!(gpu.mig_mode().unwrap().current, 1);
    assert!(matches!(gpu.utilization_rates(), Err(NvmlError::NotSupported)));
    assert!(matches!(field(&gpu, 142), Err(NvmlError::NotSupported)));
    assert!(!gpu.link_wrapper_for(0).is_active().unwrap());
    let banks = c::nvmlRowRemapperHistogramValues_t { max: 0, high: 0, partial: 0, low: 0, none: 0 };
    let banks: Result<c::nvmlRowRemapperHistogramValues_t, u32> =
        raw!(nvml, gpu, nvmlDeviceGetRowRemapperHistogram(), banks);
    assert_eq!(banks.map(|banks| banks.max), Ok(3072));
    assert!(gpu.total_ecc_errors(MemoryError::Corrected, EccCounter::Volatile).is_ok());
    let instance = gpu.mig_device_by_index(0).unwrap();
    assert_eq!(instance.memory_info().unwrap().total >> 20, 17_920);
    assert!(instance.uuid().unwrap().starts_with("MIG-simulated-"));
    assert!(matches!(instance.serial(), Err(NvmlError::InvalidArg)));
    assert!(matches!(gpu.mig_device_by_index(2), Err(NvmlError::NotFound)));
}

#[test]
fn processes_are_listed_by_kind_and_named() {
    let machine = Machine::new(&with(&json!({"processes": [
        {"pid": 11, "memory_mib": 40}, {"pid": 12, "name": "simulated-training"}, {"pid": 13, "kind": "graphics"},
    ]})));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    let pids = gpu.running_compute_processes().unwrap().iter().map(|process| process.pid).collect::<Vec<_>>();
    assert_eq!((pids, gpu.running_graphics_processes().unwrap().len()), (vec![11, 12], 1));
    assert_eq!(nvml.sys_process_name(12, 64).unwrap(), "simulated-training");
    assert!(matches!(nvml.sys_process_name(99, 64), Err(NvmlError::NotFound)));
}

#[test]
fn holes_and_high_domains_keep_index_and_address_and_one_uuid_may_be_twice() {
    let machine = Machine::new(&json!({"gpus": [
        {"pci": "10000:db:00.0", "uuid": "GPU-simulated-twice"}, {"pci": "0000:18:00.0", "hole": true},
        {"pci": "0009:2a:00.0", "uuid": "GPU-simulated-twice", "ancestors": {"10000:db:00.0": 20}},
    ]}));
    let nvml = machine.load();
    assert_eq!(nvml.device_count().unwrap(), 2);
    assert!(matches!(nvml.device_by_index(1).map(|_| ()), Err(NvmlError::NotFound)));
    let (first, third) = (gpu(&nvml, 0), gpu(&nvml, 2));
    assert_eq!(
        (first.uuid().unwrap(), third.uuid().unwrap()),
        ("GPU-simulated-twice".into(), "GPU-simulated-twice".into())
    );
    assert_eq!(first.pci_info().unwrap().bus_id, "00010000:DB:00.0");
    assert_eq!(
        (nvml.device_by_pci_bus_id("00010000:DB:00.0").unwrap().index().unwrap(), third.index().unwrap()),
        (0, 2)
    );
    assert_eq!(first.topology_common_ancestor(third).unwrap().as_c(), 20);
}
