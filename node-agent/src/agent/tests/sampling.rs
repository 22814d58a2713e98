//! The sampler: what it is asked and when, and what happens if it hangs, crashes or cannot be killed.

use super::*;
use crate::readings::talk::DriverEvent;
use crds::node_health::{DriverHandles, Maintenance};

/// Every monitor of the driver, once a minute unless stated otherwise.
fn watching(intervals: &[(&str, i64)]) -> NodeHealthSpec {
    let all = ["inventory", "driver", "xid", "ecc", "rowRemap", "thermal", "topology"];
    let interval = |name: &str| intervals.iter().find(|(known, _)| *known == name).map(|(_, seconds)| *seconds);
    let monitors = all.map(|name| Monitor { name: name.into(), interval_seconds: interval(name) });
    NodeHealthSpec { monitors: monitors.to_vec().into(), ..NodeHealthSpec::default() }
}

fn in_maintenance(spec: NodeHealthSpec) -> Event {
    let maintenance = Some(Maintenance { reason: "upgrade".into(), ..Maintenance::default() });
    Event::SpecChanged(Box::new(order(NodeHealthSpec { maintenance, ..spec }, None)))
}

/// The sections of each question within this time; each question is answered at once.
fn questions(bench: &mut Bench, seconds: u64) -> Vec<(u64, Vec<Section>)> {
    let began = bench.now.mono_ms;
    let mut asked = Vec::new();
    bench.by_hand();
    for _ in 0..seconds * 2 {
        bench.pass(500);
        if let Some(ask) = bench.asked() {
            asked.push(((bench.now.mono_ms - began) / 1000, ask.sections));
            bench.measure(healthy(2));
        }
    }
    asked
}

#[test]
fn the_first_question_takes_everything_and_what_is_due_together_is_asked_together() {
    let mut bench = Bench::new();
    bench.send(Event::SpecChanged(Box::new(order(watching(&[("ecc", 30)]), None))));
    let all = [Section::Driver, Section::Ecc, Section::RowRemap, Section::Clocks, Section::Thermal, Section::Topology];
    assert_eq!(bench.asked().map(|ask| ask.sections), Some(all.to_vec()));
    bench.measure(healthy(2));
    let asked = questions(&mut bench, 125);
    let often = [Section::Driver, Section::Ecc, Section::RowRemap, Section::Clocks, Section::Thermal];
    let lengths: Vec<_> = asked.iter().map(|(at, sections)| (*at / 10 * 10, sections.len())).collect();
    assert_eq!(lengths, [(30, 1), (60, 5), (90, 1), (120, 5)], "{asked:?}");
    assert_eq!((&asked[0].1[..], &asked[1].1[..]), (&[Section::Ecc][..], &often[..]));
    assert_eq!(bench.started(|probe| *probe == Probe::Sampler), 1, "one sampler serves them all");
}

#[test]
fn the_topology_is_read_at_every_tenth_interval_and_is_not_overdue_in_between() {
    let mut bench = Bench::at_rest(watching(&[]));
    let asked = questions(&mut bench, 1_210);
    let with: Vec<u64> =
        asked.iter().filter(|(_, sections)| sections.contains(&Section::Topology)).map(|(at, _)| *at / 10).collect();
    assert_eq!(with, [60, 120]);
    assert_ne!(bench.row_says("topology").1, reason::OVERDUE);
}

#[test]
fn an_interval_that_becomes_shorter_counts_at_once() {
    let mut bench = Bench::at_rest(watching(&[]));
    let trees = bench.started(|probe| *probe == Probe::Tree);
    let shorter = watching(&[("ecc", 5), ("inventory", 5)]);
    bench.send(Event::SpecChanged(Box::new(order(shorter, None))));
    let asked = questions(&mut bench, 12);
    let at: Vec<u64> = asked.iter().filter(|(_, all)| all.contains(&Section::Ecc)).map(|(at, _)| *at).collect();
    assert_eq!(at, [5, 10], "{asked:?}");
    assert!(bench.started(|probe| *probe == Probe::Tree) > trees);
}

