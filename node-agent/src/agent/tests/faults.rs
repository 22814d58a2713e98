//! The kernel log: what latches, what lifts, what is counted.

use super::*;
use crds::Severity;

const FELL_OFF: u32 = 79;
const ILLEGAL_INSTRUCTION: u32 = 13;

fn recovery(address: &str, to: u32, seq: u64) -> LogEntry {
    record(address, XidEvent::Xid(154), XidDetail::Recovery { from: 1, to }, seq)
}

#[test]
fn a_fatal_xid_is_reported_at_once_with_the_place_in_the_log() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(10);
    let cursor = Cursor { boot_id: "boot-1".into(), seq: Some(7), usec: 70 };
    bench.send(Event::KernelLog { entries: vec![xid(&gpu(0), FELL_OFF)], cursor: Some(cursor.clone()) });
    let finding = bench.finding("xid", &gpu(0)).unwrap();
    assert_eq!(
        (finding.outcome.clone(), finding.severity.clone(), finding.count),
        (Outcome::Fail, Severity::Reboot, 1)
    );
    assert_eq!(carry::cursor(bench.report()), Some(cursor));
    assert_eq!(bench.row_says("xid").0, Outcome::Fail);
    let is_measured =
        bench.effects.iter().any(|effect| matches!(effect, Effect::Report { fault_read_at: Some(_), .. }));
    assert!(is_measured, "the latency of a fault is measured");
}

#[test]
fn the_latency_of_a_fault_that_comes_back_while_its_end_is_being_written_is_measured() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(record(&gpu(0), XidEvent::Xid(FELL_OFF), XidDetail::Plain, 7));
    bench.pass(5_000);
    let mut read = |entry| step(&mut bench.state, Event::KernelLog { entries: vec![entry], cursor: None }, bench.now);
    let is_report = |effect: &Effect| matches!(effect, Effect::Report { .. });
    assert!(read(recovery(&gpu(0), 0, 8)).iter().any(is_report));
    assert!(!read(record(&gpu(0), XidEvent::Xid(FELL_OFF), XidDetail::Plain, 9)).iter().any(is_report));
    let effects = step(&mut bench.state, Event::ReportApplied(Ok(())), bench.now);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Report { fault_read_at: Some(_), .. })));
}

#[test]
fn a_row_without_a_finding_passes_and_covers_every_gpu_and_the_node() {
    let bench = Bench::at_rest(spec());
    assert_eq!(bench.row_says("xid"), (Outcome::Pass, ""));
    assert_eq!(*bench.row("xid").covered, [gpu(0), gpu(1), "node".into()]);
}

#[test]
fn silence_never_lifts_a_latched_finding_but_ends_one_of_a_program() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(xid(&gpu(0), FELL_OFF));
    bench.fault(xid(&gpu(1), ILLEGAL_INSTRUCTION));
    bench.pass(3_590_000);
    assert_eq!(bench.finding("xid", &gpu(1)).unwrap().severity, Severity::Monitor);
    bench.pass(20_000);
    assert_eq!(bench.finding("xid", &gpu(1)), None);
    assert!(bench.finding("xid", &gpu(0)).is_some());
}

#[test]
fn a_new_boot_drops_latched_findings_and_the_pass_covers_their_gpus() {
    let mut before = Bench::at_rest(spec());
    before.fault(xid(&gpu(0), FELL_OFF));
    let mut after = Bench::booted("boot-2");
    after.begin(order(spec(), Some(before.report().clone())));
    assert!(after.report().findings.is_empty());
    assert_eq!(after.row_says("xid"), (Outcome::Pass, ""));
    assert!(after.row("xid").covered.contains(&gpu(0)));
}

#[test]
fn the_pass_of_a_new_boot_waits_for_the_inventory_and_leaves_a_gpu_out_that_did_not_come_back() {
    let mut before = Bench::at_rest(spec());
    before.fault(xid(&gpu(1), FELL_OFF));
    let mut after = Bench::booted("boot-2");
    after.send(Event::KernelLogOpened { source: "syslog".into() });
    after.send(Event::SpecChanged(Box::new(order(spec(), Some(before.report().clone())))));
    assert!(after.written.is_empty(), "nothing is claimed before the hardware was seen");
    after.measure(healthy(1));
    assert_eq!(*after.row("xid").covered, [gpu(0), "node".into()]);
}

#[test]
fn a_restart_in_the_same_boot_keeps_the_finding_and_counts_nothing_twice() {
    let mut before = Bench::at_rest(spec());
    let entry = record(&gpu(0), XidEvent::Xid(FELL_OFF), XidDetail::Plain, 7);
    let cursor = Some(Cursor { boot_id: "boot-1".into(), seq: Some(7), usec: 70_000_000 });
    before.send(Event::KernelLog { entries: vec![entry.clone()], cursor });
    let earlier = before.report().clone();
    for log_first in [true, false] {
        let mut after = Bench::new();
        if log_first {
            after.fault(entry.clone());
        }
        after.begin(order(spec(), Some(earlier.clone())));
        if !log_first {
            after.fault(entry.clone());
        }
        after.pass(120_000);
        assert_eq!(after.finding("xid", &gpu(0)), earlier.findings.first(), "log first: {log_first}");
    }
}

