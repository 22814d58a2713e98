//! Whether the runner still turns: it is asked every few seconds, and what it says meanwhile counts as an answer.

use std::time::Duration;

use tokio::time::Instant;

/// The pause between two questions.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// A runner that has said nothing for this long after a question stands still. A busy machine delays an answer by less.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(15);
/// If we come this late to our own appointment, we stood still ourselves, and the runner's silence says nothing.
const WE_WERE_LATE: Duration = Duration::from_secs(2);

/// When to ask, and since when there is no answer.
#[derive(Debug)]
pub(super) struct Pulse {
    is_asked: bool,
    due: Instant,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Wait,
    Ask,
    Silent,
}

impl Pulse {
    /// A runner that has just answered.
    pub(super) fn heard(now: Instant) -> Self {
        Self { is_asked: false, due: now + ASK_EVERY }
    }

    /// The next appointment.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// We did not read for a while: an answer may be waiting.
    pub(super) fn read_again(&mut self, now: Instant) {
        self.due = now + if self.is_asked { SILENT_AFTER } else { ASK_EVERY };
    }

    /// Keeps the appointment.
    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        if now < self.due {
            return Beat::Wait;
        }
        if self.is_asked && now > self.due + WE_WERE_LATE {
            self.read_again(now);
            return Beat::Wait;
        }
        if self.is_asked {
            return Beat::Silent;
        }
        *self = Self { is_asked: true, due: now + SILENT_AFTER };
        Beat::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_does_not_answer_is_silent_and_one_that_answers_is_asked_again() {
        let begin = Instant::now();
        let mut pulse = Pulse::heard(begin);
        assert_eq!(pulse.beat(begin), Beat::Wait);
        let asked = begin + ASK_EVERY;
        assert_eq!(pulse.beat(asked), Beat::Ask);
        assert_eq!(pulse.beat(asked + SILENT_AFTER - Duration::from_millis(1)), Beat::Wait);
        assert_eq!(pulse.beat(asked + SILENT_AFTER), Beat::Silent);
        let mut pulse = Pulse::heard(asked);
        assert_eq!(pulse.beat(asked + ASK_EVERY), Beat::Ask);
    }

    #[test]
    fn after_a_freeze_of_our_own_the_runner_gets_its_time_anew() {
        let begin = Instant::now();
        let mut pulse = Pulse::heard(begin);
        assert_eq!(pulse.beat(begin + ASK_EVERY), Beat::Ask);
        let thawed = begin + Duration::from_secs(3_600);
        assert_eq!(pulse.beat(thawed), Beat::Wait);
        assert_eq!(pulse.beat(thawed + SILENT_AFTER), Beat::Silent);
    }
}
