//! What the watches show of the server, and when: in order, but late, or not until they are begun anew.

use super::server::Server;
use crate::{
    key::Kind,
    stores::observation::{Observation, Seen},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Shows each event after the delay.
    Works,
    /// Open, but shows nothing. At this time that is noticed.
    Mute { until: Instant },
    /// Told as broken. At this time it goes on from where it was, or with a list.
    Down { until: Instant, lists: bool },
}

/// The watch of one kind.
#[derive(Debug)]
pub(super) struct Watch {
    kind: Kind,
    state: State,
    delay: Duration,
    /// What it has not shown, with the time at which it will.
    pending: VecDeque<(Instant, Observation)>,
}

impl Watch {
    /// A watch that begins with a list.
    pub(super) fn new(kind: Kind, at: Instant) -> Self {
        Self { kind, state: State::Down { until: at, lists: true }, delay: Duration::ZERO, pending: VecDeque::new() }
    }

    pub(super) fn works(&self) -> bool {
        self.state == State::Works
    }

    /// From now on each event is this late.
    pub(super) fn lag(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Something happened to an object of its kind.
    pub(super) fn push(&mut self, observation: Observation, at: Instant) {
        let last = self.pending.back().map(|(due, _)| *due);
        let due = (at + self.delay).max(last.unwrap_or(at));
        self.pending.push_back((due, observation));
    }

    /// It breaks, and goes on later, from where it was or with a list.
    pub(super) fn fail(&mut self, at: Instant, pause: Duration, lists: bool) -> Observation {
        let lists = lists || matches!(self.state, State::Down { lists: true, .. });
        self.state = State::Down { until: at + pause, lists };
        self.broken()
    }

    /// It delivers nothing more, until that is noticed.
    pub(super) fn mute(&mut self, at: Instant, pause: Duration) {
        if self.works() {
            self.state = State::Mute { until: at + pause };
        }
    }

    /// When it has something to show, or changes its state.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Works => self.pending.front().map(|(due, _)| *due),
            State::Mute { until } | State::Down { until, .. } => Some(until),
        }
    }

    /// What it shows by now.
    /// `gone_until`: nobody reaches the server before.
    pub(super) fn show(&mut self, at: Instant, gone_until: Option<Instant>, server: &mut Server) -> Vec<Observation> {
        let mut shown = Vec::new();
        let gone_until = gone_until.filter(|until| *until > at);
        match self.state {
            State::Mute { until } if until <= at => {
                self.state = State::Down { until: at + Duration::from_secs(1), lists: false };
                shown.push(self.broken());
            }
            State::Down { until, lists } if until <= at && gone_until.is_some() => {
                self.state = State::Down { until: gone_until.unwrap_or(at), lists };
            }
            State::Down { until, lists } if until <= at => {
                self.state = State::Works;
                if lists {
                    self.pending.clear();
                    shown.extend(server.list(self.kind));
                }
            }
            State::Works | State::Mute { .. } | State::Down { .. } => {}
        }
        while self.works() && self.pending.front().is_some_and(|(due, _)| *due <= at) {
            shown.extend(self.pending.pop_front().map(|(_, observation)| observation));
        }
        shown
    }

    fn broken(&self) -> Observation {
        fn of<T>() -> Seen<T> {
            Seen::Broken { error: "the connection was closed".to_owned() }
        }
        match self.kind {
            Kind::Node => Observation::Node(of()),
            Kind::NodeHealth => Observation::NodeHealth(of()),
            Kind::Run => Observation::Run(of()),
            Kind::Policy => Observation::Policy(of()),
            Kind::Profile => Observation::Profile(of()),
            Kind::Lease | Kind::Result => Observation::Lease(of()),
        }
    }
}
