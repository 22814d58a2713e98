//! Property tests that take a share of time instead of a number of cases.
//!
//! In an ordinary test run a property ends after a number of cases or a few seconds, whichever comes first, but not before
//! a tenth of its cases. `PROPERTY_SECONDS` gives each property exactly that time, whatever the number of cases
//! (`cargo xtask explore`). Cases are generated in batches, each with a seed of its own; a failure names the seed of its
//! batch, and `PROPERTY_SEED` makes that batch the first one.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

/// Seconds for each property; see the description of this crate.
pub const SECONDS: &str = "PROPERTY_SECONDS";
/// The seed of the first batch, as a failure names it (`0x1f`); random if not set.
pub const SEED: &str = "PROPERTY_SEED";

/// What a property takes at most in an ordinary run.
const ORDINARY: Duration = Duration::from_secs(12);
/// The part of its cases that a property sees on the slowest machine.
const LEAST_PART: u64 = 10;
/// Cases between two looks at the clock.
const BATCH: u32 = 100;

/// The time of one property, from when it begins.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    began: Instant,
    time: Duration,
    is_given: bool,
}

impl Share {
    /// The share of one ordinary property, starting now.
    pub fn begin() -> Self {
        Self::begin_long(1)
    }

    /// The share of this many ordinary properties.
    pub fn begin_long(times: u32) -> Self {
        let given = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        Self { began: Instant::now(), time: given.unwrap_or(ORDINARY * times), is_given: given.is_some() }
    }

    /// Whether to continue after `done` of `enough` cases: always until `least`, then until `enough` or the end of the time.
    /// With `PROPERTY_SECONDS`, only the end of the time counts.
    pub fn goes_on(&self, done: u64, least: u64, enough: u64) -> bool {
        done < least || ((self.is_given || done < enough) && self.began.elapsed() < self.time)
    }
}

/// Tries `property` on values of `strategy`: `enough` of them, or as many as fit into its [`Share`]. Prints and returns how
/// many were tried.
///
/// # Panics
///
/// When the property does not hold: with the smallest value that was found, and the seed that finds it again.
#[allow(clippy::panic, reason = "it is called by tests, and a test fails by panicking")]
pub fn explore<S: Strategy>(
    name: &str,
    enough: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> u32 {
    let share = Share::begin();
    let first = first_seed();
    let (mut seed, mut done) = (first, 0_u32);
    while share.goes_on(done.into(), u64::from(enough).div_ceil(LEAST_PART), enough.into()) {
        let config = Config { cases: BATCH, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes_of(seed)));
        if let Err(error) = runner.run(strategy, &property) {
            panic!("{name}: {error}\n{SEED}={seed:#x} finds it again");
        }
        done += BATCH;
        seed = seed.wrapping_add(1);
    }
    println!("{name}: {done} cases in {:.1} s, {SEED}={first:#x}", share.began.elapsed().as_secs_f64());
    done
}

fn first_seed() -> u64 {
    let given = std::env::var(SEED).ok();
    let given = given.and_then(|seed| u64::from_str_radix(seed.trim_start_matches("0x"), 16).ok());
    given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
}

fn bytes_of(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::any;
    use std::cell::RefCell;

    #[test]
    fn a_property_sees_all_its_cases_where_there_is_time_and_a_tenth_where_there_is_none() {
        let ordinary = Share { began: Instant::now(), time: Duration::from_secs(3_600), is_given: false };
        assert!(ordinary.goes_on(999, 100, 1_000) && !ordinary.goes_on(1_000, 100, 1_000));
        let over = Share { time: Duration::ZERO, ..ordinary };
        assert!(over.goes_on(99, 100, 1_000) && !over.goes_on(100, 100, 1_000));
        let given = Share { is_given: true, ..ordinary };
        assert!(given.goes_on(1_000_000, 100, 1_000));
    }

    #[test]
    fn a_failure_names_the_seed_of_its_batch_and_that_seed_makes_the_same_values() {
        let failed = std::panic::catch_unwind(|| {
            explore("below 200", 10_000, &any::<u8>(), |value| {
                if value < 200 { Ok(()) } else { Err(TestCaseError::fail("not below 200")) }
            })
        });
        let message = failed.unwrap_err().downcast::<String>().unwrap();
        let (_, seed) = message.rsplit_once(&format!("{SEED}=0x")).unwrap();
        let seed = u64::from_str_radix(seed.split(' ').next().unwrap(), 16).unwrap();
        assert!(message.contains("below 200") && message.contains("minimal failing input"), "{message}");

        let values = || {
            let tried = RefCell::new(Vec::new());
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes_of(seed));
            let config = Config { cases: BATCH, failure_persistence: None, ..Config::default() };
            TestRunner::new_with_rng(config, rng)
                .run(&any::<u8>(), |value| {
                    tried.borrow_mut().push(value);
                    Ok(())
                })
                .unwrap();
            tried.into_inner()
        };
        assert_eq!(values(), values());
        assert!(values().iter().any(|value| *value >= 200));
    }
}
