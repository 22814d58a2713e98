//! Event sets.

#![allow(unsafe_code, reason = "raw calls of C functions, and the environment of this process")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod support;

use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper_sys::bindings::{nvmlEventData_t, nvmlEventSet_t};
use serde_json::{Value, json};
use support::{Machine, gpu};

fn state(events: &Value) -> Value {
    json!({"events": events, "gpus": [{"pci": "0000:18:00.0"}, {"pci": "0000:2a:00.0"}]})
}

/// A set of both GPUs.
fn set(nvml: &Nvml, bits: u64) -> nvmlEventSet_t {
    let mut set = std::ptr::null_mut();
    // SAFETY: room for one handle; the devices live as long as the library.
    unsafe {
        assert_eq!(nvml.lib().nvmlEventSetCreate(&raw mut set), 0);
        for index in 0..2 {
            assert_eq!(nvml.lib().nvmlDeviceRegisterEvents(gpu(nvml, index).handle(), bits, set), 0);
        }
    }
    set
}

/// The GPU's index, the bits and the data of the next event.
fn next(nvml: &Nvml, set: nvmlEventSet_t, timeout: u32) -> Result<(u32, u64, u64), u32> {
    // SAFETY: zeros are a value of the type; the room is that of the type.
    unsafe {
        let mut data: nvmlEventData_t = std::mem::zeroed();
        match nvml.lib().nvmlEventSetWait_v2(set, &raw mut data, timeout) {
            0 => {
                let mut index = 99;
                nvml.lib().nvmlDeviceGetIndex(data.device, &raw mut index);
                Ok((index, data.eventType, data.eventData))
            }
            code => Err(code),
        }
    }
}

#[test]
fn each_set_delivers_each_event_once_and_those_of_the_past_never() {
    let past = json!({"seq": 1, "pci": "0000:18:00.0", "bits": 8, "data": 31});
    let machine = Machine::new(&state(&json!([past])));
    let nvml = machine.load();
    let (first, second) = (set(&nvml, 0x8008), set(&nvml, 8));
    assert_eq!(next(&nvml, first, 0), Err(10));
    machine.becomes(&state(&json!([
        past,
        {"seq": 2, "pci": "0000:2a:00.0", "bits": 8, "data": 79},
        {"seq": 3, "pci": "0000:18:00.0", "bits": 0x8000, "data": 1},
        {"seq": 4, "pci": "0000:18:00.0", "bits": 1},
    ])));
    assert_eq!(next(&nvml, first, 0), Ok((1, 8, 79)));
    assert_eq!(next(&nvml, first, 0), Ok((0, 0x8000, 1)));
    assert_eq!(next(&nvml, first, 0), Err(10));
    assert_eq!((next(&nvml, second, 0), next(&nvml, second, 0)), (Ok((1, 8, 79)), Err(10)));
    // What is `late` reaches a set of later, too.
    machine.becomes(&state(&json!([{"seq": 9, "pci": "0000:18:00.0", "bits": 8, "data": 48, "late": true}])));
    let third = set(&nvml, 8);
    assert_eq!((next(&nvml, third, 0), next(&nvml, third, 0)), (Ok((0, 8, 48)), Err(10)));
}

#[test]
fn a_waiting_set_wakes_when_the_event_comes() {
    let machine = Machine::new(&state(&json!([])));
    let nvml = machine.load();
    let set = set(&nvml, 8);
    let start = Instant::now();
    assert_eq!(next(&nvml, set, 150), Err(10));
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    let start = Instant::now();
    let got = std::thread::scope(|scope| {
        let (nvml, set) = (&nvml, set.addr());
        let waiting = scope.spawn(move || next(nvml, std::ptr::without_provenance_mut(set), 60_000));
        machine.becomes(&state(&json!([{"seq": 1, "pci": "0000:18:00.0", "bits": 8, "data": 79}])));
        waiting.join().unwrap()
    });
    assert_eq!(got, Ok((0, 8, 79)));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn several_xids_of_one_gpu_all_bear_the_number_of_the_last() {
    let machine = Machine::new(&state(&json!([])));
    let nvml = machine.load();
    let set = set(&nvml, 8);
    machine.becomes(&state(&json!([
        {"seq": 1, "pci": "0000:18:00.0", "bits": 8, "data": 94},
        {"seq": 2, "pci": "0000:2a:00.0", "bits": 8, "data": 31},
        {"seq": 3, "pci": "0000:18:00.0", "bits": 8, "data": 95},
    ])));
    let all: Vec<_> = (0..3).map(|_| next(&nvml, set, 0).unwrap()).collect();
    assert_eq!(all, [(0, 8, 95), (1, 8, 31), (0, 8, 95)]);
}

#[test]
fn the_wrappers_own_set_works_and_what_a_gpu_cannot_announce_is_refused() {
    let machine = Machine::new(&json!({"gpus": [{"pci": "0000:18:00.0", "supported_events": 9}]}));
    let nvml = machine.load();
    let gpu = gpu(&nvml, 0);
    assert_eq!(gpu.supported_event_types_strict().unwrap().bits(), 9);
    let refused = gpu.register_events(EventTypes::PSTATE_CHANGE, nvml.create_event_set().unwrap());
    assert!(refused.is_err());
    let set = gpu.register_events(EventTypes::CRITICAL_XID_ERROR, nvml.create_event_set().unwrap()).unwrap();
    machine.becomes(&json!({
        "events": [{"seq": 1, "pci": "0000:18:00.0", "bits": 8, "data": 63}],
        "gpus": [{"pci": "0000:18:00.0", "supported_events": 9}],
    }));
    let event = set.wait(1_000).unwrap();
    assert_eq!(format!("{:?}", event.event_data), "Some(Value(63))");
    set.release_events().unwrap();
}
