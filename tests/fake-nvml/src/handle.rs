//! Handles: numbers that stand for the PCI address of a GPU, so that a handle never comes to mean another GPU.

use std::sync::{Mutex, PoisonError};

use nvml_wrapper_sys::bindings::nvmlDevice_t;

/// The PCI addresses that have been given a handle. A handle is the place in this list plus one, in the upper half the
/// MIG instance plus one.
static GIVEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

const INSTANCE_SHIFT: u32 = 16;

/// Gives out and reads handles.
pub(crate) struct Handle;

impl Handle {
    /// The handle of the GPU at this address, or of one of its MIG instances.
    pub(crate) fn of(pci: &str, instance: Option<usize>) -> nvmlDevice_t {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let place = given.iter().position(|known| known == pci).unwrap_or_else(|| {
            given.push(pci.to_owned());
            given.len() - 1
        });
        std::ptr::without_provenance_mut(place + 1 + (instance.map_or(0, |at| at + 1) << INSTANCE_SHIFT))
    }

    /// The address and the MIG instance of a handle that was given.
    pub(crate) fn read(handle: nvmlDevice_t) -> Option<(String, Option<usize>)> {
        let number = handle.addr();
        let place = (number & ((1 << INSTANCE_SHIFT) - 1)).checked_sub(1)?;
        let given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        Some((given.get(place)?.clone(), (number >> INSTANCE_SHIFT).checked_sub(1)))
    }
}
