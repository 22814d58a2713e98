//! Process groups: signalled, emptied and waited for as a whole.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

/// The end of a grandchild raises no event, so the group is polled.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A process group that `kill -9` did not end.
pub(crate) struct Leftover {
    leader: Child,
    group: Pid,
}

impl Leftover {
    pub(crate) const fn of(leader: Child, group: Pid) -> Self {
        Self { leader, group }
    }

    /// Returns when the last process of the group is gone, which may be never.
    pub(crate) async fn gone(mut self) {
        // An error means that there is nothing to wait for any more.
        let _ = self.leader.wait().await;
        while !is_empty(self.group) {
            sleep(Duration::from_secs(1)).await;
        }
    }
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
