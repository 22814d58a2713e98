//! Events of the driver: a thread that waits for them and reports each at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::raw::event_set::EventSet;
use super::raw::{Failure, Gpu, Library};
use super::say::say;
use crate::readings::talk::{DriverEvent, Said};

/// Xid, single-bit storm, DRAM retirement and its failure, poison, GPU unavailable, recovery action (nvml.h).
const WANTED: u64 = XID | 0x200 | 0x400 | 0x800 | 0x1000 | 0x2000 | 0x4000 | 0x8000;
const XID: u64 = 0x8;
const TIMEOUT: u32 = 10;
/// Answers after which this library will never report events: not supported, no permission, function not found.
const NEVER: [u32; 3] = [3, 4, 13];
/// The length of one wait. When asked to stop, the thread releases the library within this time.
const WAIT_MS: u32 = 250;

/// The thread; it ends when this is dropped.
pub(super) struct Events {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Events {
    /// Registers each GPU for the events that it supports. `None` if there are none to wait for.
    pub(super) fn watch<'a>(
        library: &Arc<Library>,
        gpus: impl Iterator<Item = (Gpu<'a>, Option<String>)>,
    ) -> Option<Self> {
        let set = EventSet::create(library).ok()?;
        let mut names = BTreeMap::new();
        for (gpu, pci) in gpus {
            let wanted = library.supported_events(gpu).map_or(0, |supported| supported & WANTED);
            if wanted != 0 && set.register(gpu, wanted).is_ok() {
                names.insert(gpu.name_in_events(), pci);
            }
        }
        if names.is_empty() {
            return None;
        }
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || listen(&set, &names, &seen));
        // Without a thread there are no events; the samples cover for them.
        Some(Self { over, thread: Some(thread.ok()?) })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in the thread was already printed.
            let _ = thread.join();
        }
    }
}

fn listen(set: &EventSet, names: &BTreeMap<usize, Option<String>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        match set.wait(WAIT_MS) {
            Ok(event) => say(&Said::Event(DriverEvent {
                pci: names.get(&event.gpu).cloned().flatten(),
                bits: event.bits,
                xid: (event.bits & XID != 0).then(|| u32::try_from(event.data).ok()).flatten(),
            })),
            Err(Failure { code, .. }) if NEVER.contains(&code) => return,
            // A wait that fails at once, as with a lost GPU, must not become a busy loop.
            Err(Failure { code, .. }) => {
                let least = Duration::from_millis(if code == TIMEOUT { 10 } else { WAIT_MS.into() });
                if begin.elapsed() < least {
                    std::thread::park_timeout(Duration::from_millis(WAIT_MS.into()));
                }
            }
        }
    }
}
