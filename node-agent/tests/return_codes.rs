//! Every return code of NVML at every call that the sampler makes, through the real sampler and the real judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;
mod sampler_support;

use std::collections::BTreeSet;

use crds::node_health::{Monitor, NodeHealthSpec};
use crds::{Check, Outcome, reason};
use node_agent::judge::core::hardware::as_reported;
use node_agent::judge::{Expectation, Hardware, KernelLog, Measurements, Memory, Readings, Standing, judge};
use node_agent::probe::driver::SYMBOLS;
use node_agent::readings::inventory::{Accelerator, ConfigSpace, Vendor};
use node_agent::readings::return_codes::CODES;
use node_agent::readings::sample::{Sample, Section};
use node_agent::readings::{Said, TreeReport};
use node_agent::time::Now;
use probe_support::Simulated;
use sampler_support::Talking;
use serde_json::{Value, json};

const ADDRESSES: [&str; 2] = ["0000:18:00.0", "0000:2a:00.0"];
/// A code that no header has.
const NAMELESS: u32 = 77;
/// Calls of which a failure is not seen by any sample: waiting for events, and the end.
const UNSEEN: [&str; 6] = [
    "nvmlShutdown",
    "nvmlEventSetCreate",
    "nvmlEventSetFree",
    "nvmlEventSetWait_v2",
    "nvmlDeviceGetSupportedEventTypes",
    "nvmlDeviceRegisterEvents",
];
/// Called once per link and load, or only where a newer function is missing.
const FALLBACKS: [(&str, &str); 3] = [
    ("nvmlDeviceGetGpuFabricInfo", "nvmlDeviceGetGpuFabricInfoV"),
    ("nvmlDeviceGetRetiredPages", "nvmlDeviceGetRetiredPages_v2"),
    ("nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetCurrentClocksEventReasons"),
];

fn machine(calls: &Value, of_second: &Value, missing: &[&str]) -> Value {
    let nvlink = json!({"links": {"3": {"remote": "0000:05:00.0"}}});
    json!({"calls": calls, "missing": missing, "gpus": [
        {"pci": ADDRESSES[0]}, {"pci": ADDRESSES[1], "calls": of_second, "nvlink": nvlink},
    ]})
}

/// The machine in which this call fails, about the second GPU if it is about one.
fn failing(symbol: &str, code: u32) -> Value {
    let fault = json!({symbol: {"return": code}});
    let missing: Vec<&str> = FALLBACKS.iter().filter(|(old, _)| *old == symbol).map(|(_, newer)| *newer).collect();
    let is_about_a_gpu = symbol.starts_with("nvmlDevice") && symbol != "nvmlDeviceGetCount_v2";
    let (calls, of_second) = if is_about_a_gpu { (json!({}), fault) } else { (fault, json!({})) };
    machine(&calls, &of_second, &missing)
}

fn tree() -> TreeReport {
    let gpu = |address: &str| Accelerator {
        address: address.to_owned(),
        vendor: Vendor::Nvidia,
        device: 0x2330,
        class: 0x0302,
        numa_node: None,
        driver: Some("nvidia".to_owned()),
        slot: None,
        config_space: ConfigSpace::Answers,
    };
    TreeReport { pci: ADDRESSES.map(gpu).to_vec(), ..TreeReport::default() }
}

/// What is found on a node that was healthy a minute ago.
fn judged(before: &Sample, after: &Sample) -> Standing {
    let monitors = Check::ALL.iter().filter(|check| check.is_monitor() && check.is_built());
    let monitors = monitors.map(|check| Monitor { name: check.name().into(), interval_seconds: None }).collect();
    let spec = NodeHealthSpec { monitors, ..NodeHealthSpec::default() };
    let expected = Expectation { spec: Some(&spec), booted_at: None };
    let (mut readings, mut memory) = (Readings::default(), Memory::default());
    let mut standing = Standing::default();
    // Twice, as some rules want two readings in a row.
    for (minute, sample) in [(0, before), (1, after), (2, after)] {
        let now =
            Now { unix_ms: 1_800_000_000_000 + minute * 60_000, mono_ms: 1_000_000 + minute.unsigned_abs() * 60_000 };
        readings.take(sample, now.mono_ms);
        readings.tree = Some((tree(), now.mono_ms));
        memory.note_sample(sample, now);
        let hardware = Hardware::of(&readings);
        let Hardware::Seen(report) = &hardware else { panic!("{hardware:?}") };
        let gpus = as_reported(report).gpus;
        let log = KernelLog::default();
        let measured =
            Measurements { hardware: &hardware, kernel_log: &log, readings: &readings, memory: &memory, gpus: &gpus };
        standing = judge(&expected, &measured, standing, now);
    }
    standing
}

/// Nothing is said that was not read, and only two codes condemn.
fn check(symbol: &str, code: u32, sample: &Sample, standing: &Standing) {
    let at = format!("{symbol} answers {code}");
    let condemning: BTreeSet<&str> = standing
        .findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Fail && finding.severity.condemns())
        .map(|finding| finding.reason.as_str())
        .collect();
    match code {
        15 | 16 if sample.view.status == "Ok" && sample.view.errors.is_empty() => {}
        15 => assert_eq!(condemning, BTreeSet::from([reason::GPU_LOST]), "{at}"),
        16 => assert_eq!(condemning, BTreeSet::from([reason::RESET_REQUIRED]), "{at}"),
        _ => assert!(condemning.is_empty(), "{at}: {condemning:?}"),
    }
    let is_found = |target: &str| standing.findings.iter().any(|finding| finding.target == target);
    for row in &standing.rows {
        assert_ne!(row.reason.as_deref(), Some(reason::NO_ACCELERATOR), "{at}: {row:?}");
        for gpu in row.covered.iter().filter(|target| ADDRESSES.contains(&target.as_str())) {
            let was_read = sample.gpus.iter().any(|reading| reading.pci == *gpu);
            assert!(was_read || is_found(gpu), "{at}: {} covers {gpu}, which was not read", row.check);
        }
    }
}

