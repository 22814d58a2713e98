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
//! It is asked for sections of a [`Sample`] and answers with what the library said; it judges nothing. What must stay
//! true:
//! - a call that does not come back is told while it hangs, with its name and its GPU; the runner then kills the child;
//! - an answer that is missing is absent from the sample, never zero;
//! - nothing of it outlives its pipe: when nobody reads or asks any more, it ends, and the library is let go.

mod access;
mod calls;
mod events;
mod identity;
mod library;
mod raw;
mod return_codes;
mod say;
mod sections;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use calls::Calls;
use library::Sampler;
use say::{next_line, say, say_sample};

use crate::complain::complain;
use crate::process::sys;
use crate::readings::{Ask, Said};
use crate::runner::protocol::MAX_REQUEST_BYTES;

pub use calls::SYMBOLS;
pub use raw::text_of;

/// `probe sampler`
#[derive(Debug, Clone, clap::Args)]
pub struct SamplerArgs {
    /// Name or path of the NVIDIA management library.
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    pub nvml_library: PathBuf,
    /// Root of the tree that is `/dev` on a node.
    #[arg(long, default_value = "/dev")]
    pub dev_root: PathBuf,
    /// A call that takes longer than this is told as hung, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    pub call_deadline_ms: u64,
    /// What the process was asked before it began anew.
    #[arg(long, hide = true, value_parser = first_ask)]
    first_ask: Option<Ask>,
}

fn first_ask(text: &str) -> Result<Ask, serde_json::Error> {
    serde_json::from_str(text)
}

/// Asks that wait while one is being answered. A reporter asks again when it has its answer.
const WAITING_ASKS: usize = 4;

/// Answers what is asked on stdin until that is closed. Three threads beside this one: one that calls the library, one
/// that looks whether a call hangs, and one that waits for the driver's events. This one makes no call, so that the end
/// of stdin is seen whatever hangs.
pub(crate) fn run(args: &SamplerArgs) -> ExitCode {
    let calls = Arc::new(Calls::default());
    let sampler = Sampler::new(args.nvml_library.clone(), args.dev_root.clone(), Arc::clone(&calls));
    let (ask, asked) = sync_channel(WAITING_ASKS);
    if let Some(first) = args.first_ask.clone() {
        // The channel is empty, and its other end is here.
        let _ = ask.try_send(first);
    }
    let deadline = Duration::from_millis(args.call_deadline_ms);
    let threads = std::thread::Builder::new()
        .name("library".to_owned())
        .spawn(move || answer(sampler, &asked))
        .and_then(|_| std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&calls, deadline)));
    match threads.and_then(|_| pass_on(&ask)) {
        // At once: a library that is let go in good order may hang, and the kernel closes what is open.
        Ok(()) => sys::exit_now(0),
        Err(error) => {
            complain(&error);
            sys::exit_now(1)
        }
    }
}

/// Hands over what is asked until stdin ends. Both sides are one binary: what is no question is a fault.
fn pass_on(ask: &SyncSender<Ask>) -> std::io::Result<()> {
    let mut stdin = std::io::stdin().lock();
    let mut line = Vec::new();
    while next_line(&mut stdin, &mut line, MAX_REQUEST_BYTES)? {
        match ask.try_send(serde_json::from_slice(&line)?) {
            Ok(()) => {}
            Err(TrySendError::Full(Ask { id, .. })) => {
                eprintln!("gpu-health-agent: not answered: {id}, as {WAITING_ASKS} asks are waiting");
            }
            Err(TrySendError::Disconnected(_)) => return Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
    Ok(())
}

fn answer(mut sampler: Sampler, asked: &Receiver<Ask>) {
    while let Ok(ask) = asked.recv() {
        if sampler.is_worn() {
            begin_anew(&ask);
        }
        let Ask { id, sections, timings } = ask;
        say_sample(id, sampler.sample(sections, timings));
    }
}

/// The same process with a fresh memory: its pipes and its place among its parent's children stay. It takes along what it
/// was asked; nobody asks more before that is answered. Comes back only where that is not possible.
fn begin_anew(ask: &Ask) {
    const FLAG: &str = "--first-ask=";
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
    let others = std::env::args_os().skip(1).filter(|arg| !arg.to_string_lossy().starts_with(FLAG));
    let first = serde_json::to_string(ask).map(|ask| format!("{FLAG}{ask}"));
    let error = match first {
        Ok(first) => std::process::Command::new(program).args(others).arg(first).exec(),
        Err(error) => error.into(),
    };
    eprintln!("gpu-health-agent: cannot begin anew: {error}");
}

/// Tells each call that hangs, once.
fn watch(calls: &Calls, deadline: Duration) {
    loop {
        std::thread::sleep(calls::pause(deadline));
        calls.hung(deadline).for_each(|hung| say(&Said::Hung(hung)));
    }
}
