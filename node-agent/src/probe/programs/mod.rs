//! `probe custom`: a user's own check, a program by name from one directory.
//!
//! The name is looked up only in that directory, no shell is involved, the environment has only `PATH` and the declared
//! `CHECK_*` keys, and the program runs under uid 65534 unless told otherwise. It can gain no rights, and what it may use up
//! is bounded (`process::limits`). If it gives no verdict, the result is
//! `Inconclusive` with a reason of its own. Its exit status is a hint, not the result.

mod contract;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

#[cfg(test)]
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::places::{Places, Tools};
#[cfg(test)]
use super::start::any_text;
use super::start::{Probe, print_report_of};
use crate::process::tool::{ToolEnd, ToolRun, run_tool};
use crate::process::{limits, sys};
use crate::readings::program::{CustomReport, Outcome, Severity, Verdict};
use crate::text::{EVIDENCE_CHARS, bounded, evidence};

pub use contract::read;

/// How much earlier than its probe a program must end, in milliseconds, so that the probe can report that it did not.
pub const MARGIN_MS: u64 = 2_000;

/// The user and group `nobody` of every distribution.
const NOBODY: u32 = 65_534;
/// The most that a program may print, in bytes. The verdict is one line.
const OUTPUT_CAP: usize = 1024 * 1024;
/// The program's `PATH` if our own is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The parameters of `probe custom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct CustomParameters {
    /// The program.
    #[command(flatten)]
    #[serde(flatten)]
    pub asked: CustomAsked,
    /// The directory that programs are run from.
    #[arg(long)]
    pub custom_directory: Option<PathBuf>,
    /// Run the program under the probe's own uid instead of 65534.
    #[arg(long)]
    pub custom_same_user: bool,
}

/// What a client chooses of `probe custom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomAsked {
    /// The program's name in that directory: lower-case letters, digits and dashes, at most 63, no dash first.
    #[arg(long)]
    pub program: String,
    /// KEY=VALUE for the program's environment; the key must begin with CHECK_. Repeatable.
    #[arg(long = "env")]
    pub env: Vec<String>,
    /// Milliseconds after which a program that has not ended is killed and reported as silent. The probe's own deadline must
    /// be 2 s longer.
    #[arg(long, default_value_t = 60_000)]
    pub deadline_ms: u64,
    /// Arguments of the program, passed on unchanged; no shell is involved.
    #[arg(last = true)]
    pub args: Vec<String>,
}

impl Probe for CustomParameters {
    type Asked = CustomAsked;
    type Report = CustomReport;

    const NAME: &'static str = "custom";
    const TRAILING: Option<&'static str> = Some("args");
    const OF_THE_RUNNER: &'static [&'static str] = &["customDirectory", "customSameUser"];

    fn at(places: &Places, asked: CustomAsked) -> Self {
        let Tools { custom_directory, custom_same_user, iperf3: _ } = places.tools.clone();
        Self { asked, custom_directory, custom_same_user }
    }

    fn run(self) -> ExitCode {
        print_report_of::<Self>(run(self))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<CustomAsked> {
        let texts = || proptest::collection::vec(any_text(), 0..4);
        (any_text(), texts(), texts(), any::<u64>())
            .prop_map(|(program, args, env, deadline_ms)| CustomAsked { program, env, deadline_ms, args })
            .boxed()
    }
}

