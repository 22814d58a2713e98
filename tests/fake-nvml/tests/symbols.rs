//! What the library exports, and that each function keeps its type, answers a healthy GPU, and plays faults.

#![allow(unsafe_code, reason = "raw calls of C functions")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod support;
#[path = "../src/symbols.rs"]
mod symbols;

use std::collections::BTreeSet;

use nvml_wrapper::Nvml;
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use serde_json::{Value, json};
use support::calls::{CALLS, Call, Ground, Room};
use support::{Machine, gpu, library};
use symbols::SYMBOLS;

/// One GPU that supports all at once that a real one supports only by model, and a second with a MIG device.
fn all_supported() -> Value {
    json!({"driver": "620.10.01", "gpus": [
        {"pci": "0000:18:00.0", "retired": {}, "platform": {"slot": 1}, "remap": {"bank": {}},
            "processes": [{"pid": 4321, "kind": "compute"}]},
        {"pci": "0000:2a:00.0", "mig": {"enabled": true, "instances": [{"memory_mib": 9984}]}},
    ]})
}

/// Names of the functions that an ELF file of 64 bits exports.
fn exported(file: &[u8]) -> BTreeSet<String> {
    let word = |at: usize, bytes: usize| {
        let slice = &file[at..at + bytes];
        slice.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let place = |at: usize| usize::try_from(word(at, 8)).unwrap();
    let (sections, size, count) = (place(0x28), word(0x3a, 2), word(0x3c, 2));
    let section = |number: u64| sections + usize::try_from(number * size).unwrap();
    // SHT_DYNSYM, and the strings that it is linked to.
    let dynsym = (0..count).map(section).find(|at| word(at + 4, 4) == 11).expect("a table of dynamic symbols");
    let strings = place(section(word(dynsym + 0x28, 4)) + 0x18);
    let (start, length) = (place(dynsym + 0x18), place(dynsym + 0x20));
    let symbols = (start..start + length).step_by(24);
    // Defined here: section 0 is that of what is wanted from elsewhere.
    let own = symbols.filter(|at| word(at + 6, 2) != 0);
    own.map(|at| {
        let name = &file[strings + usize::try_from(word(at, 4)).unwrap()..];
        String::from_utf8(name.iter().copied().take_while(|byte| *byte != 0).collect()).unwrap()
    })
    .collect()
}

#[test]
fn the_library_exports_the_functions_of_the_list_and_no_other() {
    let exported = exported(&std::fs::read(library()).unwrap());
    let own: Vec<&str> = exported.iter().map(String::as_str).filter(|name| name.starts_with("nvml")).collect();
    assert_eq!(own, SYMBOLS);
    // As the product finds them.
    // SAFETY: loading runs no code of ours, and a symbol is only looked up.
    let loaded = unsafe { libloading::Library::new(library()) }.unwrap();
    for name in SYMBOLS {
        // SAFETY: as above.
        let found = unsafe { loaded.get::<unsafe extern "C" fn()>(name.as_bytes()) };
        assert!(found.is_ok(), "{name}");
    }
}

#[test]
fn every_function_of_the_list_is_called_here() {
    let apart = ["nvmlErrorString", "nvmlInitWithFlags", "nvmlInit_v2", "nvmlShutdown"];
    let mut called: Vec<&str> = CALLS.iter().map(|call| call.name).chain(apart).collect();
    called.sort_unstable();
    assert_eq!(called, SYMBOLS);
}

/// Makes each call and hands its code to the check.
fn call_all(nvml: &Nvml, mut check: impl FnMut(&Call, u32)) {
    let [gpu, other] = [gpu(nvml, 0), gpu(nvml, 1)];
    // SAFETY: the devices live as long as the library, which outlives the calls.
    let (gpu, other) = unsafe { (gpu.handle(), other.handle()) };
    for call in CALLS {
        let mut room = Room::default();
        let mut ground = Ground::new(nvml, [gpu, other], &mut room);
        // SAFETY: room for one handle each.
        unsafe {
            ground.lib.nvmlEventSetCreate(&raw mut ground.set);
            ground.lib.nvmlDeviceGetMigDeviceHandleByIndex(other, 0, &raw mut ground.instance);
        }
        if call.name == "nvmlDeviceGetMigDeviceHandleByIndex" {
            ground.gpu = other;
        }
        // SAFETY: the ground is as the calls need it.
        check(call, unsafe { (call.make)(&ground) });
    }
}

#[test]
fn every_function_answers_a_healthy_gpu() {
    let machine = Machine::new(&all_supported());
    call_all(&machine.load(), |call, code| {
        let expected = match call.name {
            "nvmlEventSetWait_v2" => 10,
            // Room for none, and there is one.
            "nvmlDeviceGetComputeRunningProcesses_v3" => 7,
            _ => 0,
        };
        assert_eq!(code, expected, "{}", call.name);
    });
}

#[test]
fn every_function_returns_the_code_that_is_asked_for() {
    let machine = Machine::new(&all_supported());
    let nvml = machine.load();
    for call in
        CALLS.iter().filter(|call| !["nvmlEventSetCreate", "nvmlDeviceGetMigDeviceHandleByIndex"].contains(&call.name))
    {
        for code in [1, 9, 15, 18, 999, 4242] {
            let mut state = all_supported();
            state["calls"] = json!({call.name: {"return": code}});
            machine.becomes(&state);
            // The handles are there already; only the one call is made.
            one(&nvml, call, code);
        }
        let mut state = all_supported();
        state["missing"] = json!([call.name]);
        machine.becomes(&state);
        one(&nvml, call, 13);
    }
}

fn one(nvml: &Nvml, call: &Call, expected: u32) {
    let mut room = Room::default();
    let ground = Ground::new(nvml, [std::ptr::without_provenance_mut(1); 2], &mut room);
    // SAFETY: the fault comes before the arguments are looked at.
    assert_eq!(unsafe { (call.make)(&ground) }, expected, "{}", call.name);
}

#[test]
fn a_gpu_that_fell_off_answers_so_in_every_call_and_the_other_goes_on() {
    let machine = Machine::new(&all_supported());
    let nvml = machine.load();
    call_all(&nvml, |_, _| {});
    for lost in [json!({"lost": true}), json!({"fault": {"return": 15}})] {
        let mut state = all_supported();
        machine.becomes(&state);
        let (first, second) = (gpu(&nvml, 0), gpu(&nvml, 1));
        // SAFETY: the devices live as long as the library.
        let (first, second) = unsafe { (first.handle(), second.handle()) };
        for (key, value) in lost.as_object().unwrap() {
            state["gpus"][0][key] = value.clone();
        }
        machine.becomes(&state);
        for call in CALLS.iter().filter(|call| call.about_gpu) {
            let mut room = Room::default();
            let ground = Ground::new(&nvml, [first, second], &mut room);
            // SAFETY: the ground is as the calls need it.
            assert_eq!(unsafe { (call.make)(&ground) }, 15, "{}", call.name);
        }
        assert!(gpu(&nvml, 1).name().is_ok());
    }
    // Taken out, the indices move up; the old handle still means the board that is gone, and none other.
    let (gone, stays) = (gpu_handle(&machine, &nvml, 0), gpu_handle(&machine, &nvml, 1));
    let mut state = all_supported();
    state["gpus"].as_array_mut().unwrap().remove(0);
    machine.becomes(&state);
    let mut index = 7;
    // SAFETY: room for one number.
    unsafe {
        assert_eq!(nvml.lib().nvmlDeviceGetIndex(gone, &raw mut index), 15);
        assert_eq!((nvml.lib().nvmlDeviceGetIndex(stays, &raw mut index), index), (0, 0));
    }
}

fn gpu_handle(machine: &Machine, nvml: &Nvml, index: u32) -> nvmlDevice_t {
    machine.becomes(&all_supported());
    // SAFETY: used only while the library is loaded.
    unsafe { gpu(nvml, index).handle() }
}

#[test]
fn calls_before_the_start_and_after_the_end_are_refused() {
    let machine = Machine::new(&all_supported());
    // SAFETY: typed as in nvml.h; the buffer has room for 80 characters.
    unsafe {
        let library = libloading::Library::new(library()).unwrap();
        let version = library.get::<unsafe extern "C" fn(*mut u8, u32) -> u32>(b"nvmlSystemGetDriverVersion").unwrap();
        let mut room = [0_u8; 80];
        assert_eq!(version(room.as_mut_ptr(), 80), 1);
        let nvml = machine.load();
        assert_eq!(version(room.as_mut_ptr(), 80), 0);
        // Started once more, ended once: still there.
        assert_eq!((nvml.lib().nvmlInitWithFlags(0), nvml.lib().nvmlShutdown()), (0, 0));
        assert_eq!(version(room.as_mut_ptr(), 80), 0);
        nvml.shutdown().unwrap();
        assert_eq!(version(room.as_mut_ptr(), 80), 1);
    }
}

#[test]
fn every_code_has_a_text_of_its_own() {
    let machine = Machine::new(&all_supported());
    let nvml = machine.load();
    let mut texts = BTreeSet::new();
    for code in (0..=30).chain([999]) {
        // SAFETY: the texts live as long as the library.
        let text = unsafe { std::ffi::CStr::from_ptr(nvml.lib().nvmlErrorString(code)) };
        assert!(texts.insert(text.to_str().unwrap().to_owned()), "{code}: {text:?}");
    }
}
