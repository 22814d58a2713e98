//! Questions to counters that several checks ask in the same way.

use super::{Counter, Ground};

/// How much of a window must have been seen before a rate is a rate: half of it.
const SEEN_SHARE: u64 = 2;

/// How often per minute a counter rose within the window, on average, rounded down. `None` until half of the window was
/// seen.
pub fn per_minute(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> Option<u64> {
    let (by, over_ms) = ground.memory.increase(target, counter, window_ms, ground.now)?;
    (over_ms > 0 && over_ms >= window_ms / SEEN_SHARE).then(|| by.saturating_mul(60_000) / over_ms)
}

/// By how much a counter rose within the window, without what rose while the node came up: links that train and drivers
/// that load leave counts behind that tell nothing.
pub fn rise_since_boot(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> u64 {
    let (window, grace) = (ground.now.mono_ms.saturating_sub(window_ms), boot_grace_end(ground));
    let steps = ground.memory.steps(target, counter);
    steps.filter(|step| step.to > window && step.from >= grace).fold(0, |sum, step| sum.saturating_add(step.by))
}

/// For how long of the window a counter was rising, in milliseconds: the time between two readings counts whole if the
/// later one is higher.
pub fn rising_ms(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> u64 {
    let window = ground.now.mono_ms.saturating_sub(window_ms);
    let rising = ground.memory.steps(target, counter).filter(|step| step.by > 0 && step.to > window);
    rising.fold(0, |sum, step| sum.saturating_add(step.to.saturating_sub(step.from.max(window))))
}

/// When the boot grace ended or will end at the earliest, by the monotonic clock in milliseconds; 0 where that is long
/// ago or not known.
fn boot_grace_end(ground: &Ground<'_>) -> u64 {
    let Some(end) = ground.expected.boot_grace_ends() else { return 0 };
    let ago = u64::try_from(ground.now.wall().unix().saturating_sub(end.unix())).unwrap_or(0);
    ground.now.mono_ms.saturating_sub(ago.saturating_mul(1000))
}
