//! The runner and its client, with real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use node_agent::runner::client::{ProbeOutcome, ProbeRequest, Runner, RunnerCommand, RunnerState};
use node_agent::runner::protocol::{End, Finished, MAX_OUTPUT_CAP_BYTES, ProbeSpec, Request, Start, encode_request};
use probe_support::runners::{Listening, custom, sampler, tree, with};
use probe_support::{AGENT, Programs, allocated_kib, is_alive, pid_in, wait_until_dead};
use rustix::process::{Pid, Signal, kill_process};

const LONG: Duration = Duration::from_secs(300);

fn runner(arguments: &[String]) -> Runner {
    let brisk = ["--kill-grace-ms=200", "--unkillable-after-ms=400"].map(OsString::from);
    Runner::spawn_child_with(RunnerCommand {
        binary: AGENT.into(),
        arguments: brisk.into_iter().chain(arguments.iter().map(Into::into)).collect(),
        environment: Vec::new(),
    })
}

/// A program with a child of its own; it writes the pids of both to the two files in its arguments.
fn family(programs: &Programs) -> (PathBuf, PathBuf) {
    programs.script("family", "sleep 300 & echo $! > $1; echo $$ > $2; wait");
    (programs.path().join("grandchild.pid"), programs.path().join("program.pid"))
}

fn kill_dash_nine(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

async fn ready(runner: &Runner) -> i32 {
    let mut state = runner.state();
    let state = state.wait_for(|state| matches!(state, RunnerState::Ready { .. })).await.unwrap();
    let RunnerState::Ready { pid: Some(pid) } = *state else { panic!("{state:?}") };
    i32::try_from(pid).unwrap()
}

/// Runs blocking work away from the client's thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn finished(outcome: ProbeOutcome) -> Finished {
    let ProbeOutcome::Finished(finished) = outcome else { panic!("{outcome:?}") };
    finished
}