#[test]
fn a_fault_after_the_place_in_the_log_counts_after_a_restart() {
    let mut before = Bench::at_rest(spec());
    let cursor = Some(Cursor { boot_id: "boot-1".into(), seq: Some(1), usec: 10_000_000 });
    before.send(Event::KernelLog { entries: vec![xid(&gpu(0), FELL_OFF)], cursor });
    let mut after = Bench::new();
    after.fault(record(&gpu(1), XidEvent::Xid(FELL_OFF), XidDetail::Plain, 2));
    after.begin(order(spec(), Some(before.report().clone())));
    assert_eq!(after.report().findings.len(), 2);
}

#[test]
fn the_drivers_word_that_nothing_is_needed_lifts_what_a_reset_cures_on_that_gpu_alone() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(recovery(&gpu(0), 1, 1));
    bench.fault(recovery(&gpu(1), 1, 2));
    assert_eq!(
        bench.report().findings.iter().map(|f| f.severity.clone()).collect::<Vec<_>>(),
        [Severity::Reset, Severity::Reset]
    );
    bench.fault(recovery(&gpu(0), 0, 3));
    bench.pass(2_000);
    assert_eq!(bench.finding("xid", &gpu(0)), None);
    assert!(bench.finding("xid", &gpu(1)).is_some());
}

#[test]
fn a_worse_xid_of_the_same_gpu_takes_the_place_of_the_lesser_and_never_the_other_way_round() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(xid(&gpu(0), ILLEGAL_INSTRUCTION));
    bench.fault(xid(&gpu(0), FELL_OFF));
    bench.fault(xid(&gpu(0), ILLEGAL_INSTRUCTION));
    bench.pass(61_000);
    let finding = bench.finding("xid", &gpu(0)).unwrap();
    assert_eq!((finding.reason.as_str(), finding.count), ("FallenOffTheBus", 1));
    assert_eq!(bench.report().findings.len(), 1);
}

#[test]
fn a_log_that_cannot_be_read_is_inconclusive_and_keeps_what_was_found() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(xid(&gpu(0), FELL_OFF));
    bench.send(Event::KernelLogUnreadable { message: "run as uid 0".into() });
    bench.pass(2_000);
    assert_eq!(bench.row_says("xid"), (Outcome::Inconclusive, reason::KERNEL_LOG_UNREADABLE));
    assert_eq!(bench.row("xid").message.as_deref(), Some("run as uid 0"));
    assert!(bench.row("xid").covered.is_empty());
    assert!(bench.finding("xid", &gpu(0)).is_some());
}

#[test]
fn after_lost_records_nothing_is_claimed_for_one_interval() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(LogEntry::Overrun);
    bench.pass(2_000);
    assert_eq!(bench.row_says("xid"), (Outcome::Inconclusive, reason::KERNEL_LOG_OVERRUN));
    assert!(bench.row("xid").covered.is_empty());
    bench.pass(60_000);
    assert_eq!(bench.row_says("xid"), (Outcome::Pass, ""));
}

#[test]
fn a_gap_in_the_log_is_inconclusive_for_one_interval_and_finds_nothing() {
    let mut spec = spec();
    spec.monitors.push(crds::node_health::Monitor { name: "kernelLog".into(), interval_seconds: None });
    let mut bench = Bench::at_rest(spec);
    assert_eq!(bench.row_says("kernelLog"), (Outcome::Pass, ""));
    bench.fault(LogEntry::Overrun);
    bench.pass(2_000);
    assert_eq!(bench.row_says("kernelLog"), (Outcome::Inconclusive, reason::LOG_GAP));
    assert!(bench.row("kernelLog").covered.is_empty());
    assert!(bench.finding("kernelLog", "node").is_none());
    bench.pass(60_000);
    assert_eq!(bench.row_says("kernelLog"), (Outcome::Pass, ""));
}

#[test]
fn a_switch_that_the_log_spoke_of_is_covered_by_the_pass_of_a_later_boot() {
    let switch = "0000:85:00.0";
    let detail = XidDetail::Switch(crate::xid::SwitchFault { switch: 0, fatal: Some(true), link: None });
    let mut before = Bench::at_rest(spec());
    before.fault(record(switch, XidEvent::SXid(20034), detail, 1));
    assert_eq!(before.finding("xid", switch).unwrap().severity, Severity::Reset);
    let mut after = Bench::booted("boot-2");
    after.begin(order(spec(), Some(before.report().clone())));
    assert!(after.row("xid").covered.contains(&switch.to_owned()));
    let mut later = Bench::booted("boot-2");
    later.begin(order(spec(), Some(after.report().clone())));
    assert!(later.row("xid").covered.contains(&switch.to_owned()), "also after another restart");
}

#[test]
fn lines_about_the_same_fault_within_a_second_count_once() {
    let mut bench = Bench::at_rest(spec());
    let at = |usec: u64| match record(&gpu(0), XidEvent::Xid(ILLEGAL_INSTRUCTION), XidDetail::Plain, usec) {
        LogEntry::Fault { observed, at, seq, .. } => LogEntry::Fault { observed, at, seq, usec },
        other => other,
    };
    for usec in [5_000_000, 5_000_100, 5_900_000, 9_000_000] {
        bench.fault(at(usec));
    }
    bench.pass(61_000);
    assert_eq!(bench.finding("xid", &gpu(0)).unwrap().count, 2);
}

#[test]
fn faults_are_kept_until_there_is_a_node_health_and_reported_with_its_first_report() {
    let mut bench = Bench::new();
    bench.send(Event::SpecGone);
    bench.send(Event::KernelLogOpened { source: "syslog".into() });
    bench.fault(xid(&gpu(0), FELL_OFF));
    bench.measure(healthy(2));
    assert!(bench.written.is_empty());
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    assert!(bench.finding("xid", &gpu(0)).is_some());
}
