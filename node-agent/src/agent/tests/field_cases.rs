//! Logs in the shape of those that people published, and the verdict that is right for each: without any hardware behind
//! them, as `check --kernel-log FILE` reads the log of another machine.

mod kernel_logs;

use super::*;
use crate::kernel_log::{KernelRecord, PrintedLog};
use crate::readings::talk::DriverEvent;
use crate::xid::LineAssembler;
use kernel_logs::CASES;

/// A published case.
struct Case {
    number: u32,
    about: &'static str,
    source: &'static str,
    log: &'static str,
    /// Target, severity and, where the case decides it, reason of each finding.
    expected: &'static [&'static str],
    /// Where our verdict differs from that of the report: why. Empty where it does not.
    differs: &'static str,
}

fn entries(log: &str) -> Vec<LogEntry> {
    let (mut printed, mut lines) = (PrintedLog::default(), LineAssembler::default());
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(log.lines()) {
        let Some(record) = printed.read(line.as_bytes()) else { continue };
        let record = KernelRecord { seq: Some(number), ..record };
        entries.extend(lines.push(&record).into_iter().filter_map(|fact| LogEntry::of(fact, &record, None)));
    }
    entries
}

fn found(log: &str) -> Vec<Finding> {
    let monitors = ["xid", "kernelLog"].map(|name| Monitor { name: name.into(), interval_seconds: None });
    let spec = NodeHealthSpec { monitors: monitors.to_vec().into(), ..NodeHealthSpec::default() };
    let mut bench = Bench::new();
    bench.send(Event::KernelLogOpened { source: "file:log".into() });
    bench.send(Event::SpecChanged(Box::new(order(spec, None))));
    bench.send(Event::KernelLog { entries: entries(log), cursor: None });
    bench.pass(12_000);
    let mut findings: Vec<Finding> = bench.state.findings().cloned().collect();
    findings.sort_by(|one, other| (&one.target, &other.check).cmp(&(&other.target, &one.check)));
    findings
}

#[test]
fn every_published_log_gets_the_verdict_that_is_right() {
    let mut wrong = Vec::new();
    for case in CASES {
        let findings = found(case.log);
        let verdicts: Vec<String> =
            findings.iter().map(|f| format!("{} {} {}", f.target, f.severity.as_str(), f.reason)).collect();
        let is_right = findings.len() == case.expected.len()
            && findings.iter().all(|finding| (finding.outcome == Outcome::Fail) == finding.severity.condemns())
            && case.expected.iter().all(|expected| verdicts.iter().any(|verdict| verdict.starts_with(expected)));
        let said = if verdicts.is_empty() { "nothing".to_owned() } else { verdicts.join("; ") };
        let differs = if case.differs.is_empty() { String::new() } else { format!(" (differs: {})", case.differs) };
        println!("{:02} {} [{}]: {said}{differs}", case.number, case.about, case.source);
        if !is_right {
            wrong.push(format!("{:02} {}: {said}, expected {}", case.number, case.about, case.expected.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_event_of_the_driver_that_is_no_xid_is_none() {
    // gpud pull request 164: a change of clocks (bit 0x10), whose data is 0.
    let mut bench = Bench::at_rest(spec());
    bench.say(Said::Event(DriverEvent { pci: Some(gpu(0)), bits: 0x10, xid: None }));
    bench.pass(5_000);
    assert_eq!(bench.state.findings().count(), 0);
}
