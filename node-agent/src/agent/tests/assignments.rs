//! Work orders: at most once, in order, within the deadline.

use super::*;
use crate::readings::program::{self as custom, CustomReport, Verdict};
use crds::Severity;
use crds::node_health::{CheckResult, RunState};

fn said(program: &str, outcome: custom::Outcome, severity: custom::Severity, target: &str) -> Measured {
    reported(&CustomReport {
        program: program.into(),
        verdict: Verdict {
            outcome,
            severity,
            reason: "DiskSlow".into(),
            message: "disk is slow".into(),
            target: target.into(),
        },
        exit_code: Some(0),
        evidence: "evidence".into(),
    })
}

fn passed(program: &str) -> Measured {
    said(program, custom::Outcome::Pass, custom::Severity::None, "node")
}

fn failed(program: &str, target: &str) -> Measured {
    said(program, custom::Outcome::Fail, custom::Severity::Reboot, target)
}

fn given(checks: Vec<CheckSpec>) -> Bench {
    let mut bench = Bench::at_rest(spec_with(vec![assignment("u/1", checks)]));
    bench.pass(1_100);
    bench
}

fn state_of(bench: &Bench) -> RunState {
    bench.report().runs[0].state.clone()
}

fn results(bench: &Bench) -> Vec<(String, Outcome, String)> {
    let of = |r: &CheckResult| (r.name.clone(), r.outcome.clone(), r.reason.clone().unwrap_or_default());
    bench.report().runs[0].results.iter().map(of).collect()
}

/// Ends the one running program.
fn end(bench: &mut Bench, measured: Measured) {
    let id = *bench.running(is_custom).last().expect("a program runs");
    bench.finish(id, measured);
    bench.pass(1_100);
}

#[test]
fn no_probe_starts_before_the_acceptance_is_written() {
    let mut bench = Bench::new();
    bench.answer = Err(Refusal::Transient);
    bench.begin(order(spec_with(vec![assignment("u/1", vec![custom("disk")])]), None));
    bench.pass(10_000);
    assert_eq!(bench.started(is_custom), 0);
    bench.answer = Ok(());
    bench.pass(20_000);
    assert_eq!(bench.started(is_custom), 1);
    assert_eq!(bench.written[0].runs[0].state, RunState::Accepted);
}

#[test]
fn checks_run_one_after_the_other_and_the_order_ends_with_a_result_for_each() {
    let mut bench = given(vec![custom("one"), custom("two")]);
    assert_eq!((bench.started(is_custom), state_of(&bench)), (1, RunState::Running));
    end(&mut bench, passed("one"));
    assert_eq!((bench.started(is_custom), state_of(&bench)), (2, RunState::Running));
    end(&mut bench, passed("two"));
    assert_eq!(state_of(&bench), RunState::Done);
    assert_eq!(results(&bench).iter().map(|r| r.1.clone()).collect::<Vec<_>>(), [Outcome::Pass, Outcome::Pass]);
    assert!(bench.report().runs[0].finished_at.is_some());
}

#[test]
fn a_check_that_cannot_be_run_here_says_which_and_why() {
    let mut two = custom("two");
    two.inventory = Some(crds::check::NoParameters {});
    let memory = CheckSpec {
        name: "memory".into(),
        gpu_memory: Some(crds::check::GpuMemory::default()),
        ..CheckSpec::default()
    };
    let none = CheckSpec { name: "none".into(), ..CheckSpec::default() };
    let pair = CheckSpec {
        name: "pair".into(),
        network_bandwidth: Some(crds::check::NetworkBandwidth::default()),
        ..CheckSpec::default()
    };
    let bench = given(vec![two, memory, none, pair]);
    let reasons: Vec<_> = results(&bench)
        .into_iter()
        .map(|(name, outcome, reason)| {
            assert_eq!(outcome, Outcome::Inconclusive);
            (name, reason)
        })
        .collect();
    let wanted = [
        ("two", reason::INVALID_SPEC),
        ("memory", reason::NOT_IMPLEMENTED),
        ("none", reason::INVALID_SPEC),
        ("pair", reason::INVALID_SPEC),
    ];
    assert_eq!(reasons, wanted.map(|(name, reason)| (name.to_owned(), reason.to_owned())));
    let words = bench.report().runs[0].results[1].message.clone().unwrap();
    assert!(words.contains("gpuMemory") && words.contains(env!("CARGO_PKG_VERSION")), "{words}");
    assert_eq!(state_of(&bench), RunState::Done);
}

#[test]
fn a_restart_in_the_middle_ends_as_interrupted_once_and_starts_nothing_again() {
    for at in [RunState::Accepted, RunState::Ready, RunState::Running] {
        let mut before = given(vec![custom("one"), custom("two")]);
        end(&mut before, passed("one"));
        let mut report = before.report().clone();
        report.runs[0].state = at.clone();
        let mut after = Bench::new();
        after.begin(order(spec_with(vec![assignment("u/1", vec![custom("one"), custom("two")])]), Some(report)));
        after.pass(10_000);
        assert_eq!((after.started(is_custom), state_of(&after)), (0, RunState::Done), "{at}");
        assert_eq!(results(&after)[0].1, Outcome::Pass, "what had a result keeps it");
        assert_eq!(results(&after)[1], ("two".into(), Outcome::Inconclusive, reason::INTERRUPTED.into()));
        let again = after.report().clone();
        let mut third = Bench::new();
        third.begin(order(spec_with(vec![assignment("u/1", vec![custom("one"), custom("two")])]), Some(again.clone())));
        third.pass(10_000);
        assert_eq!(third.written.last().map_or(&again, |report| report).runs, again.runs);
    }
}

