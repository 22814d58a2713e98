//! Two leaders at once: one pauses anywhere in its plan and resumes late, while the other continues.

use super::{CASES, bytes, checks};
use crate::decide::{
    decide,
    model::{
        Model, Writer, fixtures,
        generate::{self, Dice},
        happenings,
    },
};
use explore::explore;
use proptest::test_runner::TestCaseError;

/// Both leaders write step by step, in any order, interleaved with random events.
fn two_leaders(bytes: &[u8]) -> Result<(), String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let mut leaders = [0, 1].map(|_| Writer::new(decide(&model.world, model.now)));
    let mut story = Vec::new();
    while dice.is_left() {
        let leader = &mut leaders[dice.below(2)];
        match dice.below(6) {
            0 => {
                let standing = model.world.policies.clone();
                let hold = model.world.hold_everything;
                story.push(happenings::event(&mut dice, &mut model).to_owned());
                // A policy that is deleted takes its claims along: that is a person's doing, not a leader's.
                if standing.keys().any(|p| !model.world.policies.contains_key(p)) {
                    model.world.policies = standing;
                }
                model.world.hold_everything = hold;
            }
            1 => {
                *leader = Writer::new(decide(&model.world, model.now));
                story.push("a leader decides".to_owned());
            }
            _ => {
                let next = leader.next();
                story.push(format!("{:?}", next.map(|i| leader.plan.steps[i].write.clone())));
                checks::step_within_claims(leader, &mut model).map_err(|e| format!("{e}: {story:#?}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn two_leaders_never_mark_without_a_claim() {
    explore("two leaders", CASES, &bytes(), |bytes| two_leaders(&bytes).map_err(TestCaseError::fail));
}
