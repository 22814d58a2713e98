//! The current time, the only way in which the pure code gets it.

use crds::Time;

/// A moment, by both of the node's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, in milliseconds since the Unix epoch. It may jump.
    pub unix_ms: i64,
    /// The monotonic clock, in milliseconds since some moment before the agent started. It never jumps.
    pub mono_ms: u64,
}

impl Now {
    /// The wall clock in whole seconds, as the API writes it.
    pub const fn wall(self) -> Time {
        Time::from_unix(self.unix_ms.div_euclid(1000))
    }

    /// The monotonic moment at which the wall clock will read `unix_ms` if it does not jump; now, if it already does.
    pub fn mono_of(self, unix_ms: i64) -> u64 {
        let ahead = u64::try_from(unix_ms.saturating_sub(self.unix_ms)).unwrap_or(0);
        self.mono_ms.saturating_add(ahead)
    }

    /// The monotonic moment of a time from the API.
    pub fn mono_of_time(self, time: Time) -> u64 {
        self.mono_of(time.unix().saturating_mul(1000))
    }
}
