//! The objects whose status the API server refused for a text of an agent, and when their texts are tried again. Plain
//! state: the clock is an argument.
//!
//! A refusal lasts until the agent says something else, and not for ever in any case: what was refused may have been
//! repaired in the cluster. An agent that says something else all the time is believed ever more rarely.

use crate::key::Key;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The shortest time until texts are tried again, after the first refusal.
const FIRST: Duration = Duration::from_secs(1);
/// The longest, and the time after which the same texts are tried again.
const LONGEST: Duration = Duration::from_secs(600);
/// The most refusals that are remembered. With more of them the cluster has another problem.
const MOST: usize = 10_000;

#[derive(Debug)]
struct Refusal {
    /// What the agent said.
    said: u64,
    says_other: bool,
    times: u32,
    at: Instant,
    /// Whether the texts are being tried again.
    is_over: bool,
}

impl Refusal {
    fn ends(&self) -> Instant {
        let pause = if self.says_other { FIRST * 2_u32.pow((self.times - 1).min(10)) } else { LONGEST };
        self.at + pause.min(LONGEST)
    }
}

/// Refusals by object.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_key: BTreeMap<Key, Refusal>,
}

impl Refusals {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The server refused a status with what the agent says. Returns whether that is remembered.
    pub(super) fn refused(&mut self, key: &Key, said: u64, at: Instant) -> bool {
        if self.by_key.len() >= MOST && !self.by_key.contains_key(key) {
            return false;
        }
        let times = self.by_key.get(key).map_or(0, |known| known.times).saturating_add(1);
        self.by_key.insert(key.clone(), Refusal { said, says_other: false, times, at, is_over: false });
        true
    }

    /// Whether an object has one.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// The agent says this now.
    pub(super) fn says(&mut self, key: &Key, said: u64) {
        if let Some(refusal) = self.by_key.get_mut(key) {
            refusal.says_other |= refusal.said != said;
        }
    }

    /// The objects whose texts are tried again from now on. Those of the objects that are gone are forgotten, and those
    /// that were not refused again for long.
    pub(super) fn over(&mut self, at: Instant, is_there: impl Fn(&Key) -> bool) -> Vec<Key> {
        let mut over = Vec::new();
        self.by_key.retain(|key, refusal| {
            let is_gone = !is_there(key);
            if !refusal.is_over && (is_gone || refusal.ends() <= at) {
                refusal.is_over = true;
                over.push(key.clone());
            }
            !is_gone && (!refusal.is_over || at < refusal.at + LONGEST * 2)
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Kind;

    fn key() -> Key {
        Key::new(Kind::NodeHealth, "n1")
    }

    #[test]
    fn a_refusal_ends_with_another_report_and_after_ten_minutes_in_any_case() {
        let (mut refusals, at) = (Refusals::default(), Instant::now());
        assert!(refusals.refused(&key(), 1, at));
        refusals.says(&key(), 1);
        assert!(refusals.over(at + LONGEST / 2, |_| true).is_empty());
        refusals.says(&key(), 2);
        assert_eq!(refusals.over(at + FIRST, |_| true), [key()]);
        assert!(refusals.over(at + FIRST, |_| true).is_empty(), "once");
        refusals.refused(&key(), 1, at);
        assert_eq!(refusals.over(at + LONGEST, |_| true), [key()]);
    }

    #[test]
    fn an_agent_that_says_something_else_all_the_time_is_believed_ever_more_rarely() {
        let (mut refusals, mut at) = (Refusals::default(), Instant::now());
        let (began, mut times) = (at, 0);
        while at < began + Duration::from_secs(3_600) {
            refusals.refused(&key(), times, at);
            times += 1;
            refusals.says(&key(), times);
            while refusals.over(at, |_| true).is_empty() {
                at += FIRST;
            }
        }
        // 1, 2, 4 .. 512 s make 17 min, then one in ten minutes.
        assert_eq!(times, 15);
    }

    #[test]
    fn the_refusal_of_an_object_that_is_gone_is_forgotten() {
        let (mut refusals, at) = (Refusals::default(), Instant::now());
        refusals.refused(&key(), 1, at);
        assert_eq!(refusals.over(at, |_| false), [key()]);
        assert!(refusals.is_empty());
    }
}
