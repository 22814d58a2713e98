//! What the reporter and the runner say to each other.
//!
//! One JSON document per line, over a unix socket. The reporter sends [`Request`]s of at most [`MAX_REQUEST_BYTES`],
//! the runner answers with [`Reply`]s of at most [`MAX_REPLY_BYTES`]. Every `Start` is answered by exactly one
//! `Finished` or `Refused`, with `Started` before `Finished` when a process came to be. Nothing in here touches the
//! world.
//!
//! A probe that talks ([`ProbeSpec::talks`]) gets the lines that are said to it by `Say` on its stdin, and each line of
//! its stdout comes back as a `Line` at once; its `Finished` comes after its last line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::process::capture::STDERR_TAIL_BYTES;

/// The longest line that the runner reads, in bytes, its newline included.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The longest line that the runner writes, in bytes, its newline included. Holds a line of
/// [`MAX_SAID_BYTES`](crate::readings::talk::MAX_SAID_BYTES) in which JSON escapes every character.
pub const MAX_REPLY_BYTES: usize = 512 * 1024;
/// The most output of one probe that a request may ask for, in bytes. Well below a reply, as JSON escapes quotes.
pub const MAX_OUTPUT_CAP_BYTES: u32 = 128 * 1024;
/// The longest deadline that a request may ask for: one day, in milliseconds. Longer tests do not exist.
pub const MAX_DEADLINE_MS: u64 = 24 * 3600 * 1000;

/// From the reporter to the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// Run a probe.
    Start(Start),
    /// End a probe before its time. Unknown ids are ignored: the probe may just have ended by itself.
    Stop {
        /// The id of the `Start`.
        id: u64,
    },
    /// A line for the stdin of a probe that talks. Unknown ids are ignored; a probe that does not read loses lines.
    Say {
        /// The id of the `Start`.
        id: u64,
        /// Without a newline.
        line: String,
    },
}

/// One probe to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// Chosen by the reporter, unique among the probes that run over this connection.
    pub id: u64,
    /// What to run.
    pub probe: ProbeSpec,
    /// After so many milliseconds the probe and all its children are killed. 1 to [`MAX_DEADLINE_MS`]. For a probe that
    /// talks the time runs anew with each line that is said to it.
    pub deadline_ms: u64,
    /// A probe that prints more than this is killed. 1 to [`MAX_OUTPUT_CAP_BYTES`]. Not for a probe that talks, which is
    /// held to the length of its lines instead.
    pub output_cap_bytes: u32,
}

/// From the runner to the reporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Reply {
    /// The probe's process exists.
    Started {
        /// The id of the `Start`.
        id: u64,
        /// Its process id, which is also the id of its process group.
        pid: u32,
    },
    /// A line that a talking probe has printed.
    Line {
        /// The id of the `Start`.
        id: u64,
        /// Without its newline; bytes that are no UTF-8 are replaced.
        line: String,
    },
    /// The probe ended, one way or another.
    Finished(Finished),
    /// The probe was not started, and why.
    Refused {
        /// The id of the `Start`.
        id: u64,
        /// A sentence.
        reason: String,
    },
    /// A line that was no request. The connection goes on.
    BadFrame {
        /// A sentence.
        reason: String,
    },
}

/// How a probe ended, and what it printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finished {
    /// The id of the `Start`.
    pub id: u64,
    /// How it ended.
    pub end: End,
    /// What it printed, at most `outputCapBytes`; bytes that are no UTF-8 are replaced. Empty for a probe that talks.
    pub stdout: String,
    /// The last [`STDERR_TAIL_BYTES`] of what it complained about.
    pub stderr_tail: String,
    /// From the start of the process to its end, in milliseconds.
    pub duration_ms: u64,
}

/// The ways in which a probe ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum End {
    /// It exited by itself.
    Exited {
        /// Its exit status, 0 to 255.
        code: i32,
    },
    /// A signal that the runner did not send ended it: it crashed, or someone killed it.
    Signaled {
        /// The number of the signal.
        signal: i32,
    },
    /// It ran past its deadline and was killed.
    DeadlineExceeded,
    /// The reporter stopped it.
    Stopped,
    /// It printed more than allowed and was killed.
    OutputTooLong,
    /// No process came to be.
    CouldNotStart {
        /// A sentence.
        reason: String,
    },
    /// `kill -9` did not end it in time: it hangs in a system call (state D), which is what a hung driver looks like.
    Unkillable {
        /// Its process id.
        pid: u32,
    },
}

