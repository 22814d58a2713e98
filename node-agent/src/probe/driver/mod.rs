//! The sampler: the one child that holds the driver's library, and what it says over its pipe.
//!
//! ```text
//!  agent::step ─ Ask ─▶ runner ─ stdin ─▶ gpu-health-agent probe sampler ─▶ libnvidia-ml.so.1
//!       ▲                 │                       │
//!       └──── Said ───────┴────── stdout ─────────┘   (one JSON document per line, [`crate::readings::talk`])
//! ```
//!
//! ```text
//!  main (stdin) ─ Ask ─▶ library: load, view, sections ── Sample ──┐
//!                          │ calls: what is under way              │
//!                        watchdog ──────────────────────── Hung ───┼─▶ stdout, a line at a time
//!                        events: nvmlEventSetWait ──────── Event ──┘
//! ```
//!
//! A request names sections; the answer is a [`Sample`](crate::readings::Sample) of what the library returned. Nothing is
//! judged here. What must stay true:
//! - a call that does not return is reported while it hangs, with its name and its GPU; the runner then kills the child;
//! - a missing answer is absent from the sample, never zero;
//! - the process does not outlive its pipe: once its client is gone, it ends and releases the library.

mod access;
mod calls;
mod events;
mod identity;
mod library;
mod raw;
mod say;
mod sections;
mod stale;
mod stuck;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

#[cfg(test)]
use proptest::prelude::*;
use serde::Serialize;

use calls::{Calls, Deadlines};
use library::Sampler;
use say::{say, say_sample};
use stale::Stale;

use super::places::{Machine, Places};
use super::start::{Nothing, Probe};
use crate::complain::complain;
use crate::process::sys;
use crate::readings::talk::Hung;
use crate::readings::{Ask, Said};
use crate::runner::protocol::MAX_REQUEST_BYTES;
use crate::text::{LineEnd, read_line};

pub use calls::SYMBOLS;
pub use raw::text_of;
pub use stale::STALE_EXIT;

/// The parameters of `probe sampler`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, clap::Args)]
#[serde(rename_all = "camelCase")]
pub struct SamplerParameters {
    /// Name or path of the NVIDIA management library.
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    pub nvml_library: PathBuf,
    /// Root of the tree that is `/dev` on a node.
    #[arg(long, default_value = "/dev")]
    pub dev_root: PathBuf,
    /// Root of the tree that is `/sys` on a node.
    #[arg(long, default_value = "/sys")]
    pub sysfs_root: PathBuf,
    /// A call that takes longer than this many milliseconds is reported as hung.
    #[arg(long, default_value_t = 10_000)]
    pub call_deadline_ms: u64,
    /// As `--call-deadline-ms`, for the start of the library: on a node whose GPUs have to wake up it takes half a minute.
    #[arg(long, default_value_t = INIT_DEADLINE_MS)]
    pub init_deadline_ms: u64,
    /// The request that was open when the process replaced itself. Only the sampler passes it, to itself.
    #[arg(long, hide = true, value_parser = first_ask)]
    #[serde(skip)]
    pub first_ask: Option<Ask>,
}

impl Probe for SamplerParameters {
    type Asked = Nothing;
    type Report = ();

    const NAME: &'static str = "sampler";
    const OF_THE_RUNNER: &'static [&'static str] =
        &["nvmlLibrary", "devRoot", "sysfsRoot", "callDeadlineMs", "initDeadlineMs"];

    fn at(places: &Places, Nothing {}: Nothing) -> Self {
        let Machine { nvml_library, dev_root, sysfs_root, call_deadline_ms, init_deadline_ms, proc_root: _ } =
            places.machine.clone();
        Self { nvml_library, dev_root, sysfs_root, call_deadline_ms, init_deadline_ms, first_ask: None }
    }

    fn run(self) -> ExitCode {
        run(&self)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Nothing> {
        Just(Nothing {}).boxed()
    }
}

/// The longest that a healthy start was seen to take is 30 s (a billion file descriptors allowed; eight GPUs without
/// persistence mode more than 10 s): four times that, in milliseconds.
pub const INIT_DEADLINE_MS: u64 = 120_000;

/// Some drivers walk through all file descriptors that a process may have; with a limit of a billion, as container
/// runtimes set it, the start of the library takes half a minute.
const MAX_FILES: u64 = 65_536;

