//! `gpu-health-agent check` as a process, on a machine made of files and the simulated library.

#![allow(dead_code, reason = "each test binary uses a part")]

use crate::probe_support::{AGENT, simulated_nvml};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

/// A machine with this many GPUs, as files.
pub(crate) fn machine(gpus: usize, edit: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let addresses: Vec<String> = (0..gpus).map(|index| format!("0000:{:02x}:00.0", 0x18 + index * 0x11)).collect();
    machine_at(&addresses.iter().map(String::as_str).collect::<Vec<_>>(), edit)
}

/// A machine with GPUs at these addresses.
pub(crate) fn machine_at(addresses: &[&str], edit: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("proc/sys/kernel/random/boot_id", b"8e3b0f2a-1111-4222-8333-444455556666\n");
    // Up for a day: past every grace.
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    write("proc/stat", format!("cpu 1\nbtime {}\n", now - 86_400).as_bytes());
    write("sys/bus/pci/devices/.keep", b"");
    write("log", b"");
    let mut all = Vec::new();
    for address in addresses {
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

pub(crate) fn check(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(AGENT);
    command
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
        .env("SIMULATED_NVML_STATE", folder.join("state.json"));
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}
