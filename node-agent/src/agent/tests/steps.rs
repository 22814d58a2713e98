//! What belongs around the probe of a check: its turn, readings before and after, the driver for itself, and restoring.
//! The checks here exist in tests only.

mod properties;

use super::*;
use crate::dispatch::checks::samples::SAMPLES;
use crate::readings::program::{CustomReport, Outcome as Said, Severity, Verdict};
use crate::readings::sample::EccReading;
use crds::check::{Check, GpuMemory, NoParameters, PcieBandwidth, Stress};
use crds::node_health::RunState;

fn copies() -> CheckSpec {
    CheckSpec { name: "copies".into(), pcie_bandwidth: Some(PcieBandwidth::default()), ..CheckSpec::default() }
}

fn memory() -> CheckSpec {
    CheckSpec { name: "memory".into(), gpu_memory: Some(GpuMemory::default()), ..CheckSpec::default() }
}

fn burn() -> CheckSpec {
    CheckSpec { name: "burn".into(), stress: Some(Stress::default()), ..CheckSpec::default() }
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.state.checks = SAMPLES;
    bench
}

/// An agent with these orders, each of one check.
fn given(checks: Vec<CheckSpec>) -> Bench {
    let order_of = |(at, check)| assignment(&format!("u/{at}"), vec![check]);
    let mut bench = bench();
    bench.begin(order(spec_with(checks.into_iter().enumerate().map(order_of).collect()), None));
    bench.pass(1_100);
    bench
}

/// An agent that has just accepted one order, and whose readings the test answers.
fn by_hand(checks: Vec<CheckSpec>) -> Bench {
    let mut bench = bench();
    bench.begin(order(spec(), None));
    bench.pass(5_000);
    bench.by_hand();
    bench.send(Event::SpecChanged(Box::new(order(spec_with(vec![assignment("u/0", checks)]), None))));
    bench.pass(1_100);
    bench
}

/// An agent with one order for the check that needs the driver for itself, whose probe runs.
fn burning() -> Bench {
    let mut bench = given(vec![burn()]);
    bench.lose_sampler(reason::INTERRUPTED);
    bench
}

/// An agent that was killed after this report, once its new sampler has released the driver.
fn started_again(spec: NodeHealthSpec, earlier: Report) -> Bench {
    let mut bench = bench();
    bench.written.push(earlier.clone());
    bench.begin(order(spec, Some(earlier)));
    bench.lose_sampler(reason::INTERRUPTED);
    bench.pass(2_000);
    bench
}

fn measures(check: Check) -> impl Fn(&Probe) -> bool {
    move |probe| matches!(probe, Probe::Check { spec, .. } if spec.kind() == Some(check))
}

fn restores(probe: &Probe) -> bool {
    matches!(probe, Probe::Restore { check: Check::Stress, .. })
}

fn passed() -> Measured {
    let verdict = Verdict {
        outcome: Said::Pass,
        severity: Severity::None,
        reason: "Passed".into(),
        message: String::new(),
        target: "node".into(),
    };
    reported(&CustomReport { program: "p".into(), verdict, exit_code: Some(0), evidence: String::new() })
}

fn unknown(reason: &str) -> Measured {
    Measured::Unknown { reason: reason.into(), message: "why".into() }
}

/// The one probe of this kind that runs.
fn only(bench: &Bench, wanted: impl Fn(&Probe) -> bool) -> u64 {
    let running = bench.running(wanted);
    assert_eq!(running.len(), 1, "{running:?}");
    running[0]
}

fn result(bench: &Bench) -> (Outcome, String, String) {
    let result = bench.report().runs[0].results[0].clone();
    (result.outcome, result.reason.unwrap_or_default(), result.message.unwrap_or_default())
}

fn state_of(bench: &Bench) -> RunState {
    bench.report().runs[0].state.clone()
}

