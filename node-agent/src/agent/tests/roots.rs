//! An Xid 45 that names its root, and echoes in the report.

use super::*;
use crate::judge::xid::Kind;
use crate::readings::sample::RemapReading;
use crate::readings::talk::DriverEvent;
use crate::xid::{SwitchFault, repair};
use crds::Severity;

const FELL_OFF: u32 = 79;
const TIMEOUT: u32 = 109;
const SWITCH: &str = "0000:85:00.0";

/// The n-th line, an Xid 45 that names this code.
fn because_of(code: u32, seq: u64) -> LogEntry {
    let mut entry = record(&gpu(0), XidEvent::Xid(45), XidDetail::Plain, seq);
    if let LogEntry::Fault { observed, .. } = &mut entry {
        observed.caused_by = Some(code);
    }
    entry
}

fn own_line(code: u32, seq: u64) -> LogEntry {
    record(&gpu(0), XidEvent::Xid(code), XidDetail::Plain, seq)
}

fn switch(seq: u64) -> LogEntry {
    let detail = XidDetail::Switch(SwitchFault { switch: 0, fatal: Some(true), link: Some(48) });
    record(SWITCH, XidEvent::SXid(20034), detail, seq)
}

/// The flag of failed repairs, as the driver reads it.
fn read_remap(bench: &mut Bench, failure: Option<bool>) {
    while bench.asked().is_some() {
        let mut sample = sample_of(healthy(2).nvml);
        for gpu in &mut sample.gpus {
            gpu.row_remap = Some(RemapReading { failure, ..RemapReading::default() });
        }
        bench.answer_with(sample);
    }
}

#[test]
fn an_unproven_line_that_no_spare_is_left_is_settled_by_the_state_of_the_row_remapper() {
    for (failure, expected) in [
        (Some(true), Some((Outcome::Fail, Severity::Isolate))),
        (Some(false), None),
        (None, Some((Outcome::Warn, Severity::Monitor))),
    ] {
        let mut bench = Bench::at_rest(spec());
        bench.by_hand();
        let full = repair::TEXTS.iter().find(|text| text.severity == Severity::Isolate).unwrap();
        let mut forged = record(&gpu(0), XidEvent::Xid(64), XidDetail::Repair(full), 1);
        if let LogEntry::Fault { observed, .. } = &mut forged {
            observed.proven = false;
        }
        bench.fault(forged);
        read_remap(&mut bench, failure);
        bench.pass(1_000);
        read_remap(&mut bench, failure);
        bench.pass(15_000);
        let told = says(&bench).map(|(_, outcome, severity, _)| (outcome, severity));
        assert_eq!(told, expected, "{failure:?}");
    }
}

/// Reason, outcome, severity and count of the finding of the first GPU.
fn says(bench: &Bench) -> Option<(String, Outcome, Severity, i64)> {
    let finding = bench.state.findings().find(|finding| finding.check == "xid" && finding.target == gpu(0));
    finding.map(|f| (f.reason.clone(), f.outcome.clone(), f.severity.clone(), f.count))
}

#[test]
fn the_root_that_an_xid_45_names_condemns_even_if_its_own_line_is_missing() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(because_of(TIMEOUT, 1));
    bench.fault(because_of(TIMEOUT, 2));
    assert_eq!(says(&bench).unwrap().2, Severity::Monitor, "its own line is waited for");
    bench.pass(2_500);
    let expected = ("ContextSwitchTimeout".to_owned(), Outcome::Fail, Severity::Reset, 1);
    assert_eq!(says(&bench), Some(expected.clone()));
    assert!(bench.finding("xid", &gpu(0)).unwrap().message.contains("named by an Xid 45 as its cause"));
    // Its line comes late: the same fault.
    bench.fault(own_line(TIMEOUT, 3));
    bench.pass(2_500);
    assert_eq!(says(&bench), Some(expected));
}

#[test]
fn a_root_whose_own_line_was_read_is_not_raised_again() {
    for seconds in [0, 1, 30, 500] {
        let mut bench = Bench::at_rest(spec());
        bench.fault(own_line(TIMEOUT, 1));
        bench.pass(seconds * 1_000);
        bench.fault(because_of(TIMEOUT, 2));
        bench.pass(5_000);
        let (reason, _, severity, count) = says(&bench).unwrap();
        assert_eq!((reason.as_str(), severity, count), ("ContextSwitchTimeout", Severity::Reset, 1), "{seconds} s");
    }
    let mut bench = Bench::at_rest(spec());
    bench.fault(own_line(TIMEOUT, 1));
    bench.fault(record(&gpu(0), XidEvent::Xid(154), XidDetail::Recovery { from: 1, to: 0 }, 2));
    bench.fault(because_of(TIMEOUT, 3));
    bench.pass(5_000);
    assert_eq!(says(&bench).unwrap().2, Severity::Monitor, "it was cured before its programs ended");
}

