//! Process groups: signalled, emptied and waited for as a whole.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid, waitpid};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

/// The end of a grandchild raises no event, so the group is polled.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A process group that `kill -9` did not end.
///
/// Its number is free for others as soon as its last process is gone, so it is known by the processes that were in it: what
/// has a SIGKILL pending starts no more.
pub(crate) struct Leftover {
    leader: Child,
    members: Vec<Member>,
}

/// A process that was seen: its pid may be given to another one, which starts later.
#[derive(Debug, Clone, Copy)]
struct Member {
    pid: i32,
    start_time: u64,
}

impl Leftover {
    pub(crate) fn of(leader: Child, group: Pid) -> Self {
        Self { leader, members: members_of(group) }
    }

    /// Returns when the last process of the group is gone, which may be never.
    pub(crate) async fn gone(mut self) {
        // An error means that there is nothing to wait for any more.
        let _ = self.leader.wait().await;
        while self.members.iter().any(Member::is_there) {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

impl Member {
    /// Also reaps it if it is ours.
    fn is_there(&self) -> bool {
        let found = procfs::process::Process::new(self.pid).and_then(|process| process.stat());
        let Some(stat) = found.ok().filter(|stat| stat.starttime == self.start_time) else { return false };
        if stat.state == 'Z' {
            let _ = waitpid(Pid::from_raw(self.pid), WaitOptions::NOHANG);
            return false;
        }
        true
    }
}

fn members_of(group: Pid) -> Vec<Member> {
    let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
    all.filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| stat.pgrp == group.as_raw_nonzero().get())
        .map(|stat| Member { pid: stat.pid, start_time: stat.starttime })
        .collect()
}

/// Kills what is left of a group whose leader is gone. False if the group is not empty after `time`.
pub(crate) async fn clear(group: Pid, time: Duration) -> bool {
    let end = Instant::now() + time;
    while !is_empty(group) {
        if Instant::now() >= end {
            return false;
        }
        signal(group, Signal::KILL);
        sleep(LOOK_AGAIN).await;
    }
    true
}

/// Also reaps: this process is the subreaper of everything that its probes leave behind (`PR_SET_CHILD_SUBREAPER`).
fn is_empty(group: Pid) -> bool {
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
    test_kill_process_group(group) == Err(Errno::SRCH)
}

/// Errors are ignored: the group is gone or not ours to kill, and [`is_empty`] shows which.
pub(crate) fn signal(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::kill_process;
    use tokio::process::Command;

    fn sleeper(group: i32) -> (Child, Pid) {
        let child = Command::new("sleep").arg("300").process_group(group).kill_on_drop(true).spawn().unwrap();
        let pid = crate::process::sys::pid_of(child.id().unwrap()).unwrap();
        (child, pid)
    }

    #[tokio::test]
    async fn a_group_whose_number_others_use_now_is_gone() {
        let (leader, group) = sleeper(0);
        let leftover = Leftover::of(leader, group);
        // As if the number had been given to a new group: somebody is in it who was not there before.
        let (_other, stranger) = sleeper(group.as_raw_nonzero().get());
        kill_process(group, Signal::KILL).unwrap();
        leftover.gone().await;
        assert!(kill_process(stranger, Signal::CONT).is_ok(), "the stranger still runs");
    }

    #[tokio::test]
    async fn a_group_is_not_gone_before_its_last_process() {
        let (leader, group) = sleeper(0);
        let (mut member, pid) = sleeper(group.as_raw_nonzero().get());
        let leftover = Leftover::of(leader, group);
        kill_process(group, Signal::KILL).unwrap();
        let gone = leftover.gone();
        tokio::pin!(gone);
        tokio::select! {
            () = &mut gone => panic!("a member still runs"),
            // The leader is dead and reaped meanwhile, as far as the order of the two matters.
            () = sleep(Duration::from_millis(200)) => {}
        }
        kill_process(pid, Signal::KILL).unwrap();
        member.wait().await.unwrap();
        gone.await;
    }
}
