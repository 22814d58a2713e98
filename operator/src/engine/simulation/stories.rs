//! Random lives of the engine, with faults that come and go.

use super::{
    drive::{Drive, Relapse, Sound},
    laws,
    server::Fault,
};
use crate::{
    decide::{
        decide,
        model::{
            Model, fixtures,
            generate::{self, Dice, NODES, POLICIES},
            happenings,
        },
    },
    key::{Key, Kind},
    plan::{Plan, Step, Write},
    stores::{Stores, observation::Observation},
    wire::{act::act, refusal::Class},
};
use explore::explore;
use proptest::{collection::vec, prelude::any, strategy::Strategy, test_runner::TestCaseError};
use std::time::Duration;

const CASES: u32 = 2_000;
const SECOND: Duration = Duration::from_secs(1);
/// Long enough for every deadline, backoff and drill of the generated worlds.
const TO_REST: Duration = Duration::from_secs(4_200);

/// The bytes from which a story is made.
pub(super) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 40..400)
}

/// The chances of the world and its events, and those of requests.
pub(super) fn begin<'a>(bytes: &'a [u8], relapse: &'a mut dyn Relapse) -> (Drive<'a>, Dice<'a>) {
    let (story, requests) = bytes.split_at(bytes.len() / 2);
    let mut story = Dice::new(story);
    let mut world = generate::world(&mut story);
    world.hold_everything = false;
    let model = Model::new(world, fixtures::START.plus(5));
    (Drive::new(model, Dice::new(requests), relapse), story)
}

/// Something happens to the cluster that is not our doing.
fn event(drive: &mut Drive<'_>, dice: &mut Dice<'_>) -> Result<&'static str, String> {
    let before = drive.server.model.now;
    let dead = drive.server.model.world.silent.clone();
    let what = happenings::event(dice, &mut drive.server.model);
    drive.server.model.world.hold_everything = false;
    let passed = drive.server.model.now.since(before);
    drive.server.model.now = before;
    drive.laws.look(&drive.server);
    if !dead.is_subset(&drive.server.model.world.silent) {
        drive.revive();
    }
    drive.happened();
    drive.run(SECOND * u32::try_from(passed).unwrap_or_default())?;
    Ok(what)
}

/// A fault begins.
fn fault(drive: &mut Drive<'_>, dice: &mut Dice<'_>) -> String {
    let (at, seconds) = (drive.at, |n: usize| SECOND * u32::try_from(n).unwrap_or_default());
    let kind = *dice.of(&Kind::ALL);
    let pause = seconds(*dice.of(&[1, 5, 30, 100, 400]));
    match dice.below(10) {
        0 => drive.break_watch(kind, pause, dice.chance(40)),
        1 => {
            if let Some(watch) = drive.watches.get_mut(&kind) {
                watch.mute(at, seconds(if kind == Kind::Lease { 30 } else { 70 }));
            }
            return format!("the watch of {kind} shows nothing");
        }
        2 => {
            let delay = *dice.of(&[0_u32, 20, 300, 3_000]);
            for watch in drive.watches.values_mut() {
                watch.lag(Duration::from_millis(1) * delay);
            }
            return format!("every watch is {delay} ms late");
        }
        3 => drive.lose_server(pause),
        4 => {
            drive.clock_error = *dice.of(&[0, 150, -150, 100_000]);
            return format!("the wall clock is wrong by {} s", drive.clock_error);
        }
        5 => drive.stand_still(pause),
        6 => drive.restart(),
        7 => drive.is_rough = !drive.is_rough,
        _ => {
            let (key, act, fault) = refusal(dice);
            let told = format!("{act} {key}: {fault:?} until further notice");
            drive.server.faults.insert((key, act), fault);
            return told;
        }
    }
    format!("a fault of {kind}, {pause:?}")
}

/// What is refused until further notice.
fn refusal(dice: &mut Dice<'_>) -> (Key, &'static str, Fault) {
    let (kind, act) = *dice.of(&[
        (Kind::Node, "patch taints"),
        (Kind::Node, "apply marks"),
        (Kind::Node, "apply condition"),
        (Kind::NodeHealth, "apply decision"),
        (Kind::NodeHealth, "apply spec"),
        (Kind::Policy, "apply claims"),
        (Kind::Policy, "apply policy status"),
        (Kind::Run, "apply run status"),
    ]);
    let name = match kind {
        Kind::Policy => *dice.of(&POLICIES),
        Kind::Run => *dice.of(&generate::RUNS),
        Kind::Node | Kind::NodeHealth | Kind::Profile | Kind::Lease | Kind::Result => *dice.of(&NODES),
    };
    let fault = *dice.of(&[
        Fault::Refused(Class::Invalid),
        Fault::Refused(Class::Forbidden),
        Fault::Unavailable,
        Fault::AnswerLost,
        Fault::Refused(Class::Conflict),
    ]);
    (Key::new(kind, name), act, fault)
}

/// A life with all faults. Returns what happened.
fn live(drive: &mut Drive<'_>, dice: &mut Dice<'_>, story: &mut Vec<String>) -> Result<(), String> {
    drive.run(SECOND * 3)?;
    while dice.is_left() {
        let what = match dice.below(4) {
            0 => fault(drive, dice),
            1 => {
                let pause = *dice.of(&[1_u32, 20, 200, 2_000, 30_000, 170_000]);
                drive.run(Duration::from_millis(1) * pause)?;
                format!("{pause} ms pass")
            }
            _ => event(drive, dice)?.to_owned(),
        };
        story.push(what);
    }
    Ok(())
}

