//! Backoff after a write that failed or did not help. Plain state: the clock is an argument.

use crate::key::{Key, Kind};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The first pause after a conflict. The watch usually shows the object within 5 ms (measured); if it does not, the brain
/// decides again after this pause.
const CONFLICT: Duration = Duration::from_millis(50);
/// So many consecutive conflicts of one kind of write end as soon as the watch shows the object. More of them come from no
/// change that a watch shows: only time ends them, and other kinds of write go on.
const QUICK_CONFLICTS: u32 = 3;
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
/// The pause before a write of the same kind that says something else: a report without the text that was refused must not
/// be ignored for a minute, nor may one that changes all the time be tried more often than this.
const OTHER_CONTENT: Duration = Duration::from_secs(1);

/// The time over which writes of one kind to one object are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// The most writes of one kind to one object within a window. More than this means that the write does not satisfy the
/// decision that asked for it: agents report at most 5 times a second.
const MOST_IN_WINDOW: u32 = 60;
/// The same for a policy, which is written for every claim: a rack that fails at once needs hundreds.
const MOST_IN_WINDOW_OF_POLICY: u32 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Ends when the watch shows the object, or at the time; then, if it `looks`, with a GET: the watch may lag.
    Conflict { looks: bool },
    /// Ends by a GET, sent at the time; `looking` while it is under way.
    Doubt { looking: bool },
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    why: Why,
    until: Instant,
}

/// A kind of write to an object that was refused, or whose outcome is unknown.
#[derive(Clone, Copy, Debug)]
struct Refused {
    /// What the write said.
    content: u64,
    since: Instant,
    until: Instant,
    /// Whether a decision was asked for when other content may be tried.
    was_told: bool,
}

impl Refused {
    /// When a write that says something else may be tried.
    fn other_from(&self) -> Instant {
        self.until.min(self.since + OTHER_CONTENT)
    }
}

