//! How long the sampler waits, what it takes for stuck, and when it loads the library anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;
mod sampler_support;

use node_agent::probe::driver::STALE_EXIT;
use node_agent::readings::sample::Section;
use node_agent::readings::talk::Said;
use node_agent::runner::protocol::{End, Reply};
use probe_support::runners::{Listening, sampler, with_library};
use probe_support::{AGENT, Simulated, simulated_nvml};
use sampler_support::Talking;
use serde_json::json;

#[tokio::test]
async fn the_sampler_lowers_its_own_limit_of_open_files_and_never_raises_it() {
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    let mut talking = Talking::with(&simulated).await;
    talking.sample(&[]).await;
    let limits = |pid: String| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap().to_owned();
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        (numbers[0], numbers[1])
    };
    let (own, its) = (limits("self".to_owned()), limits(talking.pid().to_string()));
    assert_eq!(its, (own.0.min(65_536), own.1.min(65_536)));
}

#[tokio::test]
async fn a_call_that_hangs_in_the_kernel_is_told_apart_from_one_that_waits() {
    for (fault, in_kernel) in [("hang", false), ("stuck", true)] {
        let simulated =
            Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0", "calls": {"nvmlDeviceGetPowerUsage": fault}}]}));
        let mut talking = Talking::with(&simulated).await;
        talking.ask(&[Section::Power]);
        let Said::Hung(hung) = talking.said().await else { panic!("not reported") };
        assert_eq!((hung.call.as_str(), hung.in_kernel), ("nvmlDeviceGetPowerUsage", in_kernel));
    }
}

/// The sampler of these tests reports any call after a second; the start of the library has its own deadline, which the
/// test of the command line shows to be another one.
#[tokio::test]
async fn a_slow_start_within_its_own_deadline_is_no_hang() {
    let simulated =
        Simulated::new(&json!({"calls": {"nvmlInit_v2": {"slow_ms": 2_500}}, "gpus": [{"pci": "0000:18:00.0"}]}));
    let mut talking = Talking::patient(&simulated, 60_000).await;
    let sample = talking.sample(&[]).await;
    assert_eq!((sample.view.status.as_str(), sample.view.gpus.len()), ("Ok", 1));
    assert_eq!(sample.slowest.unwrap().0, "nvmlInit_v2");
}

#[tokio::test]
async fn the_library_is_loaded_anew_when_asked_to_and_when_a_device_node_appears() {
    let one = json!({"gpus": [{"pci": "0000:18:00.0"}], "calls": {"nvmlInit_v2": {"return": 9}}});
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    let mut talking = Talking::with(&simulated).await;
    std::fs::write(talking.devices.path().join("nvidia0"), "").unwrap();
    assert_eq!(talking.sample(&[]).await.device_nodes, Some(vec![0]));
    // Only a library that is loaded again sees that its driver is gone.
    simulated.becomes(&one);
    assert_eq!(talking.sample(&[]).await.view.status, "Ok");
    talking.ask_with(&[], true);
    assert_eq!(talking.answer().await.view.status, "DriverNotLoaded");

    simulated.becomes(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    assert_eq!(talking.sample(&[]).await.view.status, "Ok");
    simulated.becomes(&one);
    std::fs::remove_file(talking.devices.path().join("nvidia0")).unwrap();
    assert_eq!(talking.sample(&[]).await.view.status, "Ok", "one that goes is no reason");
    std::fs::write(talking.devices.path().join("nvidia0"), "").unwrap();
    assert_eq!(talking.sample(&[]).await.view.status, "DriverNotLoaded");
}

/// What the library and the module say after the driver was upgraded under the sampler.
fn upgraded(module: &str) -> serde_json::Value {
    json!({"driver": "570.86.15", "module": module, "gpus": [{"pci": "0000:18:00.0"}]})
}

#[tokio::test]
async fn a_library_older_than_the_module_is_told_and_then_ends_the_sampler_with_a_status_of_its_own() {
    for (module, ends) in [("580.65.06", true), ("550.54.15", false)] {
        let simulated = Simulated::new(&upgraded(module));
        let mut talking = Talking::with(&simulated).await;
        let version = talking.devices.path().join("module/nvidia");
        std::fs::create_dir_all(&version).unwrap();
        std::fs::write(version.join("version"), format!("{module}\n")).unwrap();
        for _ in 0..2 {
            let sample = talking.sample(&[]).await;
            assert_eq!(sample.view.status, "LibRmVersionMismatch");
            assert_eq!(sample.library_version.as_deref(), Some("12.570.86.15"));
        }
        if ends {
            assert_eq!(talking.end().await.end, End::Exited { code: STALE_EXIT });
        } else {
            assert_eq!(talking.sample(&[]).await.view.status, "LibRmVersionMismatch");
        }
    }
}

#[test]
fn a_runner_in_a_container_of_its_own_ends_with_its_outdated_library() {
    let folder = tempfile::tempdir().unwrap();
    let simulated = Simulated::new(&upgraded("580.65.06"));
    let version = folder.path().join("module/nvidia");
    std::fs::create_dir_all(&version).unwrap();
    std::fs::write(version.join("version"), "580.65.06\n").unwrap();
    let mut command = std::process::Command::new(AGENT);
    command.env("SIMULATED_NVML_STATE", simulated.path());
    let mut listening = Listening::of(command, folder.path(), &with_library(&simulated_nvml(), folder.path()));
    let mut reporter = listening.connect();
    reporter.start(1, sampler());
    reporter.started();
    reporter.ask(1, 1);
    reporter.ask(1, 2);
    let end = loop {
        match reporter.hear() {
            Reply::Finished(finished) => break finished.end,
            Reply::Line { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, End::Exited { code: STALE_EXIT });
    assert_eq!(listening.process.wait().unwrap().code(), Some(1));
    assert!(!listening.socket.exists());
}