fn row(standing: &Standing, check: &str) -> String {
    let row = standing.rows.iter().find(|row| row.check == check).expect("a row for each monitor");
    let gpus = row.covered.iter().filter(|target| ADDRESSES.contains(&target.as_str())).count();
    format!("{}/{} {gpus} of 2", row.outcome.as_str(), row.reason.as_deref().unwrap_or("-"))
}

#[tokio::test]
async fn no_code_but_lost_and_reset_required_condemns_whatever_call_returns_it() {
    let healthy = machine(&json!({}), &json!({}), &[]);
    let simulated = Simulated::new(&healthy);
    let mut talking = Talking::with(&simulated).await;
    let before = talking.sample(Section::ALL).await;
    println!(
        "{:<5}{:<25}{:<50}{:<50}at a reading (driver)",
        "code", "name", "at init (driver)", "at a handle (driver, inventory)"
    );
    let codes = CODES.iter().map(|row| (row.code, row.name)).chain([(NAMELESS, "-")]);
    for (code, name) in codes {
        let mut line = [String::new(), String::new(), String::new()];
        for symbol in SYMBOLS.iter().filter(|symbol| !UNSEEN.contains(symbol)) {
            if *symbol == "nvmlInit_v2" {
                simulated.becomes(&json!({"calls": {"nvmlDeviceGetCount_v2": {"return": 1}}}));
                talking.sample(&[]).await;
            }
            simulated.becomes(&failing(symbol, code));
            let after = talking.sample(Section::ALL).await;
            let standing = judged(&before, &after);
            check(symbol, code, &after, &standing);
            match *symbol {
                "nvmlInit_v2" => line[0] = row(&standing, "driver"),
                "nvmlDeviceGetHandleByIndex_v2" => {
                    line[1] = format!("{}, {}", row(&standing, "driver"), row(&standing, "inventory"));
                }
                "nvmlDeviceGetUUID" => line[2] = row(&standing, "driver"),
                _ => {}
            }
            simulated.becomes(&healthy);
            assert_eq!(talking.sample(Section::ALL).await.view.status, "Ok", "after {symbol} {code}");
        }
        println!("{code:<5}{name:<25}{:<50}{:<50}{}", line[0], line[1], line[2]);
    }
}

#[tokio::test]
async fn a_gpu_whose_address_cannot_be_read_is_read_and_told_under_its_index() {
    let simulated = Simulated::new(&failing("nvmlDeviceGetPciInfo_v3", 999));
    let mut talking = Talking::with(&simulated).await;
    let sample = talking.sample(Section::ALL).await;
    let targets: Vec<&str> = sample.gpus.iter().map(|gpu| gpu.pci.as_str()).collect();
    assert_eq!(targets, [ADDRESSES[0], "index:1"]);
    assert!(sample.gpus[1].power.as_ref().unwrap().draw_milliwatts.is_some());
    let standing = judged(&sample, &sample);
    assert_eq!(
        standing.findings.iter().find(|finding| finding.target == "index:1").unwrap().reason,
        reason::DRIVER_ERROR
    );
    let ecc = standing.rows.iter().find(|row| row.check == "ecc").unwrap();
    assert_eq!(*ecc.covered, [ADDRESSES[0], "index:1"]);
    let inventory = standing.rows.iter().find(|row| row.check == "inventory").unwrap();
    assert_eq!(*inventory.covered, [ADDRESSES[0], "node"]);
}

#[tokio::test]
async fn an_address_that_was_read_before_is_that_of_the_index_also_while_it_cannot_be_read() {
    let simulated = Simulated::new(&machine(&json!({}), &json!({}), &[]));
    let mut talking = Talking::with(&simulated).await;
    talking.sample(&[]).await;
    simulated.becomes(&failing("nvmlDeviceGetPciInfo_v3", 999));
    let sample = talking.sample(&[Section::Power]).await;
    let targets: Vec<&str> = sample.gpus.iter().map(|gpu| gpu.pci.as_str()).collect();
    assert_eq!(targets, ADDRESSES);
}

#[tokio::test]
async fn a_code_that_says_nothing_at_init_does_not_load_the_library_again_each_time() {
    let simulated = Simulated::new(&json!({"calls": {"nvmlInit_v2": {"return": NAMELESS}}}));
    let mut talking = Talking::with(&simulated).await;
    for _ in 0..3 {
        assert_eq!(talking.sample(&[]).await.view.status, "Unknown(77)");
    }
    // Whoever loaded it now would see another answer.
    simulated.becomes(&json!({"calls": {"nvmlInit_v2": "hang"}}));
    for _ in 0..50 {
        talking.ask(&[]);
        let Said::Sample { sample, .. } = talking.said().await else { panic!("it was loaded again") };
        assert_eq!((sample.view.status.as_str(), sample.view.message.is_some()), ("Unknown(77)", true));
    }
}