#[tokio::test]
async fn a_probe_that_ends_by_itself_hands_over_its_report() {
    let root = tempfile::tempdir().unwrap();
    let root = format!("--sysfs-root={}", root.path().display());
    let request = ProbeRequest::new(tree(), LONG);
    let end = finished(runner(&[root]).run(request).await);
    assert_eq!((end.end, end.stderr_tail.as_str()), (End::Exited { code: 0 }, ""));
    assert!(end.stdout.starts_with(r#"{"probe":"tree","version":1,"report":{"pci":[]"#), "{}", end.stdout);
}

#[tokio::test]
async fn the_deadline_kills_the_whole_process_group() {
    let programs = Programs::new();
    let (grandchild, program) = family(&programs);
    let probe = custom("family", &[&grandchild, &program]);
    let outcome = runner(&with(&programs)).run(ProbeRequest::new(probe, Duration::from_secs(5))).await;
    let end = finished(outcome);
    assert_eq!(end.end, End::DeadlineExceeded);
    assert!((5_000..60_000).contains(&end.duration_ms), "{}", end.duration_ms);
    for pid in [pid_in(&program), pid_in(&grandchild)] {
        assert!(!is_alive(pid));
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_dies_with_its_probe() {
    let programs = Programs::new();
    // One stays in the group, the other makes itself a daemon.
    programs.script(
        "leaves",
        "sleep 300 & echo $! > $1\nsetsid sh -c 'echo $$ > \"$0\"; exec sleep 300' $2 >/dev/null 2>&1 &\n\
         while [ ! -s $2 ]; do sleep 0.01; done; echo HEALTH_CHECK_RESULT:h:Passed:none:x",
    );
    let (inside, daemon) = (programs.path().join("inside"), programs.path().join("daemon"));
    let runner = runner(&with(&programs));
    let end = finished(runner.run(ProbeRequest::new(custom("leaves", &[&inside, &daemon]), LONG)).await);
    assert_eq!(end.end, End::Exited { code: 0 });
    assert!(end.stdout.contains(r#""outcome":"Pass""#), "{}", end.stdout);
    assert!(!is_alive(pid_in(&inside)));
    assert!(!is_alive(pid_in(&daemon)));
}

#[tokio::test]
async fn endless_output_is_cut_and_its_writer_killed() {
    let programs = Programs::new();
    let chatty = programs.script("chatty", "echo $$ > ${0%chatty}pid; exec yes 0123456789");
    let binary = format!("--agent-binary={}", chatty.display());
    let request = ProbeRequest { output_cap_bytes: 1000, ..ProbeRequest::new(tree(), LONG) };
    let end = finished(runner(&[binary]).run(request).await);
    assert_eq!((end.end, end.stdout.len()), (End::OutputTooLong, 1000));
    assert!(!is_alive(pid_in(&programs.path().join("pid"))));
}

#[tokio::test]
async fn short_output_beyond_its_bound_counts_as_too_long_too() {
    let probe = tree();
    let request = ProbeRequest { output_cap_bytes: 10, ..ProbeRequest::new(probe, LONG) };
    let end = finished(runner(&[]).run(request).await);
    assert_eq!((end.end, end.stdout.as_str()), (End::OutputTooLong, r#"{"probe":""#));
}

#[tokio::test]
async fn only_the_tail_of_stderr_is_handed_on() {
    let programs = Programs::new();
    let binary = programs.script("moans", "seq 1 100000 >&2; echo last words >&2; exit 4");
    let binary = format!("--agent-binary={}", binary.display());
    let request = ProbeRequest::new(tree(), LONG);
    let end = finished(runner(&[binary]).run(request).await);
    assert_eq!((end.end, end.stderr_tail.len()), (End::Exited { code: 4 }, 4096));
    assert!(end.stderr_tail.ends_with("100000\nlast words\n"), "{}", end.stderr_tail);
}

#[tokio::test]
async fn a_probe_is_stopped_by_word_and_by_dropping_it() {
    let programs = Programs::new();
    let (grandchild, program) = family(&programs);
    let runner = runner(&with(&programs));
    let running = runner.start(ProbeRequest::new(custom("family", &[&grandchild, &program]), LONG)).await;
    let watched = program.clone();
    let pid = blocking(move || pid_in(&watched)).await;
    running.stop();
    assert_eq!(finished(running.outcome().await).end, End::Stopped);
    assert!(!is_alive(pid));

    std::fs::remove_file(&program).unwrap();
    let request = ProbeRequest::new(custom("family", &[&grandchild, &program]), LONG);
    let watched = program.clone();
    let pid = tokio::select! {
        outcome = runner.run(request) => panic!("{outcome:?}"),
        pid = blocking(move || pid_in(&watched)) => pid,
    };
    blocking(move || wait_until_dead(pid)).await;
}

#[tokio::test]
async fn what_cannot_be_started_is_said_in_a_sentence() {
    let request = ProbeRequest::new(tree(), LONG);
    let end = finished(runner(&["--agent-binary=/nonexistent/agent".to_owned()]).run(request.clone()).await);
    let End::CouldNotStart { reason } = end.end else { panic!("{end:?}") };
    assert!(reason.starts_with("cannot start /nonexistent/agent: No such file"), "{reason}");

    let outcome = Runner::spawn_child("/nonexistent/runner".into(), Vec::new()).run(request.clone()).await;
    let ProbeOutcome::RunnerGone(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("cannot start the runner /nonexistent/runner: No such file"), "{reason}");

    let outcome = runner(&[]).run(ProbeRequest { output_cap_bytes: MAX_OUTPUT_CAP_BYTES + 1, ..request }).await;
    let ProbeOutcome::Refused(reason) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, "outputCapBytes is 131073; it must be 1 to 131072");
}

/// A runner that starts this script for every probe.
fn runner_of(programs: &Programs, script: &str) -> Runner {
    let binary = programs.script("script", script);
    runner(&[format!("--agent-binary={}", binary.display())])
}

fn talking(deadline: Duration) -> ProbeRequest {
    ProbeRequest { output_cap_bytes: 1, ..ProbeRequest::new(sampler(), deadline) }
}

#[tokio::test]
async fn a_probe_that_talks_is_heard_line_by_line_while_it_runs() {
    let programs = Programs::new();
    let runner = runner_of(
        &programs,
        "if [ $2 = sampler ]; then while read -r line; do echo \"heard $line\"; done; fi\n\
         setsid sh -c 'echo $$ > \"$0\"; exec sleep 300' ${0%script}daemon >/dev/null 2>&1 &\n\
         while [ ! -s ${0%script}daemon ]; do sleep 0.01; done; exit 3",
    );
    let (mut probe, mut lines) = runner.start_talking(talking(LONG)).await;
    for said in ["one", "two \"quoted\""] {
        probe.say(said.to_owned());
        assert_eq!(lines.recv().await, Some(format!("heard {said}")));
    }
    // Other probes run beside it, and what they leave behind is still cleaned up.
    let other = runner.run(ProbeRequest::new(tree(), LONG)).await;
    assert_eq!(finished(other).end, End::Exited { code: 3 });
    assert!(!is_alive(pid_in(&programs.path().join("daemon"))));
    probe.say("three".to_owned());
    assert_eq!(lines.recv().await.as_deref(), Some("heard three"));
    probe.stop();
    assert_eq!(finished(probe.ended().await).end, End::Stopped);
    assert_eq!(lines.recv().await, None);
}

#[tokio::test]
async fn the_last_words_of_a_probe_that_talks_come_before_its_end() {
    let programs = Programs::new();
    let runner = runner_of(&programs, "read -r line; seq 1 1000; echo bad >&2; kill -SEGV $$");
    let (mut probe, mut lines) = runner.start_talking(talking(LONG)).await;
    probe.say("go".to_owned());
    let mut last = String::new();
    while let Some(line) = lines.recv().await {
        last = line;
    }
    let end = finished(probe.ended().await);
    assert_eq!((last.as_str(), end.end, end.stderr_tail.as_str()), ("1000", End::Signaled { signal: 11 }, "bad\n"));
}

#[tokio::test]
async fn a_line_that_is_too_long_ends_a_probe_that_talks_and_many_short_ones_do_not() {
    let programs = Programs::new();
    let runner = runner_of(&programs, "seq 1 100000; read -r line; exec tr '\\0' x < /dev/zero");
    let (mut probe, mut lines) = runner.start_talking(talking(LONG)).await;
    for number in 1..=100_000 {
        assert_eq!(lines.recv().await, Some(number.to_string()));
    }
    probe.say("go".to_owned());
    assert_eq!(finished(probe.ended().await).end, End::OutputTooLong);
}

#[tokio::test]
async fn a_probe_whose_client_is_gone_is_ended() {
    let programs = Programs::new();
    let runner = runner_of(&programs, "while read -r line; do echo \"$line\"; done");
    let (mut probe, mut lines) = runner.start_talking(talking(Duration::from_secs(2))).await;
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        probe.say("still there".to_owned());
        assert!(lines.recv().await.is_some(), "ended while it was spoken to");
    }
    assert_eq!(finished(probe.ended().await).end, End::DeadlineExceeded);
}

#[tokio::test]
async fn a_reporter_that_does_not_read_holds_up_the_probe_and_fills_no_memory() {
    let programs = Programs::new();
    let counted = programs.path().join("counted");
    let script = format!(
        "i=0; x=$(head -c 20000 /dev/zero | tr '\\0' x); while :; do echo $x; i=$((i+1)); echo $i > {}; done",
        counted.display()
    );
    let runner = runner_of(&programs, &script);
    let pid = ready(&runner).await;
    let (mut probe, mut lines) = runner.start_talking(talking(LONG)).await;
    // It has stopped writing once its output is the same after a while.
    let count = || std::fs::read_to_string(&counted).ok()?.trim().parse::<u32>().ok();
    let (mut last, mut since) = (None, std::time::Instant::now());
    while last.is_none() || since.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(now) = count().filter(|now| Some(*now) != last) {
            (last, since) = (Some(now), std::time::Instant::now());
        }
    }
    // Pipe, socket and queues hold a few hundred kilobytes.
    assert!(last.unwrap() < 100, "{last:?} lines of 20 kB");
    let rss = allocated_kib(pid);
    assert!(rss < 24 * 1024, "{rss} KiB");
    // The delayed output arrives in full.
    for _ in 0..last.unwrap() + 50 {
        assert_eq!(lines.recv().await.map(|line| line.len()), Some(20_000));
    }
    probe.stop();
    drop(lines);
    assert_eq!(finished(probe.ended().await).end, End::Stopped);
}

#[tokio::test]
async fn the_death_of_the_runner_is_reported_kills_its_probes_and_is_healed() {
    let programs = Programs::new();
    let (grandchild, program) = family(&programs);
    let runner = runner(&with(&programs));
    let first = ready(&runner).await;
    let running = runner.start(ProbeRequest::new(custom("family", &[&grandchild, &program]), LONG)).await;
    let pids = blocking(move || {
        let pids = [pid_in(&program), pid_in(&grandchild)];
        kill_dash_nine(first);
        pids
    })
    .await;
    let outcome = running.outcome().await;
    let ProbeOutcome::RunnerGone(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("runner"), "{reason}");
    blocking(move || pids.map(wait_until_dead)).await;

    assert_ne!(ready(&runner).await, first);
    let request = ProbeRequest::new(tree(), LONG);
    assert_eq!(finished(runner.run(request).await).end, End::Exited { code: 0 });
}

#[tokio::test]
async fn letting_go_of_the_client_ends_the_runner_and_its_probes() {
    let programs = Programs::new();
    let (grandchild, program) = family(&programs);
    let runner = runner(&with(&programs));
    let runner_pid = ready(&runner).await;
    let running = runner.start(ProbeRequest::new(custom("family", &[&grandchild, &program]), LONG)).await;
    let pid = blocking(move || pid_in(&program)).await;
    drop((running, runner));
    blocking(move || [pid, runner_pid].map(wait_until_dead)).await;
}

#[test]
fn kill_dash_nine_of_the_reporter_ends_the_runner_and_its_probes() {
    let programs = Programs::new();
    let (grandchild, program) = family(&programs);
    let ProbeSpec { probe, parameters } = custom("family", &[&grandchild, &program]);
    let start = Start { id: 1, probe, parameters, deadline_ms: 300_000, output_cap_bytes: 1000 };
    let frame = String::from_utf8(encode_request(&Request::Start(start)).unwrap()).unwrap();
    // A reporter made of a shell: it holds one end of the socket as stdin, its runner gets the other one.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut reporter = Command::new("sh")
        .args([
            "-c",
            r#""$0" runner "--custom-directory=$3" --custom-same-user <&1 & echo $! > "$2"; printf %s "$1" >&0; wait"#,
        ])
        .args([AGENT, &frame])
        .args([&programs.path().join("runner.pid"), programs.path()])
        .stdin(Stdio::from(OwnedFd::from(ours)))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let pids = [pid_in(&programs.path().join("runner.pid")), pid_in(&program), pid_in(&grandchild)];
    assert!(pids.into_iter().all(is_alive));
    reporter.kill().unwrap();
    reporter.wait().unwrap();
    pids.into_iter().for_each(wait_until_dead);
}

#[tokio::test]
async fn a_client_connects_again_when_the_runner_at_the_socket_returns() {
    let folder = tempfile::tempdir().unwrap();
    let request = ProbeRequest::new(tree(), LONG);
    let listening = Listening::new(folder.path(), &[]);
    let runner = Runner::connect(listening.socket.clone());
    assert_eq!(finished(runner.run(request.clone()).await).end, End::Exited { code: 0 });
    let mut state = runner.state();
    // Killed, it leaves its socket behind.
    drop(listening);
    state.wait_for(|state| matches!(state, RunnerState::Down { .. })).await.unwrap();
    let _listening = Listening::new(folder.path(), &[]);
    assert_eq!(finished(runner.run(request).await).end, End::Exited { code: 0 });
}

#[tokio::test]
async fn a_runner_that_stands_still_is_told_from_a_probe_that_does_and_is_replaced() {
    let programs = Programs::new();
    programs.script("waits", "exec sleep 300");
    let runner = runner(&with(&programs));
    let first = ready(&runner).await;
    let running = runner.start(ProbeRequest::new(custom("waits", &[]), LONG)).await;
    kill_process(Pid::from_raw(first).unwrap(), Signal::STOP).unwrap();
    let outcome = running.outcome().await;
    let ProbeOutcome::RunnerSilent(reason) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("stopped, frozen or gets no CPU"), "{reason}");
    assert_ne!(ready(&runner).await, first);
    assert_eq!(finished(runner.run(ProbeRequest::new(tree(), LONG)).await).end, End::Exited { code: 0 });
    blocking(move || wait_until_dead(first)).await;
}

#[tokio::test]
async fn a_runner_behind_a_socket_that_accepts_and_says_nothing_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("runner.sock");
    let _mute = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let runner = Runner::connect(socket);
    let mut state = runner.state();
    let state = state.wait_for(|state| matches!(state, RunnerState::Down { .. })).await.unwrap().clone();
    let RunnerState::Down { reason } = state else { panic!("{state:?}") };
    assert!(reason.contains("has not answered"), "{reason}");
    let outcome = runner.run(ProbeRequest::new(tree(), LONG)).await;
    assert!(matches!(outcome, ProbeOutcome::RunnerSilent(_)), "{outcome:?}");
}