/// The objects, and the kinds of write to an object, that are in backoff.
#[derive(Debug, Default)]
pub struct Backoffs {
    objects: BTreeMap<Key, Backoff>,
    /// By object and kind of write: a refused label must not keep a taint from being written.
    refused: BTreeMap<Key, BTreeMap<&'static str, Refused>>,
    /// Consecutive failures: of GETs by object (second member empty), and by kind of write. A GET that succeeds says nothing
    /// about a write that fails each time.
    failures: BTreeMap<(Key, &'static str), u32>,
    /// Consecutive conflicts by object and kind of write.
    conflicts: BTreeMap<(Key, &'static str), u32>,
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
    /// Whether this kind of write to this object must wait. `content` says what it would write: a write that was refused
    /// waits for its pause, one that says something else only so that there is one a second.
    pub fn must_wait(&self, key: &Key, write: &'static str, now: Instant, content: impl FnOnce() -> u64) -> bool {
        if self.objects.contains_key(key) {
            return true;
        }
        let refused = self.refused.get(key).and_then(|kinds| kinds.get(write));
        refused
            .is_some_and(|refused| now < refused.until && (now < refused.other_from() || content() == refused.content))
    }

    /// How many objects, and kinds of write to an object, are in backoff.
    pub fn len(&self) -> usize {
        self.objects.len() + self.refused.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Whether nothing is in backoff.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.refused.is_empty()
    }

    /// The object has changed since the decision that asked for this kind of write.
    pub fn conflict(&mut self, key: &Key, write: &'static str, content: impl FnOnce() -> u64, now: Instant) {
        let conflicts = self.conflicts.entry((key.clone(), write)).or_default();
        *conflicts = conflicts.saturating_add(1);
        let times = *conflicts;
        if times > QUICK_CONFLICTS {
            // 2^5 times the first pause exceeds the longest one.
            let pause = CONFLICT * 2_u32.pow((times - QUICK_CONFLICTS - 1).min(5));
            self.put(key, write, content(), now, pause.min(LONGEST_CONFLICT));
            return;
        }
        let why = Why::Conflict { looks: times > 1 };
        self.objects.insert(key.clone(), Backoff { why, until: now + CONFLICT });
    }

    /// It is unknown whether a write of this kind was done. The object is read soon; the write is repeated after pauses that
    /// grow as long as it fails, whatever the GETs say.
    pub fn unknown(&mut self, key: &Key, write: &'static str, content: u64, now: Instant) {
        let pause = self.pause((key.clone(), write), DOUBT, LONGEST_REFUSED);
        self.put(key, write, content, now, pause);
        self.doubt(key.clone(), now);
    }

    /// It is unknown how the object is.
    pub fn doubt(&mut self, key: Key, now: Instant) {
        let pause = self.pause((key.clone(), ""), DOUBT, LONGEST_DOUBT);
        let until = now + pause;
        let why = Why::Doubt { looking: false };
        self.objects.insert(key, Backoff { why, until });
    }

    /// The server refused this kind of write to this object.
    pub fn refused(&mut self, key: &Key, write: &'static str, content: u64, now: Instant) {
        let pause = self.pause((key.clone(), write), REFUSED, LONGEST_REFUSED);
        self.put(key, write, content, now, pause);
    }

    /// How often this kind of write to this object has failed, one time after the other.
    pub fn failures(&self, key: &Key, write: &'static str) -> u32 {
        self.failures.get(&(key.clone(), write)).copied().unwrap_or(0)
    }

    fn put(&mut self, key: &Key, write: &'static str, content: u64, now: Instant, pause: Duration) {
        let refused = Refused { content, since: now, until: now + pause, was_told: false };
        self.refused.entry(key.clone()).or_default().insert(write, refused);
    }

    /// The watch showed the object. Returns whether that ends a backoff.
    pub fn shown(&mut self, key: &Key) -> bool {
        let conflict = self.objects.get(key).is_some_and(|backoff| matches!(backoff.why, Why::Conflict { .. }));
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
    pub fn succeeded(
        &mut self,
        key: &Key,
        write: &'static str,
        changed: bool,
        now: Instant,
        content: impl FnOnce() -> u64,
    ) -> bool {
        let entry = (key.clone(), write);
        let most = if key.kind == Kind::Policy { MOST_IN_WINDOW_OF_POLICY } else { MOST_IN_WINDOW };
        let (_, count) = self.written.entry(entry).or_insert((now, 0));
        *count += 1;
        if !changed || *count > most {
            self.refused(key, write, content(), now);
            return true;
        }
        self.forget_failures(key, write);
        false
    }

    fn forget_failures(&mut self, key: &Key, write: &'static str) {
        if !self.failures.is_empty() || !self.conflicts.is_empty() {
            let place = (key.clone(), write);
            self.failures.remove(&(key.clone(), ""));
            self.failures.remove(&place);
            self.conflicts.remove(&place);
        }
        if let Some(kinds) = self.refused.get_mut(key) {
            kinds.remove(write);
            if kinds.is_empty() {
                self.refused.remove(key);
            }
        }
    }

    /// What is due at `now`.
    pub fn due(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        self.written.retain(|_, (since, _)| *since + WINDOW > now);
        self.refused.retain(|_, kinds| {
            kinds.retain(|_, refused| {
                let may_try_other = !refused.was_told && refused.other_from() <= now;
                refused.was_told |= may_try_other;
                due.ended |= may_try_other || refused.until <= now;
                refused.until > now
            });
            !kinds.is_empty()
        });
        self.objects.retain(|key, backoff| {
            if backoff.until > now {
                return true;
            }
            match &mut backoff.why {
                Why::Conflict { looks: false } => {
                    due.ended = true;
                    false
                }
                Why::Conflict { looks: true } => {
                    backoff.why = Why::Doubt { looking: true };
                    due.look.push(key.clone());
                    true
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
        let refused = self.refused.values().flat_map(BTreeMap::values);
        let refused = refused.map(|refused| if refused.was_told { refused.until } else { refused.other_from() });
        objects.chain(refused).min()
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

    fn waits(backoffs: &Backoffs, write: &'static str, now: Instant) -> bool {
        backoffs.must_wait(&key(), write, now, || 1)
    }

    #[test]
    fn a_conflict_ends_when_the_watch_shows_the_object() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.conflict(&key(), "taints", || 1, now);
        assert!(waits(&backoffs, "taints", now));
        assert!(backoffs.shown(&key()));
        assert!(backoffs.is_empty());
    }

    #[test]
    fn a_conflict_ends_in_time_even_if_the_watch_shows_nothing() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.conflict(&key(), "taints", || 1, now);
        assert_eq!(backoffs.next(), Some(now + CONFLICT));
        assert_eq!(backoffs.due(now), Due::default());
        assert!(backoffs.due(now + CONFLICT).ended);
        assert!(backoffs.is_empty());
    }

    #[test]
    fn a_second_conflict_that_no_watch_explains_leads_to_a_get() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.conflict(&key(), "taints", || 1, now);
        assert!(backoffs.due(now + CONFLICT).look.is_empty());
        backoffs.conflict(&key(), "taints", || 1, now);
        assert_eq!(backoffs.due(now + CONFLICT).look, [key()]);
    }

    #[test]
    fn a_write_that_always_conflicts_is_tried_once_a_second_whatever_the_watch_shows_and_holds_up_no_other() {
        let (mut backoffs, mut now) = (Backoffs::default(), Instant::now());
        let end = now + Duration::from_secs(60);
        let mut tries = 0;
        while now < end {
            backoffs.shown(&key());
            if !waits(&backoffs, "marks", now) {
                tries += 1;
                backoffs.conflict(&key(), "marks", || 1, now);
                assert!(tries <= QUICK_CONFLICTS || !waits(&backoffs, "taints", now), "other writes go on");
            }
            now += Duration::from_millis(10);
            backoffs.due(now);
        }
        assert!((60..=70).contains(&tries), "{tries}");
        assert!(!backoffs.succeeded(&key(), "marks", true, now, || 1));
        backoffs.conflict(&key(), "marks", || 1, now);
        assert!(backoffs.shown(&key()), "a success ends the series");
    }

    #[test]
    fn a_doubt_ends_only_by_a_get() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.doubt(key(), now);
        assert!(!backoffs.shown(&key()));
        let due = backoffs.due(now + DOUBT);
        assert_eq!((due.look, due.ended), (vec![key()], false));
        assert!(backoffs.due(now + DOUBT * 100).look.is_empty(), "one GET at a time");
        assert!(waits(&backoffs, "taints", now));
        backoffs.settled(&key());
        assert!(backoffs.is_empty());
    }

    #[test]
    fn a_refused_label_does_not_keep_a_taint_from_being_written() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        backoffs.refused(&key(), "marks", 1, now);
        assert!(waits(&backoffs, "marks", now));
        assert!(!waits(&backoffs, "taints", now));
    }

    #[test]
    fn the_pause_after_refusals_doubles_up_to_a_minute_and_a_success_resets_it() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            backoffs.refused(&key(), "marks", 1, now);
            backoffs.due(now + OTHER_CONTENT);
            pauses.push(backoffs.next().map_or(1, |at| at.duration_since(now).as_secs()));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!backoffs.succeeded(&key(), "marks", true, now, || 1));
        backoffs.refused(&key(), "marks", 1, now);
        assert_eq!(backoffs.next(), Some(now + REFUSED));
    }

    #[test]
    fn a_write_that_changes_nothing_is_not_repeated_at_once() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        assert!(backoffs.succeeded(&key(), "marks", false, now, || 1));
        assert!(waits(&backoffs, "marks", now));
        assert!(backoffs.due(now + REFUSED).ended);
    }

