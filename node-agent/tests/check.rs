//! `gpu-health-agent check` as a user calls it: the real program, on file trees and the simulated library.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod check_support;
mod probe_support;

use check_support::{check, command, document, machine, stdout};
use probe_support::{AGENT, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn eight_healthy_gpus_are_healthy_and_the_exit_status_says_so() {
    let machine = machine(8, |_| {});
    let output = check(machine.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("8 x NVIDIA H100 80GB HBM3"), "{}", stdout(&output));
    assert!(stdout(&output).contains("Healthy: "), "{}", stdout(&output));
}

#[test]
fn one_bad_row_remap_among_eight_is_named_with_its_cure() {
    let machine = machine(8, |state| state["gpus"][3]["remap"] = json!({"uncorrectable": 1, "pending": true}));
    let output = check(machine.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    let row = text.lines().find(|line| line.starts_with("3 ")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains("0000:4b:00.0") && row.contains("RESET") && row.contains("RemapPending"), "{row}");
    assert!(text.contains("drain the node and reset the GPU"), "{text}");
    assert!(!text.contains('\x1b'), "no colours where no terminal is");

    let json = document(&check(machine.path(), &["-o", "json"]));
    let checks = json["checks"].as_array().unwrap();
    let mut names: Vec<&str> = checks.iter().map(|row| row["check"].as_str().unwrap()).collect();
    let rows = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows, "one row per check");
    let remap = checks.iter().find(|row| row["check"] == "rowRemap").unwrap();
    assert_eq!((remap["outcome"].as_str(), json["verdict"].as_str()), (Some("Fail"), Some("Failed")));

    let yaml = check(machine.path(), &["-o", "yaml", "--checks", "ecc,rowRemap"]);
    let yaml: Value = serde_yaml::from_slice(&yaml.stdout).unwrap();
    assert_eq!(yaml["checks"].as_array().unwrap().len(), 2);

    // A check of something else finds no fault on the same machine.
    assert_eq!(check(machine.path(), &["--checks", "ecc"]).status.code(), Some(0));
}

#[test]
fn the_files_of_another_machine_are_judged_with_its_profile_and_its_dmesg() {
    let machine = machine(7, |_| {});
    let profile = machine.path().join("profile.yaml");
    std::fs::write(&profile, "apiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHardwareProfile\nmetadata: {name: eight}\nspec: {match: {instanceTypes: [x]}, gpus: {vendor: nvidia, count: 8}}\n").unwrap();
    let output = check(machine.path(), &["--profile", profile.to_str().unwrap(), "-o", "json"]);
    let json = document(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        (json["severity"].as_str(), json["findings"][0]["reason"].as_str()),
        (Some("Isolate"), Some("GpuMissing"))
    );
    std::fs::write(
        machine.path().join("log"),
        "[74889.644138] NVRM: Xid (PCI:0000:18:00): 79, GPU has fallen off the bus.\n",
    )
    .unwrap();
    let json = document(&check(machine.path(), &["-o", "json", "--checks", "xid"]));
    assert_eq!(json["findings"][0]["reason"], "FallenOffTheBus");
}

#[test]
fn a_machine_without_accelerators_says_so_and_is_no_success() {
    let machine = machine(0, |_| {});
    let output = Command::new(AGENT)
        .args(["check", "--kernel-log", "none", "--nvml-library", "/nonexistent/libnvidia-ml.so.1", "--sysfs-root"])
        .arg(machine.path().join("sys"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("No accelerator: "), "{}", stdout(&output));
}

#[test]
fn a_hung_driver_is_reported_and_the_check_still_ends() {
    let machine = machine(2, |state| state["calls"] = json!({"nvmlDeviceGetTotalEccErrors": "hang"}));
    let output = check(machine.path(), &["-o", "json", "--call-deadline-ms", "2000"]);
    let json = document(&output);
    assert_eq!(output.status.code(), Some(1), "{json}");
    let finding = &json["findings"][0];
    assert_eq!(finding["reason"], "CallHung");
    assert!(finding["message"].as_str().unwrap().contains("nvmlDeviceGetTotalEccErrors"), "{finding}");
}

#[test]
fn one_reading_is_not_taken_for_all_that_the_rules_need() {
    let machine = machine(8, |_| {});
    let output = check(machine.path(), &["--quick"]);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stdout(&output).contains("Not judged: clocks needs 3 readings, and 1 was taken"), "{}", stdout(&output));
    // What needs no more is judged.
    assert_eq!(check(machine.path(), &["--quick", "--checks", "ecc,rowRemap,recoveryAction"]).status.code(), Some(0));
}

#[test]
fn a_pass_for_seven_of_eight_is_not_healthy() {
    let machine = machine(8, |state| {
        state["gpus"][5]["calls"] =
            json!({"nvmlDeviceGetRemappedRows": {"return": 3}, "nvmlDeviceGetRowRemapperHistogram": {"return": 3}});
    });
    let output = check(machine.path(), &["-o", "json"]);
    let json = document(&output);
    assert_eq!(output.status.code(), Some(2), "{json}");
    let gap = json["notJudged"][0].as_str().unwrap();
    assert!(gap.starts_with("rowRemap did not judge GPU 5"), "{json}");
}

#[test]
fn a_fabric_that_is_being_set_up_is_suspected_shortly_after_the_boot_only() {
    let machine = machine(2, |state| state["gpus"][1]["fabric"] = json!({"state": 2}));
    std::fs::write(machine.path().join("proc/stat"), format!("btime {}\n", jiff::Timestamp::now().as_second() - 60))
        .unwrap();
    let json = document(&check(machine.path(), &["-o", "json", "--checks", "fabric"]));
    let finding = &json["findings"][0];
    assert_eq!((finding["reason"].as_str(), finding["outcome"].as_str()), (Some("FabricNotReady"), Some("Warn")));
}

#[test]
fn of_several_profiles_in_one_file_that_of_the_machine_is_used() {
    let machine = machine(8, |state| state["gpus"][3]["pcie"] = json!({"width": 8}));
    let file = machine.path().join("profiles.yaml");
    let profile = |name: &str, model: &str| {
        format!(
            "apiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHardwareProfile\nmetadata: {{name: {name}}}\n\
             spec: {{match: {{gpuModels: [{model}]}}, gpus: {{vendor: nvidia, count: 8, pcie: {{width: 16}}}}}}\n"
        )
    };
    std::fs::write(&file, format!("{}---\n{}", profile("a100", "A100"), profile("h100", "H100"))).unwrap();
    let args = ["--profile", file.to_str().unwrap(), "-o", "json"];
    let json = document(&check(machine.path(), &args));
    assert_eq!(json["profile"], "h100");
    assert_eq!(json["findings"][0]["reason"], "WidthBelowProfile", "{json}");

    std::fs::write(&file, format!("{}---\n{}", profile("a100", "A100"), profile("l4", "L4"))).unwrap();
    let output = check(machine.path(), &args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("none of 2 profiles is for 8 x NVIDIA H100"), "{said}");
}

#[test]
fn watch_keeps_what_it_has_seen_and_prints_only_what_changed() {
    let machine = machine(8, |_| {});
    let mut watching = command(machine.path(), &["--watch=1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Healthy: ")));
    let state = machine.path().join("state.json");
    let mut sick: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    sick["gpus"][3]["remap"] = json!({"uncorrectable": 1, "pending": true});
    std::fs::write(machine.path().join("next"), sick.to_string()).unwrap();
    std::fs::rename(machine.path().join("next"), &state).unwrap();
    let changes: Vec<String> = lines.by_ref().take(3).collect();
    assert!(changes[0].contains("+ Fail 0000:4b:00.0"), "{changes:?}");
    assert!(changes[1].contains("rowRemap: Pass -> Fail (RemapPending)"), "{changes:?}");
    assert!(changes[2].contains("Healthy -> Failed"), "{changes:?}");
    let pid = rustix::process::Pid::from_raw(i32::try_from(watching.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(lines.next(), None);
    assert_eq!(watching.wait().unwrap().code(), Some(1));
}

#[test]
fn a_runner_that_stands_still_is_ours_and_never_a_hang_of_the_driver() {
    let machine = machine(2, |state| state["calls"] = json!({"nvmlDeviceGetTotalEccErrors": {"slow_ms": 300}}));
    let args = ["-o", "json", "--call-deadline-ms", "60000"];
    let checking = command(machine.path(), &args).stdout(Stdio::piped()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", checking.id());
    // Once the sampler runs, so that its question stays unanswered.
    let runner = wait_for("the sampler", || {
        let runner: i32 = std::fs::read_to_string(&children).ok()?.trim().parse().ok()?;
        let sampler = std::fs::read_to_string(format!("/proc/{runner}/task/{runner}/children")).ok()?;
        let of_sampler = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        sampler.split_whitespace().any(|pid| of_sampler(pid).contains("sampler")).then_some(runner)
    });
    let runner = rustix::process::Pid::from_raw(runner).unwrap();
    rustix::process::kill_process(runner, rustix::process::Signal::STOP).unwrap();
    let output = checking.wait_with_output().unwrap();
    let json = document(&output);
    // A stopped runner is replaced: what was ours does not keep the machine from being judged.
    let reasons = json.to_string();
    assert!(!reasons.contains("CallHung") && !reasons.contains("DeadlineExceeded"), "{json}");
    assert_ne!(output.status.code(), Some(1), "{json}");
}

#[test]
fn bad_input_names_the_flag_and_the_remedy() {
    let machine = machine(1, |_| {});
    std::fs::write(machine.path().join("garbage"), b"kind: {[ not YAML").unwrap();
    let garbage = machine.path().join("garbage");
    for (args, words) in [
        (vec!["--checks", "astrology"], vec!["--checks", "astrology", "rowRemap"]),
        (vec!["--profile", "/nonexistent.yaml"], vec!["--profile", "/nonexistent.yaml"]),
        (vec!["--profile", garbage.to_str().unwrap()], vec!["--profile", "not a NodeHardwareProfile"]),
        (vec!["-o", "xml"], vec!["--output", "table"]),
        (vec!["--watch=0"], vec!["--watch", "1..=86400"]),
    ] {
        let output = check(machine.path(), &args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{args:?}: {said}");
    }
    for flag in ["--sysfs-root", "--kernel-log"] {
        let output = Command::new(AGENT).args(["check", flag, "/nonexistent"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(flag));
    }
}
