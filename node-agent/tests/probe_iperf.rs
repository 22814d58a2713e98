//! `probe iperf-server` and `probe iperf-client`, with the real iperf3 where it is installed, and with programs that
//! fail as it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use node_agent::readings::ProbeReport;
use node_agent::readings::bandwidth::{IperfReason, IperfReport};
use probe_support::{AGENT, Programs, probe, wait_for};

fn has_iperf3(test: &str) -> bool {
    let there = Command::new("iperf3").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        println!("not run here: {test}: iperf3 is not on PATH (apt-get install iperf3)");
    }
    there
}

fn in_ms(from_now: u64) -> String {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(from_now);
    format!("--until-unix-ms={}", end.as_millis())
}

/// Below the ephemeral ports: no other process takes one of these between our check and the server's bind.
const PORTS: std::ops::Range<u16> = 10_000..12_000;

/// A port on which no process listens; another one at each call.
fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin at different ports.
    let begin = u16::try_from(std::process::id() % 200).unwrap() * 10;
    let candidates = || Some(PORTS.start + (begin + CALLS.fetch_add(1, Ordering::SeqCst)) % 2_000);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::from_fn(candidates).take(PORTS.len()).find(is_free).expect("a free port")
}

/// Whether someone has a connection to the port, by the kernel's table: state 01 is ESTABLISHED.
fn is_connected(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!("0100007F:{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&local) && fields.nth(1) == Some("01")
    })
}

fn server(port: u16, slot_ms: u64) -> Child {
    let arguments = ["probe", "iperf-server", "--bind=127.0.0.1", &format!("--port={port}"), &in_ms(slot_ms)];
    Command::new(AGENT).args(arguments).stdout(Stdio::piped()).spawn().unwrap()
}

fn report_of(server: Child) -> IperfReport {
    let output = server.wait_with_output().unwrap();
    assert!(output.status.success());
    ProbeReport::parse("iperf-server", &String::from_utf8_lossy(&output.stdout)).unwrap()
}

fn client(port: u16, slot_ms: u64, more: &[&str]) -> IperfReport {
    client_for(1, port, slot_ms, more)
}

fn client_for(seconds: u32, port: u16, slot_ms: u64, more: &[&str]) -> IperfReport {
    let (port, slot, seconds) = (format!("--port={port}"), in_ms(slot_ms), format!("--seconds={seconds}"));
    let mut arguments = vec!["iperf-client", "--server=127.0.0.1", &port, &slot, &seconds, "--streams=2"];
    arguments.extend(more);
    probe(&arguments, &[])
}

fn with_program(program: &Path, slot_ms: u64) -> IperfReport {
    client(9, slot_ms, &[&format!("--iperf3={}", program.display())])
}

#[test]
fn a_pair_measures_its_bandwidth() {
    if !has_iperf3("a_pair_measures_its_bandwidth") {
        return;
    }
    let port = free_port();
    let listening = server(port, 30_000);
    let sent = client(port, 30_000, &["--bind=127.0.0.1"]);
    assert_eq!(sent.reason, None, "{sent:?}");
    assert!(sent.mbps.unwrap() > 100 && sent.retransmits.is_some(), "{sent:?}");
    assert!((0.5..10.0).contains(&sent.seconds.unwrap()), "{sent:?}");
    assert!(sent.evidence.starts_with("iperf3 -c 127.0.0.1 -p "), "{sent:?}");
    let received = report_of(listening);
    assert_eq!(received.reason, None, "{received:?}");
    assert_eq!(received.mbps, sent.mbps);
}

#[test]
fn a_stranger_is_no_partner_and_costs_the_partner_only_time() {
    if !has_iperf3("a_stranger_is_no_partner_and_costs_the_partner_only_time") {
        return;
    }
    let serving = |port: u16, slot_ms: u64| {
        let arguments = ["probe", "iperf-server", "--bind=127.0.0.1", &format!("--port={port}"), &in_ms(slot_ms)];
        let of_slot = ["--password=uid/1/0", "--partners=127.0.0.1"];
        Command::new(AGENT).args(arguments).args(of_slot).stdout(Stdio::piped()).spawn().unwrap()
    };
    let stranger = |port: u16| client(port, 30_000, &["--bind=127.0.0.2"]);
    // Only the stranger comes.
    let port = free_port();
    let listening = serving(port, 8_000);
    assert_eq!(stranger(port).reason, None);
    let report = report_of(listening);
    assert_eq!((report.reason, report.mbps), (Some(IperfReason::ForeignPeer), None), "{report:?}");
    assert!(report.evidence.contains("127.0.0.2"), "{report:?}");
    // The partner comes after the stranger: known by its address, or by what it sends along.
    for of_partner in [vec!["--bind=127.0.0.1"], vec!["--bind=127.0.0.3", "--password=uid/1/0"]] {
        let port = free_port();
        let listening = serving(port, 30_000);
        assert_eq!(stranger(port).reason, None);
        let sent = client(port, 30_000, &of_partner);
        let report = report_of(listening);
        assert_eq!((report.reason, report.mbps), (None, sent.mbps), "{report:?}");
        assert_eq!(report.attempts, 2);
    }
}

