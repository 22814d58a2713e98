//! The protocol between reporter and runner.
//!
//! One JSON document per line, over a unix socket. The reporter sends [`Request`]s of at most [`MAX_REQUEST_BYTES`],
//! the runner answers with [`Reply`]s of at most [`MAX_REPLY_BYTES`]. Every `Start` is answered by exactly one
//! `Finished` or `Refused`; `Started` precedes `Finished` if a process was created. This module does no IO.
//!
//! A probe that talks ([`Runnable::talks`](super::runnable::Runnable::talks)) gets the lines of `Say` on its
//! stdin, and each line of its stdout comes back as a `Line` at once; `Finished` follows its last line.

use serde::{Deserialize, Serialize};

pub use crate::process::capture::STDERR_TAIL_BYTES;

/// The longest line that the runner accepts, in bytes, including the newline.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The longest line that the runner writes, in bytes, including the newline. Has room for a line of
/// [`MAX_SAID_BYTES`](crate::readings::talk::MAX_SAID_BYTES) in which JSON escapes every character.
pub const MAX_REPLY_BYTES: usize = 512 * 1024;
/// The largest output cap that a request may set, in bytes. Well below the length of a reply, as JSON escapes quotes.
pub const MAX_OUTPUT_CAP_BYTES: u32 = 128 * 1024;
/// The longest deadline that a request may set: one day, in milliseconds. No test takes longer.
pub const MAX_DEADLINE_MS: u64 = 24 * 3600 * 1000;

/// From the reporter to the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// Run a probe.
    Start(Start),
    /// Stop a probe. Unknown ids are ignored: the probe may just have ended by itself.
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
    /// Are you there? Answered by a `Pong` at once: what does not answer stands still, whatever its probes do.
    Ping,
}

/// The parameters of a probe, by name.
pub type Parameters = serde_json::Map<String, serde_json::Value>;

/// A probe and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The name of the probe.
    pub probe: String,
    /// Its parameters.
    pub parameters: Parameters,
}

/// One probe to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// Chosen by the reporter, unique among the probes that run over this connection.
    pub id: u64,
    /// The name of the probe. Only probes of the runner's table can be started.
    pub probe: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// The probe and all its children are killed after this many milliseconds, 1 to [`MAX_DEADLINE_MS`]. For a probe that
    /// talks, each line sent to it restarts the time.
    pub deadline_ms: u64,
    /// A probe that prints more than this is killed, 1 to [`MAX_OUTPUT_CAP_BYTES`]. Ignored for a probe that talks, whose
    /// lines are bounded instead.
    pub output_cap_bytes: u32,
}

/// From the runner to the reporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Reply {
    /// The probe's process was created.
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
    /// The probe ended.
    Finished(Finished),
    /// The probe was not started, and why.
    Refused {
        /// The id of the `Start`.
        id: u64,
        /// A sentence.
        reason: String,
    },
    /// The answer to `Ping`.
    Pong,
    /// The runner does not serve this peer, and why. The connection ends.
    TurnedAway {
        /// A sentence.
        reason: String,
    },
    /// The runner could not read a request. The connection stays open.
    BadFrame {
        /// A sentence.
        reason: String,
    },
}

/// How a probe ended, and its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finished {
    /// The id of the `Start`.
    pub id: u64,
    /// How it ended.
    pub end: End,
    /// What it printed, at most `outputCapBytes`; bytes that are no UTF-8 are replaced. Empty for a probe that talks.
    pub stdout: String,
    /// The last [`STDERR_TAIL_BYTES`] of its stderr.
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
    /// No process was created.
    CouldNotStart {
        /// A sentence.
        reason: String,
    },
    /// `kill -9` did not end it in time: it hangs in a system call (state D), the usual sign of a hung driver.
    Unkillable {
        /// Its process id.
        pid: u32,
    },
}

/// Why a line is not a frame of the protocol.
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
    /// Text for a probe must be one line.
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
        Request::Stop { .. } | Request::Say { .. } | Request::Ping => Ok(()),
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
        | Reply::Pong
        | Reply::TurnedAway { .. }
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