#[test]
fn a_call_that_hangs_again_is_reported_with_its_name_and_gpu_and_the_sampler_is_replaced() {
    let mut bench = Bench::at_rest(watching(&[]));
    bench.by_hand();
    bench.pass(60_000);
    bench.hang_twice("nvmlDeviceGetTotalEccErrors", Some(&gpu(1)));
    let id = bench.sampler().unwrap();
    assert!(bench.stopped(id));
    bench.pass(1_100);
    assert_eq!(bench.row_says("ecc"), (Outcome::Inconclusive, reason::CALL_HUNG));
    let words = bench.row("ecc").message.clone().unwrap();
    assert!(words.contains("nvmlDeviceGetTotalEccErrors") && words.contains(&gpu(1)), "{words}");
    assert_eq!(bench.row_says("xid").0, Outcome::Pass, "what needs no driver goes on");
    bench.lose_sampler(reason::INTERRUPTED);
    bench.pass(1_900);
    assert_eq!(bench.sampler(), None);
    bench.pass(200);
    assert_ne!(bench.sampler(), Some(id));
    assert_eq!(bench.asked().unwrap().sections.len(), 6, "everything is read again");
    bench.measure(healthy(2));
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory").0, Outcome::Pass);
    assert!(bench.state.readings().trouble.is_none());
}

/// The row of `driver` and its finding after a hang that a standing finding must outlive.
fn driver_says(bench: &Bench) -> (Outcome, String, usize) {
    let (outcome, why) = bench.row_says("driver");
    (outcome, why.to_owned(), bench.report().findings.iter().filter(|finding| finding.check == "driver").count())
}

#[test]
fn one_hang_condemns_nothing_and_lifts_nothing_and_a_second_of_another_call_neither() {
    const ECC: &str = "nvmlDeviceGetTotalEccErrors";
    let mut bench = Bench::at_rest(watching(&[]));
    bench.by_hand();
    bench.pass(60_000);
    for (call, pci) in [(ECC, gpu(1)), ("nvmlDeviceGetUUID", gpu(1)), (ECC, gpu(0))] {
        bench.hang(call, Some(&pci));
        bench.pass(1_100);
        assert_eq!(driver_says(&bench), (Outcome::Inconclusive, reason::CALL_UNANSWERED.to_owned(), 0), "{call}");
        bench.lose_sampler(reason::INTERRUPTED);
        while bench.asked().is_none() {
            bench.pass(500);
        }
    }
    bench.hang(ECC, Some(&gpu(0)));
    bench.pass(1_100);
    assert_eq!(driver_says(&bench), (Outcome::Fail, reason::CALL_HUNG.to_owned(), 1));
    bench.lose_sampler(reason::INTERRUPTED);
    while bench.asked().is_none() {
        bench.pass(500);
    }
    bench.hang("nvmlDeviceGetUUID", Some(&gpu(0)));
    bench.pass(1_100);
    assert_eq!(driver_says(&bench), (Outcome::Inconclusive, reason::CALL_UNANSWERED.to_owned(), 1), "it stands");
}

#[test]
fn an_answer_in_between_clears_a_call_of_suspicion_if_it_made_the_call() {
    for (clears, wanted) in [(true, reason::CALL_UNANSWERED), (false, reason::CALL_HUNG)] {
        let mut bench = Bench::at_rest(watching(&[("ecc", 30)]));
        bench.by_hand();
        bench.pass(30_000);
        assert_eq!(bench.asked().unwrap().sections, [Section::Ecc]);
        bench.hang("nvmlDeviceGetTotalEccErrors", None);
        bench.lose_sampler(reason::INTERRUPTED);
        while bench.asked().is_none() {
            bench.pass(500);
        }
        if clears {
            bench.measure(healthy(2));
            while bench.asked().is_none() {
                bench.pass(500);
            }
        }
        bench.hang("nvmlDeviceGetTotalEccErrors", None);
        assert_eq!(bench.state.readings().trouble.as_ref().unwrap().reason, wanted);
    }
}

#[test]
fn a_call_that_hangs_in_the_kernel_needs_no_second_process() {
    let mut bench = Bench::at_rest(watching(&[]));
    bench.by_hand();
    bench.pass(60_000);
    let call = "nvmlDeviceGetPowerUsage".to_owned();
    bench.say(Said::Hung(Hung { call, index: Some(0), pci: Some(gpu(0)), for_ms: 10_000, in_kernel: true }));
    bench.pass(1_100);
    assert_eq!(driver_says(&bench), (Outcome::Fail, reason::CALL_HUNG.to_owned(), 1));
}

