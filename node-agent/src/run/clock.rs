//! The clocks of the node.

use crate::time::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    pub(super) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
            mono_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// How long until this moment of the monotonic clock. Rounded up, so that whoever wakes is not early.
    pub(super) fn until(&self, mono_ms: u64) -> Duration {
        Duration::from_millis(mono_ms).saturating_sub(self.began.elapsed())
    }
}