#[test]
fn a_root_that_its_own_line_has_to_decide_stays_a_remark() {
    for code in [13, 31, 74, 94, 144, 149, 150, 154, 999] {
        let mut bench = Bench::at_rest(spec());
        bench.fault(because_of(code, 1));
        bench.pass(5_000);
        let (reason, outcome, severity, _) = says(&bench).unwrap();
        assert_eq!(
            (reason.as_str(), outcome, severity),
            ("PreemptiveRemoval", Outcome::Warn, Severity::Monitor),
            "{code}"
        );
        let message = &bench.finding("xid", &gpu(0)).unwrap().message;
        assert!(message.contains(&format!("because of Xid {code}, which decides")), "{message}");
    }
}

#[test]
fn a_line_that_a_program_may_have_written_names_no_root_even_if_the_driver_announced_its_xid_45() {
    let mut bench = Bench::at_rest(spec());
    let mut forged = because_of(FELL_OFF, 1);
    if let LogEntry::Fault { observed, .. } = &mut forged {
        observed.proven = false;
    }
    bench.say(Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x8, xid: Some(45) }));
    bench.fault(forged);
    bench.pass(10_000);
    assert_eq!(says(&bench).unwrap().2, Severity::Monitor);
}

#[test]
fn the_drivers_event_of_a_named_root_is_the_same_fault() {
    for event_first in [true, false] {
        let mut bench = Bench::at_rest(spec());
        let event = || Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x8, xid: Some(TIMEOUT) });
        if event_first {
            bench.say(event());
        }
        bench.fault(because_of(TIMEOUT, 1));
        if !event_first {
            bench.say(event());
        }
        bench.pass(5_000);
        assert_eq!(says(&bench).unwrap().3, 1, "event first: {event_first}");
    }
}

#[test]
fn a_root_named_by_a_line_older_than_the_agent_is_in_doubt_like_its_own_line() {
    let old = |mut entry: LogEntry| {
        if let LogEntry::Fault { at, .. } = &mut entry {
            *at = Some(Time::from_unix(MORNING - 86_400));
        }
        entry
    };
    let mut bench = Bench::at_rest(spec());
    bench.fault(old(because_of(TIMEOUT, 1)));
    bench.pass(15_000);
    let (_, outcome, ..) = says(&bench).unwrap();
    assert_eq!(outcome, Outcome::Warn);
    // A fresh Xid 45 does not make the old line new.
    let mut bench = Bench::at_rest(spec());
    bench.fault(old(own_line(TIMEOUT, 1)));
    bench.fault(because_of(TIMEOUT, 2));
    bench.pass(15_000);
    assert_eq!(says(&bench).unwrap().1, Outcome::Warn);
}

#[test]
fn the_report_names_the_root_of_an_echo_that_was_told_first() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(switch(1));
    assert_eq!(bench.finding("xid", SWITCH).unwrap().outcome, Outcome::Fail);
    bench.pass(5_000);
    bench.fault(own_line(FELL_OFF, 2));
    bench.pass(2_000);
    let echo = bench.finding("xid", SWITCH).unwrap();
    let by = echo.caused_by.as_ref().map(|by| (by.check.as_str(), by.target.clone()));
    assert_eq!((echo.outcome.clone(), by), (Outcome::Warn, Some(("xid", gpu(0)))));
    assert_eq!(bench.row_says("xid").0, Outcome::Fail);

    // It is told so by the next agent, too.
    let mut next = Bench::new();
    next.begin(order(spec(), Some(bench.report().clone())));
    next.pass(2_000);
    assert!(next.finding("xid", SWITCH).unwrap().caused_by.is_some());

    // After a boot neither stands.
    let mut booted = Bench::booted("boot-2");
    booted.begin(order(spec(), Some(bench.report().clone())));
    assert_eq!(booted.report().findings, []);
}

#[test]
fn a_switch_that_screams_again_long_after_the_loss_is_a_fault_of_its_own() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(own_line(FELL_OFF, 1));
    bench.fault(switch(2));
    bench.pass(2_000);
    assert_eq!(bench.finding("xid", SWITCH).unwrap().outcome, Outcome::Warn);
    bench.pass(u64::try_from(Kind::Lost.seconds()).unwrap() * 10_000);
    bench.fault(switch(100));
    bench.pass(2_000);
    assert_eq!(bench.finding("xid", SWITCH).unwrap().outcome, Outcome::Fail);
}

#[test]
fn a_forged_loss_hides_no_real_fault() {
    let mut bench = Bench::at_rest(spec());
    let mut forged = own_line(FELL_OFF, 1);
    if let LogEntry::Fault { observed, .. } = &mut forged {
        observed.proven = false;
    }
    bench.fault(forged);
    bench.fault(switch(2));
    bench.pass(15_000);
    let told = bench.finding("xid", SWITCH).unwrap();
    assert_eq!((told.outcome.clone(), told.caused_by.clone()), (Outcome::Fail, None));
}
