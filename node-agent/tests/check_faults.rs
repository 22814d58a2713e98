//! `gpu-health-agent check` in one call on each fault that the simulated library can make, as one printed table:
//! `cargo test -p node-agent --test check_faults -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod check_support;
mod probe_support;

use check_support::{command, document, machine, machine_at};
use node_agent::probe::driver::SYMBOLS;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What is declared of the machine.
const PROFILE: &str = "\
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHardwareProfile
metadata: {name: h100}
spec:
  match: {gpuModels: [H100]}
  gpus: {vendor: nvidia, count: 8, models: [H100], eccRequired: true, nvlinkLinks: 18, pcie: {generation: 5, width: 16}}
---
apiVersion: gpuhealth.dev/v1alpha1
kind: NodeHardwareProfile
metadata: {name: tray}
spec:
  match: {gpuModels: [GB200, GB300]}
  gpus: {vendor: nvidia, count: 4, models: [GB200, GB300], eccRequired: true, nvlinkLinks: 18}
";

/// The compute tray of an NVL72 rack: one GPU in each of four PCI domains.
const TRAY: [&str; 4] = ["0008:01:00.0", "0009:01:00.0", "0018:01:00.0", "0019:01:00.0"];

/// One machine: what is wrong with it, and what `check` must say.
struct Row {
    name: String,
    /// Changes the state, before the look and every 200 ms while it lasts; the number counts up.
    edit: Box<Edit>,
    exit: i32,
    /// The reason of a finding or, where nothing is found, of a row or a gap.
    reason: &'static str,
    profile: bool,
    /// A tray instead of eight GPUs.
    tray: bool,
}

type Edit = dyn Fn(&mut Value, u64) + Send + Sync;

fn row(name: &str, exit: i32, reason: &'static str, change: impl Fn(&mut Value, u64) + Send + Sync + 'static) -> Row {
    Row { name: name.to_owned(), edit: Box::new(change), exit, reason, profile: true, tray: false }
}

/// A fault of GPU 3, by the members of its state.
fn gpu(name: &str, reason: &'static str, members: Value) -> Row {
    row(name, 1, reason, move |state, _| {
        for (member, value) in members.as_object().unwrap() {
            state["gpus"][3][member] = value.clone();
        }
    })
}

/// A fault of the whole machine.
fn whole(name: &str, exit: i32, reason: &'static str, members: Value) -> Row {
    row(name, exit, reason, move |state, _| {
        for (member, value) in members.as_object().unwrap() {
            state[member] = value.clone();
        }
    })
}

/// Counters of GPU 3 that rise while the look lasts.
fn rising(name: &str, reason: &'static str, bit: u64, counter: &'static str) -> Row {
    row(name, 1, reason, move |state, tick| {
        state["gpus"][3]["utilization"] = json!({"gpu": 95, "memory": 50});
        state["gpus"][3]["clocks"] = json!({"reasons": bit, counter: tick * 150_000_000});
    })
}

/// A tray with this driver. GPU 3 has these members, which count up with the tick where they hold `"tick"`.
fn tray(name: &str, driver: &'static str, exit: i32, reason: &'static str, members: Value) -> Row {
    let name = format!("tray, driver {driver}: {name}");
    let change = move |state: &mut Value, tick: u64| {
        (state["driver"], state["model"]) = (json!(driver), json!("GB300"));
        let members: Value =
            serde_json::from_str(&members.to_string().replace("\"tick\"", &(tick * 10).to_string())).unwrap();
        for (member, value) in members.as_object().unwrap() {
            state["gpus"][3][member] = value.clone();
        }
    };
    Row { tray: true, ..row(&name, exit, reason, change) }
}

