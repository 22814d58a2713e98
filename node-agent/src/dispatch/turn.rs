//! One step of the agent: the running probes, the commands that it issues, and when to call again.

use super::probe::{Command, Probe};
use crate::time::Now;
use std::collections::BTreeMap;

/// The running probes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probes {
    last: u64,
    running: BTreeMap<u64, Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    may_hold_driver: bool,
    /// It was already asked to stop.
    asked: bool,
}

impl Probes {
    pub(crate) fn start(&mut self, probe: Probe, deadline_ms: u64, commands: &mut Vec<Command>) -> u64 {
        self.last += 1;
        self.running.insert(self.last, Running { may_hold_driver: probe.may_hold_driver(), asked: false });
        commands.push(Command::Start { id: self.last, probe, deadline_ms });
        self.last
    }

    /// Asks a probe to stop, once.
    pub(crate) fn stop(&mut self, id: u64, commands: &mut Vec<Command>) {
        if let Some(running) = self.running.get_mut(&id).filter(|running| !running.asked) {
            running.asked = true;
            commands.push(Command::Stop { id });
        }
    }

    pub(crate) fn stop_all_that_may_hold_the_driver(&mut self, commands: &mut Vec<Command>) {
        let holders: Vec<u64> =
            self.running.iter().filter(|(_, running)| running.may_hold_driver).map(|(id, _)| *id).collect();
        for id in holders {
            self.stop(id, commands);
        }
    }

    pub(crate) fn may_hold_driver(&self) -> bool {
        self.running.values().any(|running| running.may_hold_driver)
    }

    /// A probe has ended.
    pub(crate) fn ended(&mut self, id: u64) {
        self.running.remove(&id);
    }

    #[cfg(test)]
    pub(crate) fn is_running(&self, id: u64) -> bool {
        self.running.contains_key(&id)
    }
}

/// What one step of the agent needs besides its state.
pub(crate) struct Turn<'a> {
    pub(crate) probes: &'a mut Probes,
    pub(crate) now: Now,
    pub(crate) commands: &'a mut Vec<Command>,
    /// When to call again, by the monotonic clock in milliseconds.
    pub(crate) wake: &'a mut u64,
}

impl Turn<'_> {
    pub(crate) fn wake_at(&mut self, mono_ms: u64) {
        *self.wake = (*self.wake).min(mono_ms);
    }
}