/// The probes that a runner can run. Nothing else can be run over this protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ProbeSpec {
    /// The sampler, which holds the driver's library. It talks: [`crate::readings::talk`].
    Sampler {
        /// Name or path of the driver's management library.
        nvml_library: PathBuf,
        /// Root of the tree that is `/dev` on a node.
        dev_root: PathBuf,
        /// A call that takes longer than this is told as hung, in milliseconds.
        call_deadline_ms: u64,
    },
    /// What sysfs and procfs tell without any driver library.
    Tree {
        /// Root of the tree that is `/sys` on a node.
        sysfs_root: PathBuf,
        /// Root of the tree that is `/proc` on a node.
        proc_root: PathBuf,
    },
    /// A user's own check: a program by name from one directory.
    Custom {
        /// The one directory that may be run from.
        directory: PathBuf,
        /// `^[a-z0-9][a-z0-9-]{0,62}$`
        program: String,
        /// Handed over as they are; no shell.
        args: Vec<String>,
        /// Keys begin with `CHECK_`.
        env: BTreeMap<String, String>,
        /// Run it under the runner's own uid instead of 65534.
        same_user: bool,
        /// After so many milliseconds without an end the probe reports `ProgramSilent`. Give the runner's own deadline
        /// 2 s more than this.
        deadline_ms: u64,
    },
    /// The listening half of a bandwidth test, for one client in one slot.
    IperfServer {
        /// Name or path of the program.
        iperf3: PathBuf,
        /// The address to listen at.
        bind: IpAddr,
        /// The port to listen at.
        port: u16,
        /// End of the slot, in milliseconds since 1970.
        until_unix_ms: u64,
    },
    /// The sending half of a bandwidth test.
    IperfClient {
        /// Name or path of the program.
        iperf3: PathBuf,
        /// The peer's address.
        server: IpAddr,
        /// The peer's port.
        port: u16,
        /// The own address to send from, where it matters.
        bind: Option<IpAddr>,
        /// Parallel streams, 1 to 128 (the limit of iperf3).
        streams: u16,
        /// Length of the measurement, in seconds.
        seconds: u32,
        /// Limit of one TCP connect, in milliseconds.
        connect_timeout_ms: u64,
        /// End of the slot, in milliseconds since 1970.
        until_unix_ms: u64,
    },
}

impl ProbeSpec {
    /// What counts as "the same probe" when a child cannot be killed: the check, and for custom checks the program.
    pub fn kind(&self) -> String {
        match self {
            Self::Sampler { .. } => "sampler".to_owned(),
            Self::Tree { .. } => "tree".to_owned(),
            Self::Custom { program, .. } => format!("custom/{program}"),
            Self::IperfServer { .. } => "iperf-server".to_owned(),
            Self::IperfClient { .. } => "iperf-client".to_owned(),
        }
    }

    /// Whether it is spoken to and answers while it runs, rather than printing one report.
    pub const fn talks(&self) -> bool {
        matches!(self, Self::Sampler { .. })
    }

    /// The command line of `gpu-health-agent` that runs this probe, without the program's own name.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut line = Line(vec!["probe".into()]);
        match self {
            Self::Sampler { nvml_library, dev_root, call_deadline_ms } => {
                line.word("sampler");
                line.path("nvml-library", nvml_library);
                line.path("dev-root", dev_root);
                line.option("call-deadline-ms", call_deadline_ms);
            }
            Self::Tree { sysfs_root, proc_root } => {
                line.word("tree");
                line.path("sysfs-root", sysfs_root);
                line.path("proc-root", proc_root);
            }
            Self::Custom { directory, program, args, env, same_user, deadline_ms } => {
                line.word("custom");
                line.path("directory", directory);
                line.option("program", program);
                line.option("deadline-ms", deadline_ms);
                for (key, value) in env {
                    line.option("env", format_args!("{key}={value}"));
                }
                if *same_user {
                    line.word("--custom-same-user");
                }
                line.word("--");
                line.0.extend(args.iter().map(OsString::from));
            }
            Self::IperfServer { iperf3, bind, port, until_unix_ms } => {
                line.word("iperf-server");
                line.path("iperf3", iperf3);
                line.option("bind", bind);
                line.option("port", port);
                line.option("until-unix-ms", until_unix_ms);
            }
            Self::IperfClient { iperf3, server, port, bind, streams, seconds, connect_timeout_ms, until_unix_ms } => {
                line.word("iperf-client");
                line.path("iperf3", iperf3);
                line.option("server", server);
                line.option("port", port);
                if let Some(bind) = bind {
                    line.option("bind", bind);
                }
                line.option("streams", streams);
                line.option("seconds", seconds);
                line.option("connect-timeout-ms", connect_timeout_ms);
                line.option("until-unix-ms", until_unix_ms);
            }
        }
        line.0
    }
}

