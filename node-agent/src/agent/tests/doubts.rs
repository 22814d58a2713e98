//! Lines of the kernel log that need a second witness: forged ones, and those older than the agent.

use super::*;
use crate::kernel_log::KernelRecord;
use crate::readings::sample::{EccReading, RecoveryReading};
use crate::readings::talk::DriverEvent;
use crate::xid::LineAssembler;
use crds::Severity;

const OFF_THE_BUS: u32 = 79;

/// A fault as a line that a program may have written.
fn forged(address: &str, code: u32) -> LogEntry {
    not_proven(xid(address, code))
}

fn not_proven(mut entry: LogEntry) -> LogEntry {
    if let LogEntry::Fault { observed, .. } = &mut entry {
        observed.proven = false;
    }
    entry
}

/// A fault that the driver printed this long before the agent started.
fn old(address: &str, code: u32, seconds: i64) -> LogEntry {
    printed(xid(address, code), seconds)
}

fn printed(mut entry: LogEntry, seconds: i64) -> LogEntry {
    if let LogEntry::Fault { at, .. } = &mut entry {
        *at = Some(Time::from_unix(MORNING - seconds));
    }
    entry
}

/// Every GPU has this recovery action; `None`: the driver knows none.
fn with_action(bench: &mut Bench, action: Option<u32>) {
    let mut sample = sample_of(healthy(2).nvml);
    for gpu in &mut sample.gpus {
        gpu.recovery_action = Some(RecoveryReading { action });
    }
    while bench.asked().is_some() {
        bench.answer_with(sample.clone());
    }
}

/// Takes the entries and has the witnesses answer.
fn told(entries: Vec<LogEntry>, action: Option<u32>) -> Bench {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.send(Event::KernelLog { entries, cursor: None });
    with_action(&mut bench, action);
    bench.pass(1_000);
    with_action(&mut bench, action);
    bench.pass(2_000);
    bench
}

fn condemned(bench: &Bench) -> Vec<String> {
    let findings =
        bench.state.findings().filter(|finding| finding.outcome == Outcome::Fail && finding.severity.condemns());
    findings.map(|finding| format!("{} {}", finding.check, finding.reason)).collect()
}

fn xid_finding(bench: &Bench) -> Option<Finding> {
    bench.state.findings().find(|finding| finding.check == "xid").cloned()
}

#[test]
fn a_line_that_a_program_may_have_written_never_condemns_by_itself() {
    for action in [Some(0), None] {
        let mut bench = told(vec![forged(&gpu(0), OFF_THE_BUS), forged(&gpu(0), 48)], action);
        bench.pass(30_000);
        assert!(condemned(&bench).is_empty(), "{action:?}: {:?}", xid_finding(&bench));
        let warning = xid_finding(&bench).map(|finding| (finding.reason, finding.severity, finding.outcome));
        let expected = action.is_none().then(|| ("XidNotProven".to_owned(), Severity::Monitor, Outcome::Warn));
        assert_eq!(warning, expected, "an action of None refutes it");
    }
}

#[test]
fn a_warning_about_such_a_line_goes_when_the_driver_answers_late_that_it_needs_no_recovery() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.fault(forged(&gpu(0), OFF_THE_BUS));
    bench.pass(11_000);
    assert_eq!(xid_finding(&bench).unwrap().reason, "XidNotProven", "the driver does not answer");
    with_action(&mut bench, Some(0));
    bench.pass(1_000);
    assert_eq!(xid_finding(&bench), None);
}

#[test]
fn such_a_line_about_an_address_that_the_node_does_not_have_leaves_no_trace() {
    let bench = told(vec![forged("0000:aa:00.0", OFF_THE_BUS)], None);
    assert_eq!(xid_finding(&bench), None);
    assert!(!bench.state.has_open_doubts());
}

#[test]
fn such_a_line_lifts_nothing() {
    let cleared = record(&gpu(0), XidEvent::Xid(154), XidDetail::Recovery { from: 2, to: 0 }, 9);
    let mut bench = told(vec![xid(&gpu(0), 48), not_proven(cleared.clone())], None);
    assert_eq!(condemned(&bench), ["xid DoubleBitEcc"]);
    bench.fault(cleared);
    assert!(condemned(&bench).is_empty(), "the driver's own line lifts");
}

