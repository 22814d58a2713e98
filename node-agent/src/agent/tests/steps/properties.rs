//! Any orders, ends, kills and withdrawals: the classes take turns, what was changed is restored, the driver is free when a
//! probe needs it, and every order ends.

use super::*;
use crate::dispatch::checks::ProbeCheck;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Happens {
    Pass(u64),
    /// The orders of the spec, each with the numbers of its checks.
    Orders(Vec<Vec<u8>>),
    /// A running probe ends, well or badly.
    End {
        which: u8,
        well: bool,
    },
    /// The agent and all its children are killed, and it starts again.
    Killed,
    Maintenance(bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    let orders = proptest::collection::vec(proptest::collection::vec(0_u8..6, 1..4), 0..3);
    prop_oneof![
        3 => (1_u64..30_000).prop_map(Happens::Pass),
        3 => orders.prop_map(Happens::Orders),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(which, well)| Happens::End { which, well }),
        1 => Just(Happens::Killed),
        1 => any::<bool>().prop_map(Happens::Maintenance),
    ]
}

fn check(number: u8, name: usize) -> CheckSpec {
    let check = match number {
        0 => copies(),
        1 => memory(),
        2 | 3 => burn(),
        4 => CheckSpec { inventory: Some(NoParameters {}), ..CheckSpec::default() },
        _ => custom("disk"),
    };
    CheckSpec { name: format!("c{name}"), ..check }
}

/// The agent, what runs on its node, and what was changed there and not restored.
struct World {
    bench: Bench,
    given: NodeHealthSpec,
    orders: usize,
    seen: usize,
    running: BTreeMap<u64, Probe>,
    is_changed: bool,
}

impl World {
    fn new() -> Self {
        let mut bench = bench();
        bench.begin(order(spec(), None));
        Self { bench, given: spec(), orders: 0, seen: 0, running: BTreeMap::new(), is_changed: false }
    }

    fn happen(&mut self, what: &Happens) -> Result<(), TestCaseError> {
        match what {
            Happens::Pass(ms) => self.bench.pass(*ms),
            Happens::Orders(orders) => {
                self.given.assignments.clear();
                for checks in orders {
                    self.orders += 1;
                    let checks = checks.iter().enumerate().map(|(name, number)| check(*number, name)).collect();
                    let deadline = self.bench.now.wall().plus(600);
                    let id = format!("u/{}", self.orders);
                    self.given.assignments.push(Assignment { deadline, ..assignment(&id, checks) });
                }
                self.give();
            }
            Happens::End { which, well } => {
                let ids: Vec<u64> = self.running.keys().copied().collect();
                if let Some(id) = ids.get(usize::from(*which) % ids.len().max(1)) {
                    self.end(*id, *well);
                }
            }
            Happens::Killed => {
                let earlier = self.bench.written.last().cloned();
                let mut after = bench();
                after.now = self.bench.now;
                after.state = State::new(facts("boot-1"), after.now);
                after.state.checks = SAMPLES;
                after.written.extend(earlier.clone());
                self.bench = after;
                (self.seen, self.running) = (0, BTreeMap::new());
                self.bench.begin(order(self.given.clone(), earlier));
            }
            Happens::Maintenance(begins) => {
                let maintenance = crds::node_health::Maintenance { reason: "driver".into(), ..Default::default() };
                self.given.maintenance = begins.then_some(maintenance);
                self.give();
            }
        }
        self.look()
    }

    fn give(&mut self) {
        self.bench.send(Event::SpecChanged(Box::new(order(self.given.clone(), None))));
    }

    fn end(&mut self, id: u64, well: bool) {
        if let Some(probe) = self.running.remove(&id) {
            self.is_changed &= !(matches!(probe, Probe::Restore { .. }) && well);
        }
        self.bench.finish(id, if well { passed() } else { unknown(reason::PROGRAM_KILLED) });
    }

    /// Takes note of what was started, and ends what was stopped.
    fn look(&mut self) -> Result<(), TestCaseError> {
        while self.seen < self.bench.effects.len() {
            let effect = self.bench.effects[self.seen].clone();
            self.seen += 1;
            match effect {
                Effect::StartProbe { id, probe, .. } if self.bench.state.probes.is_running(id) => {
                    self.starts(id, probe)?;
                }
                Effect::StopProbe { id } => self.end(id, false),
                _ => {}
            }
        }
        let is_done = |report: &Report| report.runs.iter().all(|run| run.state == RunState::Done);
        if self.running.is_empty() && self.is_changed {
            let has_ended = self.bench.written.last().is_none_or(is_done);
            prop_assert!(!has_ended || self.given.maintenance.is_some(), "ended, and not restored");
        }
        Ok(())
    }

    fn starts(&mut self, id: u64, probe: Probe) -> Result<(), TestCaseError> {
        let row = |probe: &Probe| match probe {
            Probe::Check { spec, .. } => spec.kind().and_then(|check| ProbeCheck::of(check, SAMPLES)),
            _ => None,
        };
        if let Probe::Check { spec, .. } = &probe {
            let is_custom = spec.kind() == Some(Check::Custom);
            let others: Vec<&Probe> = self.running.values().filter(|other| row(other).is_some()).collect();
            let is_alone = others.iter().all(|other| {
                let is_program = row(other).is_some_and(|row| row.check == Check::Custom);
                let is_light = row(other).is_some_and(|row| row.check == Check::PcieBandwidth);
                let begins_light = spec.kind() == Some(Check::PcieBandwidth);
                (is_custom && (is_program || is_light)) || (begins_light && is_program)
            });
            prop_assert!(is_alone, "{probe:?} beside {others:?}");
            if spec.kind() == Some(Check::Stress) {
                prop_assert!(
                    self.running.values().all(|other| *other != Probe::Sampler),
                    "the sampler holds the driver"
                );
                self.is_changed = true;
            }
        }
        if probe == Probe::Sampler {
            let holds = |other: &Probe| measures(Check::Stress)(other) || restores(other);
            prop_assert!(!self.running.values().any(holds), "the driver was lent");
        }
        self.running.insert(id, probe);
        Ok(())
    }

    /// From now on every probe ends well: every order must end, and everything be restored.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.happen(&Happens::Maintenance(false))?;
        for _ in 0..80 {
            let ids: Vec<u64> = self.running.iter().filter(|(_, p)| **p != Probe::Sampler).map(|(id, _)| *id).collect();
            for id in ids {
                self.end(id, true);
            }
            self.happen(&Happens::Pass(10_000))?;
        }
        prop_assert!(!self.is_changed, "something was changed and never restored");
        let runs = self.bench.written.last().map(|report| report.runs.clone()).unwrap_or_default();
        prop_assert!(runs.iter().all(|run| run.state == RunState::Done), "{runs:?}");
        prop_assert!(self.given.assignments.iter().all(|order| runs.iter().any(|run| run.id == order.id)));
        Ok(())
    }
}

#[test]
fn checks_take_turns_and_restore_what_they_changed_whatever_happens() {
    explore::explore("steps", 10_000, &proptest::collection::vec(happens(), 1..14), |story| {
        let mut world = World::new();
        for what in &story {
            world.happen(what)?;
        }
        world.settle()
    });
}
