//! A decision from a memo gives the same plan as one without, whatever happened in between.

use super::{CASES, bytes, mutants::random_bytes};
use crate::{
    decide::{
        Memo,
        case::Circumstances,
        decide, decide_again,
        govern::claims::Claims,
        memo::Ruling,
        model::{
            Model, Writer, fixtures,
            generate::{self, Dice, NODES, POLICIES},
            happenings,
        },
        runs,
    },
    key::{Key, Kind},
    plan::Plan,
    world::World,
};
use crds::{Time, node_health_policy::Claim};
use explore::explore;
use proptest::test_runner::TestCaseError;
use std::{cell::Cell, collections::BTreeMap};

/// Lives in a world from one memo; `spoil` spoils it before each decision. Returns how many rulings were of use.
fn live_from_memo(bytes: &[u8], spoil: impl Fn(&mut Memo, &Model)) -> Result<usize, String> {
    let mut dice = Dice::new(bytes);
    let mut model = Model::new(generate::world(&mut dice), fixtures::START.plus(5));
    let (mut memo, mut story, mut used) = (Memo::default(), Vec::new(), 0);
    while dice.is_left() {
        used += memo.rulings.iter().flatten().count();
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

/// A key of the memo that is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgotten {
    Nodes,
    NodeHealths,
    Ranks,
    Claims,
    Orders,
    Silence,
    Edition,
    HoldEverything,
    RefusedTexts,
    Time,
}

const FORGOTTEN: [Forgotten; 10] = [
    Forgotten::Nodes,
    Forgotten::NodeHealths,
    Forgotten::Ranks,
    Forgotten::Claims,
    Forgotten::Orders,
    Forgotten::Silence,
    Forgotten::Edition,
    Forgotten::HoldEverything,
    Forgotten::RefusedTexts,
    Forgotten::Time,
];

impl Forgotten {
    /// Gives the memo the present value of this key beside what was decided under the former one.
    fn spoil(self, memo: &mut Memo, model: &Model) {
        let (world, now) = (&model.world, model.now);
        let claims = Claims::read(world);
        match self {
            Self::Nodes => memo.roster.overlook_nodes(world),
            Self::NodeHealths => memo.roster.overlook_node_healths(world),
            Self::Ranks => memo.roster.overlook_ranks(world),
            Self::Claims
            | Self::Orders
            | Self::Silence
            | Self::Edition
            | Self::HoldEverything
            | Self::RefusedTexts
            | Self::Time => {
                let present = present_circumstances(memo, world, now);
                let names: Vec<String> = memo.roster.names().map(str::to_owned).collect();
                for (name, ruling) in names.iter().zip(&mut memo.rulings) {
                    if let (Some(ruling), Some(present)) = (ruling, present.get(name)) {
                        self.spoil_ruling(ruling, present.clone());
                    }
                }
            }
        }
        if self == Self::Claims {
            memo.roster.overlook_claims(|name| claims.nodes().any(|node| node == name));
        }
    }

    fn spoil_ruling(self, ruling: &mut Ruling, present: Circumstances<'static>) {
        let kept = &mut ruling.circumstances;
        match self {
            Self::Orders => kept.orders = present.orders,
            Self::Claims => kept.claims = present.claims,
            Self::Silence => kept.silent = present.silent,
            Self::Edition => kept.edition = present.edition,
            Self::RefusedTexts => kept.is_without_texts = present.is_without_texts,
            Self::HoldEverything => kept.hold_everything = present.hold_everything,
            Self::Time => (ruling.changes_at, ruling.made_at) = (None, Time::default()),
            Self::Nodes | Self::NodeHealths | Self::Ranks => {}
        }
    }
}

/// The circumstances of each node in the decision that comes next.
fn present_circumstances(memo: &Memo, world: &World, now: Time) -> BTreeMap<String, Circumstances<'static>> {
    let (mut roster, mut fleet) = (memo.roster.clone(), memo.fleet.clone());
    let claims = Claims::read(world);
    roster.update(world, &claims, &mut fleet);
    let edition = fleet.conclude();
    let subjects: Vec<_> = roster.subjects().map(|(_, subject)| subject).collect();
    let orders = runs::decide(world, &subjects, now, &mut Plan::default());
    let of = |subject| Circumstances::of(world, &claims, subject, &orders, edition).into_owned();
    subjects.iter().map(|subject| (subject.node.name.clone(), of(subject))).collect()
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
