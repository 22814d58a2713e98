//! What an assignment needs to go on.

use crate::agent::Probes;
use crate::agent::event::{Effect, Probe};
use crate::agent::sampler::Sampler;
use crate::agent::tree::Tree;
use crate::judge::{Expectation, Findings, Hardware, KernelLog, Memory, Readings};
use crate::time::Now;
use crds::node_health::Inventory;

/// What an assignment needs to go on.
pub(in crate::agent) struct Ground<'a> {
    pub(in crate::agent) expected: Expectation<'a>,
    pub(in crate::agent) findings: &'a mut Findings,
    pub(in crate::agent) senses: Senses<'a>,
    pub(in crate::agent) probes: &'a mut Probes,
    pub(in crate::agent) has_address: bool,
    pub(in crate::agent) now: Now,
    pub(in crate::agent) effects: &'a mut Vec<Effect>,
    /// The next moment of interest, by the monotonic clock in milliseconds.
    pub(in crate::agent) wake: &'a mut u64,
}

/// What a passive check of a run reads, and may ask to be read anew.
pub(in crate::agent) struct Senses<'a> {
    pub(in crate::agent) sampler: &'a mut Sampler,
    pub(in crate::agent) tree: &'a mut Tree,
    /// Set where something is to be read anew.
    pub(in crate::agent) wanted: &'a mut bool,
    pub(in crate::agent) hardware: &'a Hardware,
    pub(in crate::agent) readings: &'a Readings,
    pub(in crate::agent) memory: &'a Memory,
    pub(in crate::agent) log: &'a KernelLog,
    pub(in crate::agent) inventory: &'a Inventory,
}

impl Ground<'_> {
    pub(in crate::agent) fn wake_at(&mut self, mono_ms: u64) {
        *self.wake = (*self.wake).min(mono_ms);
    }

    pub(in crate::agent) fn in_maintenance(&self) -> bool {
        self.expected.in_maintenance()
    }

    pub(in crate::agent) fn start(&mut self, probe: Probe, deadline_ms: u64) -> u64 {
        self.probes.start(probe, deadline_ms.max(1), self.effects)
    }

    pub(in crate::agent) fn stop(&mut self, id: u64) {
        self.probes.stop(id, self.effects);
    }
}
