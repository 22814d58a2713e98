//! What the server and the watches do to a leader: writes that are refused until further notice, and views that lag.
//!
//! | what is mended | its mutant in [`super::mutants`] |
//! |---|---|
//! | claims end node by node, by what was read back | `DropTogether`, `TouchForEver` |
//! | a claim ends only where no late mark can come | `DropUnderLateMark` |
//! | a paused leader writes no spec of the past | `SpecByUidAlone` |
//! | an order is given again only to a run that is seen as it is | too rare for a mutant: a test of `runs` |
//!
//! Faults of the clock, of the queue and of backoffs are outside of a plan. They are found by the simulation of the whole
//! engine (`engine/simulation`), whose mutants stand in its `relapses.rs` and `waves.rs`:
//!
//! | what is mended | its mutant |
//! |---|---|
//! | silence counts only the time in which Leases are seen | `HeardAtStart`, `HeardWhenBroken`, `SilentByWallClock` |
//! | a claim and a taint replace words that wait | `Queues` |
//! | a refusal is tried ever more rarely, and holds up nothing else | `ForgivenByGet`, `ForgivenByWatch`, `AllWait` |
//! | the texts of an agent are tried again | `TextsRefusedForEver` |

use super::{CASES, Seen, bytes, checks, rehearsals, shapes};
use crate::{
    decide::{
        decide,
        model::{
            Model, fixtures,
            generate::{self, Dice, NODES, POLICIES},
            happenings,
            view::View,
        },
    },
    key::{Key, Kind},
    plan::Plan,
};
use crds::{NodeHealth, State, node_health_policy::Claim, node_health_policy::Mode};
use explore::explore;
use proptest::test_runner::TestCaseError;

/// The most decisions until a world in which nothing happens comes to rest.
const ROUNDS: usize = 12;

/// Refuses a few kinds of write to a few objects.
fn refuse(dice: &mut Dice<'_>, model: &mut Model) {
    for _ in 0..=dice.below(3) {
        let (kind, names) = *dice.of(&[
            (Kind::Node, "taints"),
            (Kind::Node, "taints"),
            (Kind::Node, "marks"),
            (Kind::Node, "condition"),
            (Kind::NodeHealth, "decision"),
            (Kind::NodeHealth, "spec"),
            (Kind::Policy, "claims"),
            (Kind::Policy, "status"),
        ]);
        let name = if kind == Kind::Policy { *dice.of(&POLICIES) } else { *dice.of(&NODES) };
        model.refused.insert((Key::new(kind, name), names));
    }
}

/// One leader in a world where some writes are refused for good. Once nothing happens any more it comes to rest, and no
/// claim stays that only the refused writes of other nodes could have kept.
pub(super) fn rests_under_refusals(bytes: &[u8], spoil: &dyn Fn(&Model, &mut Plan)) -> Result<(), String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let round = |model: &mut Model| {
        let mut plan = decide(&model.world, model.now);
        spoil(model, &mut plan);
        model.apply(&plan);
        plan
    };
    for _ in 0..ROUNDS {
        round(&mut model);
    }
    refuse(&mut dice, &mut model);
    let mut story = vec![format!("refused: {:?}", model.refused)];
    for _ in 0..2 + dice.below(4) {
        story.push(happenings::event(&mut dice, &mut model).to_owned());
        if dice.chance(50) {
            round(&mut model);
        }
    }
    for _ in 0..ROUNDS {
        round(&mut model);
    }
    let rest = model.clone();
    let plan = round(&mut model);
    let told = |what: &str| format!("{what}\n{story:#?}\n{plan:#?}");
    checks::ensure(model.world == rest.world, || told("it does not come to rest"))?;
    for (policy, claim) in model.claims() {
        checks::ensure(!is_kept_in_vain(&model, policy, claim), || told(&format!("{policy} keeps {claim:?}")))?;
    }
    let mut freed = model.clone();
    freed.refused.clear();
    freed.settle(ROUNDS);
    for (node, health) in &model.world.node_healths {
        let is_kept_silent = model.refused.iter().any(|(key, _)| key.kind == Kind::NodeHealth && key.name == *node);
        let is_worse = |health: &NodeHealth| state(health) == Some(&State::Unhealthy);
        let is_known = freed.world.node_healths.get(node).is_some_and(|freed| is_worse(freed));
        let is_told = is_kept_silent || is_worse(health) || !is_known;
        checks::ensure(is_told, || told(&format!("nobody is told of the fault of {node}")))?;
    }
    Ok(())
}

