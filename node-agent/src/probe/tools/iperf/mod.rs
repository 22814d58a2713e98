//! `probe iperf-server` and `probe iperf-client`: the two sides of one bandwidth test between two nodes, in one slot.
//!
//! The caller decides when a slot begins; the probe knows when it ends. The server serves one client and never outlives
//! its slot. The client retries, because the server may not be listening yet, until too little of the slot is left.

mod output;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(test)]
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::probe::places::Places;
use crate::probe::start::{Probe, print_report_of};
#[cfg(test)]
use crate::probe::start::{any_address, any_text};
use crate::process::tool::{ToolEnd, ToolRun, run_tool};
use crate::readings::bandwidth::{IperfReason, IperfReport};
use crate::text::evidence;

use output::{Partner, Refused, read_from};

pub use output::{Measured, read};

/// `-i 0` omits the intervals; what is left are some kilobytes for 128 streams.
const OUTPUT_CAP: usize = 1024 * 1024;
/// The pause between two attempts of the client.
const AGAIN: Duration = Duration::from_millis(200);
/// The time of a measurement beyond its own length: handshake, slow start, exchange of results.
const SLACK: Duration = Duration::from_secs(5);

/// The parameters of `probe iperf-server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct IperfServerParameters {
    /// The slot.
    #[command(flatten)]
    #[serde(flatten)]
    pub asked: IperfServerAsked,
    /// Name or path of iperf3.
    #[arg(long, default_value = "iperf3")]
    pub iperf3: PathBuf,
}

/// What a client chooses of `probe iperf-server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IperfServerAsked {
    /// The address to listen on.
    #[arg(long)]
    pub bind: IpAddr,
    /// The port to listen on.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// What the partner of the slot sends along. Whoever does not is no partner, unless his address is one of --partners.
    #[arg(long)]
    pub password: Option<String>,
    /// Addresses of the partner of the slot. Without these and without --password anybody is one.
    #[arg(long)]
    pub partners: Vec<IpAddr>,
    /// End of the slot, in milliseconds since 1970.
    #[arg(long)]
    pub until_unix_ms: u64,
}

/// The parameters of `probe iperf-client`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct IperfClientParameters {
    /// The slot.
    #[command(flatten)]
    #[serde(flatten)]
    pub asked: IperfClientAsked,
    /// Name or path of iperf3.
    #[arg(long, default_value = "iperf3")]
    pub iperf3: PathBuf,
}

/// What a client chooses of `probe iperf-client`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IperfClientAsked {
    /// The peer's address.
    #[arg(long)]
    pub server: IpAddr,
    /// The peer's port.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// The local address to send from.
    #[arg(long)]
    pub bind: Option<IpAddr>,
    /// Parallel streams; iperf3 allows at most 128.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub streams: u16,
    /// Length of the measurement, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// What is sent along for the server to know its partner.
    #[arg(long)]
    pub password: Option<String>,
    /// Timeout of one TCP connect, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    pub connect_timeout_ms: u64,
    /// End of the slot, in milliseconds since 1970.
    #[arg(long)]
    pub until_unix_ms: u64,
}

impl Probe for IperfServerParameters {
    type Asked = IperfServerAsked;
    type Report = IperfReport;

    const NAME: &'static str = "iperf-server";
    const OF_THE_RUNNER: &'static [&'static str] = &["iperf3"];

    fn at(places: &Places, asked: IperfServerAsked) -> Self {
        Self { asked, iperf3: places.tools.iperf3.clone() }
    }

    fn run(self) -> ExitCode {
        print_report_of::<Self>(serve(&self))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<IperfServerAsked> {
        let partners = proptest::collection::vec(any_address(), 0..3);
        (any_address(), 1..u16::MAX, proptest::option::of(any_text()), partners, any::<u64>())
            .prop_map(|(bind, port, password, partners, until_unix_ms)| IperfServerAsked {
                bind,
                port,
                password,
                partners,
                until_unix_ms,
            })
            .boxed()
    }
}

impl Probe for IperfClientParameters {
    type Asked = IperfClientAsked;
    type Report = IperfReport;

    const NAME: &'static str = "iperf-client";
    const OF_THE_RUNNER: &'static [&'static str] = &["iperf3"];

    fn at(places: &Places, asked: IperfClientAsked) -> Self {
        Self { asked, iperf3: places.tools.iperf3.clone() }
    }

    fn run(self) -> ExitCode {
        print_report_of::<Self>(send(&self))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<IperfClientAsked> {
        let addresses = (any_address(), proptest::option::of(any_address()));
        let limits = (1..=128_u16, 1..3600_u32, any::<u64>(), any::<u64>());
        (addresses, 1..u16::MAX, limits, proptest::option::of(any_text()))
            .prop_map(|((server, bind), port, (streams, seconds, connect_timeout_ms, until_unix_ms), password)| {
                IperfClientAsked { server, port, bind, streams, seconds, password, connect_timeout_ms, until_unix_ms }
            })
            .boxed()
    }
}

/// Listens until the partner of the slot has come, or until the slot ends: whoever else comes only costs time.
async fn serve(args: &IperfServerParameters) -> IperfReport {
    let end = slot_end(args.asked.until_unix_ms);
    let mut last = listen_once(args, end).await;
    let mut attempts = u32::from(last.measured != Err(IperfReason::SlotOver));
    while last.measured == Err(IperfReason::ForeignPeer) {
        let again = listen_once(args, end).await;
        match again.measured {
            // The stranger is why nobody else came.
            Err(IperfReason::SlotOver | IperfReason::NobodyCame) => break,
            Ok(_) | Err(_) => last = again,
        }
        attempts += 1;
    }
    report(&last, attempts)
}

