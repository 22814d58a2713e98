//! Processes that left their probe's group (a program that daemonized) and outlived the probe. The kernel reparents them
//! to the nearest subreaper among their ancestors: the runner, and each probe that runs programs.

use std::time::Duration;

use rustix::process::{Signal, WaitOptions, kill_process, waitpid};

const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// From now on, orphans among the descendants of this process become its children.
pub(crate) fn adopt_orphans() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Looks for strays until there are none: one that dies may leave children of its own, which become ours only then. `look`
/// says whether it found any. Gives up after one second.
pub(crate) async fn sweep(mut look: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if !look() {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Kills and reaps the children of this process, except those of the process groups in `spared`. True if there were
/// any.
///
/// Must not be called while a program runs whose own children could be meant.
pub(crate) fn end_strays(spared: &[u32]) -> bool {
    let mut any = false;
    for Child { pid, group } in children() {
        if spared.contains(&group) {
            continue;
        }
        any = true;
        let Some(pid) = super::sys::pid_of(pid) else {
            continue;
        };
        // It may be gone already. A zombie ignores signals but can be reaped.
        let _ = kill_process(pid, Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
    any
}

struct Child {
    pid: u32,
    group: u32,
}

fn children() -> Vec<Child> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let Ok(all) = procfs::process::all_processes() else {
        return Vec::new();
    };
    // A process that ends meanwhile cannot be read: it is no stray any more.
    all.filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| stat.ppid == own)
        .filter_map(|stat| Some(Child { pid: stat.pid.try_into().ok()?, group: stat.pgrp.try_into().ok()? }))
        .collect()
}
