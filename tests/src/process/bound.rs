//! The system calls between fork and exec.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};

type Order = (Command, Sender<io::Result<Child>>);

static SPAWNER: OnceLock<Option<Sender<Order>>> = OnceLock::new();

/// Starts a program in a process group of its own; the kernel kills it (SIGKILL) when this process ends.
///
/// prctl(2): the parent-death signal is sent when the *thread* that forked ends, not the process. So every child is forked
/// by one thread that lives as long as the process; a test's own thread would take its children along when the test ends.
pub fn spawn_bound(command: Command) -> io::Result<Child> {
    let spawner = SPAWNER.get_or_init(start_spawner).as_ref();
    let spawner = spawner.ok_or_else(|| io::Error::other("the thread that starts processes could not be started"))?;
    let (answer, answered) = channel();
    spawner.send((command, answer)).map_err(|_| spawner_ended())?;
    answered.recv().map_err(|_| spawner_ended())?
}

fn spawner_ended() -> io::Error {
    io::Error::other("the thread that starts processes has ended")
}

fn start_spawner() -> Option<Sender<Order>> {
    let (orders, inbox) = channel::<Order>();
    let serve = move || {
        for (command, answer) in inbox {
            // A caller that went away drops the child's handle; the child itself still ends with this process.
            let _ = answer.send(fork_and_exec(command));
        }
    };
    thread::Builder::new().name("process-spawner".to_owned()).spawn(serve).ok()?;
    Some(orders)
}

fn fork_and_exec(mut command: Command) -> io::Result<Child> {
    let owner = Pid::from_raw(i32::try_from(std::process::id()).map_err(io::Error::other)?);
    command.process_group(0);
    let die_with_owner = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The owner may have died before the call above; then no signal ever comes.
        if getppid() != owner {
            return Err(rustix::io::Errno::SRCH.into());
        }
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed: it makes two plain
    // system calls, allocates nothing, and takes no lock.
    unsafe { command.pre_exec(die_with_owner) };
    command.spawn()
}

/// Starts a program in a session of its own that outlives this process and gets no signals from its terminal.
pub fn spawn_detached(mut command: Command) -> io::Result<Child> {
    let leave_session = || {
        setsid()?;
        Ok(())
    };
    // SAFETY: as above; one plain system call.
    unsafe { command.pre_exec(leave_session) };
    command.spawn()
}
