//! A runner at a socket, with the protocol written by hand, and a child that cannot be killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use node_agent::runner::protocol::{End, Reply};
use probe_support::runners::{Listening, custom, sampler, tree, with, with_library};
use probe_support::{AGENT, Programs, Simulated, is_alive, simulated_nvml, wait_for, wait_until_dead};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

#[test]
fn bad_frames_are_answered_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let listening = Listening::new(folder.path(), &[]);
    let mut reporter = listening.connect();
    let mut refused = |bytes: &[u8], words: &str| {
        reporter.say(bytes);
        let reply = reporter.hear();
        assert!(matches!(&reply, Reply::BadFrame { reason } if reason.contains(words)), "{reply:?}");
    };
    refused(b"hello\n", "no frame of the runner's protocol");
    refused(b"\xff\xfe\0\n", "no frame");
    refused(b"{\"start\":{\"id\":1}}\n", "missing field");
    refused(&[vec![b'x'; 70_000], vec![b'\n']].concat(), "longer than 65536 bytes");
    reporter.stop(99);
    reporter.start(1, tree());
    reporter.started();
    assert_eq!(reporter.end(), End::Exited { code: 0 });
}

#[test]
fn only_probes_of_the_table_with_parameters_that_fit_are_started() {
    let folder = tempfile::tempdir().unwrap();
    let listening = Listening::new(folder.path(), &[]);
    let mut reporter = listening.connect();
    for (probe, parameters, words) in [
        (
            "shell",
            json!({}),
            "there is no probe `shell`; this runner has sampler, tree, custom, iperf-server, iperf-client",
        ),
        ("custom", json!({"program": 5}), "the parameters of the custom probe do not fit: program: "),
        ("tree", json!({"run": "sh"}), "unknown field `run`"),
    ] {
        let start = json!({"id": 7, "probe": probe, "parameters": parameters, "deadlineMs": 1, "outputCapBytes": 1});
        reporter.say(format!("{}\n", json!({"start": start})).as_bytes());
        let reply = reporter.hear();
        assert!(matches!(&reply, Reply::Refused { id: 7, reason } if reason.contains(words)), "{reply:?}");
    }
    reporter.start(7, tree());
    reporter.started();
    assert_eq!(reporter.end(), End::Exited { code: 0 });
}

#[test]
fn a_client_that_names_a_path_or_a_user_is_refused_and_told_whose_decision_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let listening = Listening::new(folder.path(), &[]);
    let mut reporter = listening.connect();
    for (probe, parameters, flag) in [
        ("sampler", json!({"nvmlLibrary": "/evil.so", "devRoot": "/dev", "callDeadlineMs": 1}), "--nvml-library"),
        ("tree", json!({"sysfsRoot": "/", "procRoot": "/"}), "--sysfs-root"),
        ("custom", json!({"customDirectory": "/", "program": "sh", "env": [], "args": []}), "--custom-directory"),
        ("custom", json!({"customSameUser": true, "program": "sh"}), "--custom-same-user"),
        ("iperf-server", json!({"iperf3": "/bin/sh", "bind": "::1", "port": 1, "untilUnixMs": 1}), "--iperf3"),
        ("iperf-client", json!({"iperf3": "/bin/sh", "server": "::1", "port": 1}), "--iperf3"),
    ] {
        let start = json!({"id": 7, "probe": probe, "parameters": parameters, "deadlineMs": 1, "outputCapBytes": 1});
        reporter.say(format!("{}\n", json!({"start": start})).as_bytes());
        let reply = reporter.hear();
        let words = format!("is set by the runner's own {flag}, never by a client");
        assert!(matches!(&reply, Reply::Refused { id: 7, reason } if reason.contains(&words)), "{reply:?}");
    }
}

#[test]
fn the_socket_never_has_another_mode_than_its_own() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0; exec \"$0\" \"$@\"", AGENT]);
        let listening = Listening::of(command, folder.path(), &[]);
        // Without a pause, so that a mode that is corrected later is seen.
        let mode = loop {
            if let Ok(found) = std::fs::metadata(&listening.socket) {
                break found.permissions().mode() & 0o777;
            }
        };
        assert_eq!(mode, 0o660, "{mode:o}");
    }
}

