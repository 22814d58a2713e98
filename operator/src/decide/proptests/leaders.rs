//! Two leaders at once: one pauses anywhere in its plan and resumes late, while the other continues. Each sees the server
//! late and not everything, and the server refuses some of their writes.

use super::{CASES, bytes, checks};
use crate::{
    decide::{
        decide,
        model::{
            Model, Writer, fixtures,
            generate::{self, Dice},
            happenings,
            view::View,
        },
    },
    plan::Plan,
};
use crds::{HealthCheckResult, Outcome, health_check_run::TargetState};
use explore::explore;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;

/// A leader, and what it sees.
struct Leader {
    view: View,
    writer: Writer,
}

/// Both leaders write step by step, in any order, interleaved with random events. `spoil` changes what they decide.
pub(super) fn two_leaders(bytes: &[u8], spoil: &dyn Fn(&Model, &mut Plan)) -> Result<(), String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let mut leaders = [0, 1].map(|_| {
        let view = View::of(&model);
        Leader { writer: Writer::new(decide(&view.world, model.now)), view }
    });
    let (mut story, mut orders) = (Vec::new(), Orders::default());
    while dice.is_left() {
        let leader = &mut leaders[dice.below(2)];
        match dice.below(8) {
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
                let believed = leader.view.believed(&model);
                let mut plan = decide(&believed.world, model.now);
                spoil(&believed, &mut plan);
                checks::every_claim_has_room(&believed, &plan).map_err(|e| format!("{e}: {story:#?}"))?;
                leader.writer = Writer::new(plan);
                story.push("a leader decides".to_owned());
            }
            2 | 3 => {
                if dice.chance(10) {
                    leader.view.relist(&model);
                } else {
                    leader.view.look(&model, &mut dice);
                }
                story.push("a leader looks".to_owned());
            }
            _ if dice.chance(10) => {
                leader.writer.fail();
                story.push("a write is refused".to_owned());
            }
            _ => {
                let next = leader.writer.next();
                story.push(format!("{:?}", next.map(|i| leader.writer.plan.steps[i].write.clone())));
                let written = checks::step_within_claims(&mut leader.writer, &mut model)
                    .map_err(|e| format!("{e}: {story:#?}"))?;
                if let Some(key) = written {
                    leader.view.wrote(&model, &key);
                }
                verdicts_have_results(&model)
                    .and_then(|()| orders.look(&model))
                    .map_err(|e| format!("{e}: {story:#?}"))?;
            }
        }
    }
    Ok(())
}

/// The work orders of all nodes: none that has left a spec ever comes back.
#[derive(Default)]
struct Orders {
    given: BTreeSet<(String, String)>,
    ended: BTreeSet<(String, String)>,
}

impl Orders {
    fn look(&mut self, model: &Model) -> Result<(), String> {
        let uid = |health: &crds::NodeHealth| health.metadata.uid.clone().unwrap_or_default();
        let healths = model.world.node_healths.values();
        let now: BTreeSet<(String, String)> =
            healths.flat_map(|h| h.spec.assignments.iter().map(|order| (uid(h), order.id.clone()))).collect();
        self.ended.extend(self.given.difference(&now).cloned());
        self.given.clone_from(&now);
        let again = now.intersection(&self.ended).next();
        checks::ensure(again.is_none(), || format!("a work order came back: {again:?}"))
    }
}

/// Every verdict in the status of a run has its result: what was measured outlives the report.
fn verdicts_have_results(model: &Model) -> Result<(), String> {
    for run in model.world.runs.values() {
        let uid = run.metadata.uid.as_deref().unwrap_or_default();
        for target in run.status.iter().flat_map(|status| &status.targets) {
            let is_verdict = match &target.outcome {
                Some(Outcome::Pass | Outcome::Warn | Outcome::Fail) => target.state == TargetState::Done,
                Some(Outcome::Skipped | Outcome::Inconclusive | Outcome::Unrecognized(_)) | None => false,
            };
            let is_of = |result: &HealthCheckResult| result.spec.run.uid == uid && result.spec.node.name == target.node;
            checks::ensure(!is_verdict || model.results.values().any(is_of), || {
                format!("what {uid} measured on {} is lost", target.node)
            })?;
        }
    }
    Ok(())
}

#[test]
fn two_leaders_never_mark_without_a_claim_never_give_an_ended_order_again_and_lose_no_result() {
    explore("two leaders", CASES, &bytes(), |bytes| two_leaders(&bytes, &|_, _| ()).map_err(TestCaseError::fail));
}
