//! `gpu-health-agent check` as a user calls it: the real program, on file trees and the simulated library.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use probe_support::{AGENT, simulated_nvml};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// A machine with this many GPUs, as files.
fn machine(gpus: usize, edit: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("proc/sys/kernel/random/boot_id", b"8e3b0f2a-1111-4222-8333-444455556666\n");
    write("sys/bus/pci/devices/.keep", b"");
    write("log", b"");
    let mut all = Vec::new();
    for index in 0..gpus {
        let address = format!("0000:{:02x}:00.0", 0x18 + index * 0x11);
        for (file, content) in [
            ("vendor", "0x10de\n"),
            ("device", "0x2330\n"),
            ("class", "0x030200\n"),
            ("numa_node", "0\n"),
            ("current_link_speed", "32.0 GT/s PCIe\n"),
            ("current_link_width", "16\n"),
            ("max_link_speed", "32.0 GT/s PCIe\n"),
            ("max_link_width", "16\n"),
        ] {
            write(&format!("sys/bus/pci/devices/{address}/{file}"), content.as_bytes());
        }
        write(&format!("sys/bus/pci/devices/{address}/config"), &[0xde, 0x10, 0x30, 0x23]);
        all.push(json!({"pci": address}));
    }
    let mut state = json!({"gpus": all});
    edit(&mut state);
    write("state.json", state.to_string().as_bytes());
    folder
}

fn check(folder: &Path, args: &[&str]) -> Output {
    Command::new(AGENT)
        .arg("check")
        .arg("--sysfs-root")
        .arg(folder.join("sys"))
        .arg("--proc-root")
        .arg(folder.join("proc"))
        .arg("--dev-root")
        .arg(folder.join("dev"))
        .arg("--kernel-log")
        .arg(folder.join("log"))
        .arg("--nvml-library")
        .arg(simulated_nvml())
        .args(args)
        .env("SIMULATED_NVML_STATE", folder.join("state.json"))
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

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
    std::fs::write(&profile, "apiVersion: gpuhealth.dev/v1alpha1\nkind: HardwareProfile\nmetadata: {name: eight}\nspec: {match: {instanceTypes: [x]}, gpus: {vendor: nvidia, count: 8}}\n").unwrap();
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
fn bad_input_names_the_flag_and_the_remedy() {
    let machine = machine(1, |_| {});
    std::fs::write(machine.path().join("garbage"), b"kind: {[ not YAML").unwrap();
    let garbage = machine.path().join("garbage");
    for (args, words) in [
        (vec!["--checks", "astrology"], vec!["--checks", "astrology", "rowRemap"]),
        (vec!["--profile", "/nonexistent.yaml"], vec!["--profile", "/nonexistent.yaml"]),
        (vec!["--profile", garbage.to_str().unwrap()], vec!["--profile", "not a HardwareProfile"]),
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
