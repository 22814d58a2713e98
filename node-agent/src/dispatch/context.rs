//! What a work order needs to make progress.

use super::checks::ProbeCheck;
use super::probe::{Command, Probe};
use super::senses::Senses;
use super::turn::Probes;
use crate::judge::{Expectation, Findings, KernelLog};
use crate::time::Now;
use crds::check::Class;

/// What a work order needs to make progress.
pub(crate) struct Context<'a> {
    pub(crate) expected: Expectation<'a>,
    pub(crate) findings: &'a mut Findings,
    pub(crate) senses: &'a mut Senses,
    pub(crate) log: &'a KernelLog,
    /// Set if the senses have something to do at once: a reading that a check waits for, or the release of the driver.
    pub(crate) looks_again: bool,
    /// The checks that a probe answers.
    pub(crate) checks: &'static [ProbeCheck],
    /// The classes of the checks of all other work orders that run now.
    pub(crate) others: Vec<Class>,
    pub(crate) probes: &'a mut Probes,
    pub(crate) has_address: bool,
    pub(crate) now: Now,
    pub(crate) commands: &'a mut Vec<Command>,
    /// When to call again, by the monotonic clock in milliseconds.
    pub(crate) wake: &'a mut u64,
}

impl Context<'_> {
    pub(super) fn wake_at(&mut self, mono_ms: u64) {
        *self.wake = (*self.wake).min(mono_ms);
    }

    pub(super) fn in_maintenance(&self) -> bool {
        self.expected.in_maintenance()
    }

    pub(super) fn start(&mut self, probe: Probe, deadline_ms: u64) -> u64 {
        self.probes.start(probe, deadline_ms.max(1), self.commands)
    }

    pub(super) fn stop(&mut self, id: u64) {
        self.probes.stop(id, self.commands);
    }
}
