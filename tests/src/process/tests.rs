use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Child, Error, Identity, Signal, Spec};

const SOON: Duration = Duration::from_secs(20);
/// Set in the copy of this test binary that plays the owner.
const OWNER: &str = "GPU_HEALTH_TEST_OWNER_LOGS";

fn sh(name: &str, script: &str, logs: &std::path::Path) -> Child {
    Child::spawn(Spec::new(name, "sh", logs).args(["-c", script])).unwrap()
}

#[test]
fn a_child_runs_in_its_own_group_and_its_output_is_logged() {
    let logs = tempfile::tempdir().unwrap();
    let child = sh("echo", "echo out; echo err >&2; ps -o pgid= -p $$; exit 3", logs.path());
    let status = child.wait_exit(SOON).unwrap();
    assert_eq!(status.code(), Some(3));
    let log = child.log_tail(10);
    assert!(log.contains("out\nerr"), "{log}");
    assert!(log.contains(&child.pid().to_string()), "group is its own pid: {log}");
    assert!(!child.is_alive());
}

#[test]
fn an_error_about_a_child_that_goes_on_quotes_its_log() {
    let logs = tempfile::tempdir().unwrap();
    let child = sh("talker", "echo ready; exec sleep 600", logs.path());
    while !child.log_tail(1).contains("ready") {
        std::thread::yield_now();
    }
    let error = child.wait_exit(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(&error, Error::StillRunning { tail, .. } if tail == "ready"), "{error}");
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_after_its_grace_and_its_own_children_with_it() {
    let logs = tempfile::tempdir().unwrap();
    let child = sh("stubborn", "trap '' TERM; sleep 600 & echo $!; while :; do wait; done", logs.path());
    let grandchild = loop {
        if let Ok(pid) = child.log_tail(1).trim().parse() {
            break Identity::of(pid).unwrap();
        }
    };
    child.terminate(Duration::from_millis(50)).unwrap();
    assert!(!child.is_alive());
    until_dead(grandchild);
}

#[test]
fn a_dropped_child_is_gone() {
    let logs = tempfile::tempdir().unwrap();
    let child = sh("dropped", "exec sleep 600", logs.path());
    let identity = Identity::of(child.pid()).unwrap();
    drop(child);
    assert!(!identity.is_alive());
}

#[test]
fn signalling_a_reaped_child_does_nothing() {
    let logs = tempfile::tempdir().unwrap();
    let child = sh("short", "exit 0", logs.path());
    child.wait_exit(SOON).unwrap();
    child.signal(Signal::KILL).unwrap();
    assert!(child.kill9().unwrap().success());
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let logs = tempfile::tempdir().unwrap();
    let path = logs.path().to_owned();
    let child = std::thread::spawn(move || sh("survivor", "exec sleep 600", &path)).join().unwrap();
    assert!(child.wait_exit(Duration::from_millis(200)).is_err());
    assert!(child.is_alive());
}

#[test]
fn a_missing_program_is_named() {
    let logs = tempfile::tempdir().unwrap();
    let error = Child::spawn(Spec::new("ghost", "/no/such/program", logs.path())).unwrap_err();
    assert!(error.to_string().starts_with("start ghost (/no/such/program): "), "{error}");
}

/// In the copy of this binary that the next test starts, has a child and waits to be killed. Otherwise does nothing.
#[test]
fn play_the_owner_when_asked() {
    let Some(logs) = std::env::var_os(OWNER) else {
        return;
    };
    let child = sh("orphan", "exec sleep 600", std::path::Path::new(&logs));
    println!("child {}", child.pid());
    child.wait_exit(Duration::from_secs(600)).unwrap();
}

#[test]
fn a_child_dies_when_its_owner_is_killed_with_sigkill() {
    let logs = tempfile::tempdir().unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap());
    owner.args(["--exact", "process::tests::play_the_owner_when_asked", "--nocapture"]);
    owner.env(OWNER, logs.path()).stdout(Stdio::piped());
    let mut owner = super::spawn_bound(owner).unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    // libtest writes the test's name on the same line.
    let pid = lines.find_map(|line| line.unwrap().rsplit_once("child ")?.1.parse().ok()).unwrap();
    let child = Identity::of(pid).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    until_dead(child);
}

/// The kernel delivers the signal at once; reaping by init takes its own time.
fn until_dead(process: Identity) {
    let deadline = std::time::Instant::now() + SOON;
    while process.is_alive() {
        assert!(std::time::Instant::now() < deadline, "{process:?} still runs");
        std::thread::yield_now();
    }
}