#[test]
fn the_library_is_loaded_anew_when_a_gpu_is_back_on_the_bus_and_only_then() {
    let lost = |mut report: InventoryReport| {
        report.pci[1].config_space = ConfigSpace::AllOnes;
        report
    };
    let mut bench = Bench::at_rest(watching(&[("inventory", 60)]));
    bench.by_hand();
    let mut reloads = Vec::new();
    for world in [lost(healthy(2)), healthy(2), healthy(2), healthy(3)] {
        let mut reload = false;
        for _ in 0..70 {
            bench.pass(1_000);
            if let Some(probe) = bench.tree_probe() {
                bench.finish(probe, tree_of(&world));
            }
            if let Some(ask) = bench.asked() {
                reload |= ask.reload;
                bench.answer_with(sample_of(world.nvml.clone()));
            }
        }
        reloads.push(reload);
    }
    assert_eq!(reloads, [false, true, false, true]);
}

#[test]
fn a_slow_start_of_the_library_is_waited_for() {
    let mut bench = Bench::new();
    bench.send(Event::KernelLogOpened { source: "syslog".into() });
    bench.send(Event::SpecChanged(Box::new(order(watching(&[]), None))));
    let sampler = bench.sampler().unwrap();
    bench.pass(119_000);
    assert!(!bench.stopped(sampler) && bench.asked().is_some());
    assert!(bench.state.readings().trouble.is_none());
}

#[test]
fn a_sampler_that_neither_answers_nor_reports_a_hang_stands_still_and_the_driver_is_not_blamed() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.pass(60_000);
    let id = bench.sampler().unwrap();
    bench.pass(ANSWER_MS + SECTION_MS + 100);
    assert!(bench.stopped(id));
    bench.pass(1_100);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::RUNNER_SILENT));
    assert_eq!(bench.state.findings().count(), 0);
}

#[test]
fn what_a_sampler_says_that_is_being_stopped_or_was_not_asked_counts_for_nothing() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.pass(60_000);
    let ask = bench.asked().unwrap();
    let late = |id| Said::Sample { id, sample: Box::new(sample_of(healthy(2).nvml)) };
    bench.say(late(ask.id + 1));
    assert_eq!(bench.asked(), Some(ask.clone()));
    bench.hang("nvmlDeviceGetUUID", None);
    bench.say(late(ask.id));
    assert_eq!(bench.state.readings().trouble.as_ref().unwrap().reason, reason::CALL_UNANSWERED);
}

#[test]
fn a_sampler_that_crashes_again_and_again_is_started_ever_more_seldom_and_no_gpu_is_blamed() {
    let mut bench = Bench::at_rest(watching(&[]));
    bench.by_hand();
    let at = bench.starts(3_600_000, |bench| bench.lose_sampler(reason::SAMPLER_CRASHED));
    let pauses: Vec<u64> = at.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
    assert_eq!(pauses[..6], [2, 4, 8, 16, 32, 64]);
    assert!(pauses[9..].iter().all(|pause| *pause == 300), "{pauses:?}");
    assert_eq!(bench.row_says("ecc"), (Outcome::Inconclusive, reason::SAMPLER_CRASHED));
    assert!(bench.report().findings.iter().all(|finding| finding.target == "node"), "{:?}", bench.report().findings);
    while bench.asked().is_none() {
        bench.pass(1_000);
    }
    bench.measure(healthy(2));
    bench.lose_sampler(reason::SAMPLER_CRASHED);
    bench.pass(1_100);
    assert!(bench.sampler().is_some(), "after a sample that succeeded the pause is the first one again");
}

#[test]
fn a_child_that_cannot_be_killed_keeps_the_name_of_its_call_and_is_not_piled_upon() {
    let mut bench = Bench::at_rest(watching(&[]));
    bench.by_hand();
    bench.pass(60_000);
    bench.hang("nvmlDeviceGetPowerUsage", Some(&gpu(0)));
    bench.lose_sampler(reason::CHILD_UNKILLABLE);
    bench.pass(1_000);
    // The runner refuses another one.
    let at = bench.starts(1_200_000, |bench| bench.lose_sampler(reason::TOOL_ERROR));
    assert!(at.len() < 16, "{at:?}");
    let trouble = bench.state.readings().trouble.clone().unwrap();
    assert_eq!(trouble.reason, reason::CHILD_UNKILLABLE);
    assert_eq!((trouble.call.as_deref(), trouble.pci), (Some("nvmlDeviceGetPowerUsage"), Some(gpu(0))));
    assert_eq!(bench.row_says("ecc"), (Outcome::Inconclusive, reason::CHILD_UNKILLABLE));
    while bench.asked().is_none() {
        bench.pass(1_000);
    }
    bench.measure(healthy(2));
    assert!(bench.state.readings().trouble.is_none(), "it recovers by itself");
}

