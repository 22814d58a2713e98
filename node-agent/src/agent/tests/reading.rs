//! Runs of passive checks, counters across restarts, and how old a judged reading may be.

use super::*;
use crate::judge::Counter;
use crate::readings::sample::PcieReading;
use crds::check::NoParameters;
use crds::node_health::NodeHealthSpec;

fn inventory() -> CheckSpec {
    CheckSpec { name: "inv".into(), inventory: Some(NoParameters {}), ..CheckSpec::default() }
}

fn given(checks: Vec<CheckSpec>) -> Bench {
    let mut bench = Bench::at_rest(spec());
    bench.pass(5_000);
    bench.by_hand();
    bench.send(Event::SpecChanged(Box::new(order(spec_with(vec![assignment("u/1", checks)]), None))));
    bench.pass(1_100);
    bench
}

/// A driver with this many replays.
fn replays(count: u64) -> Sample {
    let mut sample = sample_of(healthy(1).nvml);
    sample.gpus[0].pcie = Some(PcieReading { replays: Some(count), ..PcieReading::default() });
    sample
}

#[test]
fn an_inventory_of_a_run_is_measured_again_and_names_what_it_tested() {
    let mut bench = given(vec![inventory()]);
    assert!(bench.tree_probe().is_some(), "although it is not due");
    assert_eq!(bench.asked().unwrap().sections, [Section::Driver]);
    assert!(bench.report().runs[0].results.is_empty());
    bench.measure(healthy(2));
    bench.pass(1_100);
    let result = &bench.report().runs[0].results[0];
    assert_eq!((result.outcome.clone(), result.tested.clone()), (Outcome::Pass, vec![gpu(0), gpu(1), "node".into()]));
}

#[test]
fn a_reading_that_was_asked_for_before_the_run_is_not_the_one_that_it_waits_for() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.pass(60_000);
    assert!(bench.asked().is_some() && bench.tree_probe().is_some());
    bench.pass(500);
    bench.send(Event::SpecChanged(Box::new(order(spec_with(vec![assignment("u/1", vec![inventory()])]), None))));
    bench.pass(1_100);
    bench.measure(healthy(2));
    bench.pass(1_100);
    assert!(bench.report().runs[0].results.is_empty());
    bench.measure(healthy(2));
    bench.pass(1_100);
    assert_eq!(bench.report().runs[0].results[0].outcome, Outcome::Pass);
}

#[test]
fn a_run_that_finds_something_says_so_with_its_cure() {
    let mut bench = given(vec![inventory()]);
    let mut report = healthy(2);
    report.nvml.gpus.pop();
    report.nvml.count = Some(1);
    bench.measure(report.clone());
    bench.pass(900);
    assert!(bench.report().runs[0].results.is_empty(), "one reading may be odd");
    bench.pass(200);
    bench.measure(report);
    bench.pass(1_100);
    let result = &bench.report().runs[0].results[0];
    assert_eq!(
        (result.outcome.clone(), result.severity.clone(), result.reason.as_deref()),
        (Outcome::Fail, crds::Severity::Reboot, Some(reason::NOT_IN_DRIVER))
    );
}

#[test]
fn a_run_whose_next_reading_is_fine_passes() {
    let mut bench = given(vec![inventory()]);
    let mut report = healthy(2);
    report.nvml.gpus.pop();
    report.nvml.count = Some(1);
    bench.measure(report);
    bench.pass(1_100);
    bench.measure(healthy(2));
    bench.pass(1_100);
    assert_eq!(bench.report().runs[0].results[0].outcome, Outcome::Pass);
}

#[test]
fn a_run_on_a_driver_that_hangs_ends_with_the_reason_of_the_trouble() {
    let mut bench = given(vec![inventory()]);
    bench.hang("nvmlDeviceGetName", Some(&gpu(0)));
    bench.lose_sampler(reason::CHILD_UNKILLABLE);
    bench.starts(READING_MS, |bench| bench.lose_sampler(reason::TOOL_ERROR));
    bench.pass(1_100);
    let result = &bench.report().runs[0].results[0];
    assert_eq!(
        (result.outcome.clone(), result.reason.as_deref()),
        (Outcome::Inconclusive, Some(reason::CHILD_UNKILLABLE))
    );
}

#[test]
fn a_run_that_recovers_in_time_gets_its_reading() {
    let mut bench = given(vec![inventory()]);
    bench.hang("nvmlDeviceGetName", Some(&gpu(0)));
    bench.lose_sampler(reason::INTERRUPTED);
    bench.pass(1_500);
    bench.measure(healthy(2));
    bench.pass(2_500);
    assert_eq!(bench.report().runs[0].results[0].outcome, Outcome::Pass);
}

#[test]
fn a_counter_that_rose_while_the_agent_was_away_has_risen_once() {
    for order_first in [true, false] {
        let mut before = Bench::at_rest(spec());
        before.by_hand();
        before.pass(60_000);
        before.answer_with(replays(100));
        before.fault(xid(&gpu(0), 13));
        before.pass(2_000);
        let earlier = before.report().clone();
        assert!(
            earlier.baselines.iter().any(|b| b.target == gpu(0) && b.values.contains("pr=100")),
            "{:?}",
            earlier.baselines
        );
        let mut after = Bench::new();
        after.now.unix_ms += 300_000;
        let order = Event::SpecChanged(Box::new(order(spec(), Some(earlier))));
        if order_first {
            after.send(order);
            after.answer_with(replays(130));
        } else {
            after.send(Event::Tick);
            after.answer_with(replays(120));
            after.send(order);
            after.answer_with(replays(130));
        }
        let risen = after.state.senses.memory.increase(&gpu(0), Counter::PcieReplays, 3_600_000, after.now);
        assert_eq!(risen.map(|(by, _)| by), Some(30), "order first: {order_first}");
    }
}

#[test]
fn counters_are_no_reason_to_write() {
    let mut bench = Bench::at_rest(spec());
    bench.measure_again(healthy(1));
    bench.by_hand();
    let written = bench.written.len();
    for count in 0..20 {
        while bench.asked().is_none() {
            bench.pass(1_000);
        }
        bench.answer_with(replays(count));
    }
    assert_eq!(bench.written.len(), written);
}

#[test]
fn a_node_without_accelerators_has_quiet_rows() {
    let all = crds::Check::ALL.iter().filter(|check| check.is_monitor() && !check.name().starts_with("amd"));
    let monitors = all
        .filter(|check| !matches!(check, crds::Check::Drift | crds::Check::RdmaLink | crds::Check::Efa))
        .map(|check| Monitor { name: check.name().into(), interval_seconds: None });
    let spec = NodeHealthSpec { monitors: monitors.collect(), ..NodeHealthSpec::default() };
    let mut report = healthy(0);
    report.nvml.status = "LibraryNotFound".into();
    for crashes in [false, true] {
        let mut bench = Bench::new();
        bench.send(Event::KernelLogOpened { source: "syslog".into() });
        bench.send(Event::SpecChanged(Box::new(order(spec.clone(), None))));
        if crashes {
            bench.lose_sampler(reason::RUNNER_GONE);
        }
        bench.measure(report.clone());
        bench.pass(6_000);
        let noisy: Vec<_> = bench.report().checks.iter().filter(|row| row.outcome == Outcome::Inconclusive).collect();
        assert!(noisy.is_empty(), "crashes: {crashes}: {noisy:?}");
    }
}