/// What an operator would do that starts now, or one that `knows` what no object says: which agents are silent, where the
/// decision is refused, and which statuses are refused for their texts.
fn fresh(drive: &mut Drive<'_>, knows: bool) -> Plan {
    let mut stores = Stores::new(false);
    let lists: Vec<Observation> = Kind::ALL.into_iter().flat_map(|kind| drive.server.list(kind)).collect();
    for observation in lists {
        let _ = stores.observe(observation, drive.at);
    }
    let mut world = stores.world().clone();
    if knows {
        let remembered = drive.engine.stores().world();
        world.refused_texts.clone_from(&remembered.refused_texts);
        world.silent.clone_from(&remembered.silent);
        world.refused_marks.clone_from(&remembered.refused_marks);
    }
    decide(&world, drive.now())
}

/// Once every fault has ended, nothing more is written, a fresh operator finds nothing to do, and the silent agents are those
/// that do not renew.
fn comes_to_rest(drive: &mut Drive<'_>) -> Result<(), String> {
    drive.server.faults.clear();
    drive.is_rough = false;
    drive.clock_error = 0;
    drive.run(TO_REST)?;
    let sent = drive.writes_sent;
    drive.run(SECOND * 600)?;
    if drive.writes_sent > sent {
        return Err(format!("{} writes in ten minutes at rest", drive.writes_sent - sent));
    }
    let silent = &drive.engine.stores().world().silent;
    let dead = drive.server.watched();
    let dead = dead.into_iter().filter(|node| !drive.server.is_alive(node)).collect();
    if *silent != dead {
        return Err(format!("{silent:?} are called silent, {dead:?} are"));
    }
    let plan = fresh(drive, false);
    if plan.is_empty() {
        Ok(())
    } else {
        Err(format!("a fresh operator would write {}; {}", told(&plan.steps), state(drive)))
    }
}

/// What these steps write.
fn told<'s>(steps: impl IntoIterator<Item = &'s Step>) -> String {
    let told = steps.into_iter().map(|step| format!("{} {}", act(&step.write), Key::of(&step.write)));
    told.collect::<Vec<_>>().join(", ")
}

/// What the engine is about.
fn state(drive: &Drive<'_>) -> String {
    format!("{} steps are open, {} kinds of write in backoff", drive.engine.open_steps(), drive.engine.in_backoff())
}

/// A life with faults that all end.
pub(super) fn faults_end(bytes: &[u8], relapse: &mut dyn Relapse) -> Result<(), String> {
    let (mut drive, mut dice) = begin(bytes, relapse);
    let mut story = Vec::new();
    let lived = live(&mut drive, &mut dice, &mut story).and_then(|()| comes_to_rest(&mut drive));
    lived.map_err(|error| format!("{error}\n{story:#?}"))
}

/// A life whose refusals never end: whatever else is to be written is written.
pub(super) fn refusals_stay(bytes: &[u8], relapse: &mut dyn Relapse) -> Result<(), String> {
    let (mut drive, mut dice) = begin(bytes, relapse);
    let mut story = Vec::new();
    let lived = live(&mut drive, &mut dice, &mut story).and_then(|()| {
        drive.is_rough = false;
        drive.run(SECOND * 600)?;
        // What is being written now is written within seconds.
        let mut plan = Plan::default();
        for _ in 0..20 {
            plan = fresh(&mut drive, true);
            if unrefused(&drive, &plan).is_empty() {
                return Ok(());
            }
            drive.run(SECOND)?;
        }
        let left = unrefused(&drive, &plan);
        Err(format!("nobody refuses this, and it is not written: {}; {}", told(left), state(&drive)))
    });
    lived.map_err(|error| format!("{error}\nrefused: {:?}\n{story:#?}", drive.server.faults))
}

/// The steps of a plan that nobody refuses, and that come after none that somebody refuses.
fn unrefused<'p>(drive: &Drive<'_>, plan: &'p Plan) -> Vec<&'p Step> {
    let mut is_refused: Vec<bool> = Vec::new();
    for step in &plan.steps {
        let waits = step.after.iter().any(|index| is_refused[*index]);
        is_refused.push(waits || laws::refused(&drive.server.faults, &step.write));
    }
    let left = plan.steps.iter().zip(is_refused).filter(|(_, refused)| !refused).map(|(step, _)| step);
    left.filter(|step| !only_asks(drive, &step.write)).collect()
}

/// Whether a write changes nothing: it asks whether a run is seen late, before an order that may be refused for good.
fn only_asks(drive: &Drive<'_>, write: &Write) -> bool {
    let Write::RunStatus { run, status, .. } = write else { return false };
    drive.server.model.world.runs.get(run).is_some_and(|run| run.status.as_ref() == Some(&**status))
}

#[test]
fn after_every_fault_the_cluster_is_as_a_fresh_operator_would_leave_it() {
    explore("faults that end", CASES, &bytes(), |bytes| faults_end(&bytes, &mut Sound).map_err(TestCaseError::fail));
}

#[test]
fn what_is_refused_for_good_is_tried_ever_more_rarely_and_keeps_nothing_else_from_being_written() {
    explore("faults that stay", CASES, &bytes(), |bytes| {
        refusals_stay(&bytes, &mut Sound).map_err(TestCaseError::fail)
    });
}