#[test]
fn the_drivers_event_is_a_second_witness_in_either_order() {
    let event = || Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x8, xid: Some(48) });
    let mut bench = Bench::at_rest(spec());
    bench.fault(forged(&gpu(0), 48));
    assert!(condemned(&bench).is_empty());
    bench.say(event());
    bench.pass(2_500);
    assert_eq!(condemned(&bench), ["xid DoubleBitEcc"], "line, then event");
    let mut bench = Bench::at_rest(spec());
    bench.say(event());
    bench.fault(forged(&gpu(0), 48));
    assert_eq!(condemned(&bench), ["xid DoubleBitEcc"], "event, then line");
}

#[test]
fn a_recovery_action_and_a_later_proven_line_are_second_witnesses() {
    let bench = told(vec![forged(&gpu(0), 48), xid(&gpu(0), 48)], None);
    assert_eq!(condemned(&bench), ["xid DoubleBitEcc"]);
    let monitors = ["inventory", "xid", "recoveryAction"];
    let monitors = monitors.map(|name| Monitor { name: name.into(), interval_seconds: None }).to_vec();
    let mut bench = Bench::at_rest(NodeHealthSpec { monitors: monitors.into(), ..NodeHealthSpec::default() });
    bench.by_hand();
    bench.fault(forged(&gpu(0), 48));
    with_action(&mut bench, Some(1));
    bench.pass(1_000);
    with_action(&mut bench, Some(1));
    assert!(condemned(&bench).contains(&"xid DoubleBitEcc".to_owned()), "{:?}", condemned(&bench));
}

#[test]
fn a_gpu_that_needs_a_reset_does_not_confirm_a_forged_line_that_asks_for_its_replacement() {
    const AUX_POWER: u32 = 54;
    let monitors = ["inventory", "xid", "recoveryAction"];
    let monitors = monitors.map(|name| Monitor { name: name.into(), interval_seconds: None }).to_vec();
    let mut bench = Bench::at_rest(NodeHealthSpec { monitors: monitors.into(), ..NodeHealthSpec::default() });
    bench.by_hand();
    bench.fault(forged(&gpu(0), AUX_POWER));
    with_action(&mut bench, Some(1));
    bench.pass(1_000);
    with_action(&mut bench, Some(1));
    let gravest =
        bench.state.findings().filter(|finding| finding.outcome == Outcome::Fail).map(|f| f.severity.rank()).max();
    assert_eq!(gravest, Some(Severity::Reset.rank()), "{:?}", condemned(&bench));
}

#[test]
fn an_old_fault_that_only_a_replacement_cures_is_not_over_because_the_driver_needs_no_recovery() {
    let bench = told(vec![old(&gpu(0), 54, 86_400)], Some(0));
    let warning = xid_finding(&bench).unwrap();
    assert_eq!((warning.outcome, warning.severity), (Outcome::Warn, Severity::Isolate));
}

#[test]
fn a_program_that_writes_the_same_line_again_and_again_does_not_make_the_driver_work() {
    let mut bench = told(vec![forged(&gpu(0), OFF_THE_BUS)], None);
    let asks = |bench: &Bench| bench.effects.iter().filter(|effect| matches!(effect, Effect::Ask { .. })).count();
    let before = asks(&bench);
    let cleared = record(&gpu(0), XidEvent::Xid(154), XidDetail::Recovery { from: 2, to: 0 }, 9);
    for round in 0..1_000 {
        bench.fault(forged(&gpu(0), OFF_THE_BUS));
        bench.fault(forged(&gpu(0), 40 + round % 60));
        bench.fault(not_proven(cleared.clone()));
        bench.pass(10);
        with_action(&mut bench, None);
    }
    assert!(asks(&bench) - before <= 2, "{}", asks(&bench) - before);
}

#[test]
fn a_log_older_than_the_agent_condemns_only_what_the_present_confirms() {
    let months = 100 * 86_400;
    let bench = told(vec![old(&gpu(0), OFF_THE_BUS, months), old(&gpu(1), 48, months)], Some(0));
    assert_eq!(xid_finding(&bench), None, "the driver needs no recovery");

    let bench = told(vec![old(&gpu(0), OFF_THE_BUS, months)], None);
    assert!(condemned(&bench).is_empty());
    let warning = xid_finding(&bench).unwrap();
    assert_eq!((warning.outcome, warning.severity), (Outcome::Warn, Severity::Reboot));
    assert!(warning.message.contains("printed 100 days before the agent first ran"), "{}", warning.message);

    let bench = told(vec![old("0000:aa:00.0", OFF_THE_BUS, months)], Some(0));
    assert_eq!(condemned(&bench), ["xid FallenOffTheBus"], "the GPU that the driver lost is still not there");

    let bench = told(vec![old(&gpu(0), OFF_THE_BUS, 0)], None);
    assert_eq!(condemned(&bench), ["xid FallenOffTheBus"], "printed when the agent ran");
}

