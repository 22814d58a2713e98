//! Processes that left their probe's group (a program that makes itself a daemon) and outlived it. The kernel hands
//! them to the nearest reaper among their ancestors, which the runner and each probe that runs programs declare
//! themselves to be.

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

/// Kills and reaps the children of this process, but for those of the process groups in `spared`. True if there were
/// any: what dies may leave children of its own, so that the caller should look again a little later.
///
/// Only to be called while no program runs whose helpers could be meant.
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
        // It may be gone already; a zombie takes no signal but can be reaped.
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
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| child_of(own, pid))
        .collect()
}

fn child_of(parent: u32, pid: u32) -> Option<Child> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ppid pgrp …"; the name may hold spaces and parentheses.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
    let mut next = || fields.next()?.parse::<u32>().ok();
    let (its_parent, group) = (next()?, next()?);
    (its_parent == parent).then_some(Child { pid, group })
}
