//! The invariants of the decision, on random worlds that live through random events.
//!
//! Each invariant is a checker in [`checks`]; each checker is shown to fail on a plan that a mutant of [`mutants`] has
//! spoilt, so that production code has no switch for tests.

mod checks;
mod faults;
mod leaders;
mod memos;
mod mutants;
mod rehearsals;
mod shapes;

use super::{
    decide,
    model::{
        Model, Writer, fixtures,
        generate::{self, Dice},
        happenings,
    },
};
use crate::plan::Plan;
use checks::{Checker, Seen};
use explore::explore;
use proptest::{collection::vec, prelude::any, strategy::Strategy, test_runner::TestCaseError};
use std::cell::RefCell;

/// How many worlds each invariant is tested on, if there is time (see the crate `explore`).
const CASES: u32 = 20_000;
/// How many decisions are made in one world.
const ROUNDS: usize = 5;

/// What occurred in the worlds of a test.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    worlds: u32,
    marked: u32,
    foreign_taints: u32,
    exhausted: u32,
    drilled: u32,
}

/// What occurred in one world.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    marked: bool,
    foreign_taint: bool,
    exhausted: bool,
    drilled: bool,
}

impl Met {
    fn look(&mut self, model: &Model) {
        for node in model.world.nodes.values() {
            for taint in &node.taints {
                let ours = taint.key == crds::names::TAINT_UNHEALTHY;
                self.marked |= ours && taint.effect != "PreferNoSchedule";
                self.foreign_taint |= !ours;
            }
        }
        let mut decisions = model.world.node_healths.values().filter_map(|h| h.status.as_ref()?.decision.as_ref());
        self.drilled |= decisions.any(crds::node_health::Decision::has_drill);
        self.exhausted |= model.world.policies.values().filter_map(|p| p.status.as_ref()).any(|s| s.counts.waiting > 0);
    }
}

/// The bytes from which a world and its events are made.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 40..360)
}

/// Runs a world: event, decision, check, application (whole, cut short by a crash, or with a write refused).
fn live(bytes: &[u8], check: &mut dyn FnMut(&Seen<'_>) -> Result<(), String>) -> Result<Met, String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let mut met = Met::default();
    let mut story = Vec::new();
    for round in 0..ROUNDS {
        let plan = decide(&model.world, model.now);
        let mut after = model.clone();
        after.apply(&plan);
        let seen = Seen { before: &model, plan: &plan, after: &after };
        check(&seen).map_err(|e| format!("{e}\nafter round {round}: {story:?}\nplan: {plan:#?}"))?;
        met.look(&after);
        model = match dice.below(8) {
            0 => partly(&mut dice, model, plan),
            _ => after,
        };
        for _ in 0..=dice.below(2) {
            story.push(happenings::event(&mut dice, &mut model));
        }
        if !dice.is_left() {
            break;
        }
    }
    Ok(met)
}

/// Applies a plan up to a crash, or with one write refused.
fn partly(dice: &mut Dice<'_>, mut model: Model, plan: Plan) -> Model {
    let at = dice.below(plan.steps.len() + 1);
    let crash = dice.chance(50);
    let mut writer = Writer::new(plan);
    while let Some(index) = writer.next() {
        if index == at {
            if crash {
                break;
            }
            writer.fail();
        } else {
            writer.step(&mut model);
        }
    }
    model
}

/// Checks one invariant on every world, and that the worlds are varied enough.
fn hold_in_every_world(name: &str, check: Checker) {
    let tally = RefCell::new(Tally::default());
    explore(name, CASES, &bytes(), |bytes| {
        let met = live(&bytes, &mut |seen| check(seen)).map_err(TestCaseError::fail)?;
        let mut tally = tally.borrow_mut();
        tally.worlds += 1;
        tally.marked += u32::from(met.marked);
        tally.foreign_taints += u32::from(met.foreign_taint);
        tally.exhausted += u32::from(met.exhausted);
        tally.drilled += u32::from(met.drilled);
        Ok(())
    });
    let tally = tally.into_inner();
    println!("{name}: {tally:?}");
    let tenth = tally.worlds / 10;
    assert!(
        tally.marked >= tenth
            && tally.foreign_taints >= tenth
            && tally.exhausted >= tenth
            && tally.drilled >= tally.worlds / 50,
        "too few worlds are worth it: {tally:?}"
    );
}

#[test]
fn a_plan_that_was_applied_leaves_nothing_to_do() {
    hold_in_every_world("fixpoint", checks::nothing_is_left_to_do);
}

#[test]
fn a_mark_is_never_without_a_claim_and_a_claim_never_without_room() {
    hold_in_every_world("budget", checks::claims_come_first);
}

#[test]
fn what_others_wrote_survives() {
    hold_in_every_world("foreign", checks::foreign_marks_survive);
}

#[test]
fn observe_adds_nothing_hold_changes_nothing_and_no_verdict_comes_from_silence() {
    hold_in_every_world("modes", checks::modes_are_kept);
}

#[test]
fn frozen_targets_never_change_and_every_list_has_its_bound() {
    hold_in_every_world("bounds", shapes::bounds_are_kept);
}

#[test]
fn a_drill_is_labelled_as_one_marks_only_if_ordered_to_and_ends() {
    hold_in_every_world("drills", rehearsals::drills_are_labelled_and_end);
}

#[test]
fn transition_times_change_only_with_the_status() {
    hold_in_every_world("transitions", shapes::transition_times_are_kept);
}

#[test]
fn no_write_reaches_a_node_of_another_uid() {
    hold_in_every_world("uids", shapes::uids_are_kept);
}