fn state(health: &NodeHealth) -> Option<&State> {
    Some(&health.status.as_ref()?.decision.as_ref()?.state)
}

/// Whether a claim stays although its Node bears no mark and has changed since, and nobody refuses to drop it.
fn is_kept_in_vain(model: &Model, policy: &str, claim: &Claim) -> bool {
    let is_frozen = model.world.hold_everything || model.world.policies[policy].spec.mode == Mode::Hold;
    let is_refused = model.refused.contains(&(Key::new(Kind::Policy, policy), "claims"));
    let node = model.world.nodes.get(&claim.node);
    let is_unmarked = node.is_some_and(|n| !checks::is_held(n) && n.resource_version != claim.node_version);
    is_unmarked && !is_frozen && !is_refused
}

#[test]
fn refused_writes_keep_no_claim_of_another_node_and_make_nothing_flap() {
    explore("refusals", CASES / 2, &bytes(), |bytes| {
        rests_under_refusals(&bytes, &|_, _| ()).map_err(TestCaseError::fail)
    });
}

/// Every invariant, for decisions on a view that lags; and what must hold on the server whatever was decided.
fn invariants_on_a_view(bytes: &[u8]) -> Result<(), String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let mut view = View::of(&model);
    let mut story = Vec::new();
    while dice.is_left() {
        let believed = view.believed(&model);
        let plan = decide(&believed.world, model.now);
        let mut after = believed.clone();
        after.apply(&plan);
        let seen = Seen { before: &believed, plan: &plan, after: &after };
        let told = |e: String| format!("{e}\n{story:#?}\n{plan:#?}");
        for check in [
            checks::nothing_is_left_to_do,
            checks::claims_come_first,
            checks::foreign_marks_survive,
            checks::modes_are_kept,
            shapes::bounds_are_kept,
            shapes::transition_times_are_kept,
            shapes::uids_are_kept,
            rehearsals::drills_are_labelled_and_end,
        ] {
            check(&seen).map_err(told)?;
        }
        let before = model.clone();
        let mut writer = crate::decide::model::Writer::new(plan.clone());
        while writer.next().is_some() {
            if let Some(key) = checks::step_within_claims(&mut writer, &mut model).map_err(told)? {
                view.wrote(&model, &key);
            }
        }
        let seen = Seen { before: &before, plan: &plan, after: &model };
        checks::foreign_marks_survive(&seen).map_err(told)?;
        shapes::transition_times_are_kept(&seen).map_err(told)?;
        if dice.chance(20) {
            model.refused.clear();
            refuse(&mut dice, &mut model);
        } else if dice.chance(40) {
            model.refused.clear();
        }
        for _ in 0..=dice.below(3) {
            let standing = model.world.policies.clone();
            story.push(happenings::event(&mut dice, &mut model).to_owned());
            if standing.keys().any(|p| !model.world.policies.contains_key(p)) {
                model.world.policies = standing;
            }
        }
        if dice.chance(20) {
            view.relist(&model);
        } else {
            view.look(&model, &mut dice);
        }
    }
    Ok(())
}

#[test]
fn every_invariant_holds_for_a_leader_whose_view_lags() {
    explore("views that lag", CASES / 4, &bytes(), |bytes| invariants_on_a_view(&bytes).map_err(TestCaseError::fail));
}
