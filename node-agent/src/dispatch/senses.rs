//! What the agent measures continuously: sysfs, the driver through the sampler, and the inventory made from both.

use super::probe::Measured;
use super::sampling::{self, Heard, Sampling};
use super::tree_reading::{self, TreeReading};
use super::turn::Turn;
use crate::judge::core::hardware::{as_reported, named_as_before};
use crate::judge::{Expectation, Hardware, KernelLog, Measurements, Memory, Readings, registry};
use crate::readings::inventory::{ConfigSpace, Vendor};
use crate::readings::{Said, Sample, Section, TreeReport};
use crate::time::Now;
use crds::node_health::{Inventory, Monitor};
use crds::reason;
use std::collections::BTreeSet;

/// Whether a GPU has appeared or answers on the bus again, or the driver was bound to one.
fn has_more_gpus(now: &TreeReport, before: &TreeReport) -> bool {
    let usable = |tree: &TreeReport| -> BTreeSet<(String, Option<String>)> {
        let gpus = tree.pci.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia);
        let answering = gpus.filter(|gpu| gpu.config_space != ConfigSpace::AllOnes);
        answering.map(|gpu| (gpu.address.clone(), gpu.driver.clone())).collect()
    };
    !usable(now).is_subset(&usable(before))
}

/// The readings, and how they are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Senses {
    pub(super) sampling: Sampling,
    pub(super) tree: TreeReading,
    pub(crate) readings: Readings,
    pub(crate) memory: Memory,
    /// The accelerators by the last readings of both.
    hardware: Hardware,
    pub(crate) inventory: Inventory,
    /// The driver was released for maintenance at the last call of `look`.
    was_released: bool,
    /// The boot grace had not ended at the last call of `look`.
    was_in_boot_grace: bool,
}

impl Senses {
    /// Starts what is due. During maintenance none of our processes touches the driver; afterwards everything is read
    /// again. If `lends`, a probe of a run needs the driver for itself: the sampler releases it for that time.
    pub(crate) fn look(&mut self, expected: &Expectation<'_>, lends: bool, turn: &mut Turn<'_>) {
        let monitors = registry::wanted(expected);
        let in_boot_grace = expected.boot_grace_ends().is_some_and(|end| turn.now.wall() < end);
        if self.was_in_boot_grace && !in_boot_grace {
            // Readings taken during the boot grace say nothing about the time after it.
            self.read_again();
        }
        self.was_in_boot_grace = in_boot_grace;
        self.tree.look(tree_reading::interval_ms(&monitors), turn);
        let released = expected.in_maintenance();
        let trouble = self.readings.trouble.clone();
        if released {
            self.sampling.release(turn);
            turn.probes.stop_all_that_may_hold_the_driver(turn.commands);
        } else if lends {
            self.sampling.release(turn);
        } else {
            if self.was_released {
                self.readings.forget_driver();
                self.memory.begin_anew();
                self.sampling.restart(turn.now.mono_ms);
            } else if self.readings.is_lent {
                // Counters go on from where they were.
                self.readings.forget_driver();
                self.sampling.restart(turn.now.mono_ms);
            }
            self.sampling.look(&sampling::plan(&monitors), &mut self.readings, turn);
        }
        if self.was_released != released || self.readings.trouble != trouble {
            self.refresh();
        }
        self.was_released = released;
        self.readings.is_lent = lends && !released;
    }

    /// Processes a message of the sampler, and returns what it was. Counters are recorded only if `remembers` is set.
    pub(crate) fn hear(&mut self, probe: u64, said: Said, remembers: bool, turn: &mut Turn<'_>) -> Heard {
        let heard = self.sampling.said(probe, said, &mut self.readings, turn);
        match &heard {
            Heard::Nothing => {}
            Heard::Sample(sample) => self.take_sample(sample, remembers, turn.now),
            Heard::Event(event) => {
                for section in sampling::concerned(event) {
                    self.sampling.want(section, turn.now.mono_ms);
                }
            }
        }
        self.refresh();
        heard
    }

