//! A drill: from its order to its end, across restarts, and never displacing a real fault.

use super::*;
use crds::check::{Drill, DrillFinding};
use crds::node_health::RunState;
use crds::{Severity, reason};

fn drill(target: Option<&str>, seconds: i64) -> CheckSpec {
    let finding = DrillFinding {
        severity: Severity::Isolate,
        reason: "RowRemapFailed".into(),
        target: target.map(str::to_owned),
    };
    CheckSpec { name: "exercise".into(), drill: Some(Drill { finding, seconds, marks: false }), ..CheckSpec::default() }
}

fn drilling(seconds: i64) -> Bench {
    let mut bench = Bench::at_rest(spec_with(vec![assignment("u/1", vec![drill(Some(&gpu(1)), seconds)])]));
    bench.pass(1_100);
    bench
}

#[test]
fn a_drill_is_clearly_marked_and_ends_by_itself() {
    let mut bench = drilling(120);
    let finding = bench.finding("drill", &gpu(1)).unwrap();
    assert_eq!((finding.outcome.clone(), finding.severity.clone()), (Outcome::Fail, Severity::Isolate));
    assert!(finding.message.starts_with("DRILL:"), "{}", finding.message);
    assert_eq!(finding.evidence.as_deref(), Some("drill of run run"));
    assert_eq!(bench.report().runs[0].state, RunState::Running);
    bench.pass(115_000);
    assert!(bench.finding("drill", &gpu(1)).is_some());
    bench.pass(10_000);
    assert_eq!(bench.finding("drill", &gpu(1)), None);
    let result = &bench.report().runs[0].results[0];
    assert_eq!((result.outcome.clone(), result.reason.as_deref()), (Outcome::Pass, Some(reason::DRILL)));
    assert_eq!(result.tested, [gpu(1)]);
    assert_eq!(bench.report().runs[0].state, RunState::Done);
}

#[test]
fn a_drill_whose_order_is_withdrawn_ends_at_once() {
    let mut bench = drilling(3_000);
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    bench.pass(1_100);
    assert_eq!(bench.finding("drill", &gpu(1)), None);
    assert!(bench.report().runs.is_empty());
}

#[test]
fn a_drill_continues_over_a_restart_and_ends_on_time() {
    let before = drilling(120);
    let mut earlier = before.report().clone();
    // As if the report had been truncated.
    earlier.findings.iter_mut().for_each(|finding| finding.evidence = None);
    let orders = || spec_with(vec![assignment("u/1", vec![drill(Some(&gpu(1)), 120), custom("later")])]);
    let mut after = Bench::new();
    after.now.unix_ms += 60_000;
    after.begin(order(orders(), Some(earlier.clone())));
    after.pass(50_000);
    assert!(after.finding("drill", &gpu(1)).is_some());
    after.pass(15_000);
    assert_eq!(after.finding("drill", &gpu(1)), None);
    let results = &after.report().runs[0].results;
    assert_eq!(results[0].reason.as_deref(), Some(reason::DRILL));
    assert_eq!(results[1].reason.as_deref(), Some(reason::INTERRUPTED));
    let mut late = Bench::new();
    late.now.unix_ms += 600_000;
    late.begin(order(orders(), Some(earlier.clone())));
    late.pass(1_100);
    assert_eq!(late.finding("drill", &gpu(1)), None, "one that is over ends at once");
    let mut gone = Bench::new();
    gone.begin(order(spec(), Some(earlier)));
    gone.pass(1_100);
    assert_eq!(gone.finding("drill", &gpu(1)), None, "one without an order is over");
}

#[test]
fn a_drill_hides_no_fault_and_no_fault_hides_it() {
    let mut bench = drilling(300);
    bench.fault(xid(&gpu(1), 79));
    bench.pass(1_100);
    assert_eq!(bench.finding("xid", &gpu(1)).unwrap().severity, Severity::Reboot);
    assert!(bench.finding("drill", &gpu(1)).is_some());
    for index in 2..30_u8 {
        bench.fault(record(&gpu(index), XidEvent::Xid(13), XidDetail::Plain, u64::from(index)));
    }
    bench.pass(10_000);
    let drills = bench.report().findings.iter().filter(|finding| finding.check == "drill").count();
    assert_eq!((drills, bench.report().findings.len()), (0, 24), "where there is no room it takes nobody's place");
}

#[test]
fn two_drills_at_one_target_do_not_get_into_each_others_way() {
    let orders = vec![assignment("u/1", vec![drill(None, 60)]), assignment("u/2", vec![drill(None, 600)])];
    let mut bench = Bench::at_rest(spec_with(orders));
    bench.pass(2_000);
    let second = &bench.report().runs[1].results[0];
    assert_eq!((second.outcome.clone(), second.reason.as_deref()), (Outcome::Inconclusive, Some(reason::NODE_BUSY)));
    bench.pass(65_000);
    assert_eq!(bench.finding("drill", "node"), None);
}