#[test]
fn two_light_checks_of_two_runs_take_turns() {
    let mut bench = given(vec![copies(), copies()]);
    let first = only(&bench, measures(Check::PcieBandwidth));
    bench.finish(first, passed());
    assert_ne!(only(&bench, measures(Check::PcieBandwidth)), first, "the other begins at once");
    let beside = given(vec![copies(), custom("disk")]);
    assert_eq!(beside.running(is_custom).len(), 2, "a program runs beside it");
}

#[test]
fn an_exclusive_check_waits_for_a_program_and_a_program_for_it() {
    let mut bench = given(vec![memory(), custom("disk")]);
    let first = only(&bench, |probe| measures(Check::GpuMemory)(probe) || measures(Check::Custom)(probe));
    bench.pass(5_000);
    bench.finish(first, passed());
    bench.pass(5_000);
    let second = only(&bench, |probe| measures(Check::GpuMemory)(probe) || measures(Check::Custom)(probe));
    assert_ne!(first, second);
}

#[test]
fn readings_are_taken_together_and_results_keep_the_order_of_the_run() {
    let check = |name: &str| CheckSpec { name: name.into(), ..CheckSpec::default() };
    let inventory = CheckSpec { inventory: Some(NoParameters {}), ..check("a") };
    let ecc = CheckSpec { ecc: Some(NoParameters {}), ..check("b") };
    let driver = CheckSpec { driver: Some(NoParameters {}), ..check("d") };
    let checks = vec![inventory, ecc, custom("c"), driver];
    let mut bench = by_hand(checks);
    let asked = bench.asked().expect("readings that are newer than the order").sections;
    assert!(asked.contains(&Section::Ecc) && asked.contains(&Section::Driver), "{asked:?}");
    assert_eq!(bench.started(is_custom), 0, "a program that stands below readings waits for them");
    bench.measure(healthy(2));
    only(&bench, is_custom);
    assert_eq!(bench.asked(), None, "what stands below the program waits for it");
}

#[test]
fn counters_are_read_before_the_probe_and_after_it_and_the_judge_compares_them() {
    let mut bench = by_hand(vec![memory()]);
    let mut errors = 3;
    for began in [0, 1] {
        bench.pass(1_000);
        assert_eq!(bench.started(measures(Check::GpuMemory)), began, "not before all was read");
        let tree = bench.tree_probe().expect("the tree is read");
        bench.finish(tree, tree_of(&healthy(2)));
        bench.pass(1_000);
        let ecc = EccReading { volatile_uncorrected: Some(errors), ..EccReading::default() };
        let mut sample = sample_of(healthy(2).nvml);
        sample.gpus.iter_mut().for_each(|gpu| gpu.ecc = Some(ecc.clone()));
        bench.answer_with(sample);
        if let Some(probe) = bench.running(measures(Check::GpuMemory)).first() {
            bench.finish(*probe, passed());
        }
        errors += 2;
    }
    bench.pass(1_100);
    assert_eq!(result(&bench), (Outcome::Pass, "Passed".into(), "p: Some(4) errors".into()), "2 on each GPU");
}

#[test]
fn a_probe_that_needs_the_driver_for_itself_starts_when_the_sampler_is_gone_and_the_monitors_wait() {
    let mut bench = given(vec![burn()]);
    bench.by_hand();
    let sampler = bench.sampler().unwrap();
    assert!(bench.stopped(sampler));
    bench.pass(5_000);
    assert_eq!(bench.started(measures(Check::Stress)), 0, "the sampler may still hold it");
    bench.finish(sampler, unknown(reason::INTERRUPTED));
    let probe = only(&bench, measures(Check::Stress));
    bench.pass(1_100);
    assert_eq!(bench.row_says("inventory"), (Outcome::Skipped, reason::NODE_BUSY));
    bench.finish(probe, passed());
    bench.pass(600_000);
    assert_eq!(bench.sampler(), None, "restoring belongs to the probe's time");
    bench.finish(only(&bench, restores), passed());
    assert!(bench.sampler().is_some());
    bench.measure(healthy(2));
    bench.pass(1_100);
    assert_eq!(bench.row_says("inventory").0, Outcome::Pass);
    assert_eq!(result(&bench).0, Outcome::Pass);
}