/// Listens for one client.
async fn listen_once(args: &IperfServerParameters, end: Instant) -> Attempt {
    let asked = &args.asked;
    let left = end.saturating_duration_since(Instant::now());
    let mut command = Command::new(&args.iperf3);
    command.args(["-s", "-1", "-J", "-i", "0", "-B", &asked.bind.to_string(), "-p", &asked.port.to_string()]);
    // Ends a server without a client; the deadline also ends one that is busy.
    command.args(["--idle-timeout", &left.as_secs().max(1).to_string()]);
    if left.is_zero() {
        return Attempt::none(&command, IperfReason::SlotOver);
    }
    let partner = Partner { password: asked.password.as_deref(), addresses: &asked.partners };
    attempt(command, end, IperfReason::NobodyCame, &partner).await
}

/// Sends to the server, and retries until too little of the slot is left for a measurement.
async fn send(args: &IperfClientParameters) -> IperfReport {
    let asked = &args.asked;
    let end = slot_end(asked.until_unix_ms);
    let length = Duration::from_secs(asked.seconds.into());
    let mut last = Attempt::none(&client_command(args), IperfReason::SlotOver);
    let mut attempts = 0;
    while Instant::now() + length <= end {
        attempts += 1;
        let patience = Duration::from_millis(asked.connect_timeout_ms) + length + SLACK;
        let until = end.min(Instant::now() + patience);
        last = attempt(client_command(args), until, IperfReason::PeerSilent, &Partner::ANYBODY).await;
        match last.measured {
            Err(IperfReason::ConnectionRefused | IperfReason::Busy | IperfReason::PeerSilent) => {
                sleep(AGAIN).await;
            }
            Ok(_) | Err(_) => break,
        }
    }
    report(&last, attempts)
}

fn client_command(args: &IperfClientParameters) -> Command {
    let IperfClientParameters { asked, iperf3 } = args;
    let mut command = Command::new(iperf3);
    command.args(["-c", &asked.server.to_string(), "-p", &asked.port.to_string()]);
    if let Some(bind) = asked.bind {
        command.args(["-B", &bind.to_string()]);
    }
    if let Some(password) = &asked.password {
        command.arg(format!("--extra-data={password}"));
    }
    command.args(["-J", "-i", "0", "-P", &asked.streams.to_string(), "-t", &asked.seconds.to_string()]);
    command.args(["--connect-timeout", &asked.connect_timeout_ms.to_string()]);
    command
}

struct Attempt {
    measured: Result<Measured, IperfReason>,
    evidence: String,
}

impl Attempt {
    fn none(command: &Command, reason: IperfReason) -> Self {
        Self { measured: Err(reason), evidence: evidence(&line_of(command), "") }
    }
}

/// Runs iperf3 once. `silent` is the reason if it had to be killed at `deadline` or printed nothing.
async fn attempt(command: Command, deadline: Instant, silent: IperfReason, partner: &Partner<'_>) -> Attempt {
    let line = line_of(&command);
    let program = PathBuf::from(command.get_program());
    match run_tool(command, deadline, OUTPUT_CAP).await {
        Ok(ran) => match judge(&ran, silent, partner) {
            Err(Refused::Foreign(host)) => Attempt {
                measured: Err(IperfReason::ForeignPeer),
                evidence: evidence(&line, &format!("{host} came, which is not the partner of the slot")),
            },
            Err(Refused::Because(reason)) => Attempt { measured: Err(reason), evidence: evidence(&line, said(&ran)) },
            Ok(measured) => Attempt { measured: Ok(measured), evidence: evidence(&line, said(&ran)) },
        },
        Err(error) => Attempt {
            measured: Err(match error.kind() {
                io::ErrorKind::NotFound => IperfReason::ToolMissing,
                _ => IperfReason::ToolError,
            }),
            evidence: evidence(&line, &format!("cannot start {}: {error}", Path::display(&program))),
        },
    }
}

fn judge(ran: &ToolRun, silent: IperfReason, partner: &Partner<'_>) -> Result<Measured, Refused> {
    match ran.end {
        ToolEnd::Silent => Err(silent.into()),
        ToolEnd::Signaled(_) => Err(IperfReason::Interrupted.into()),
        ToolEnd::TooLong => Err(IperfReason::UnknownOutput.into()),
        // `--idle-timeout` ends with status 0 and no output.
        ToolEnd::Exited(0) if ran.stdout.trim().is_empty() && silent == IperfReason::NobodyCame => Err(silent.into()),
        ToolEnd::Exited(_) => read_from(&ran.stdout, partner),
    }
}

/// The error from the output, which is JSON and begins with other fields.
fn said(ran: &ToolRun) -> &str {
    let error = ran.stdout.lines().rev().find(|line| line.trim_start().starts_with("\"error\""));
    let output = if ran.stdout.trim().is_empty() { &ran.stderr_tail } else { &ran.stdout };
    error.unwrap_or(output)
}

fn report(attempt: &Attempt, attempts: u32) -> IperfReport {
    let measured = attempt.measured.as_ref().ok();
    IperfReport {
        mbps: measured.map(|measured| measured.mbps),
        retransmits: measured.and_then(|measured| measured.retransmits),
        seconds: measured.map(|measured| measured.seconds),
        reason: attempt.measured.as_ref().err().copied(),
        evidence: attempt.evidence.clone(),
        attempts,
    }
}

fn line_of(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Slots are agreed on in wall-clock time and awaited by the monotonic clock.
fn slot_end(until_unix_ms: u64) -> Instant {
    let end = UNIX_EPOCH + Duration::from_millis(until_unix_ms.min(u64::from(u32::MAX) * 1000));
    Instant::now() + end.duration_since(SystemTime::now()).unwrap_or_default()
}