/// Why a program gave no verdict. Each is a reason of a finding, by [`NoVerdict::reason`].
#[derive(Debug, thiserror::Error)]
enum NoVerdict {
    #[error("`{0}` is no name of a program: use 1 to 63 lower-case letters, digits and dashes, no dash first, no path")]
    ProgramNameInvalid(String),
    #[error("`{0}` is no environment entry: write KEY=VALUE with a KEY that begins with CHECK_")]
    EnvironmentInvalid(String),
    #[error("cannot run {0}: no directory of custom checks is configured; start the runner with --custom-directory")]
    NoDirectory(String),
    #[error("there is no {0}; put the program into that directory")]
    ProgramNotFound(PathBuf),
    #[error("{0} leads out of the directory to {1}; put the program itself there")]
    OutsideDirectory(PathBuf, PathBuf),
    #[error("{0} is not an executable file for uid {1}; chmod a+rx it")]
    NotExecutable(PathBuf, u32),
    #[error("cannot run {0} under uid {NOBODY}; give the runner CAP_SETUID and CAP_SETGID, or --custom-same-user")]
    CannotChangeUser(PathBuf),
    #[error("cannot bound what the program may use: {0}")]
    CannotConfine(io::Error),
    #[error("cannot start {0}: {1}")]
    CouldNotStart(PathBuf, io::Error),
    #[error("signal {0} killed it")]
    KilledBySignal(i32),
    #[error("it printed more than {OUTPUT_CAP} bytes and was killed")]
    OutputTooLong,
    #[error("it had not ended after {0} ms and was killed")]
    ProgramSilent(u64),
    #[error("it printed nothing (exit status {0}); print a HEALTH_CHECK_RESULT line or JSON")]
    EmptyOutput(i32),
    #[error("{0}")]
    UnknownOutput(contract::Unknown),
}

impl NoVerdict {
    fn reason(&self) -> &'static str {
        match self {
            Self::ProgramNameInvalid(_) => "ProgramNameInvalid",
            Self::EnvironmentInvalid(_) => "EnvironmentInvalid",
            Self::ProgramNotFound(_) | Self::NoDirectory(_) => "ProgramNotFound",
            Self::OutsideDirectory(..) => "OutsideDirectory",
            Self::NotExecutable(..) => "NotExecutable",
            Self::CannotChangeUser(_) => "CannotChangeUser",
            Self::CouldNotStart(..) | Self::CannotConfine(_) => "CouldNotStart",
            Self::KilledBySignal(_) => "KilledBySignal",
            Self::OutputTooLong => "OutputTooLong",
            Self::ProgramSilent(_) => "ProgramSilent",
            Self::EmptyOutput(_) => "EmptyOutput",
            Self::UnknownOutput(_) => "UnknownOutput",
        }
    }
}

/// Runs the program and parses its verdict.
async fn run(args: CustomParameters) -> CustomReport {
    let (ran, judged) = match run_program(&args).await {
        Ok(ran) => {
            let judged = judge(&ran, args.asked.deadline_ms);
            (Some(ran), judged)
        }
        Err(error) => (None, Err(error)),
    };
    let exit_code = match ran.as_ref().map(|ran| &ran.end) {
        Some(ToolEnd::Exited(code)) => Some(*code),
        Some(ToolEnd::Signaled(_) | ToolEnd::Silent | ToolEnd::TooLong) | None => None,
    };
    let output = ran.map(|ran| if ran.stdout.trim().is_empty() { ran.stderr_tail } else { ran.stdout });
    CustomReport {
        verdict: judged.unwrap_or_else(|error| Verdict {
            outcome: Outcome::Inconclusive,
            severity: Severity::None,
            reason: error.reason().to_owned(),
            message: bounded(&error.to_string(), EVIDENCE_CHARS),
            target: "node".to_owned(),
        }),
        exit_code,
        evidence: evidence(&args.asked.program, &output.unwrap_or_default()),
        program: args.asked.program,
    }
}

fn judge(ran: &ToolRun, deadline_ms: u64) -> Result<Verdict, NoVerdict> {
    match ran.end {
        ToolEnd::Signaled(signal) => Err(NoVerdict::KilledBySignal(signal)),
        ToolEnd::TooLong => Err(NoVerdict::OutputTooLong),
        ToolEnd::Silent => Err(NoVerdict::ProgramSilent(deadline_ms)),
        ToolEnd::Exited(code) if ran.stdout.trim().is_empty() => Err(NoVerdict::EmptyOutput(code)),
        ToolEnd::Exited(_) => read(&ran.stdout).map_err(NoVerdict::UnknownOutput),
    }
}