/// Options are written `--name=value`, so that no value can be taken for an option.
struct Line(Vec<OsString>);

impl Line {
    fn word(&mut self, word: &str) {
        self.0.push(word.into());
    }

    fn option(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0.push(format!("--{name}={value}").into());
    }

    fn path(&mut self, name: &str, path: &std::path::Path) {
        let mut word = OsString::from(format!("--{name}="));
        word.push(path);
        self.0.push(word);
    }
}

/// Why a line is no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Too many bytes before the newline.
    #[error("the line is longer than {limit} bytes; send less in one frame")]
    TooLong {
        /// The bound that was exceeded, in bytes.
        limit: usize,
    },
    /// Not JSON, or not a document of this protocol.
    #[error("the line is no frame of the runner's protocol: {0}")]
    Malformed(#[source] serde_json::Error),
    /// What is said to a probe must be one line.
    #[error("the line for the probe holds a newline; say one line at a time")]
    Newline,
    /// A number outside its range.
    #[error("{field} is {value}; it must be 1 to {max}")]
    OutOfRange {
        /// The field's name on the wire.
        field: &'static str,
        /// What it held.
        value: u64,
        /// The largest value allowed.
        max: u64,
    },
}

/// Reads one line, without or with its newline.
pub fn decode_request(line: &[u8]) -> Result<Request, FrameError> {
    within(line, MAX_REQUEST_BYTES)?;
    let request: Request = serde_json::from_slice(line).map_err(FrameError::Malformed)?;
    check(&request)?;
    Ok(request)
}

fn check(request: &Request) -> Result<(), FrameError> {
    match request {
        Request::Start(start) => {
            in_range("deadlineMs", start.deadline_ms, MAX_DEADLINE_MS)?;
            in_range("outputCapBytes", start.output_cap_bytes.into(), MAX_OUTPUT_CAP_BYTES.into())
        }
        Request::Say { line, .. } if line.contains('\n') => Err(FrameError::Newline),
        Request::Stop { .. } | Request::Say { .. } => Ok(()),
    }
}

/// Reads one line, without or with its newline.
pub fn decode_reply(line: &[u8]) -> Result<Reply, FrameError> {
    within(line, MAX_REPLY_BYTES)?;
    serde_json::from_slice(line).map_err(FrameError::Malformed)
}

/// Writes one line, with its newline. Refuses what [`decode_request`] would refuse.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, FrameError> {
    check(request)?;
    let line = line_of(request)?;
    within(&line, MAX_REQUEST_BYTES)?;
    Ok(line)
}

/// Writes one line, with its newline. Output that JSON's escapes blow up beyond the bound of a reply is dropped, and
/// the probe counts as [`End::OutputTooLong`].
pub fn encode_reply(reply: &Reply) -> Result<Vec<u8>, FrameError> {
    let line = line_of(reply)?;
    match reply {
        Reply::Finished(finished) if line.len() > MAX_REPLY_BYTES => line_of(&Reply::Finished(Finished {
            id: finished.id,
            end: End::OutputTooLong,
            stdout: String::new(),
            stderr_tail: finished.stderr_tail.clone(),
            duration_ms: finished.duration_ms,
        })),
        Reply::Started { .. }
        | Reply::Line { .. }
        | Reply::Finished(_)
        | Reply::Refused { .. }
        | Reply::BadFrame { .. } => Ok(line),
    }
}

fn line_of(frame: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut line = serde_json::to_vec(frame).map_err(FrameError::Malformed)?;
    line.push(b'\n');
    Ok(line)
}

fn within(line: &[u8], limit: usize) -> Result<(), FrameError> {
    if line.len() > limit { Err(FrameError::TooLong { limit }) } else { Ok(()) }
}

fn in_range(field: &'static str, value: u64, max: u64) -> Result<(), FrameError> {
    if (1..=max).contains(&value) { Ok(()) } else { Err(FrameError::OutOfRange { field, value, max }) }
}

#[cfg(test)]
mod tests;
