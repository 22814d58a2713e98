//! Objects that are left alone for a while after a write went wrong. Plain state: the clock is an argument.

use crate::key::{Key, Kind};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// After a conflict the watch delivers within milliseconds (0 to 5 ms measured); should it not, decide again all the same.
const CONFLICT: Duration = Duration::from_millis(50);
/// The longest pause after conflicts that follow one another.
const LONGEST_CONFLICT: Duration = Duration::from_secs(1);
/// The first pause before a GET that settles a doubt.
const DOUBT: Duration = Duration::from_millis(100);
/// The longest pause between two such GETs: an API server that comes back is used within this time.
const LONGEST_DOUBT: Duration = Duration::from_secs(5);
/// The first pause after a refusal.
const REFUSED: Duration = Duration::from_secs(1);
/// The longest pause after refusals: somebody has to mend something.
const LONGEST_REFUSED: Duration = Duration::from_secs(60);

/// Over how long writes of one kind to one object are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// More than this within a window is no work, but a decision that its own write does not satisfy. Agents report at most 5
/// times a second.
const MOST_IN_WINDOW: u32 = 60;
/// A policy is written for every claim: a rack that fails at once is hundreds.
const MOST_IN_WINDOW_OF_POLICY: u32 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Free again when the watch shows the object, or at the time.
    Conflict,
    /// A GET must settle it at the time; `looking` while one is under way.
    Doubt { looking: bool },
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    why: Why,
    until: Instant,
}

/// The objects, and the kinds of write on an object, that are left alone.
#[derive(Debug, Default)]
pub struct Holds {
    objects: BTreeMap<Key, Hold>,
    /// By object and kind of write: a label that is refused must not keep a taint from being written.
    refused: BTreeMap<(Key, &'static str), Instant>,
    /// How often in a row: conflicts and doubts by object (second member empty), refusals by kind of write.
    failures: BTreeMap<(Key, &'static str), u32>,
    /// Since when, and how often, each kind of write was done to each object.
    written: BTreeMap<(Key, &'static str), (Instant, u32)>,
}

/// What is due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Whether something is free again.
    pub freed: bool,
    /// Objects to look at with a GET, now.
    pub look: Vec<Key>,
}

impl Holds {
    /// Whether this kind of write on this object must wait.
    pub fn hold(&self, key: &Key, write: &'static str) -> bool {
        self.objects.contains_key(key) || self.refused.contains_key(&(key.clone(), write))
    }

    /// How many objects are left alone.
    pub fn len(&self) -> usize {
        self.objects.len() + self.refused.len()
    }

    /// Whether no object is left alone.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.refused.is_empty()
    }

    /// The object changed under us.
    pub fn conflict(&mut self, key: Key, now: Instant) {
        let pause = self.pause((key.clone(), ""), CONFLICT, LONGEST_CONFLICT);
        let until = now + pause;
        let why = Why::Conflict;
        self.objects.insert(key, Hold { why, until });
    }

    /// It is not known whether the write was done.
    pub fn doubt(&mut self, key: Key, now: Instant) {
        let pause = self.pause((key.clone(), ""), DOUBT, LONGEST_DOUBT);
        let until = now + pause;
        let why = Why::Doubt { looking: false };
        self.objects.insert(key, Hold { why, until });
    }

    /// The server refuses this kind of write on this object.
    pub fn refused(&mut self, key: Key, write: &'static str, now: Instant) {
        let key = (key, write);
        let pause = self.pause(key.clone(), REFUSED, LONGEST_REFUSED);
        self.refused.insert(key, now + pause);
    }

    /// The watch showed the object. Returns whether that frees it.
    pub fn shown(&mut self, key: &Key) -> bool {
        let conflict = self.objects.get(key).is_some_and(|h| h.why == Why::Conflict);
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

    /// This kind of write succeeded, and changed the object or did not. Returns whether it is held now: a decision that
    /// wants what is there already, or wants something else every time, must not hammer the API server.
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
        due.freed = self.refused.len() < before;
        self.objects.retain(|key, hold| {
            if hold.until > now {
                return true;
            }
            match &mut hold.why {
                Why::Conflict => {
                    due.freed = true;
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
        let waiting = waiting.filter(|h| h.why != Why::Doubt { looking: true });
        let objects = waiting.map(|h| h.until);
        objects.chain(self.refused.values().copied()).min()
    }

    fn pause(&mut self, key: (Key, &'static str), first: Duration, longest: Duration) -> Duration {
        let failures = self.failures.entry(key).or_default();
        // 2^10 times any first pause is beyond every longest one.
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
        let (mut holds, now) = (Holds::default(), Instant::now());
        holds.conflict(key(), now);
        assert!(holds.hold(&key(), "taints"));
        assert!(holds.shown(&key()));
        assert!(holds.is_empty());
    }

    #[test]
    fn a_conflict_ends_after_a_while_even_if_the_watch_shows_nothing() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        holds.conflict(key(), now);
        assert_eq!(holds.next(), Some(now + CONFLICT));
        assert_eq!(holds.due(now), Due::default());
        assert!(holds.due(now + CONFLICT).freed);
        assert!(holds.is_empty());
    }

    #[test]
    fn a_doubt_ends_by_a_look_only() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        holds.doubt(key(), now);
        assert!(!holds.shown(&key()));
        let due = holds.due(now + DOUBT);
        assert_eq!((due.look, due.freed), (vec![key()], false));
        assert!(holds.due(now + DOUBT * 100).look.is_empty(), "one look at a time");
        assert!(holds.hold(&key(), "taints"));
        holds.settled(&key());
        assert!(holds.is_empty());
    }

    #[test]
    fn a_refused_label_does_not_keep_a_taint_from_being_written() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        holds.refused(key(), "marks", now);
        assert!(holds.hold(&key(), "marks"));
        assert!(!holds.hold(&key(), "taints"));
    }

    #[test]
    fn refusals_in_a_row_wait_twice_as_long_each_up_to_a_minute_and_a_success_starts_anew() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            holds.refused(key(), "marks", now);
            pauses.push(holds.next().unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!holds.succeeded(&key(), "marks", true, now));
        holds.refused(key(), "marks", now);
        assert_eq!(holds.next(), Some(now + REFUSED));
    }

    #[test]
    fn a_write_that_changes_nothing_is_not_repeated_at_once() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        assert!(holds.succeeded(&key(), "marks", false, now));
        assert!(holds.hold(&key(), "marks"));
        assert!(holds.due(now + REFUSED).freed);
    }

    #[test]
    fn an_object_that_is_written_again_and_again_is_left_alone_for_a_while() {
        let (mut holds, now) = (Holds::default(), Instant::now());
        let held = (0..100).position(|_| holds.succeeded(&key(), "marks", true, now));
        assert_eq!(held, Some(60));
        let later = now + WINDOW;
        holds.due(later);
        assert!(!holds.succeeded(&key(), "marks", true, later));
    }
}