async fn run_program(args: &CustomParameters) -> Result<ToolRun, NoVerdict> {
    let asked = &args.asked;
    let environment = environment(&asked.env)?;
    let Some(directory) = &args.custom_directory else {
        return Err(NoVerdict::NoDirectory(bounded(&asked.program, EVIDENCE_CHARS)));
    };
    let path = resolve(directory, &asked.program)?;
    let own = rustix::process::geteuid();
    let changes_user = !args.custom_same_user && own.as_raw() != NOBODY;
    if changes_user && !own.is_root() {
        return Err(NoVerdict::CannotChangeUser(path));
    }
    let mut command = Command::new(&path);
    command.args(&asked.args).env_clear().envs(environment).current_dir("/");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()));
    if changes_user {
        // When root changes its uid, the standard library drops the supplementary groups too.
        command.uid(NOBODY).gid(NOBODY);
    }
    sys::without_new_privileges(&mut command);
    limits::confine(changes_user).map_err(NoVerdict::CannotConfine)?;
    let deadline = Instant::now() + Duration::from_millis(asked.deadline_ms);
    run_tool(command, deadline, OUTPUT_CAP).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied if changes_user && error.raw_os_error() == Some(libc::EPERM) => {
            NoVerdict::CannotChangeUser(path)
        }
        io::ErrorKind::PermissionDenied => {
            NoVerdict::NotExecutable(path, if changes_user { NOBODY } else { own.as_raw() })
        }
        _ => NoVerdict::CouldNotStart(path, error),
    })
}

/// The program's real path, which must be in the directory.
fn resolve(directory: &Path, program: &str) -> Result<PathBuf, NoVerdict> {
    if !is_name(program) {
        return Err(NoVerdict::ProgramNameInvalid(bounded(program, EVIDENCE_CHARS)));
    }
    let path = directory.join(program);
    let not_found = |_| NoVerdict::ProgramNotFound(path.clone());
    let home = directory.canonicalize().map_err(not_found)?;
    let real = path.canonicalize().map_err(not_found)?;
    if !real.starts_with(&home) {
        return Err(NoVerdict::OutsideDirectory(path, real));
    }
    let found = real.metadata().map_err(not_found)?;
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        return Err(NoVerdict::NotExecutable(real, rustix::process::geteuid().as_raw()));
    }
    Ok(real)
}

/// `^[a-z0-9][a-z0-9-]{0,62}$`, as in the schema of a custom check.
fn is_name(program: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&program.len()) && program.bytes().all(allowed) && !program.starts_with('-')
}

fn environment<'a>(entries: &'a [String]) -> Result<Vec<(&'a str, &'a str)>, NoVerdict> {
    let split = |entry: &'a String| match entry.split_once('=') {
        Some((key, value)) if key.starts_with("CHECK_") => Ok((key, value)),
        Some(_) | None => Err(NoVerdict::EnvironmentInvalid(bounded(entry, EVIDENCE_CHARS))),
    };
    entries.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_and_never_addressed() {
        for name in ["a", "7z", "gpu-burn", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "-a", "A", "a.sh", "../a", "a/b", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn only_check_keys_reach_the_program() {
        let entries = ["CHECK_A=b=c".to_owned(), "CHECK_B=".to_owned()];
        assert_eq!(environment(&entries).unwrap(), [("CHECK_A", "b=c"), ("CHECK_B", "")]);
        for entry in ["LD_PRELOAD=x", "CHECK_A", "=CHECK_A"] {
            let error = environment(&[entry.to_owned()]).unwrap_err();
            assert_eq!(error.reason(), "EnvironmentInvalid");
            assert!(error.to_string().contains(entry), "{error}");
        }
    }
}
