//! The events that the driver announces, as the library delivers them.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use nvml_wrapper_sys::bindings::{nvmlEventData_t, nvmlEventSet_t};

use super::super::calls::About;
use super::{Answer, FUNCTION_NOT_FOUND, Failure, Gpu, Library, SUCCESS};

/// A set of events that the driver announces.
pub(crate) struct EventSet {
    set: nvmlEventSet_t,
    library: Arc<Library>,
}

// SAFETY: NVML may be called from any thread; the pointer is followed by the library alone, which is kept loaded.
unsafe impl Send for EventSet {}

/// An event that was announced.
pub(crate) struct Announced {
    /// As [`Gpu::name_in_events`].
    pub(crate) gpu: usize,
    pub(crate) bits: u64,
    pub(crate) data: u64,
}

impl EventSet {
    pub(crate) fn create(library: &Arc<Library>) -> Answer<Self> {
        let mut set = std::ptr::null_mut();
        call!(library.lib, About::default(), nvmlEventSetCreate(&raw mut set))?;
        Ok(Self { set, library: Arc::clone(library) })
    }

    pub(crate) fn register(&self, gpu: Gpu<'_>, bits: u64) -> Answer<()> {
        let library = &self.library;
        call!(library.lib, gpu.about, nvmlDeviceRegisterEvents(gpu.handle, bits, self.set))
    }

    /// Waits for an event; answers 10 (timeout) if there was none.
    pub(crate) fn wait(&self, for_ms: u32) -> Answer<Announced> {
        let meant = Duration::from_millis(for_ms.into());
        // SAFETY: a pointer and integers of C.
        let mut data: nvmlEventData_t = unsafe { MaybeUninit::zeroed().assume_init() };
        let library = &self.library;
        call!(library.lib, events, About::default(), meant, nvmlEventSetWait_v2(self.set, &raw mut data, for_ms))?;
        Ok(Announced { gpu: data.device.addr(), bits: data.eventType, data: data.eventData })
    }

    fn free(&self) -> Answer<()> {
        let library = &self.library;
        call!(library.lib, events, About::default(), Duration::ZERO, nvmlEventSetFree(self.set))
    }
}

impl Drop for EventSet {
    fn drop(&mut self) {
        // Nobody is left to use the reason.
        let _ = self.free();
    }
}
