//! Questions to counters that several checks ask in the same way.

use super::ground::Ground;
use super::memory::Counter;

/// How much of a window must have been seen before a rate is a rate: half of it.
const SEEN_SHARE: u64 = 2;

/// How often per minute a counter rose within the window, on average, rounded down. `None` until half of the window was
/// seen.
pub fn per_minute(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> Option<u64> {
    let (by, over_ms) = ground.memory.increase(target, counter, window_ms, ground.now)?;
    (over_ms > 0 && over_ms >= window_ms / SEEN_SHARE).then(|| by.saturating_mul(60_000) / over_ms)
}

/// By how much a counter rose within the window, without what rose while the node came up: links that train and drivers
/// that load leave counts behind that tell nothing. A step that began before the window counts with its share, rounded
/// up.
pub fn rise_since_boot(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> u64 {
    let (window, grace) = (ground.now.mono_ms.saturating_sub(window_ms), boot_grace_end(ground));
    let steps = ground.memory.steps(target, counter);
    steps
        .filter(|step| step.to > window && step.from >= grace)
        .fold(0, |sum, step| sum.saturating_add(step.by_since(window)))
}

/// What one error may stand for where errors are told by windows of a minute, in milliseconds.
const ONE_ERROR_MS: u64 = 60_000;
/// A single step stands for no more than this share of a window: one long gap between readings, or one burst, tells
/// nothing about what goes on and on.
const STEP_SHARE: u64 = 3;

/// For how long of the window a counter was rising, in milliseconds. The time between two readings counts whole if the
/// later one is higher by at least one per minute; n errors are in no more than n minutes.
pub fn rising_ms(ground: &Ground<'_>, target: &str, counter: Counter, window_ms: u64) -> u64 {
    let window = ground.now.mono_ms.saturating_sub(window_ms);
    let rising = ground.memory.steps(target, counter).filter(|step| step.by > 0 && step.to > window);
    rising.fold(0, |sum, step| {
        let inside = step.to.saturating_sub(step.from.max(window));
        let most = step.by_since(window).saturating_mul(ONE_ERROR_MS).min(window_ms / STEP_SHARE);
        sum.saturating_add(inside.min(most))
    })
}

/// When the boot grace ended or will end at the earliest, by the monotonic clock in milliseconds; 0 where that is long
/// ago or not known.
fn boot_grace_end(ground: &Ground<'_>) -> u64 {
    let Some(end) = ground.expected.boot_grace_ends() else { return 0 };
    let ago = u64::try_from(ground.now.wall().unix().saturating_sub(end.unix())).unwrap_or(0);
    ground.now.mono_ms.saturating_sub(ago.saturating_mul(1000))
}
