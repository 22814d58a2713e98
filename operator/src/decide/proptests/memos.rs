//! A decision from a memo gives the same plan as one without, whatever happened in between.

use super::{CASES, bytes, mutants::random_bytes};
use crate::{
    decide::{
        Memo, decide, decide_again,
        govern::{claims::Claims, selection::Ranks},
        model::{
            Model, Writer, fixtures,
            generate::{self, Dice, NODES, POLICIES},
            happenings,
        },
        orders::Orders,
        runs,
    },
    key::{Key, Kind},
    plan::Plan,
};
use crds::{Time, node_health_policy::Claim};
use explore::explore;
use proptest::test_runner::TestCaseError;
use std::cell::Cell;

/// Lives in a world from one memo; `spoil` spoils it before each decision. Returns how many rulings were of use.
fn live_from_memo(bytes: &[u8], spoil: impl Fn(&mut Memo, &Model)) -> Result<usize, String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let (mut memo, mut story, mut used) = (Memo::default(), Vec::new(), 0);
    while dice.is_left() {
        used += memo.rulings.len();
        spoil(&mut memo, &model);
        let (plan, next) = decide_again(&model.world, model.now, memo);
        memo = next;
        let cold = decide(&model.world, model.now);
        if plan != cold {
            return Err(format!("after {story:?}\nwith the memo: {plan:#?}\nwithout: {cold:#?}"));
        }
        let mut writer = Writer::new(plan);
        while writer.next().is_some() {
            if dice.chance(6) {
                writer.fail();
            } else {
                writer.step(&mut model);
            }
        }
        for _ in 0..dice.below(3) {
            story.push(happenings::event(&mut dice, &mut model));
        }
        if dice.chance(20) {
            story.push(claim_or_drop(&mut dice, &mut model));
        }
        if dice.chance(10) {
            let key = Key::new(Kind::NodeHealth, NODES[dice.below(NODES.len())]);
            if !model.world.refused_texts.remove(&key) {
                model.world.refused_texts.insert(key);
            }
            story.push("the full status of a NodeHealth is refused, or no longer");
        }
        if dice.chance(10) {
            let key = Key::new(Kind::NodeHealth, NODES[dice.below(NODES.len())]);
            if !model.world.malformed.remove(&key) {
                model.world.malformed.insert(key);
            }
            story.push("a NodeHealth no longer parses, or parses again");
        }
        if dice.chance(10) {
            let key = match dice.below(2) {
                0 => Key::new(Kind::Node, NODES[dice.below(NODES.len())]),
                _ => Key::new(Kind::Policy, POLICIES[dice.below(POLICIES.len())]),
            };
            if !model.world.refused_marks.remove(&key) {
                model.world.refused_marks.insert(key);
            }
            story.push("a mark is refused, or no longer");
        }
        if dice.chance(5) {
            model.now = model.now.plus(-3_600);
            story.push("the clock is set back");
        }
    }
    Ok(used)
}

/// Another leader writes a claim and dies, or drops one.
fn claim_or_drop(dice: &mut Dice<'_>, model: &mut Model) -> &'static str {
    let node = NODES[dice.below(NODES.len())];
    let uid = model.world.nodes.get(node).map(|node| node.uid.clone()).unwrap_or_default();
    model.edit_policy(POLICIES[dice.below(POLICIES.len())], |policy| {
        let claims = &mut policy.status.get_or_insert_default().budget.claims;
        let before = claims.len();
        claims.retain(|claim| claim.node != node);
        if claims.len() == before {
            claims.push(Claim { node: node.to_owned(), uid, ..Claim::default() });
        }
    });
    "another leader writes or drops a claim"
}

#[test]
fn a_decision_from_a_memo_is_the_same_as_one_without() {
    let used = Cell::new(0);
    explore("memo", CASES, &bytes(), |bytes| {
        used.set(used.get() + live_from_memo(&bytes, |_, _| {}).map_err(TestCaseError::fail)?);
        Ok(())
    });
    assert!(used.get() > 1_000, "rulings of a memo were of use {} times only", used.get());
}

/// Something that the memo knows, and does not notice to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgotten {
    Nodes,
    NodeHealths,
    Ranks,
    Claims,
    Malformed,
    Orders,
    Silence,
    Edition,
    HoldEverything,
    RefusedTexts,
    Times,
    Clock,
    Unsettled,
    Open,
    Tallies,
}

const FORGOTTEN: [Forgotten; 15] = [
    Forgotten::Nodes,
    Forgotten::NodeHealths,
    Forgotten::Ranks,
    Forgotten::Claims,
    Forgotten::Malformed,
    Forgotten::Orders,
    Forgotten::Silence,
    Forgotten::Edition,
    Forgotten::HoldEverything,
    Forgotten::RefusedTexts,
    Forgotten::Times,
    Forgotten::Clock,
    Forgotten::Unsettled,
    Forgotten::Open,
    Forgotten::Tallies,
];

impl Forgotten {
    /// Has the memo believe that this is as it was when it decided last.
    fn spoil(self, memo: &mut Memo, model: &Model) {
        let world = &model.world;
        match self {
            Self::Nodes => memo.seen.nodes = world.nodes.moment(),
            Self::NodeHealths => memo.seen.node_healths = world.node_healths.moment(),
            Self::Ranks => {
                let ranks = Ranks::of(world, &memo.roster.ranks);
                let former = &mut memo.roster.ranks;
                if ranks.policies.len() == former.policies.len() && ranks.profiles.len() == former.profiles.len() {
                    *former = ranks;
                }
            }
            Self::Claims => memo.seen.policies = (*world.policies).clone(),
            Self::Malformed => memo.seen.malformed = world.malformed.clone(),
            Self::Orders => memo.seen.orders = orders_to_come(memo, model),
            Self::Silence => memo.seen.silent = world.silent.clone(),
            Self::Edition => memo.seen.edition = edition_to_come(memo, model),
            Self::HoldEverything => memo.seen.hold_everything = world.hold_everything,
            Self::RefusedTexts => memo.seen.refused_texts = world.refused_texts.clone(),
            Self::Times => memo.rulings.forget_times(),
            Self::Clock => memo.seen.at = Time::default(),
            Self::Unsettled => memo.rulings.forget_unsettled(),
            Self::Open => memo.rulings.forget_open(),
            Self::Tallies => memo.rulings.forget_tallies(memo.roster.ranks.policies.len()),
        }
    }
}

/// The work orders of the decision that comes next.
fn orders_to_come(memo: &Memo, model: &Model) -> Orders {
    let mut roster = memo.roster.clone();
    roster.update(&model.world, &Claims::read(&model.world), None, &mut memo.fleet.clone());
    runs::decide(&model.world, &roster, model.now, &mut Plan::default())
}

/// The edition of the decision that comes next.
fn edition_to_come(memo: &Memo, model: &Model) -> u64 {
    let mut fleet = memo.fleet.clone();
    memo.roster.clone().update(&model.world, &Claims::read(&model.world), None, &mut fleet);
    fleet.conclude()
}

/// How many worlds a mutant may take until it is caught.
const WORLDS: usize = 6_000;

#[test]
fn a_memo_that_forgets_one_of_its_keys_is_noticed() {
    let missed: Vec<Forgotten> = FORGOTTEN
        .into_iter()
        .filter(|key| {
            !random_bytes(300)
                .take(WORLDS)
                .any(|bytes| live_from_memo(&bytes, |memo, model| key.spoil(memo, model)).is_err())
        })
        .collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
