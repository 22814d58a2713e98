//! When to decide next. Plain state: both clocks are arguments.

use crds::Time;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a change that is not urgent waits, so that a burst leads to one decision.
const DEBOUNCE: Duration = Duration::from_millis(30);
/// How long what an answer may hide waits. In a wave of thousands of writes a decision after each answer would find nothing
/// to do and take the time of those that have something to do.
const LATER: Duration = Duration::from_secs(1);
/// After a decision the brain rests this many times as long as the decision took, so that decisions that are not urgent
/// take at most a quarter of a core.
const REST: u32 = 3;
/// The shortest wait for the time that a decision asked for, even if that time has passed.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// What a clock shows, in whole seconds.
pub fn time_of(wall: SystemTime) -> Time {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// How long it takes until a clock that shows `wall` shows `time`.
fn until(time: Time, wall: SystemTime) -> Duration {
    let seconds = u64::try_from(time.unix()).unwrap_or_default();
    let target = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let wait = target.unwrap_or(wall).duration_since(wall);
    wait.unwrap_or_default()
}

/// When to decide, and why.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    due: Option<(Instant, &'static str)>,
    /// The time that the last decision asked for, by the operator's clock, and the earliest moment to decide for it.
    asked: Option<(Time, Instant)>,
    rest_until: Option<Instant>,
}

impl Alarm {
    /// Decide now.
    pub(super) fn at_once(&mut self, at: Instant, cause: &'static str) {
        self.set(at, cause);
    }

    /// Decide as soon as the rest after the last decision is over. Used after answers.
    pub(super) fn soon(&mut self, at: Instant, cause: &'static str) {
        self.set(self.rested(at), cause);
    }

    /// Decide within a second. Used after answers that the decision has foreseen: what others changed meanwhile may be in
    /// them, and then no watch shows it as a change.
    pub(super) fn later(&mut self, at: Instant, cause: &'static str) {
        self.set(self.rested(at + LATER), cause);
    }

    /// Decide after the debounce time, in which more changes may arrive.
    pub(super) fn debounced(&mut self, at: Instant, cause: &'static str) {
        self.set(self.rested(at + DEBOUNCE), cause);
    }

    /// If a decision is due, its cause. `wall` is the operator's clock.
    pub(super) fn take(&mut self, at: Instant, wall: SystemTime) -> Option<&'static str> {
        let due = self.due.filter(|(due, _)| *due <= at);
        let asked = self.asked_for(at, wall).filter(|due| *due <= at);
        let cause = match (due, asked) {
            (Some((_, cause)), _) => cause,
            (None, Some(_)) => "time",
            (None, None) => return None,
        };
        self.due = None;
        Some(cause)
    }

    /// A decision has ended: how long it took, and when it asked to be woken.
    pub(super) fn decided(&mut self, at: Instant, took: Duration, wake_at: Option<Time>) {
        self.rest_until = Some(at + took * REST);
        self.asked = wake_at.map(|time| (time, at + SHORTEST_WAIT));
    }

    /// When a decision is due next.
    pub(super) fn next(&self, at: Instant, wall: SystemTime) -> Option<Instant> {
        let due = self.due.map(|(due, _)| due);
        due.into_iter().chain(self.asked_for(at, wall)).min()
    }

    /// Computed each time, because the operator's clock may be set.
    fn asked_for(&self, at: Instant, wall: SystemTime) -> Option<Instant> {
        let (time, not_before) = self.asked?;
        let due = at.checked_add(until(time, wall))?;
        Some(due.max(not_before))
    }

    fn set(&mut self, at: Instant, cause: &'static str) {
        if self.due.is_none_or(|(due, _)| at < due) {
            self.due = Some((at, cause));
        }
    }

    fn rested(&self, at: Instant) -> Instant {
        self.rest_until.map_or(at, |rest| rest.max(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: SystemTime = UNIX_EPOCH;

    #[test]
    fn a_burst_leads_to_one_decision_and_urgent_changes_do_not_wait() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        alarm.debounced(start, "change");
        alarm.debounced(start + DEBOUNCE / 2, "change");
        assert_eq!(alarm.take(start + DEBOUNCE / 2, WALL), None);
        alarm.at_once(start + DEBOUNCE / 2, "urgent");
        assert_eq!(alarm.take(start + DEBOUNCE / 2, WALL), Some("urgent"));
        assert_eq!(alarm.take(start + DEBOUNCE * 2, WALL), None);
    }

    #[test]
    fn after_a_long_decision_answers_wait_and_urgent_reports_do_not() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        alarm.decided(start, Duration::from_millis(20), None);
        alarm.soon(start, "written");
        let rested = start + Duration::from_millis(60);
        assert_eq!(alarm.next(start, WALL), Some(rested));
        alarm.at_once(start, "urgent");
        assert_eq!(alarm.next(start, WALL), Some(start));
    }

    #[test]
    fn the_answers_of_a_wave_lead_to_one_decision_a_second() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let decisions = (0..100).filter(|i| {
            let at = start + LATER * *i / 10;
            alarm.later(at, "written");
            alarm.take(at, WALL).is_some()
        });
        assert_eq!(decisions.count(), 9);
    }

    #[test]
    fn a_wake_time_in_the_past_causes_no_hot_loop() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        alarm.decided(start, Duration::ZERO, Some(Time::from_unix(0)));
        assert_eq!(alarm.take(start, WALL), None);
        assert_eq!(alarm.next(start, WALL), Some(start + SHORTEST_WAIT));
        assert_eq!(alarm.take(start + SHORTEST_WAIT, WALL), Some("time"));
    }

    #[test]
    fn a_wake_time_follows_the_clock_when_that_is_set() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        alarm.decided(start, Duration::ZERO, Some(Time::from_unix(60)));
        assert_eq!(alarm.next(start, WALL), Some(start + Duration::from_secs(60)));
        let later = start + Duration::from_secs(1);
        assert_eq!(alarm.take(later, WALL), None);
        let set = WALL + Duration::from_secs(90);
        assert_eq!(alarm.take(later, set), Some("time"));
    }
}