#[test]
fn a_deadline_that_passes_stops_the_probe_and_ends_what_is_left() {
    let mut bench = given(vec![custom("one"), custom("two")]);
    let id = bench.running(is_custom)[0];
    bench.pass(3_600_000);
    assert!(bench.stopped(id));
    assert_eq!(state_of(&bench), RunState::Running, "not done while the probe lives");
    bench.finish(id, Measured::Unknown { reason: reason::INTERRUPTED.into(), message: String::new() });
    bench.pass(1_100);
    assert_eq!(state_of(&bench), RunState::Done);
    assert!(
        results(&bench)
            .iter()
            .all(|(_, outcome, why)| *outcome == Outcome::Inconclusive && why == reason::DEADLINE_EXCEEDED)
    );
    assert_eq!(bench.started(is_custom), 1);
}

#[test]
fn a_withdrawn_order_leaves_the_report_only_after_its_probe_ended() {
    let mut bench = given(vec![custom("one"), custom("two")]);
    let id = bench.running(is_custom)[0];
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    bench.pass(5_000);
    assert!(bench.stopped(id));
    assert_eq!(bench.report().runs.len(), 1);
    bench.finish(id, Measured::Unknown { reason: reason::INTERRUPTED.into(), message: String::new() });
    bench.pass(2_000);
    assert!(bench.report().runs.is_empty());
    assert_eq!(bench.started(is_custom), 1);
}

#[test]
fn a_result_stays_until_its_id_leaves_the_spec() {
    let mut bench = given(vec![custom("one")]);
    end(&mut bench, passed("one"));
    bench.pass(600_000);
    assert_eq!(state_of(&bench), RunState::Done);
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    bench.pass(2_000);
    assert!(bench.report().runs.is_empty());
}

#[test]
fn a_node_health_that_is_deleted_and_made_again_does_not_start_its_orders_again() {
    let mut bench = given(vec![custom("one")]);
    bench.send(Event::SpecGone);
    bench.pass(5_000);
    let again = Order { uid: "uid-2".into(), ..order(spec_with(vec![assignment("u/1", vec![custom("one")])]), None) };
    bench.send(Event::SpecChanged(Box::new(again)));
    bench.pass(2_000);
    assert_eq!((bench.started(is_custom), state_of(&bench)), (1, RunState::Running));
    end(&mut bench, passed("one"));
    assert_eq!(state_of(&bench), RunState::Done);
}

#[test]
fn a_program_that_fails_leaves_a_finding_with_its_cure_until_a_later_pass_covers_it() {
    let mut bench = given(vec![custom("disk")]);
    end(&mut bench, failed("disk", "node"));
    let finding = bench.finding("custom/disk", "node").unwrap();
    assert_eq!((finding.outcome.clone(), finding.severity.clone()), (Outcome::Fail, Severity::Reboot));
    let mut after = Bench::booted("boot-2");
    let orders = |id: &str| spec_with(vec![assignment(id, vec![custom("disk")])]);
    after.begin(order(orders("u/2"), Some(bench.report().clone())));
    after.pass(2_000);
    assert!(after.finding("custom/disk", "node").is_some(), "a boot alone proves nothing");
    end(&mut after, passed("disk"));
    assert_eq!(after.finding("custom/disk", "node"), None);
}

#[test]
fn a_pass_of_one_target_lifts_that_target_alone_and_a_pass_of_the_node_lifts_all() {
    let orders = |id: &str| Box::new(order(spec_with(vec![assignment(id, vec![custom("disk")])]), None));
    let mut bench = given(vec![custom("disk")]);
    end(&mut bench, failed("disk", &gpu(0)));
    for (id, measured, left) in [
        ("u/2", failed("disk", &gpu(1)), 2),
        ("u/3", said("disk", custom::Outcome::Pass, custom::Severity::None, &gpu(0)), 1),
        ("u/4", said("disk", custom::Outcome::Inconclusive, custom::Severity::None, "node"), 1),
        ("u/5", passed("disk"), 0),
    ] {
        bench.send(Event::SpecChanged(orders(id)));
        bench.pass(2_000);
        end(&mut bench, measured);
        assert_eq!(bench.report().findings.len(), left, "{id}");
    }
    assert_eq!(bench.report().runs[0].results[0].tested, ["node".to_owned(), gpu(1)], "the lifted targets are named");
}

#[test]
fn a_run_that_only_reports_neither_leaves_a_finding_nor_lifts_one() {
    let only = |id: &str| {
        let order = Assignment { report_only: true, ..assignment(id, vec![custom("disk")]) };
        Box::new(super::order(spec_with(vec![order]), None))
    };
    let mut bench = given(vec![custom("disk")]);
    end(&mut bench, failed("disk", &gpu(0)));
    for (id, measured) in [("u/2", failed("disk", &gpu(1))), ("u/3", passed("disk"))] {
        bench.send(Event::SpecChanged(only(id)));
        bench.pass(2_000);
        end(&mut bench, measured);
        assert_eq!(bench.report().findings.len(), 1, "{id}");
        assert!(bench.report().runs[0].report_only && !bench.report().runs[0].results.is_empty(), "{id}");
    }
}

#[test]
fn a_program_that_gives_no_verdict_is_inconclusive_and_finds_nothing() {
    let mut bench = given(vec![custom("disk")]);
    end(&mut bench, Measured::Unknown { reason: reason::RUNNER_GONE.into(), message: "the runner hung up".into() });
    assert_eq!(results(&bench), [("disk".into(), Outcome::Inconclusive, reason::RUNNER_GONE.into())]);
    assert!(bench.report().findings.is_empty());
}
