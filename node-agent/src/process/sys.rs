//! The system calls that the standard library has no safe form for. The only module
//! with unsafe code outside of the kernel log (`klogctl`) and the driver's library (`raw`).

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, Signal};

/// The signal that a probe gets when its runner dies. Not SIGKILL: a probe takes its own children with it, see
/// [`take_the_group_along_on_hangup`].
pub(crate) const RUNNER_DIED: Signal = Signal::HUP;

/// The child gets `signal` when the thread that starts it ends, however it ends.
///
/// Must be the last word on the child's credentials: a change of uid clears the request, and `std` changes the uid
/// before it runs what is installed here.
pub(crate) fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = rustix::process::getpid();
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. It makes two
    // system calls (prctl, getppid) and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The parent may have died before the request was in place.
            if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Neither the child nor anything that it starts can gain rights by a set-uid program.
pub(crate) fn without_new_privileges(command: &mut Command) {
    // SAFETY: as above; one system call (prctl).
    unsafe {
        command.pre_exec(|| Ok(rustix::thread::set_no_new_privs(true)?));
    }
}

/// On SIGHUP, which a probe gets when its runner dies, kills the whole process group, this process included. Does nothing
/// in a process that does not lead its group: the group is then somebody else's.
pub(crate) fn take_the_group_along_on_hangup() {
    if rustix::process::getpgrp() != rustix::process::getpid() {
        return;
    }
    let handler: extern "C" fn(libc::c_int) = kill_own_group;
    // SAFETY: `kill_own_group` is async-signal-safe, lives as long as the program, and has the type that a handler
    // without SA_SIGINFO must have. A failure leaves the default action, which ends the process alone.
    unsafe {
        libc::signal(libc::SIGHUP, handler as libc::sighandler_t);
    }
}

extern "C" fn kill_own_group(_signal: libc::c_int) {
    // SAFETY: kill(2) is async-signal-safe and takes no pointers; 0 names the caller's own process group.
    unsafe {
        libc::kill(0, libc::SIGKILL);
    }
}

/// Ends the process at once, without the destructors of libraries, which may hang in the driver as its functions do.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Lowers the limit of open files of this process to `most`, the soft and the hard one; raises neither.
pub(crate) fn lower_the_limit_of_files(most: u64) {
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
    let at_most = |limit: Option<u64>| Some(limit.unwrap_or(most).min(most));
    // Lowering needs no right; a failure leaves what was there.
    let _ =
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: at_most(current), maximum: at_most(maximum) });
}

/// Unmaps the pages of this program's text and constants that were touched so far; those still in use come back from the
/// page cache one by one.
///
/// Options, relocation and TLS touch megabytes at the start that are never used again. Mapped pages count for the process
/// and are the last that the kernel takes under memory pressure.
pub(crate) fn forget_the_start() {
    let Ok(process) = procfs::process::Process::myself() else { return };
    let (Ok(maps), Ok(program)) = (process.maps(), process.exe()) else { return };
    let of_program = maps.into_iter().filter(|map| map.pathname == procfs::process::MMapPath::Path(program.clone()));
    for map in of_program.filter(is_never_written) {
        let (Ok(begin), Ok(length)) = (usize::try_from(map.address.0), usize::try_from(map.address.1 - map.address.0))
        else {
            continue;
        };
        // SAFETY: a private mapping of a file that nobody ever writes to (see `is_never_written`): its pages equal the
        // file, and an access after this reads them from there again. A failure leaves them mapped.
        unsafe {
            libc::madvise(std::ptr::without_provenance_mut(begin), length, libc::MADV_DONTNEED);
        }
    }
}

/// Code, and the constants before it. The read-only mapping behind the code is none: the loader has written relocated
/// pointers into it before it was made read-only.
fn is_never_written(map: &procfs::process::MemoryMap) -> bool {
    use procfs::process::MMPermissions;
    let is_code = map.perms == MMPermissions::READ | MMPermissions::EXECUTE | MMPermissions::PRIVATE;
    let is_constant = map.perms == MMPermissions::READ | MMPermissions::PRIVATE && map.offset == 0;
    is_code || is_constant
}

/// The process id of a child as a value that cannot be 0 or negative, which would address other processes.
pub(crate) fn pid_of(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_forgets_its_start_goes_on_with_less_of_it_mapped() {
        let mapped = || {
            let process = procfs::process::Process::myself().unwrap();
            process.statm().unwrap().shared
        };
        // Touches code and constants that nothing needs afterwards.
        let before: usize = crate::xid::catalogue::ROWS.iter().map(|row| format!("{row:?}").len()).sum();
        let touched = mapped();
        forget_the_start();
        assert!(mapped() < touched, "{} of {touched} pages of files", mapped());
        let after: usize = crate::xid::catalogue::ROWS.iter().map(|row| format!("{row:?}").len()).sum();
        assert_eq!(before, after);
    }
}
