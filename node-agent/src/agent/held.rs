//! A fault of the kernel log that needs a second witness.

use crate::judge::xid::Doubt;
use crate::xid::{DedupeKey, XidObservation};
use crds::Time;

/// A fault that needs a second witness.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) observed: XidObservation,
    pub(super) doubt: Doubt,
    /// When it was printed.
    pub(super) at: Time,
    /// When it was read, by the monotonic clock in milliseconds.
    pub(super) since_ms: u64,
    /// When it first was, if it was read more than once.
    pub(super) asked_ms: u64,
    pub(super) warned: bool,
}

impl Held {
    /// Which fault it is.
    pub(super) fn key(&self) -> DedupeKey {
        self.observed.dedupe_key()
    }
}
