//! What no safe function offers: `syslog(2)`, here by its C name `klogctl`, and waiting for a descriptor.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Read all that the kernel still holds, oldest first, without consuming it. [syslog(2)]
const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
/// The size of the kernel's buffer. [syslog(2)]
const SYSLOG_ACTION_SIZE_BUFFER: libc::c_int = 10;

/// Reads the newest whole lines of the kernel's log that fit. Needs CAP_SYSLOG where `kernel.dmesg_restrict` is set.
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

/// Waits for a descriptor through the reactor. A descriptor that epoll does not take (a regular file, /dev/null) gives
/// EPERM.
pub(super) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd names the same open descriptor as long as it lives, and the AsyncFd owns it; nobody closes it
    // before the AsyncFd has taken it off the reactor.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.map_err(Into::into)
}
