//! Whether a thread is stuck in the kernel (state D).

use std::time::Duration;

use rustix::process::Pid;

/// A driver that polls its hardware sleeps in state D too, a moment at a time. Stuck is a thread that is in D at each of
/// these looks.
const LOOKS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(100);

/// Looks at a thread of this process for half a second.
pub(super) fn is_in_kernel(thread: Pid) -> bool {
    let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    (0..LOOKS).all(|look| {
        if look > 0 {
            std::thread::sleep(BETWEEN);
        }
        std::fs::read_to_string(&path).is_ok_and(|stat| is_uninterruptible(&stat))
    })
}

/// proc_pid_stat(5): the state follows the name, which is in parentheses and may contain some.
fn is_uninterruptible(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('D'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_behind_the_name_whatever_the_name_is() {
        assert!(is_uninterruptible("7 (library) D 1 7 7 0"));
        assert!(!is_uninterruptible("7 (x) D) S 1 7 7 0"));
        assert!(!is_uninterruptible("7 (library) S 1 7 7 0"));
        assert!(!is_uninterruptible(""));
    }

    #[test]
    fn a_thread_that_runs_is_not_stuck() {
        assert!(!is_in_kernel(rustix::thread::gettid()));
    }
}
