//! Whether the driver's device nodes can still be opened: `systemctl daemon-reload` revokes devices of containers.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::calls::{About, Calls};
use crate::readings::sample::DeviceAccess;

/// Opens each node as the library does and closes it at once.
pub(super) fn look(dev_root: &Path, calls: &Arc<Calls>) -> DeviceAccess {
    let Ok(entries) = std::fs::read_dir(dev_root) else { return DeviceAccess::Absent };
    let mut access = DeviceAccess::Absent;
    for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_node)) {
        // A hung driver may block this call too.
        let begun = calls.asked.begin_other("open", About::default(), Duration::ZERO);
        let opened = OpenOptions::new().read(true).write(true).open(entry.path());
        drop(begun);
        match access_of(opened.map(drop)) {
            DeviceAccess::Refused => return DeviceAccess::Refused,
            DeviceAccess::Granted => access = DeviceAccess::Granted,
            DeviceAccess::Absent => {}
        }
    }
    access
}

/// The numbers of the GPUs' device nodes. Opens none of them.
pub(super) fn minors(dev_root: &Path) -> Option<Vec<u32>> {
    let entries = std::fs::read_dir(dev_root).ok()?;
    let minor = |name: std::ffi::OsString| name.to_str()?.strip_prefix("nvidia")?.parse().ok();
    let mut minors: Vec<u32> = entries.flatten().filter_map(|entry| minor(entry.file_name())).collect();
    minors.sort_unstable();
    minors.truncate(MAX_NODES);
    Some(minors)
}

/// Four times the largest node that is built.
const MAX_NODES: usize = 64;

fn access_of(opened: std::io::Result<()>) -> DeviceAccess {
    match opened.map_err(|error| error.kind()) {
        // Both EPERM and EACCES.
        Err(ErrorKind::PermissionDenied) => DeviceAccess::Refused,
        // It disappeared after the listing.
        Err(ErrorKind::NotFound) => DeviceAccess::Absent,
        // Any other error comes from the driver, and access was not refused.
        Ok(()) | Err(_) => DeviceAccess::Granted,
    }
}

/// `nvidiactl`, `nvidia0`, …; not `nvidia-uvm`, which the library does without.
fn is_node(name: &str) -> bool {
    name.strip_prefix("nvidia")
        .is_some_and(|rest| rest == "ctl" || (!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_of_the_driver_are_looked_at() {
        for (name, is) in [
            ("nvidiactl", true),
            ("nvidia0", true),
            ("nvidia15", true),
            ("nvidia-uvm", false),
            ("nvidia-nvswitch0", false),
            ("nvidia", false),
            ("null", false),
        ] {
            assert_eq!(is_node(name), is, "{name}");
        }
    }

    #[test]
    fn only_a_refusal_is_the_loss_of_a_device_and_an_error_of_the_driver_is_none() {
        let access_after = |code| access_of(Err(std::io::Error::from_raw_os_error(code)));
        for (code, access) in [
            (libc::EPERM, DeviceAccess::Refused),
            (libc::EACCES, DeviceAccess::Refused),
            (libc::ENOENT, DeviceAccess::Absent),
            (libc::EIO, DeviceAccess::Granted),
            (libc::ENODEV, DeviceAccess::Granted),
            (libc::EBUSY, DeviceAccess::Granted),
        ] {
            assert_eq!(access_after(code), access, "{code}");
        }
    }

    #[test]
    fn nodes_that_open_are_granted_and_none_is_absent() {
        let Ok(folder) = tempfile::tempdir() else { unreachable!() };
        let calls = Arc::default();
        assert_eq!(look(&folder.path().join("none"), &calls), DeviceAccess::Absent);
        assert!(std::fs::write(folder.path().join("null"), "").is_ok());
        assert_eq!(look(folder.path(), &calls), DeviceAccess::Absent);
        assert!(std::fs::write(folder.path().join("nvidiactl"), "").is_ok());
        assert_eq!(look(folder.path(), &calls), DeviceAccess::Granted);
        for name in ["nvidia10", "nvidia2", "nvidia-uvm"] {
            assert!(std::fs::write(folder.path().join(name), "").is_ok());
        }
        assert_eq!(minors(folder.path()), Some(vec![2, 10]));
        assert_eq!(minors(&folder.path().join("none")), None);
    }
}
