//! A pause that grows from failure to failure.

use std::time::Duration;

/// A pause that doubles: `first`, up to `longest`, and `first` again after [`BackOff::succeeded`].
#[derive(Clone, Debug)]
pub(super) struct BackOff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl BackOff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    pub(super) const fn succeeded(&mut self) {
        self.next = self.first;
    }
}
