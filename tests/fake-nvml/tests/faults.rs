//! Faults: a driver that hangs, crashes or lies.

#![allow(unsafe_code, reason = "the environment of this process")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;
use serde_json::{Value, json};
use support::{Machine, built, gpu, library};

/// One call in a process of its own.
fn in_a_process(machine: &Machine, what: &str) -> Command {
    let mut command = Command::new(built().join("examples/one_call"));
    command.arg(library()).args([what, "0"]).env("SIMULATED_NVML_STATE", machine.state());
    command
}

fn run(machine: &Machine, what: &str) -> Output {
    in_a_process(machine, what).output().unwrap()
}

fn one(fault: &Value) -> Value {
    json!({"gpus": [{"pci": "0000:18:00.0", "calls": {"nvmlDeviceGetUUID": fault}}]})
}

#[test]
fn a_crash_ends_the_process_by_the_signal_of_a_real_crash() {
    let machine = Machine::new(&one(&json!("segfault")));
    assert_eq!(run(&machine, "uuid").status.signal(), Some(11));
    assert!(run(&machine, "name").status.success());
    machine.becomes(&one(&json!("abort")));
    assert_eq!(run(&machine, "uuid").status.signal(), Some(6));
}

#[test]
fn a_call_that_hangs_stays_until_its_process_is_killed() {
    let machine = Machine::new(&one(&json!("hang")));
    let mut child = in_a_process(&machine, "uuid").spawn().unwrap();
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        assert!(child.try_wait().unwrap().is_none(), "the call came back");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    machine.becomes(&one(&json!("ok")));
    assert!(run(&machine, "uuid").status.success());
}

#[test]
fn garbage_has_no_end_and_is_no_text() {
    let machine = Machine::new(&one(&json!("garbage")));
    let nvml = machine.load();
    // The first handle that this process is given.
    // SAFETY: a number that nobody follows.
    let handle = unsafe { gpu(&nvml, 0).handle() };
    let mut room = [0_u8; 100];
    // SAFETY: the room is longer than what the library is told.
    unsafe { assert_eq!(nvml.lib().nvmlDeviceGetUUID(handle, room.as_mut_ptr().cast(), 96), 0) };
    assert_eq!((room[..96].iter().all(|byte| *byte == 0xff), &room[96..]), (true, &[0; 4][..]));
    machine.becomes(&json!({"gpus": [{"pci": "0000:18:00.0", "fault": "garbage"}]}));
    let gpu = nvml.device_by_index(0).err();
    assert!(gpu.is_none(), "{gpu:?}");
    let mut watts = 0;
    // SAFETY: room for one number.
    unsafe { nvml.lib().nvmlDeviceGetPowerUsage(handle, &raw mut watts) };
    assert_eq!(watts, u32::MAX);
}

