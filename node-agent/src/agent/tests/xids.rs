//! Xids seen twice (driver event and log), Xids that either board or job may cause, and old Xids.

use super::*;
use crate::readings::talk::{DriverEvent, Said};
use crate::xid::Containment;
use crds::Severity;

const CONTAINED_ECC: u32 = 94;
const MMU_FAULT: u32 = 31;

fn of_pod(address: &str, pod: &str, seq: u64) -> LogEntry {
    let mut entry = record(address, XidEvent::Xid(MMU_FAULT), XidDetail::Plain, seq);
    if let LogEntry::Fault { observed, .. } = &mut entry {
        observed.owner = Some(pod.into());
    }
    entry
}

#[test]
fn a_line_that_comes_late_raises_what_its_event_said_if_it_is_worse_and_counts_nothing_otherwise() {
    for (drain_and_reset, severity) in [(false, Severity::Monitor), (true, Severity::Reset)] {
        let mut bench = Bench::at_rest(spec());
        bench.say(Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x8, xid: Some(CONTAINED_ECC) }));
        assert_eq!(bench.finding("xid", &gpu(0)), None, "the line is waited for");
        bench.pass(2_500);
        let by_event = bench.finding("xid", &gpu(0)).unwrap().clone();
        assert_eq!((by_event.severity, by_event.count), (Severity::Monitor, 1));
        let detail = XidDetail::Containment(Containment { reset: false, drain_and_reset });
        bench.fault(record(&gpu(0), XidEvent::Xid(CONTAINED_ECC), detail, 3));
        let finding = bench.finding("xid", &gpu(0)).unwrap();
        assert_eq!((&finding.severity, finding.count), (&severity, 1), "D-RST: {drain_and_reset}");
    }
}

#[test]
fn an_event_of_the_recovery_action_raises_nothing_and_clears_nothing_by_itself() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(xid(&gpu(0), 79));
    let before = bench.finding("xid", &gpu(0)).cloned();
    for address in [gpu(0), gpu(1)] {
        bench.say(Said::Event(DriverEvent { pci: Some(address), bits: 0x8008, xid: Some(154) }));
    }
    bench.pass(10_000);
    assert_eq!(bench.finding("xid", &gpu(0)).cloned(), before);
    assert_eq!(bench.finding("xid", &gpu(1)), None);
}

#[test]
fn a_board_that_fails_three_jobs_is_named_and_still_only_watched() {
    let mut bench = Bench::at_rest(spec());
    for (seq, pod) in ["a", "b", "c"].into_iter().enumerate() {
        bench.fault(of_pod(&gpu(0), pod, seq as u64 + 1));
        bench.pass(70_000);
    }
    let finding = bench.finding("xid", &gpu(0)).unwrap();
    assert!(
        finding.message.ends_with("on this board under 3 different jobs: look at the board"),
        "{}",
        finding.message
    );
    assert_eq!((finding.outcome.clone(), finding.severity.clone()), (Outcome::Warn, Severity::Monitor));
    assert_eq!(finding.count, 3);
}

#[test]
fn a_job_that_fails_on_two_boards_is_named_on_the_later_one() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(of_pod(&gpu(0), "a", 1));
    bench.pass(10_000);
    bench.fault(of_pod(&gpu(1), "a", 2));
    bench.pass(10_000);
    assert!(!bench.finding("xid", &gpu(0)).unwrap().message.contains("look at"));
    let message = &bench.finding("xid", &gpu(1)).unwrap().message;
    assert!(message.ends_with("in the same job on 2 boards: look at the job"), "{message}");
}

#[test]
fn a_fault_that_was_lifted_does_not_come_back_when_a_new_agent_reads_the_log_from_its_beginning() {
    // The defect of AWS's check: old Xids fire again until they leave the log.
    let mut before = Bench::at_rest(spec());
    let old = [
        record(&gpu(0), XidEvent::Xid(79), XidDetail::Plain, 7),
        record(&gpu(0), XidEvent::Xid(154), XidDetail::Recovery { from: 2, to: 0 }, 8),
    ];
    for (entry, seq) in old.iter().zip(7..) {
        let cursor = Some(Cursor { boot_id: "boot-1".into(), seq: Some(seq), usec: seq * 10_000_000 });
        before.send(Event::KernelLog { entries: vec![entry.clone()], cursor });
        assert_eq!(before.report().findings.len(), usize::from(seq == 7));
        before.pass(10_000);
    }
    let mut after = Bench::new();
    after.begin(order(spec(), Some(before.report().clone())));
    after.fault(old[0].clone());
    after.pass(120_000);
    assert_eq!(after.finding("xid", &gpu(0)), None);
}