#[test]
fn a_policy_may_let_an_old_log_condemn() {
    let mut bench = Bench::at_rest(NodeHealthSpec { condemn_old_log: Some(true), ..spec() });
    bench.fault(old(&gpu(0), OFF_THE_BUS, 86_400));
    assert_eq!(condemned(&bench), ["xid FallenOffTheBus"]);
}

#[test]
fn what_happened_while_the_agent_was_away_is_no_history() {
    let first = Bench::at_rest(spec());
    let mut report = first.report().clone();
    report.agent.started_at = Some(Time::from_unix(MORNING - 7_200));
    let mut bench = Bench::new();
    bench.begin(order(spec(), Some(report)));
    bench.fault(old(&gpu(0), OFF_THE_BUS, 3_600));
    assert_eq!(condemned(&bench), ["xid FallenOffTheBus"]);
}

#[test]
fn an_old_fault_that_the_driver_itself_declared_over_is_over() {
    let cleared = record(&gpu(0), XidEvent::Xid(154), XidDetail::Recovery { from: 2, to: 0 }, 9);
    let bench = told(vec![old(&gpu(0), 48, 7_200), printed(cleared, 3_600)], None);
    assert_eq!(xid_finding(&bench), None);
}

#[test]
fn a_warning_about_an_old_log_goes_when_the_driver_later_reports_that_it_needs_no_recovery() {
    let bench = told(vec![old(&gpu(0), 48, 7_200)], None);
    assert_eq!(xid_finding(&bench).unwrap().outcome, Outcome::Warn);
    // The agent starts anew: what it holds is gone, its findings are not.
    let mut next = Bench::new();
    next.begin(order(spec(), Some(bench.report().clone())));
    next.by_hand();
    assert!(xid_finding(&next).is_some());
    next.state.senses.want(Section::RecoveryAction, next.now.mono_ms + 1);
    next.pass(1_000);
    with_action(&mut next, Some(0));
    assert_eq!(xid_finding(&next), None);
}

/// A sample with this count of volatile uncorrected errors, from a driver without a recovery action.
fn with_errors(bench: &mut Bench, uncorrected: u64) {
    let mut sample = sample_of(healthy(2).nvml);
    for gpu in &mut sample.gpus {
        gpu.recovery_action = Some(RecoveryReading { action: None });
        gpu.ecc = Some(EccReading { volatile_uncorrected: Some(uncorrected), ..EccReading::default() });
    }
    bench.state.senses.want(Section::Ecc, bench.now.mono_ms + 1);
    bench.pass(1_000);
    while bench.asked().is_some() {
        bench.answer_with(sample.clone());
    }
}

#[test]
fn a_reset_before_r565_is_seen_by_counters_that_began_anew() {
    let mut bench = Bench::at_rest(spec());
    bench.by_hand();
    bench.fault(xid(&gpu(0), 48));
    with_errors(&mut bench, 3);
    bench.pass(5_000);
    assert_eq!(condemned(&bench), ["xid DoubleBitEcc"]);
    with_errors(&mut bench, 0);
    assert!(condemned(&bench).is_empty(), "three errors, then none");
    bench.fault(record(&gpu(0), XidEvent::Xid(48), XidDetail::Plain, 9));
    bench.pass(5_000);
    assert_eq!(condemned(&bench), ["xid DoubleBitEcc"], "a fault after the reset is another fault");
}

#[test]
fn a_module_that_was_loaded_after_the_fault_lifts_it_where_the_gpu_answers() {
    let mut lines = LineAssembler::default();
    let loaded = KernelRecord::from_kmsg(
        b"4,9,1,-;NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024",
    )
    .unwrap();
    let facts = lines.push(&loaded);
    assert!(facts.iter().all(|fact| LogEntry::of(fact.clone(), &loaded, None).is_none()), "a source without times");
    let at = Some(Time::from_unix(MORNING + 3));
    let loaded = facts.into_iter().find_map(|fact| LogEntry::of(fact, &loaded, at)).unwrap();
    for errors in [0, 3] {
        let mut bench = Bench::at_rest(spec());
        bench.by_hand();
        bench.fault(xid(&gpu(0), 48));
        bench.pass(5_000);
        bench.fault(loaded.clone());
        assert_eq!(condemned(&bench), ["xid DoubleBitEcc"], "the GPU has not been read since");
        with_errors(&mut bench, errors);
        assert_eq!(condemned(&bench).is_empty(), errors == 0, "{errors}");
    }
}
