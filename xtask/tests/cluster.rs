//! `cargo xtask cluster`, as a person uses it. A cache folder of its own keeps it apart from a cluster that is up already.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gpu_health_tests::cluster::{Options, binaries};

struct Desk {
    cache: tempfile::TempDir,
    programs: PathBuf,
}

impl Desk {
    /// The programs that this machine has, gathered in one folder that stands for KUBEBUILDER_ASSETS.
    fn new() -> Self {
        let cache = tempfile::tempdir().unwrap();
        let programs = cache.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        let wanted = Options::default().programs();
        let found = binaries::locate(&wanted).unwrap();
        for name in wanted {
            std::os::unix::fs::symlink(found.path(name).unwrap(), programs.join(name)).unwrap();
        }
        Self { cache, programs }
    }

    fn xtask(&self, args: &[&str]) -> Output {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.arg("cluster").args(args).env("XDG_CACHE_HOME", self.cache.path());
        xtask.env("KUBEBUILDER_ASSETS", &self.programs).output().unwrap()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Nothing is left up when an assertion fails in between.
        self.xtask(&["down"]);
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_cluster_stays_up_after_the_command_and_down_ends_exactly_that() {
    let desk = Desk::new();
    let error = stderr(&desk.xtask(&["env"]));
    assert_eq!(error, "error: no cluster is up: start one with `cargo xtask cluster up`\n");
    assert_eq!(stderr(&desk.xtask(&["down"])), error);

    let up = stdout(&desk.xtask(&["up", "--nodes", "2", "--bare"]));
    assert!(up.starts_with("A control plane is up at https://127.0.0.1:"), "{up}");
    let again = desk.xtask(&["up"]);
    assert!(stderr(&again).starts_with("error: a cluster is up already, at https://127.0.0.1:"), "{}", stderr(&again));
    assert!(!again.status.success());

    let env = stdout(&desk.xtask(&["env"]));
    let kubeconfig = env.strip_prefix("export KUBECONFIG='").unwrap().strip_suffix("'\n").unwrap();
    let mut kubectl = Command::new(desk.programs.join("kubectl"));
    kubectl.args(["get", "nodes", "--no-headers", "-o", "custom-columns=:.metadata.name"]);
    let nodes = kubectl.env("KUBECONFIG", kubeconfig).env("HOME", desk.cache.path()).output().unwrap();
    assert_eq!(stdout(&nodes), "node-1\nnode-2\n");

    let down = stdout(&desk.xtask(&["down"]));
    assert!(down.starts_with("The control plane at https://127.0.0.1:"), "{down}");
    assert!(!Path::new(kubeconfig).exists());
    assert_eq!(stderr(&desk.xtask(&["env"])), error);
}

#[test]
fn what_is_wrong_with_the_programs_is_said_by_up() {
    let cache = tempfile::tempdir().unwrap();
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["cluster", "up"]).env("XDG_CACHE_HOME", cache.path()).env("KUBEBUILDER_ASSETS", "/no/such/folder");
    let error = stderr(&xtask.output().unwrap());
    assert_eq!(error, "error: KUBEBUILDER_ASSETS=/no/such/folder: there is no such folder. Correct it or unset it.\n");
    // Neither assets nor Go.
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["cluster", "up"]).env_clear().env("HOME", cache.path()).env("PATH", cache.path());
    let error = stderr(&xtask.output().unwrap());
    assert!(error.starts_with("error: etcd, kube-apiserver, kubectl cannot be found, and there is no Go"), "{error}");
}