/// What newer drivers and GPUs report, and what is no fault of theirs.
fn newer() -> Vec<Row> {
    const NEW: &str = "620.12.01";
    let link = |link: Value| json!({"nvlink": {"links": {"5": link}}});
    let fabric = |mask: u32, summary: u32| json!({"fabric": {"mask": mask, "summary": summary}});
    let all_in_progress = |state: &mut Value, _| {
        for gpu in state["gpus"].as_array_mut().unwrap() {
            gpu["fabric"] = json!({"state": 2});
        }
    };
    let unsure = row("every fabric in progress, no profile", 2, "FabricNotReady", all_in_progress);
    vec![
        tray("healthy", NEW, 0, "", json!({})),
        tray("healthy", "570.86.15", 0, "", json!({})),
        tray("too hot by its margin", NEW, 1, "AboveSlowdown", json!({"temperature": {"gpu": 91}})),
        tray("at its margin", NEW, 0, "", json!({"temperature": {"gpu": 89}})),
        tray("bank remap pending", NEW, 1, "BankRemapPending", json!({"remap": {"bank": {"pending": true}}})),
        tray("channel repair pending", NEW, 1, "RepairPending", json!({"repair": {"channel_pending": true}})),
        tray("TPC repair pending", NEW, 1, "RepairPending", json!({"repair": {"tpc_pending": true}})),
        tray("unrepairable memory", NEW, 0, "UnrepairableMemory", json!({"unrepairable_memory": true})),
        tray("a group without spare bank", NEW, 0, "NoSpareBanks", json!({"remap": {"bank": {"groups_without": 1}}})),
        tray("a link without traffic", NEW, 1, "LinksBelowProfile", link(json!({"state": 3}))),
        tray("a link asleep", NEW, 0, "", link(json!({"state": 2}))),
        tray("18 of 36 links down", NEW, 0, "", json!({"nvlink": {"count": 36, "bridged": false, "links": up(18)}})),
        tray(
            "19 of 36 links down",
            NEW,
            1,
            "LinksBelowProfile",
            json!({"nvlink": {"count": 36, "bridged": false, "links": up(17)}}),
        ),
        tray("a link recovers", NEW, 0, "LinkErrors", link(json!({"recovery_successes": "tick"}))),
        tray(
            "a link with bit errors",
            NEW,
            0,
            "LinkBitErrors",
            link(json!({"effective_ber": 0x206, "effective_errors": "tick"})),
        ),
        tray("bit errors long past", NEW, 0, "", link(json!({"effective_ber": 0x206, "effective_errors": 9_000_000}))),
        tray("totals of a year", NEW, 0, "", link(json!({"recovery_successes": 40, "receive_errors": 90_000}))),
        tray("no global fabric manager", NEW, 0, "FabricDegraded", fabric(0x81aa, 1)),
        tray("no partition assigned", NEW, 0, "FabricNoPartition", fabric(0x21aa, 1)),
        tray("no partition configured", NEW, 0, "FabricNoPartition", fabric(0x4aa, 2)),
        tray("fabric in progress", NEW, 1, "FabricNotReady", json!({"fabric": {"state": 2}})),
        tray(
            "board limit and reliability",
            NEW,
            0,
            "",
            json!({"clocks": {"reasons": 0x600}, "utilization": at_work()}),
        ),
        Row { profile: false, ..unsure },
    ]
}

/// So many of the first links, up.
fn up(links: u32) -> Value {
    (0..links).map(|link| (link.to_string(), json!({"up": true}))).collect::<serde_json::Map<_, _>>().into()
}

/// Every link exists, and none is up.
fn no_links() -> Value {
    let down = (0..18).map(|link| (link.to_string(), json!({"up": false})));
    json!({"nvlink": {"links": down.collect::<serde_json::Map<_, _>>()}})
}

fn at_work() -> Value {
    json!({"gpu": 95, "memory": 50})
}

