//! Values that many objects have in common, each kept once: of what thousands of nodes of one kind of machine report, most is the
//! same.

use crate::world::Node;
use crds::{
    Condition, NodeHealth, Shared, Text,
    node_health::{CheckRow, Expected, Monitor, Nic, NodeHealthStatus},
};
use std::{
    collections::{BTreeMap, HashSet},
    hash::Hash,
};

/// Below this number of values nothing is dropped.
const FEW: usize = 1_024;

/// The values of which objects hold one.
#[derive(Debug, Default)]
pub struct Known {
    texts: Values<Text>,
    targets: Values<Shared<Vec<String>>>,
    rows: Values<Shared<Vec<CheckRow>>>,
    nics: Values<Shared<Vec<Nic>>>,
    monitors: Values<Shared<Vec<Monitor>>>,
    expected: Values<Shared<Expected>>,
    devices: Values<Shared<BTreeMap<String, i64>>>,
}

/// The values of one type.
#[derive(Debug)]
struct Values<T> {
    all: HashSet<T>,
    /// At this number those that no object holds any more are dropped. It is twice the number of those that were left the
    /// last time, so that each new value pays for the look at one other.
    drop_at: usize,
}

/// A value that others may hold too.
trait Held {
    /// Whether they do.
    fn is_held_elsewhere(&self) -> bool;
}

impl Held for Text {
    fn is_held_elsewhere(&self) -> bool {
        Text::is_held_elsewhere(self)
    }
}

impl<T> Held for Shared<T> {
    fn is_held_elsewhere(&self) -> bool {
        Shared::is_held_elsewhere(self)
    }
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self { all: HashSet::new(), drop_at: FEW }
    }
}

impl<T: Held + Hash + Eq + Clone> Values<T> {
    /// Exchanges a value for an equal one that is known, or makes it known.
    fn exchange(&mut self, value: &mut T) {
        if let Some(known) = self.all.get(value) {
            value.clone_from(known);
            return;
        }
        if self.all.len() >= self.drop_at {
            self.all.retain(Held::is_held_elsewhere);
            self.drop_at = (self.all.len() * 2).max(FEW);
            self.all.shrink_to(self.drop_at);
        }
        self.all.insert(value.clone());
    }
}

impl Known {
    /// Exchanges what a Node has in common with others.
    pub fn exchange_in_node(&mut self, node: &mut Node) {
        for text in node.labels.texts() {
            self.texts.exchange(text);
        }
        self.devices.exchange(&mut node.accelerators);
        node.condition.iter_mut().for_each(|condition| self.exchange_in_condition(condition));
    }

    /// Exchanges what a NodeHealth has in common with others, and what two of its parts have in common.
    pub fn exchange_in_health(&mut self, health: &mut NodeHealth) {
        let spec = &mut health.spec;
        self.devices.exchange(&mut spec.node.allocatable);
        self.monitors.exchange(&mut spec.monitors);
        spec.expected.iter_mut().for_each(|expected| self.expected.exchange(expected));
        if let Some(status) = &mut health.status {
            self.exchange_in_status(status);
        }
    }

    fn exchange_in_status(&mut self, status: &mut NodeHealthStatus) {
        status.conditions.iter_mut().for_each(|condition| self.exchange_in_condition(condition));
        for gpu in &mut status.gpus {
            self.texts.exchange(&mut gpu.pci_address);
            gpu.reason.iter_mut().for_each(|reason| self.texts.exchange(reason));
        }
        let Some(report) = &mut status.report else { return };
        report.checks.iter_mut().for_each(|row| self.targets.exchange(&mut row.covered));
        self.rows.exchange(&mut report.checks);
        self.nics.exchange(&mut report.inventory.nics);
        for gpu in &mut report.inventory.gpus {
            self.texts.exchange(&mut gpu.pci_address);
            let often_the_same = [&mut gpu.model, &mut gpu.vbios, &mut gpu.kernel_driver];
            often_the_same.into_iter().flatten().for_each(|text| self.texts.exchange(text));
            // No other node has these, but the verdict on the GPU repeats them.
            let verdict = status.gpus.iter_mut().find(|verdict| verdict.pci_address == gpu.pci_address);
            if let Some(verdict) = verdict {
                exchange_for(&mut verdict.uuid, gpu.uuid.as_ref());
                exchange_for(&mut verdict.serial, gpu.serial.as_ref());
            }
        }
    }

    fn exchange_in_condition(&mut self, condition: &mut Condition) {
        let Condition { type_, status, reason, message, last_transition_time: _, observed_generation: _ } = condition;
        for text in [type_, status, reason, message] {
            self.texts.exchange(text);
        }
    }
}

/// Exchanges a text for an equal one.
fn exchange_for(text: &mut Option<Text>, other: Option<&Text>) {
    if let (Some(text), Some(other)) = (text, other)
        && text == other
    {
        text.clone_from(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one_and_what_nobody_holds_is_dropped() {
        let mut texts = Values::default();
        let kept: Vec<Text> = (0..10)
            .map(|_| {
                let mut text = Text::from("Tesla");
                texts.exchange(&mut text);
                text
            })
            .collect();
        assert!(kept.iter().all(|text| text.is_same(&kept[0])));
        for number in 0..10 * FEW {
            texts.exchange(&mut Text::from(number.to_string()));
            assert!(texts.all.len() <= FEW);
        }
        assert!(texts.all.contains(&kept[0]));
    }
}