#[test]
fn a_sampler_that_served_for_a_day_is_replaced_without_a_word() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.pass(60_000);
    bench.now.mono_ms += SAMPLER_DEADLINE_MS;
    bench.send(Event::Tick);
    let before = bench.sampler();
    let (written, again) = (bench.written.len(), bench.sampler().is_some());
    assert!(again || before.is_none());
    bench.lose_sampler(reason::PROBE_DEADLINE_EXCEEDED);
    assert!(bench.sampler().is_some() && bench.sampler() != before, "at once");
    assert!(bench.asked().is_some(), "what was asked last is asked again");
    let _ = written;
}

#[test]
fn the_driver_is_released_only_when_no_child_is_left_that_may_hold_it() {
    let mut bench = Bench::at_rest(spec_with(vec![assignment("u/1", vec![custom("burn")])]));
    bench.by_hand();
    bench.pass(1_100);
    let program = *bench.running(is_custom).last().unwrap();
    let sampler = bench.sampler().unwrap();
    bench.send(in_maintenance(spec_with(vec![assignment("u/1", vec![custom("burn")])])));
    bench.pass(1_100);
    assert!(bench.stopped(sampler) && bench.stopped(program));
    assert_eq!(bench.row_says("inventory"), (Outcome::Skipped, reason::MAINTENANCE));
    let interrupted = || Measured::Unknown { reason: reason::INTERRUPTED.into(), message: String::new() };
    for id in [sampler, program] {
        assert_eq!(bench.report().agent.driver_handles, DriverHandles::Held);
        bench.finish(id, interrupted());
        bench.pass(1_100);
    }
    assert_eq!(bench.report().agent.driver_handles, DriverHandles::Released);
    assert_eq!(bench.report().runs[0].results[0].outcome, Outcome::Skipped);
    bench.pass(600_000);
    assert_eq!(bench.sampler(), None);
    assert!(bench.tree_probe().is_some(), "what needs no driver goes on");
}

#[test]
fn a_child_that_could_not_be_killed_still_holds_the_driver_in_a_maintenance() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.pass(60_000);
    bench.hang("nvmlInit_v2", None);
    bench.lose_sampler(reason::CHILD_UNKILLABLE);
    bench.send(in_maintenance(spec()));
    bench.pass(60_000);
    assert_eq!(bench.report().agent.driver_handles, DriverHandles::Held);
}

#[test]
fn after_a_maintenance_everything_is_read_again_by_a_new_sampler() {
    let mut bench = Bench::at_rest(watching(&[]));
    bench.by_hand();
    bench.pass(10_000);
    bench.send(in_maintenance(watching(&[])));
    bench.lose_sampler(reason::INTERRUPTED);
    bench.pass(300_000);
    bench.send(Event::SpecChanged(Box::new(order(watching(&[]), None))));
    assert_eq!(bench.asked().map(|ask| ask.sections.len()), Some(6));
    assert!(bench.state.readings().view.is_none() && bench.state.readings().gpus.is_empty());
    bench.measure(healthy(2));
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory").0, Outcome::Pass);
    assert_eq!(bench.report().agent.driver_handles, DriverHandles::Held);
}

#[test]
fn an_event_of_the_driver_causes_a_reading_at_once_and_at_most_once_a_second() {
    let mut bench = Bench::at_rest(watching(&[]));
    bench.pass(5_000);
    for _ in 0..20 {
        bench.say(Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x8, xid: Some(63) }));
        bench.pass(100);
    }
    let asked: Vec<&Ask> = bench
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { ask, .. } if ask.sections.contains(&Section::RecoveryAction) => Some(ask),
            _ => None,
        })
        .collect();
    assert_eq!(asked[0].sections, [Section::RecoveryAction, Section::Ecc, Section::RowRemap]);
    assert!((2..=3).contains(&asked.len()), "{asked:?}");
}

#[test]
fn a_fault_in_log_and_driver_counts_once_and_one_that_only_the_driver_reports_is_not_lost() {
    let mut bench = Bench::at_rest(spec());
    bench.say(Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x8, xid: Some(79) }));
    bench.fault(xid(&gpu(0), 79));
    bench.pass(70_000);
    assert_eq!(bench.finding("xid", &gpu(0)).unwrap().count, 1);
    bench.say(Said::Event(DriverEvent { pci: Some(gpu(1)), bits: 0x8, xid: Some(79) }));
    bench.pass(1_000);
    assert_eq!(bench.finding("xid", &gpu(1)), None, "the line, which tells more, is waited for");
    bench.pass(2_000);
    assert!(bench.finding("xid", &gpu(1)).is_some());
}