#[test]
fn a_stranger_is_turned_away_and_a_named_client_is_let_in() {
    if !rustix::process::geteuid().is_root() {
        println!("not run here: connecting under another uid needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let listening = Listening::new(folder.path(), &["--client-uid=4242".to_owned()]);
    drop(listening.connect());
    // The group may write to the socket; its uid still has to be one of those that are let in.
    let answer = |uid: u32| {
        let python = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                      s.sendall(b'hello\\n')\nprint(s.makefile().readline())";
        let output = Command::new("python3").args(["-c", python]).arg(&listening.socket).uid(uid).gid(0).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(answer(4242).contains("badFrame"), "{}", answer(4242));
    assert!(answer(4343).contains("uid 4343 may not use this runner"), "{}", answer(4343));
}

#[test]
fn one_client_cannot_take_the_places_of_the_others() {
    let (folder, programs) = (tempfile::tempdir().unwrap(), Programs::new());
    programs.script("waits", "exec sleep 300");
    let listening = Listening::new(folder.path(), &with(&programs));
    let (mut greedy, mut other) = (listening.connect(), listening.connect());
    for id in 1..=16 {
        greedy.start(id, custom("waits", &[]));
        greedy.started();
    }
    greedy.start(17, custom("waits", &[]));
    let reply = greedy.hear();
    assert!(matches!(&reply, Reply::Refused { id: 17, reason } if reason.contains("16 probes")), "{reply:?}");
    other.start(1, custom("waits", &[]));
    other.started();
    // A connection of the same uid too many is closed, with the reason.
    let _third = listening.connect();
    let mut fourth = listening.connect();
    let reply = fourth.hear();
    assert!(matches!(&reply, Reply::TurnedAway { reason } if reason.contains("connections of uid")), "{reply:?}");
}

#[test]
fn an_id_in_use_is_refused_and_the_first_probe_goes_on() {
    let (folder, programs) = (tempfile::tempdir().unwrap(), Programs::new());
    programs.script("waits", "exec sleep 300");
    let listening = Listening::new(folder.path(), &with(&programs));
    let mut reporter = listening.connect();
    reporter.start(5, custom("waits", &[]));
    let pid = reporter.started();
    reporter.start(5, custom("waits", &[]));
    let reply = reporter.hear();
    assert!(
        matches!(&reply, Reply::Refused { id: 5, reason } if reason.contains("id 5 is still running")),
        "{reply:?}"
    );
    assert!(is_alive(pid));
    reporter.stop(5);
    assert_eq!(reporter.end(), End::Stopped);
}

#[test]
fn a_reporter_that_hangs_up_takes_its_own_probes_along_and_no_others() {
    let (folder, programs) = (tempfile::tempdir().unwrap(), Programs::new());
    programs.script("waits", "exec sleep 300");
    let listening = Listening::new(folder.path(), &with(&programs));
    let (mut first, mut second) = (listening.connect(), listening.connect());
    first.start(1, custom("waits", &[]));
    second.start(1, custom("waits", &[]));
    let (of_first, of_second) = (first.started(), second.started());
    drop(first);
    wait_until_dead(of_first);
    assert!(is_alive(of_second));
    // SIGTERM to the runner ends the rest, and the runner.
    let mut listening = listening;
    kill_process(Pid::from_raw(i32::try_from(listening.process.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert!(listening.process.wait().unwrap().success());
    assert!(!is_alive(of_second) && !listening.socket.exists());
    let mut rest = Vec::new();
    second.0.read_to_end(&mut rest).unwrap();
}

#[test]
fn a_runner_without_a_socket_says_how_to_start_it() {
    let output = Command::new(AGENT).arg("runner").stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("stdin is no connected unix socket; use --socket PATH"), "{stderr}");
}

/// A group of the version 1 freezer: a frozen process in it cannot be killed, as if it hung in the driver.
struct Freezer(PathBuf);

impl Freezer {
    fn new() -> Result<Self, String> {
        let group = PathBuf::from(format!("/sys/fs/cgroup/freezer/gpu-health-test-{}", std::process::id()));
        std::fs::create_dir(&group).map_err(|error| format!("{}: {error}", group.display()))?;
        Ok(Self(group))
    }

    fn freeze(&self, pid: i32) {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
        std::fs::write(self.0.join("freezer.state"), "FROZEN").unwrap();
        wait_for("the freezer", || self.state().starts_with("FROZEN").then_some(()));
    }

    fn thaw(&self) {
        std::fs::write(self.0.join("freezer.state"), "THAWED").unwrap();
    }

    fn state(&self) -> String {
        std::fs::read_to_string(self.0.join("freezer.state")).unwrap_or_default()
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("freezer.state"), "THAWED");
        let end = Instant::now() + Duration::from_secs(5);
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_probe_that_cannot_be_killed_is_reported_and_not_piled_upon() {
    let freezer = match Freezer::new() {
        Ok(freezer) => freezer,
        Err(why) => {
            println!("not run here: an unkillable process needs root and the freezer of cgroup v1: {why}");
            return;
        }
    };
    let (folder, programs) = (tempfile::tempdir().unwrap(), Programs::new());
    let simulated = Simulated::new(&json!({"calls": {"nvmlInit_v2": "hang"}}));
    let flags = [with(&programs), with_library(&simulated_nvml(), folder.path())].concat();
    let mut command = Command::new(AGENT);
    command.env("SIMULATED_NVML_STATE", simulated.path());
    let listening = Listening::of(command, folder.path(), &flags);
    let mut reporter = listening.connect();
    reporter.start(1, sampler());
    let pid = reporter.started();
    reporter.ask(1, 1);
    let Reply::Line { line, .. } = reporter.hear() else { panic!("the hung call was not reported") };
    assert!(line.contains("nvmlInit_v2"), "{line}");
    freezer.freeze(pid);
    reporter.stop(1);
    assert_eq!(reporter.end(), End::Unkillable { pid: u32::try_from(pid).unwrap() });
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("D (disk sleep)"), "{status}");

    // Also for a new reporter. Other probes still run.
    let mut reporter = listening.connect();
    reporter.start(2, sampler());
    let reply = reporter.hear();
    let Reply::Refused { id: 2, reason } = &reply else { panic!("{reply:?}") };
    assert_eq!(*reason, format!("an earlier sampler probe, process {pid}, cannot be killed; it is not piled upon"));
    programs.script("fine", "echo HEALTH_CHECK_RESULT:h:Passed:none:x");
    reporter.start(3, custom("fine", &[]));
    reporter.started();
    assert_eq!(reporter.end(), End::Exited { code: 0 });

    freezer.thaw();
    wait_until_dead(pid);
    simulated.becomes(&json!({"gpus": []}));
    let mut id = 3;
    wait_for("the runner to forget what is gone", || {
        id += 1;
        reporter.start(id, sampler());
        match reporter.hear() {
            Reply::Refused { .. } => None,
            Reply::Started { .. } => {
                reporter.ask(id, 7);
                Some(())
            }
            other => panic!("{other:?}"),
        }
    });
    let Reply::Line { line, .. } = reporter.hear() else { panic!("no sample") };
    assert!(line.starts_with(r#"{"sample":{"id":7,"#), "{line}");
}