/// Members of a GPU's state.
fn states() -> Vec<Row> {
    vec![
        gpu("lost", "GpuLost", json!({"lost": true})),
        gpu("every call says lost", "GpuLost", json!({"fault": {"return": 15}})),
        gpu("every call says reset required", "ResetRequired", json!({"fault": {"return": 16}})),
        gpu("no handle", "NotInDriver", json!({"hole": true})),
        gpu("row remap pending", "RemapPending", json!({"remap": {"uncorrectable": 1, "pending": true}})),
        gpu("row remap failed", "RemapFailed", json!({"remap": {"failure": true}})),
        gpu("uncorrectable errors", "EccUncorrectable", json!({"ecc": {"volatile_uncorrected": 2}})),
        gpu("SRAM threshold", "SramThresholdExceeded", json!({"ecc": {"sram_threshold": true}})),
        gpu("hardware slowdown", "HwSlowdown", json!({"clocks": {"reasons": 8}, "utilization": at_work()})),
        rising("hardware thermal slowdown", "HwThermalSlowdown", 0x48, "hw_thermal_ns"),
        rising("power brake", "PowerBrake", 0x88, "power_brake_ns"),
        gpu("too hot", "AboveSlowdown", json!({"temperature": {"gpu": 97}})),
        gpu("memory too hot", "MemoryAboveMaximum", json!({"temperature": {"memory": 120}})),
        gpu("PCIe x8", "WidthBelowProfile", json!({"pcie": {"width": 8}})),
        gpu(
            "PCIe generation 1",
            "GenerationBelowProfile",
            json!({"pcie": {"generation": 1}, "utilization": at_work()}),
        ),
        gpu("an NVLink is down", "LinksBelowProfile", json!({"nvlink": {"links": {"3": {"up": false}}}})),
        gpu("no NVLink of one GPU is active (azurehpc-health-checks)", "LinksBelowProfile", no_links()),
        Row {
            exit: 0,
            ..gpu(
                "a clock reason without a name, in P2 (mcx 18)",
                "",
                json!({"clocks": {"reasons": 0x8000}, "performance_state": 2, "utilization": at_work()}),
            )
        },
        gpu("fabric not started", "FabricNotReady", json!({"fabric": {"state": 1}})),
        gpu("fabric in progress", "FabricNotReady", json!({"fabric": {"state": 2}})),
        gpu("fabric failed", "FabricFailed", json!({"fabric": {"status": 999}})),
        gpu("fabric route unhealthy", "FabricUnhealthy", json!({"fabric": {"mask": 0x10}})),
        gpu("fabric summary unhealthy", "FabricUnhealthy", json!({"fabric": {"summary": 2}})),
        gpu("recovery: reset", "RecoveryGpuReset", json!({"recovery_action": 1})),
        gpu("recovery: reboot", "RecoveryNodeReboot", json!({"recovery_action": 2})),
        gpu("recovery: drain peers", "RecoveryDrainPeers", json!({"recovery_action": 3})),
        gpu("recovery: drain and reset", "RecoveryDrainAndReset", json!({"recovery_action": 4})),
    ]
}

/// Members of the machine's state, and faults that say nothing about the hardware.
fn machines() -> Vec<Row> {
    let event = json!({"seq": 1, "pci": "0000:4b:00.0", "bits": 8, "data": 79, "late": true});
    let garbage = |state: &mut Value, _| state["gpus"][3]["fault"] = json!("garbage");
    vec![
        whole("the driver announces Xid 79", 1, "FallenOffTheBus", json!({"events": [event]})),
        whole("kernel module not loaded", 1, "DriverNotLoaded", json!({"calls": {"nvmlInit_v2": {"return": 9}}})),
        whole("init fails", 2, "DriverError", json!({"calls": {"nvmlInit_v2": {"return": 999}}})),
        whole("a call crashes", 2, "SamplerCrashed", json!({"calls": {"nvmlDeviceGetPowerUsage": "segfault"}})),
        whole("a call aborts", 2, "SamplerCrashed", json!({"calls": {"nvmlDeviceGetPowerUsage": "abort"}})),
        row("one GPU answers garbage", 2, "did not judge GPU", garbage),
        whole("answers five functions", 2, "judged no GPU", json!({"missing": all_but_five()})),
    ]
}

/// The first five functions of every program that uses the library; the sampler finds the GPUs and nothing about them.
fn all_but_five() -> Vec<&'static str> {
    const FIVE: [&str; 5] = [
        "nvmlInit_v2",
        "nvmlShutdown",
        "nvmlDeviceGetCount_v2",
        "nvmlDeviceGetHandleByIndex_v2",
        "nvmlDeviceGetPciInfo_v3",
    ];
    SYMBOLS.iter().copied().filter(|symbol| !FIVE.contains(symbol)).collect()
}

/// Functions that a sampler does not call on a healthy H100: what replaces them is there.
const NOT_CALLED: [&str; 9] = [
    "nvmlShutdown",
    "nvmlEventSetFree",
    "nvmlDeviceGetCurrentClocksThrottleReasons",
    "nvmlDeviceGetGpuFabricInfo",
    "nvmlDeviceGetRetiredPages",
    "nvmlDeviceGetRetiredPages_v2",
    "nvmlDeviceGetRetiredPagesPendingStatus",
    "nvmlDeviceGetNvLinkRemotePciInfo_v2",
    "nvmlDeviceGetNvLinkState",
];

