//! `syslog(2)` (`klogctl` in C), and waiting for a descriptor.
//!
//! Neither has a safe function: rustix does not wrap `syslog(2)`, the `syslog` of nix is the function of the C library
//! that writes to the log (syslog(3)), and tokio's `AsyncFd` leaves it to its caller that the descriptor stays open.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Read the whole buffer, oldest record first, without consuming it. [syslog(2)]
const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
/// The size of the kernel's buffer. [syslog(2)]
const SYSLOG_ACTION_SIZE_BUFFER: libc::c_int = 10;

/// Reads the newest whole lines of the kernel log that fit. Needs CAP_SYSLOG if `kernel.dmesg_restrict` is set.
pub(super) fn read_newest(buffer: &mut [u8]) -> io::Result<usize> {
    let length = libc::c_int::try_from(buffer.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the length are of one live, exclusively borrowed buffer; the kernel writes at most
    // `length` bytes into it, and `length` is never more than the buffer's.
    let read = unsafe { libc::klogctl(SYSLOG_ACTION_READ_ALL, buffer.as_mut_ptr().cast(), length) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// The size of the kernel's buffer, in bytes.
pub(super) fn buffer_bytes() -> io::Result<usize> {
    // SAFETY: this action takes no buffer and ignores both other arguments.
    let size = unsafe { libc::klogctl(SYSLOG_ACTION_SIZE_BUFFER, std::ptr::null_mut(), 0) };
    usize::try_from(size).map_err(|_| io::Error::last_os_error())
}

/// Registers a descriptor with the reactor. A descriptor that epoll does not support (a regular file, /dev/null) fails
/// with EPERM.
pub(super) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the AsyncFd owns the OwnedFd, which refers to the same open descriptor for its whole life; it is closed only
    // after the AsyncFd has deregistered it.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(Into::into)
}
