//! Backoff after a write that failed or did not help. Plain state: the clock is an argument.

use crate::key::{Key, Kind};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The first pause after a conflict. The watch usually shows the object within 5 ms (measured); if it does not, the brain
/// decides again after this pause.
const CONFLICT: Duration = Duration::from_millis(50);
/// The longest pause after consecutive conflicts.
const LONGEST_CONFLICT: Duration = Duration::from_secs(1);
/// The first pause before a GET, after a write whose outcome is unknown.
const DOUBT: Duration = Duration::from_millis(100);
/// The longest pause between two such GETs, and so the longest time until an API server that is back is noticed.
const LONGEST_DOUBT: Duration = Duration::from_secs(5);
/// The first pause after a refusal.
const REFUSED: Duration = Duration::from_secs(1);
/// The longest pause after consecutive refusals: these last until somebody fixes the cause.
const LONGEST_REFUSED: Duration = Duration::from_secs(60);

/// The time over which writes of one kind to one object are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// The most writes of one kind to one object within a window. More than this means that the write does not satisfy the
/// decision that asked for it: agents report at most 5 times a second.
const MOST_IN_WINDOW: u32 = 60;
/// The same for a policy, which is written for every claim: a rack that fails at once needs hundreds.
const MOST_IN_WINDOW_OF_POLICY: u32 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Ends when the watch shows the object, or at the time.
    Conflict,
    /// Ends by a GET, sent at the time; `looking` while it is under way.
    Doubt { looking: bool },
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    why: Why,
    until: Instant,
}

/// The objects, and the kinds of write to an object, that are in backoff.
#[derive(Debug, Default)]
pub struct Backoffs {
    objects: BTreeMap<Key, Backoff>,
    /// Until when, by object and kind of write: a refused label must not keep a taint from being written.
    refused: BTreeMap<(Key, &'static str), Instant>,
    /// Consecutive failures: conflicts and doubts by object (second member empty), refusals by kind of write.
    failures: BTreeMap<(Key, &'static str), u32>,
    /// The start of the window and the number of writes in it, by object and kind of write.
    written: BTreeMap<(Key, &'static str), (Instant, u32)>,
}

/// What is due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Whether a backoff has ended.
    pub ended: bool,
    /// Objects to read with a GET now.
    pub look: Vec<Key>,
}

impl Backoffs {
    /// Whether this kind of write to this object must wait.
    pub fn must_wait(&self, key: &Key, write: &'static str) -> bool {
        self.objects.contains_key(key) || self.refused.contains_key(&(key.clone(), write))
    }

    /// How many objects, and kinds of write to an object, are in backoff.
    pub fn len(&self) -> usize {
        self.objects.len() + self.refused.len()
    }

    /// Whether nothing is in backoff.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.refused.is_empty()
    }

    /// The object has changed since the decision.
    pub fn conflict(&mut self, key: Key, now: Instant) {
        let pause = self.pause((key.clone(), ""), CONFLICT, LONGEST_CONFLICT);
        let until = now + pause;
        let why = Why::Conflict;
        self.objects.insert(key, Backoff { why, until });
    }

    /// It is unknown whether the write was done.
    pub fn doubt(&mut self, key: Key, now: Instant) {
        let pause = self.pause((key.clone(), ""), DOUBT, LONGEST_DOUBT);
        let until = now + pause;
        let why = Why::Doubt { looking: false };
        self.objects.insert(key, Backoff { why, until });
    }

    /// The server refused this kind of write to this object.
    pub fn refused(&mut self, key: Key, write: &'static str, now: Instant) {
        let key = (key, write);
        let pause = self.pause(key.clone(), REFUSED, LONGEST_REFUSED);
        self.refused.insert(key, now + pause);
    }

    /// The watch showed the object. Returns whether that ends a backoff.
    pub fn shown(&mut self, key: &Key) -> bool {
        let conflict = self.objects.get(key).is_some_and(|backoff| backoff.why == Why::Conflict);
        if conflict {
            self.objects.remove(key);
        }
        conflict
    }

    /// The state of the object is known again.
    pub fn settled(&mut self, key: &Key) {
        self.objects.remove(key);
        self.failures.remove(&(key.clone(), ""));
    }

    /// This kind of write succeeded; `changed` says whether it changed the object. Returns whether it is in backoff now: a
    /// decision that asks for what is already there, or for something else each time, must not hammer the API server.
    pub fn succeeded(&mut self, key: &Key, write: &'static str, changed: bool, now: Instant) -> bool {
        let entry = (key.clone(), write);
        let most = if key.kind == Kind::Policy { MOST_IN_WINDOW_OF_POLICY } else { MOST_IN_WINDOW };
        let (_, count) = self.written.entry(entry).or_insert((now, 0));
        *count += 1;
        if !changed || *count > most {
            self.refused(key.clone(), write, now);
            return true;
        }
        self.forget_failures(key, write);
        false
    }

    fn forget_failures(&mut self, key: &Key, write: &'static str) {
        if !self.failures.is_empty() {
            self.failures.remove(&(key.clone(), ""));
            self.failures.remove(&(key.clone(), write));
        }
    }

    /// What is due at `now`.
    pub fn due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        self.written.retain(|_, (since, _)| *since + WINDOW > now);
        let before = self.refused.len();
        self.refused.retain(|_, until| *until > now);
        due.ended = self.refused.len() < before;
        self.objects.retain(|key, backoff| {
            if backoff.until > now {
                return true;
            }
            match &mut backoff.why {
                Why::Conflict => {
                    due.ended = true;
                    false
                }
                Why::Doubt { looking } => {
                    if !std::mem::replace(looking, true) {
                        due.look.push(key.clone());
                    }
                    true
                }
            }
        });
        due
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Instant> {
        let waiting = self.objects.values();
        let waiting = waiting.filter(|backoff| backoff.why != Why::Doubt { looking: true });
        let objects = waiting.map(|backoff| backoff.until);
        objects.chain(self.refused.values().copied()).min()
    }

    fn pause(&mut self, key: (Key, &'static str), first: Duration, longest: Duration) -> Duration {
        let failures = self.failures.entry(key).or_default();
        // 2^10 times the first pause exceeds the longest one, for each of the three.
        let pause = first * 2_u32.pow((*failures).min(10));
        *failures = failures.saturating_add(1);
        pause.min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(Kind::Node, "n1")
    }

    #[test]
    fn a_conflict_ends_when_the_watch_shows_the_object() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.conflict(key(), now);
        assert!(backoffs.must_wait(&key(), "taints"));
        assert!(backoffs.shown(&key()));
        assert!(backoffs.is_empty());
    }

    #[test]
    fn a_conflict_ends_in_time_even_if_the_watch_shows_nothing() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.conflict(key(), now);
        assert_eq!(backoffs.next(), Some(now + CONFLICT));
        assert_eq!(backoffs.due(now), Due::default());
        assert!(backoffs.due(now + CONFLICT).ended);
        assert!(backoffs.is_empty());
    }