    #[test]
    fn an_object_that_is_written_too_often_goes_into_backoff() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        let stopped = (0..100).position(|_| backoffs.succeeded(&key(), "marks", true, now, || 1));
        assert_eq!(stopped, Some(60));
        let later = now + WINDOW;
        backoffs.due(later);
        assert!(!backoffs.succeeded(&key(), "marks", true, later, || 1));
    }

    #[test]
    fn a_write_that_fails_each_time_waits_longer_each_time_whatever_a_get_says() {
        let (mut backoffs, mut now) = (Backoffs::default(), Instant::now());
        let mut tries = 0;
        let end = now + Duration::from_secs(600);
        while now < end {
            if !waits(&backoffs, "marks", now) {
                tries += 1;
                backoffs.unknown(&key(), "marks", 1, now);
            }
            now = backoffs.next().unwrap();
            for key in backoffs.due(now).look {
                // The GET succeeds.
                backoffs.settled(&key);
            }
        }
        // 10 pauses from 0.1 to 51.2 s make 102 s, then one a minute.
        assert_eq!(tries, 19);
        assert!(!waits(&backoffs, "taints", now), "other writes go on");
    }

    #[test]
    fn a_refused_write_that_says_something_else_is_tried_after_a_second() {
        let (mut backoffs, now) = (Backoffs::default(), Instant::now());
        for _ in 0..6 {
            backoffs.refused(&key(), "marks", 1, now);
        }
        let other = |backoffs: &Backoffs, at| backoffs.must_wait(&key(), "marks", at, || 2);
        assert!(other(&backoffs, now), "at most one a second");
        let later = now + OTHER_CONTENT;
        assert_eq!(backoffs.next(), Some(later));
        assert!(backoffs.due(later).ended, "a decision is asked for");
        assert!(!other(&backoffs, later) && waits(&backoffs, "marks", later));
        assert_eq!(backoffs.next(), Some(now + Duration::from_secs(32)));
        assert!(!backoffs.due(later).ended, "once");
    }
}