    fn take_sample(&mut self, sample: &Sample, remembers: bool, now: Now) {
        self.readings.take(sample, now.mono_ms);
        if remembers {
            self.memory.note_sample(sample, now);
        }
    }

    /// Processes the end of a probe; returns the measurement if the probe is not ours.
    pub(crate) fn ended(
        &mut self,
        id: u64,
        measured: Measured,
        is_released: bool,
        remembers: bool,
        now: Now,
    ) -> Option<Measured> {
        let is_released = is_released || self.readings.is_lent;
        if self.sampling.ended(id, &measured, is_released, &mut self.readings, now.mono_ms) {
            self.refresh();
            return None;
        }
        match self.tree.ended(id, measured, &mut self.readings, now.mono_ms) {
            Ok(report) => {
                if let Some(report) = report {
                    if remembers {
                        self.memory.note_tree(&report, now);
                    }
                    if self.readings.tree().is_some_and(|before| has_more_gpus(&report, before)) {
                        self.sampling.reload();
                    }
                    self.readings.tree = Some((*report, now.mono_ms));
                }
                self.refresh();
                None
            }
            Err(measured) => Some(measured),
        }
    }

    /// Reads this section at once, unless it was asked for since.
    pub(crate) fn want(&mut self, section: Section, since: u64) {
        self.sampling.want(section, since);
    }

    /// Reads again everything that was read before.
    pub(crate) fn read_again(&mut self) {
        self.sampling.read_again();
        self.tree.read_again();
    }

    /// Whether one of our children has the driver open, or may have.
    pub(crate) const fn may_hold_driver(&self) -> bool {
        self.sampling.may_hold_driver()
    }

    /// Whether everything that these monitors need was read once, or failed with a known reason.
    pub(crate) fn is_complete(&self, monitors: &[Monitor], is_released: bool) -> bool {
        // A call that has not returned once is made again.
        let trouble = self.readings.trouble.as_ref();
        let driver = trouble.is_some_and(|trouble| trouble.reason != reason::CALL_UNANSWERED)
            || is_released
            || sampling::plan(monitors).keys().all(|section| self.readings.taken.contains_key(section));
        driver && (self.readings.tree.is_some() || self.readings.tree_failed.is_some())
    }

    /// Whether everything that these monitors need was read in answer to a question asked at this moment or later, or cannot
    /// be read for a known reason.
    pub(crate) fn is_read_since(&self, monitors: &[Monitor], since: u64) -> bool {
        let driver = self.readings.trouble.is_some()
            || sampling::plan(monitors).keys().all(|section| self.sampling.has_read(*section, since));
        driver && (self.tree.was_read(since) || self.readings.tree_failed.is_some())
    }

    /// Whether the driver has answered a question about this section that was asked at this moment or later.
    pub(crate) fn has_read(&self, section: Section, since: u64) -> bool {
        self.sampling.has_read(section, since)
    }

    /// The inputs of a judgement.
    pub(crate) const fn measured<'a>(&'a self, kernel_log: &'a KernelLog) -> Measurements<'a> {
        Measurements {
            hardware: &self.hardware,
            kernel_log,
            readings: &self.readings,
            memory: &self.memory,
            gpus: self.inventory.gpus.as_slice(),
        }
    }

    /// Updates hardware and inventory. While nothing can be read, the last known state is shown.
    fn refresh(&mut self) {
        let hardware = Hardware::of(&self.readings);
        if hardware == self.hardware {
            return;
        }
        if let Hardware::Seen(report) = &hardware
            && (self.readings.trouble.is_none() || self.inventory.gpus.is_empty())
        {
            let mut inventory = as_reported(report);
            named_as_before(&mut inventory, &self.inventory);
            self.inventory = inventory;
        }
        self.hardware = hardware;
    }
}