    #[test]
    fn a_doubt_ends_only_by_a_get() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.doubt(key(), now);
        assert!(!backoffs.shown(&key()));
        let due = backoffs.due(now + DOUBT);
        assert_eq!((due.look, due.ended), (vec![key()], false));
        assert!(backoffs.due(now + DOUBT * 100).look.is_empty(), "one GET at a time");
        assert!(backoffs.must_wait(&key(), "taints"));
        backoffs.settled(&key());
        assert!(backoffs.is_empty());
    }

    #[test]
    fn a_refused_label_does_not_keep_a_taint_from_being_written() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.refused(key(), "marks", now);
        assert!(backoffs.must_wait(&key(), "marks"));
        assert!(!backoffs.must_wait(&key(), "taints"));
    }

    #[test]
    fn the_pause_after_refusals_doubles_up_to_a_minute_and_a_success_resets_it() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            backoffs.refused(key(), "marks", now);
            pauses.push(backoffs.next().unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!backoffs.succeeded(&key(), "marks", true, now));
        backoffs.refused(key(), "marks", now);
        assert_eq!(backoffs.next(), Some(now + REFUSED));
    }

    #[test]
    fn a_write_that_changes_nothing_is_not_repeated_at_once() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        assert!(backoffs.succeeded(&key(), "marks", false, now));
        assert!(backoffs.must_wait(&key(), "marks"));
        assert!(backoffs.due(now + REFUSED).ended);
    }

    #[test]
    fn an_object_that_is_written_too_often_goes_into_backoff() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        let stopped = (0..100).position(|_| backoffs.succeeded(&key(), "marks", true, now));
        assert_eq!(stopped, Some(60));
        let later = now + WINDOW;
        backoffs.due(later);
        assert!(!backoffs.succeeded(&key(), "marks", true, later));
    }
}
