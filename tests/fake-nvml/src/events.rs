//! Event sets. A set waits for the state file to change, not by looking at it again and again: what the real library
//! costs while nothing happens is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{c_uint, c_ulonglong};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper_sys::bindings::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::cache;
use crate::call::{Answer, At, put, system};
use crate::handle::Handle;
use crate::state::{Event, Machine};

/// The sets by their number, which is their handle.
static SETS: Mutex<BTreeMap<usize, Arc<Set>>> = Mutex::new(BTreeMap::new());

/// How often the file is looked at where inotify is not to be had.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One event set.
struct Set {
    known: Mutex<Known>,
    /// Becomes readable when something in the state file's folder changes.
    watch: Option<OwnedFd>,
}

#[derive(Default)]
struct Known {
    /// Event bits by PCI address.
    registered: BTreeMap<String, u64>,
    /// Numbers of events that were delivered, or were there before the registration.
    seen: BTreeSet<u64>,
}

exports! {
    nvmlEventSetCreate(to: *mut nvmlEventSet_t) = |_: &Machine, to| create(to);
    nvmlEventSetFree(set: nvmlEventSet_t) = |_: &Machine, set: nvmlEventSet_t| free(set);
}

exports! { device:
    nvmlDeviceGetSupportedEventTypes(to: *mut c_ulonglong) = |at: &At<'_>, to| put(to, at.gpu.supported_events);
    nvmlDeviceRegisterEvents(bits: c_ulonglong, set: nvmlEventSet_t) = register;
}

/// Forgets all sets, as the library's end does.
pub(crate) fn free_all() {
    SETS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

unsafe fn create(to: *mut nvmlEventSet_t) -> Answer {
    let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
    let number = sets.keys().next_back().map_or(1, |last| last + 1);
    sets.insert(number, Arc::new(Set { known: Mutex::default(), watch: watch() }));
    drop(sets);
    // SAFETY: by nvml.h's contract; the handle is a number that nobody follows.
    unsafe { put(to, std::ptr::without_provenance_mut(number)) }
}

fn free(set: nvmlEventSet_t) -> Answer {
    let removed = SETS.lock().unwrap_or_else(PoisonError::into_inner).remove(&set.addr());
    removed.map(drop).ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)
}

fn find(set: nvmlEventSet_t) -> Result<Arc<Set>, nvmlReturn_t> {
    let sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
    sets.get(&set.addr()).cloned().ok_or(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT)
}

fn register(at: &At<'_>, bits: c_ulonglong, set: nvmlEventSet_t) -> Answer {
    if bits & !at.gpu.supported_events != 0 {
        return Err(nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED);
    }
    let set = find(set)?;
    let mut known = set.known.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.registered.contains_key(&at.gpu.pci) {
        let past = at.machine.events.iter().filter(|event| event.pci == at.gpu.pci && !event.late);
        known.seen.extend(past.map(|event| event.seq));
    }
    *known.registered.entry(at.gpu.pci.clone()).or_default() |= bits;
    Ok(())
}

/// Waits for an event, at most `timeout` milliseconds.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    timeout: c_uint,
) -> nvmlReturn_t {
    system("nvmlEventSetWait_v2", |_| {
        let set = find(set)?;
        let end = Instant::now() + Duration::from_millis(timeout.into());
        loop {
            let machine = cache::machine().map_err(|_| nvmlReturn_enum_NVML_ERROR_UNKNOWN)?;
            let delivered = set.known.lock().unwrap_or_else(PoisonError::into_inner).deliver(&machine);
            if let Some(event) = delivered {
                // SAFETY: by nvml.h's contract.
                return unsafe { put(data, event) };
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(nvmlReturn_enum_NVML_ERROR_TIMEOUT);
            }
            set.sleep(left);
        }
    })
}

impl Known {
    /// The next event that is registered for and was not delivered yet.
    fn deliver(&mut self, machine: &Machine) -> Option<nvmlEventData_t> {
        let is_due = |event: &&Event| {
            let wanted = self.registered.get(&event.pci).copied().unwrap_or_default();
            wanted & event.bits != 0 && !self.seen.contains(&event.seq)
        };
        let due: Vec<&Event> = machine.events.iter().filter(is_due).collect();
        let next = *due.first()?;
        // Of several Xids of a GPU that wait, each is delivered with the number of the last (nvml.h, nvmlEventSetWait).
        let xid = u64::from(nvmlEventTypeXidCriticalError);
        let same = |event: &&&Event| event.bits & next.bits & xid != 0 && event.pci == next.pci;
        let data = due.iter().rev().find(same).map_or(next.data, |last| last.data);
        self.seen.insert(next.seq);
        Some(nvmlEventData_t {
            device: Handle::of(&next.pci, None),
            eventType: next.bits,
            eventData: data,
            gpuInstanceId: next.gpu_instance,
            computeInstanceId: next.compute_instance,
        })
    }
}

impl Set {
    /// Sleeps until the folder of the state file changes, or the time is over.
    fn sleep(&self, time: Duration) {
        let Some(watch) = &self.watch else {
            std::thread::sleep(time.min(LOOK_EVERY));
            return;
        };
        let mut fds = [PollFd::new(watch, PollFlags::IN)];
        let timeout = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        if poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            // Emptied, so that the next poll waits again. What it says does not matter: the file is looked at anyway.
            let mut buffer = [0; 4096];
            while rustix::io::read(watch, &mut buffer).is_ok_and(|length| length > 0) {}
        }
    }
}

/// Watches the folder of the state file.
fn watch() -> Option<OwnedFd> {
    let path = cache::path().ok()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    let what = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::DELETE;
    inotify::add_watch(&watch, folder, what).ok()?;
    Some(watch)
}
