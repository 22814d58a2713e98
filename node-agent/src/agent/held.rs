//! What the kernel log says and a second witness or a reading of the driver must decide.

use crate::judge::xid::Doubt;
use crate::kernel_messages::Message;
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

/// A message that waits.
#[derive(Clone, Debug)]
pub(super) struct HeldMessage {
    pub(super) message: Message,
    pub(super) reason: &'static str,
    /// It was printed before the agent first ran on this boot.
    pub(super) is_old: bool,
    /// When it was printed.
    pub(super) at: Time,
    /// When it was read, by the monotonic clock in milliseconds.
    pub(super) since_ms: u64,
    /// It is told as a warning already.
    pub(super) warned: bool,
}