fn hangs() -> Vec<Row> {
    let called = SYMBOLS.iter().filter(|symbol| !NOT_CALLED.contains(symbol));
    called.map(|symbol| whole(&format!("{symbol} hangs"), 1, "CallHung", json!({"calls": {*symbol: "hang"}}))).collect()
}

/// Every model of the library, healthy.
fn models() -> Vec<Row> {
    let models: Value = serde_json::from_str(include_str!("../../tests/fake-nvml/src/models.json")).unwrap();
    let names: Vec<String> = models.as_object().unwrap().keys().cloned().collect();
    let healthy = |name: String, driver: &'static str| {
        let model = name.clone();
        let change = move |state: &mut Value, _| (state["model"], state["driver"]) = (json!(model), json!(driver));
        let row = row(&format!("{name}, healthy, driver {driver}"), 0, "", change);
        Row { profile: name == "H100-SXM", ..row }
    };
    let older = names.clone().into_iter().map(|name| healthy(name, "570.86.15"));
    let newest = names.into_iter().map(|name| healthy(name, "620.12.01"));
    older.chain(newest).collect()
}

/// What `check` said: the exit status, and everything that could be a reason.
fn look(row: &Row) -> (i32, String) {
    let edit = |state: &mut Value| (row.edit)(state, 0);
    let machine = if row.tray { machine_at(&TRAY, edit) } else { machine(8, edit) };
    let folder = machine.path();
    std::fs::write(folder.join("profile.yaml"), PROFILE).unwrap();
    let profile = folder.join("profile.yaml").display().to_string();
    let mut args = vec!["-o", "json", "--call-deadline-ms", "500", "--init-deadline-ms", "3000"];
    if row.profile {
        args.extend(["--profile", profile.as_str()]);
    }
    let mut looking = command(folder, &args).stdout(Stdio::piped()).spawn().unwrap();
    let mut tick = 0;
    // The hardware goes on while it is looked at.
    while looking.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(200));
        tick += 1;
        become_older(folder, row, tick);
    }
    let output = looking.wait_with_output().unwrap();
    let document = document(&output);
    let list = |of: &str| document[of].as_array().cloned().unwrap_or_default();
    let findings = list("findings").into_iter().map(|finding| finding["reason"].clone());
    let open = list("checks").into_iter().filter(|check| check["outcome"] == "Inconclusive");
    let reasons = findings.chain(open.map(|check| check["reason"].clone())).chain(list("notJudged"));
    let mut said: Vec<String> = reasons.map(|reason| reason.as_str().unwrap_or_default().to_owned()).collect();
    said.dedup();
    (output.status.code().unwrap(), said.join("; "))
}

fn become_older(folder: &Path, row: &Row, tick: u64) {
    let file = folder.join("state.json");
    let mut state: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let before = state.clone();
    (row.edit)(&mut state, tick);
    if state != before {
        std::fs::write(folder.join("next.json"), state.to_string()).unwrap();
        std::fs::rename(folder.join("next.json"), file).unwrap();
    }
}

#[test]
fn each_fault_of_the_simulated_library_is_told_in_one_call_and_no_healthy_model_is() {
    probe_support::simulated_nvml();
    let rows: Vec<Row> = [models(), states(), newer(), machines(), hangs()].into_iter().flatten().collect();
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((at, row)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, rows.get(at)?)))
                {
                    let (exit, said) = look(row);
                    let says = if row.reason.is_empty() { said.is_empty() } else { said.contains(row.reason) };
                    let is_right = exit == row.exit && says;
                    table.lock().unwrap().push((at, is_right, exit, said));
                }
            });
        }
    });
    let mut table = table.into_inner().unwrap();
    table.sort_unstable_by_key(|(at, ..)| *at);
    println!("{:<55} {:>4}  {:<24} SAID", "MACHINE", "EXIT", "EXPECTED");
    for (at, is_right, exit, said) in &table {
        let Row { name, exit: expected, reason, .. } = &rows[*at];
        let wrong = if *is_right { "" } else { " <- WRONG" };
        let said: String = said.chars().take(80).collect();
        println!("{name:<55} {exit:>4}  {expected} {reason:<22} {said}{wrong}");
    }
    assert!(table.iter().all(|(_, is_right, ..)| *is_right), "rows marked WRONG");
}
