//! Real programs, files and processes for the tests of runner and probes.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod runners;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use node_agent::readings::ProbeReport;
use serde::de::DeserializeOwned;

/// The agent's binary.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_gpu-health-agent");

/// Runs a probe as the runner would, and reads its report.
pub(crate) fn probe<T: DeserializeOwned>(arguments: &[&str], environment: &[(&str, &str)]) -> T {
    let output = Command::new(AGENT)
        .arg("probe")
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("the agent's binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}: {stderr}", output.status);
    ProbeReport::parse(arguments[0], &String::from_utf8_lossy(&output.stdout)).expect("a report")
}

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of programs that any user may run.
pub(crate) struct Programs(tempfile::TempDir);

impl Programs {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a shell script.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let (path, text) = (self.path().join(name), self.path().join(format!("{name}.text")));
        fs::write(&text, format!("#!/bin/sh\n{body}\n")).expect("write a script");
        fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).expect("chmod");
        // cp opens the program for writing, not this process: a child that another test forks meanwhile would inherit the
        // open file, and starting the program would fail with ETXTBSY.
        let copied = Command::new("cp").arg("--preserve=mode").args([&text, &path]).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp {}", text.display());
        fs::remove_file(text).expect("remove");
        path
    }
}

/// Checks every few milliseconds whether something has become true. Only a failing test waits until the end.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The number that a script has written to a file, as soon as its line is complete.
pub(crate) fn pid_in(path: &Path) -> i32 {
    wait_for(&format!("a pid in {}", path.display()), || {
        fs::read_to_string(path).ok()?.strip_suffix('\n')?.trim().parse().ok()
    })
}

/// Whether a process exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn wait_until_dead(pid: i32) {
    wait_for(&format!("the end of process {pid}"), || (!is_alive(pid)).then_some(()));
}

/// What a process has allocated, in KiB. Pages of the program's file come and go: they say nothing about growth.
pub(crate) fn allocated_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that lives");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a process that lives");
    line.trim().trim_end_matches(" kB").parse().expect("a process that lives")
}

/// The simulated driver library, built from the current sources.
pub(crate) fn simulated_nvml() -> PathBuf {
    static BUILT: std::sync::Once = std::sync::Once::new();
    let folder = Path::new(AGENT).parent().expect("the binary lies in a folder");
    let library = folder.join("libsimulated_nvml.so");
    BUILT.call_once(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = folder.parent().expect("target/PROFILE");
        let built = Command::new(cargo)
            .args(["build", "--quiet", "-p", "fake-nvml", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(
            built.is_ok_and(|status| status.success()) && library.exists(),
            "{} could not be built: run `cargo build -p fake-nvml`",
            library.display()
        );
    });
    library
}

/// A state file of the simulated library.
pub(crate) struct Simulated {
    folder: tempfile::TempDir,
}

impl Simulated {
    pub(crate) fn new(state: &serde_json::Value) -> Self {
        let simulated = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        simulated.becomes(state);
        simulated
    }

    /// Changes the hardware in one step, as the library sees it.
    pub(crate) fn becomes(&self, state: &serde_json::Value) {
        let next = self.folder.path().join("next.json");
        fs::write(&next, state.to_string()).expect("write the state");
        fs::rename(next, self.path()).expect("rename the state");
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }
}
