//! How long results are tried again that the API server refuses for a reason that may pass, such as a Role that an upgrade
//! writes late. Plain state: the clock is an argument.

use std::time::{Duration, Instant};

/// How long all of them are tried again. Then runs go on without them: a run must end.
const PATIENCE: Duration = Duration::from_secs(300);
/// Two of the longest pauses between two tries: a refusal after this begins another series.
const SERIES: Duration = Duration::from_secs(120);

/// The refusals of results since one was written.
#[derive(Debug, Default)]
pub(super) struct Patience {
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Patience {
    /// A result was refused. Returns whether it is worth another try.
    pub(super) fn lasts(&mut self, at: Instant) -> bool {
        let goes_on = self.last.replace(at).is_some_and(|last| at.saturating_duration_since(last) < SERIES);
        let since = self.since.filter(|_| goes_on).unwrap_or(at);
        self.since = Some(since);
        at.saturating_duration_since(since) < PATIENCE
    }

    /// A result was written.
    pub(super) fn restore(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_tried_for_five_minutes_and_anew_after_a_pause_or_a_success() {
        let (mut patience, at) = (Patience::default(), Instant::now());
        let lasted = (0..20).filter(|minutes| patience.lasts(at + Duration::from_secs(60) * *minutes)).count();
        assert_eq!(lasted, 5);
        patience.restore();
        let later = at + Duration::from_secs(1_140);
        assert!(patience.lasts(later));
        assert!(patience.lasts(later + Duration::from_secs(3_600)));
    }
}