#[test]
fn a_client_waits_for_a_server_that_comes_later_in_the_slot() {
    if !has_iperf3("a_client_waits_for_a_server_that_comes_later_in_the_slot") {
        return;
    }
    let port = free_port();
    let programs = Programs::new();
    let attempts = programs.path().join("attempts");
    let counting = programs.script("counting", &format!("echo again >> {}; exec iperf3 \"$@\"", attempts.display()));
    let sending = std::thread::spawn(move || client(port, 60_000, &[&format!("--iperf3={}", counting.display())]));
    wait_for("two attempts", || (std::fs::read_to_string(&attempts).ok()?.lines().count() >= 2).then_some(()));
    let listening = server(port, 30_000);
    let sent = sending.join().unwrap();
    assert_eq!(sent.reason, None, "{sent:?}");
    assert!(sent.attempts > 1, "{sent:?}");
    assert_eq!(report_of(listening).reason, None);
}

#[test]
fn a_server_never_outlives_its_slot() {
    if !has_iperf3("a_server_never_outlives_its_slot") {
        return;
    }
    let begin = Instant::now();
    let report = report_of(server(free_port(), 4_000));
    assert_eq!((report.reason, report.mbps), (Some(IperfReason::NobodyCame), None), "{report:?}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    let report = report_of(server(free_port(), 0));
    assert_eq!((report.reason, report.attempts), (Some(IperfReason::SlotOver), 0));
}

#[test]
fn a_taken_port_and_a_refusal_and_a_busy_server_have_their_names() {
    if !has_iperf3("a_taken_port_and_a_refusal_and_a_busy_server_have_their_names") {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let report = report_of(server(taken.local_addr().unwrap().port(), 20_000));
    assert_eq!(report.reason, Some(IperfReason::PortTaken), "{report:?}");
    assert!(report.evidence.contains("Address already in use"), "{report:?}");

    let report = client(free_port(), 5_000, &[]);
    assert_eq!(report.reason, Some(IperfReason::ConnectionRefused), "{report:?}");
    assert!(report.attempts > 1 && report.evidence.contains("Connection refused"), "{report:?}");

    let port = free_port();
    let listening = server(port, 60_000);
    let first = std::thread::spawn(move || client_for(8, port, 60_000, &[]));
    wait_for("the first client", || is_connected(port).then_some(()));
    // Its slot ends while the first client still sends, and leaves seconds for a busy machine to start it.
    let second = client(port, 4_000, &[]);
    assert_eq!(second.reason, Some(IperfReason::Busy), "{second:?}");
    // The second client does not disturb the first.
    assert_eq!(first.join().unwrap().reason, None);
    assert_eq!(report_of(listening).reason, None);
}

#[test]
fn a_peer_that_accepts_and_stays_silent_is_left_at_the_end_of_the_slot() {
    if !has_iperf3("a_peer_that_accepts_and_stays_silent_is_left_at_the_end_of_the_slot") {
        return;
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begin = Instant::now();
    let report = client(silent.local_addr().unwrap().port(), 5_000, &[]);
    assert_eq!((report.reason, report.attempts), (Some(IperfReason::PeerSilent), 1), "{report:?}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_missing_program_is_named() {
    let report = with_program(Path::new("/nonexistent/iperf3"), 20_000);
    assert_eq!((report.reason, report.mbps, report.attempts), (Some(IperfReason::ToolMissing), None, 1));
    assert!(report.evidence.contains("cannot start /nonexistent/iperf3: No such file"), "{report:?}");
}

#[test]
fn an_error_in_the_document_counts_although_the_program_exits_with_0() {
    let programs = Programs::new();
    let program = programs.script(
        "iperf3",
        r#"cat <<'END'
{
	"start":	{
		"connected":	[],
		"version":	"iperf 3.12"
	},
	"intervals":	[],
	"end":	{
	},
	"error":	"error - unable to set TCP/SCTP MSS: Invalid argument"
}
END
exit 0"#,
    );
    let report = with_program(&program, 20_000);
    assert_eq!((report.reason, report.attempts), (Some(IperfReason::ToolError), 1), "{report:?}");
    assert!(report.evidence.contains("unable to set TCP/SCTP MSS") && report.evidence.len() <= 256, "{report:?}");
}

#[test]
fn garbage_silence_and_a_crash_are_no_measurements() {
    let programs = Programs::new();
    let reason = |name: &str, body: &str| {
        let report = with_program(&programs.script(name, body), 6_000);
        assert_eq!((report.mbps, report.retransmits, report.seconds), (None, None, None));
        assert!(report.evidence.starts_with(&format!("{name} -c 127.0.0.1")), "{report:?}");
        report.reason.unwrap()
    };
    assert_eq!(reason("garbage", "echo 'iperf 2.1.9 (14 March 2023) pthreads'"), IperfReason::UnknownOutput);
    assert_eq!(reason("usage", "echo 'iperf3: unrecognized option' >&2; exit 1"), IperfReason::UnknownOutput);
    assert_eq!(reason("endless", "exec yes"), IperfReason::UnknownOutput);
    assert_eq!(reason("crash", "kill -SEGV $$"), IperfReason::Interrupted);
    assert_eq!(reason("silence", "exec sleep 300"), IperfReason::PeerSilent);
}

#[test]
fn a_slot_that_is_too_short_for_the_measurement_is_not_begun() {
    let report = client(9, 500, &["--iperf3=/nonexistent"]);
    assert_eq!((report.reason, report.attempts), (Some(IperfReason::SlotOver), 0), "{report:?}");
}