fn first_ask(text: &str) -> Result<Ask, serde_json::Error> {
    serde_json::from_str(text)
}

/// Requests queued while one is being answered. A reporter sends the next one after the answer.
const WAITING_ASKS: usize = 4;

/// Answers requests on stdin until it is closed. Besides this thread there are three: one that calls the library, one
/// that watches for hung calls, and one that waits for the driver's events. This thread calls nothing that can hang, so
/// it always notices the end of stdin.
fn run(args: &SamplerParameters) -> ExitCode {
    sys::lower_the_limit_of_files(MAX_FILES);
    let calls = Arc::new(Calls::default());
    let sampler = Sampler::new(args.nvml_library.clone(), args.dev_root.clone(), Arc::clone(&calls));
    let sysfs_root = args.sysfs_root.clone();
    let (ask, asked) = sync_channel(WAITING_ASKS);
    if let Some(first) = args.first_ask.clone() {
        // The channel is empty, and its receiver is still here.
        let _ = ask.try_send(first);
    }
    let deadlines = Deadlines {
        init: Duration::from_millis(args.init_deadline_ms.max(args.call_deadline_ms)),
        call: Duration::from_millis(args.call_deadline_ms),
    };
    let threads = std::thread::Builder::new()
        .name("library".to_owned())
        .spawn(move || answer(sampler, &asked, &sysfs_root))
        .and_then(|_| std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&calls, deadlines)));
    match threads.and_then(|_| pass_on(&ask)) {
        // At once: an orderly shutdown of the library may hang, and the kernel closes what is open.
        Ok(()) => sys::exit_now(0),
        Err(error) => {
            complain(&error);
            sys::exit_now(1)
        }
    }
}

/// Forwards requests until stdin ends. Both sides are the same binary, so a malformed request is an error.
fn pass_on(ask: &SyncSender<Ask>) -> std::io::Result<()> {
    let mut stdin = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        match read_line(&mut stdin, &mut line, MAX_REQUEST_BYTES)? {
            LineEnd::Feed => {}
            LineEnd::Limit => return Err(std::io::ErrorKind::FileTooLarge.into()),
            LineEnd::Stream => return Ok(()),
        }
        match ask.try_send(serde_json::from_slice(&line)?) {
            Ok(()) => {}
            Err(TrySendError::Full(Ask { id, .. })) => {
                eprintln!("gpu-health-agent: not answered: {id}, as {WAITING_ASKS} asks are waiting");
            }
            Err(TrySendError::Disconnected(_)) => return Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn answer(mut sampler: Sampler, asked: &Receiver<Ask>, sysfs_root: &Path) {
    let mut stale = Stale::default();
    let mut has_settled = false;
    while let Ok(ask) = asked.recv() {
        if sampler.is_worn() {
            restart_in_place(&ask);
        }
        let Ask { id, sections, reload, timings } = ask;
        if reload {
            sampler.unload();
        }
        let sample = sampler.sample(sections, timings);
        let is_stale = stale.is_after(&sample, sysfs_root);
        say_sample(id, sample);
        if is_stale {
            sys::exit_now(STALE_EXIT);
        }
        if !std::mem::replace(&mut has_settled, true) {
            sys::forget_the_start();
        }
    }
}

/// Replaces the process by itself, with fresh memory but the same pipes and process id. The open request is passed
/// along; the next one comes only after its answer. Returns only if that fails.
fn restart_in_place(ask: &Ask) {
    const FLAG: &str = "--first-ask=";
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let others = std::env::args_os().skip(1).filter(|arg| !arg.to_string_lossy().starts_with(FLAG));
    let first = serde_json::to_string(ask).map(|ask| format!("{FLAG}{ask}"));
    let error = match first {
        Ok(first) => std::process::Command::new(program).args(others).arg(first).exec(),
        Err(error) => error.into(),
    };
    eprintln!("gpu-health-agent: cannot restart the sampler: {error}");
}

/// Reports each hung call once.
fn watch(calls: &Calls, deadlines: Deadlines) {
    loop {
        std::thread::sleep(calls::pause(deadlines.call));
        calls.hung(deadlines).for_each(|late| {
            let in_kernel = stuck::is_in_kernel(late.thread);
            say(&Said::Hung(Hung { in_kernel, ..late.hung }));
        });
    }
}