#[test]
fn a_slow_call_comes_back_late() {
    let machine = Machine::new(&one(&json!({"slow_ms": 120, "then": {"return": 10}})));
    let nvml = machine.load();
    let start = Instant::now();
    assert!(matches!(gpu(&nvml, 0).uuid(), Err(NvmlError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
}

#[test]
fn ten_thousand_switches_between_answers_are_all_seen() {
    let flip = json!({"flip": ["ok", {"return": 15}, {"return": 16}, {"return": 999}, {"return": 3}]});
    let machine = Machine::new(&one(&flip));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    for round in 0..2_000 {
        let answers: Vec<_> = (0..5).map(|_| gpu.uuid()).collect();
        assert!(
            matches!(
                answers.as_slice(),
                [
                    Ok(_),
                    Err(NvmlError::GpuLost),
                    Err(NvmlError::ResetRequired),
                    Err(NvmlError::Unknown),
                    Err(NvmlError::NotSupported)
                ]
            ),
            "round {round}: {answers:?}"
        );
    }
}

#[test]
fn every_new_file_is_seen_at_the_next_call_however_quick_they_follow() {
    let machine = Machine::new(&one(&json!("ok")));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    // Same size, same inode numbers again and again, same tick of the file system's clock.
    for round in 0..2_000_u32 {
        let watts = 100 + round % 7;
        machine.becomes(&json!({"gpus": [{"pci": "0000:18:00.0", "power": {"draw_mw": watts}}]}));
        assert_eq!(gpu.power_usage().unwrap(), watts);
        machine.becomes(&json!({"gpus": [{"pci": "0000:18:00.0", "power": {"draw_mw": 500}}]}));
        machine.becomes(&json!({"gpus": [{"pci": "0000:18:00.0", "power": {"draw_mw": 600}}]}));
        assert_eq!(gpu.power_usage().unwrap(), 600);
    }
}

#[test]
fn a_call_costs_no_parse() {
    let gpus: Vec<Value> = (0..64).map(|bus| json!({"pci": format!("{:04x}:{bus:02x}:00.0", bus % 4)})).collect();
    let machine = Machine::new(&json!({"gpus": gpus}));
    let nvml = machine.load();
    assert_eq!(nvml.device_count().unwrap(), 64);
    let gpu = gpu(&nvml, 63);
    let start = Instant::now();
    for _ in 0..10_000 {
        gpu.power_usage().unwrap();
    }
    let each = start.elapsed() / 10_000;
    // Some microseconds here; the parse of 64 GPUs is some milliseconds.
    assert!(each < Duration::from_micros(500), "{each:?}");
}

#[test]
fn library_and_module_of_different_versions_do_not_start() {
    let machine = Machine::new(&json!({"driver": "570.86.15", "module": "565.57.01"}));
    assert!(matches!(Machine::try_load(), Err(NvmlError::LibRmVersionMismatch)));
    machine.becomes(&json!({"driver": "570.86.15"}));
    assert_eq!(machine.load().sys_driver_version().unwrap(), "570.86.15");
}

#[test]
fn functions_that_an_old_driver_lacks_say_so() {
    let machine = Machine::new(&json!({"missing": ["nvmlDeviceGetPowerUsage"], "gpus": [{"pci": "0000:18:00.0"}]}));
    let nvml = machine.load();
    assert!(matches!(gpu(&nvml, 0).power_usage(), Err(NvmlError::FunctionNotFound)));
}

#[test]
fn a_gpu_may_fall_off_in_the_middle_of_a_sample() {
    let fault = json!({"after": 3, "then": {"return": 15}});
    let machine = Machine::new(&json!({"gpus": [{"pci": "0000:18:00.0", "fault": fault}, {"pci": "0000:2a:00.0"}]}));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    assert!(gpu.uuid().is_ok() && gpu.name().is_ok());
    assert!(matches!(gpu.serial(), Err(NvmlError::GpuLost)));
    assert!(matches!(nvml.device_by_index(0).map(|_| ()), Err(NvmlError::GpuLost)));
    assert!(nvml.device_by_index(1).is_ok());
}

#[test]
fn a_state_that_is_none_is_an_error_of_every_call_that_names_the_place() {
    let machine = Machine::new(&json!({}));
    let cases = [
        ("{\"gpus\": [", "EOF"),
        ("{\"gpu\": []}", "unknown field `gpu`"),
        ("{\"gpus\": [{\"pci\": \"0000:18:00.0\", \"remap\": {\"pendig\": true}}]}", "gpus[0]: unknown field `pendig`"),
        ("{\"gpus\": [{\"pci\": \"0000:18:00.0\", \"model\": \"H300\"}]}", "gpus[0]: model: H300 is none of"),
        (
            "{\"gpus\": [{\"pci\": \"0000:18:00.0\"}, {\"pci\": \"0000:18:00.0\"}]}",
            "gpus[1]: pci 0000:18:00.0 is that of",
        ),
        ("{\"missing\": [\"nvmlNothing\"]}", "missing: nvmlNothing is no function"),
        ("{\"gpus\": [{\"name\": \"x\"}]}", "gpus[0]: missing field `pci`"),
    ];
    for (text, error) in cases {
        machine.becomes_text(text);
        let output = run(&machine, "name");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(error), "{text}: {said}");
    }
}

#[test]
fn calls_take_a_real_drivers_time_when_asked_to() {
    let machine = Machine::new(&json!({"timing": "real", "gpus": [{"pci": "0000:18:00.0"}]}));
    let start = Instant::now();
    let nvml = machine.load();
    assert!(start.elapsed() >= Duration::from_millis(29), "{:?}", start.elapsed());
    let gpu = gpu(&nvml, 0);
    let start = Instant::now();
    for _ in 0..10 {
        gpu.pcie_throughput(nvml_wrapper::enum_wrappers::device::PcieUtilCounter::Send).unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(199), "{:?}", start.elapsed());
}
