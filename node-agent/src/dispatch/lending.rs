//! Whether a probe may have the driver for itself now.

use super::checks::ProbeCheck;
use super::context::Context;

/// How long the sampler may take to end, in milliseconds.
const RELEASE_MS: u64 = 60_000;

/// Whether a probe may have the driver for itself now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lending {
    /// No other child of ours may have the library open, or the probe does not mind.
    Free,
    /// The sampler is being stopped.
    Soon,
    /// The sampler did not end in time.
    Held,
}

impl Lending {
    /// Looks whether the driver is free; `since` is when it was first needed.
    pub(super) fn of(row: &ProbeCheck, since: u64, context: &mut Context<'_>) -> Self {
        if !row.releases_driver || !context.senses.may_hold_driver() {
            return Self::Free;
        }
        let until = since.saturating_add(RELEASE_MS);
        if context.now.mono_ms >= until {
            return Self::Held;
        }
        context.looks_again = true;
        context.wake_at(until);
        Self::Soon
    }
}

/// What is said when the sampler did not end in time.
pub(super) const HELD: &str = "the process that reads the driver did not end in time to release it";
