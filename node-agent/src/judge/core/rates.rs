//! Questions about counters that several checks ask in the same way.

use super::ground::Ground;
use super::memory::Counter;

/// A rate needs observations over at least half of its window.
const SEEN_SHARE: u64 = 2;

/// The average rise of a counter per minute within the window, rounded down. `None` until half of the window was
/// observed.
pub fn per_minute(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> Option<u64> {
    let (by, over_ms) = ground.memory.increase(target, counter, window_ms, ground.now)?;
    (over_ms > 0 && over_ms >= window_ms / SEEN_SHARE).then(|| by.saturating_mul(60_000) / over_ms)
}

/// The rise of a counter within the window, excluding the boot grace: training links and loading drivers leave counts
/// that mean nothing. A step that began before the window counts in proportion, rounded up.
pub fn rise_since_boot(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> u64 {
    let (window, grace) = (ground.now.mono_ms.saturating_sub(window_ms), boot_grace_end(ground));
    let steps = ground.memory.steps(target, counter);
    steps
        .filter(|step| step.to > window && step.from >= grace)
        .fold(0, |sum, step| sum.saturating_add(step.by_since(window)))
}

/// The longest time that one error may account for, in milliseconds, where errors are counted by windows of a minute.
const ONE_ERROR_MS: u64 = 60_000;
/// A single step accounts for at most this share of a window: one long gap between readings, or one burst, is no proof
/// of a persistent fault.
const STEP_SHARE: u64 = 3;

/// For how long within the window a counter was rising, in milliseconds. The time between two readings counts in full
/// if the counter rose by at least one per minute; n errors account for at most n minutes.
pub fn rising_ms(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> u64 {
    let window = ground.now.mono_ms.saturating_sub(window_ms);
    let rising = ground.memory.steps(target, counter).filter(|step| step.by > 0 && step.to > window);
    rising.fold(0, |sum, step| {
        let inside = step.to.saturating_sub(step.from.max(window));
        let most = step.by_since(window).saturating_mul(ONE_ERROR_MS).min(window_ms / STEP_SHARE);
        sum.saturating_add(inside.min(most))
    })
}

/// The earliest time at which the boot grace ended or will end, by the monotonic clock in milliseconds; 0 if that is
/// long ago or unknown.
fn boot_grace_end(ground: &Ground<'_>) -> u64 {
    let Some(end) = ground.expected.boot_grace_ends() else { return 0 };
    let ago = u64::try_from(ground.now.wall().unix().saturating_sub(end.unix())).unwrap_or(0);
    ground.now.mono_ms.saturating_sub(ago.saturating_mul(1000))
}