#[test]
fn what_a_probe_changed_is_restored_however_it_ended() {
    let ends = [reason::PROBE_DEADLINE_EXCEEDED, reason::PROGRAM_KILLED, reason::RUNNER_GONE, reason::INTERRUPTED];
    for end in ends.map(unknown).into_iter().chain([passed()]) {
        let mut bench = burning();
        bench.finish(only(&bench, measures(Check::Stress)), end.clone());
        let restore = only(&bench, restores);
        bench.pass(1_100);
        assert_eq!(state_of(&bench), RunState::Running, "{end:?}");
        bench.finish(restore, passed());
        bench.pass(2_000);
        assert_eq!((state_of(&bench), bench.started(restores)), (RunState::Done, 1), "{end:?}");
    }
}

#[test]
fn restoring_is_tried_again_and_what_was_not_restored_is_the_result() {
    let mut bench = burning();
    bench.finish(only(&bench, measures(Check::Stress)), passed());
    for attempt in 1..=30 {
        assert_eq!(bench.started(restores), attempt);
        bench.finish(only(&bench, restores), unknown(reason::RUNNER_GONE));
        bench.pass(10_000);
    }
    assert_eq!(state_of(&bench), RunState::Done);
    let (outcome, why, message) = result(&bench);
    assert_eq!((outcome, why.as_str()), (Outcome::Inconclusive, reason::RESTORE_FAILED));
    assert!(message.ends_with("was not restored in 30 attempts: why"), "{message}");
}

#[test]
fn what_a_killed_agent_left_is_restored_before_its_order_ends_and_nothing_else_is_started() {
    for at in [RunState::Accepted, RunState::Running] {
        let before = burning();
        let mut earlier = before.report().clone();
        earlier.runs[0].state = at.clone();
        let orders = vec![assignment("u/0", vec![burn(), custom("later")])];
        let mut after = started_again(spec_with(orders), earlier);
        assert_ne!(state_of(&after), RunState::Done, "{at}");
        after.finish(only(&after, restores), passed());
        after.pass(2_000);
        assert_eq!((state_of(&after), result(&after).1), (RunState::Done, reason::INTERRUPTED.into()), "{at}");
        assert_eq!(after.started(measures(Check::Stress)) + after.started(measures(Check::Custom)), 0);
    }
}

#[test]
fn what_a_killed_agent_left_is_restored_although_its_order_was_withdrawn_meanwhile() {
    let earlier = burning().report().clone();
    let mut after = started_again(spec(), earlier);
    after.finish(only(&after, restores), passed());
    after.pass(2_000);
    assert!(after.report().runs.is_empty());
}

#[test]
fn an_order_that_is_withdrawn_is_kept_until_what_its_probe_changed_is_restored() {
    let mut bench = burning();
    let probe = only(&bench, measures(Check::Stress));
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    assert!(bench.stopped(probe));
    bench.finish(probe, unknown(reason::INTERRUPTED));
    bench.pass(2_000);
    assert_eq!(bench.report().runs.len(), 1);
    bench.finish(only(&bench, restores), passed());
    bench.pass(2_000);
    assert!(bench.report().runs.is_empty());
}

#[test]
fn nothing_is_restored_during_maintenance_but_afterwards() {
    let mut bench = burning();
    let mut maintained = spec_with(vec![assignment("u/0", vec![burn()])]);
    maintained.maintenance = Some(crds::node_health::Maintenance { reason: "driver".into(), ..Default::default() });
    bench.send(Event::SpecChanged(Box::new(order(maintained, None))));
    let probe = only(&bench, measures(Check::Stress));
    assert!(bench.stopped(probe));
    bench.finish(probe, unknown(reason::INTERRUPTED));
    bench.pass(100_000);
    assert_eq!(bench.started(restores), 0, "the driver must be free to be unloaded");
    bench.send(Event::SpecChanged(Box::new(order(spec_with(vec![assignment("u/0", vec![burn()])]), None))));
    only(&bench, restores);
}
