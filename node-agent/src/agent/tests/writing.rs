//! When the report is written, and its content.

use super::*;

#[test]
fn a_quiet_node_writes_nothing() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(2_000);
    let written = bench.written.len();
    for _ in 0..60 {
        bench.measure_again(healthy(2));
    }
    assert_eq!(bench.written.len(), written);
    assert_eq!(written, 1, "one report says it all");
}

#[test]
fn no_report_before_the_own_last_one_was_read_and_none_for_an_object_that_is_not_there() {
    let mut bench = Bench::new();
    bench.send(Event::KernelLogOpened { source: "syslog".into() });
    bench.measure(healthy(2));
    bench.fault(xid(&gpu(0), 79));
    bench.pass(60_000);
    assert!(bench.written.is_empty());
    bench.send(Event::SpecGone);
    bench.pass(60_000);
    assert!(bench.written.is_empty());
}

#[test]
fn a_first_report_waits_for_measurements_but_not_for_ever() {
    let mut bench = Bench::new();
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    bench.pass(4_000);
    assert!(bench.written.is_empty());
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::NEVER_JUDGED));
    assert_eq!(bench.row_says("xid"), (Outcome::Inconclusive, reason::NEVER_JUDGED));
}

#[test]
fn ordinary_changes_go_once_a_second_and_new_failures_at_once_up_to_five_a_second() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(5_000);
    let before = bench.written.len();
    for generation in 2..20 {
        bench.send(Event::SpecChanged(Box::new(Order { generation, ..order(spec(), None) })));
        bench.pass(50);
    }
    assert_eq!(bench.written.len(), before + 1);
    bench.pass(3_000);
    let before = bench.written.len();
    for gpu_index in 0..16 {
        bench.fault(xid(&gpu(gpu_index), 79));
        bench.pass(10);
    }
    assert_eq!(bench.written.len(), before + 5);
    bench.pass(1_000);
    assert_eq!(bench.report().findings.len(), 16);
}

#[test]
fn count_and_time_of_a_known_finding_move_once_a_minute() {
    let mut bench = Bench::at_rest(spec());
    let mut seq = 0;
    for _ in 0..120 {
        seq += 1;
        bench.fault(record(&gpu(0), XidEvent::Xid(79), XidDetail::Plain, seq));
        bench.pass(1_000);
    }
    let counts: Vec<i64> = bench.written.iter().filter_map(|report| Some(report.findings.first()?.count)).collect();
    assert_eq!(counts, [1, 60, 120]);
}

#[test]
fn a_place_in_the_log_is_no_reason_to_write() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(2_000);
    let written = bench.written.len();
    bench.send(Event::KernelLog {
        entries: Vec::new(),
        cursor: Some(Cursor { boot_id: "boot-1".into(), seq: Some(9), usec: 9 }),
    });
    bench.pass(60_000);
    assert_eq!(bench.written.len(), written);
}

#[test]
fn findings_beyond_the_bound_are_counted_and_the_worst_are_kept() {
    let mut bench = Bench::at_rest(spec());
    for index in 0..30_u8 {
        let code = if index % 2 == 0 { 79 } else { 13 };
        bench.fault(record(&gpu(index), XidEvent::Xid(code), XidDetail::Plain, u64::from(index) + 1));
    }
    bench.pass(10_000);
    assert_eq!((bench.report().findings.len(), bench.report().truncated), (24, Some(6)));
    assert_eq!(bench.report().findings.iter().filter(|f| f.reason == "FallenOffTheBus").count(), 15);
}

#[test]
fn a_refused_report_is_tried_again_and_a_permanent_refusal_seldom() {
    for (refusal, most) in
        [(Refusal::Transient, 8), (Refusal::Forbidden, 5), (Refusal::NotFound, 5), (Refusal::Schema, 2)]
    {
        let mut bench = Bench::new();
        bench.answer = Err(refusal);
        bench.begin(order(spec(), None));
        bench.pass(60_000);
        let tried = bench.effects.iter().filter(|effect| matches!(effect, Effect::Report { .. })).count();
        assert!((1..=most).contains(&tried), "{refusal:?}: {tried}");
        bench.answer = Ok(());
        bench.pass(600_000);
        assert_eq!(bench.written.len(), 1, "{refusal:?}");
    }
}

#[test]
fn an_object_that_is_made_again_gets_the_whole_report_again() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(2_000);
    let written = bench.written.len();
    bench.send(Event::SpecGone);
    bench.pass(2_000);
    bench.send(Event::SpecChanged(Box::new(Order { uid: "uid-2".into(), ..order(spec(), None) })));
    bench.pass(2_000);
    assert_eq!(bench.written.len(), written + 1);
}

#[test]
fn a_restart_that_finds_everything_as_it_was_reports_only_that_it_started() {
    let mut before = Bench::at_rest(spec());
    before.pass(2_000);
    let mut after = Bench::new();
    after.now.unix_ms += 500_000;
    after.begin(order(spec(), Some(before.report().clone())));
    after.pass(60_000);
    let mut earlier = before.report().clone();
    earlier.agent.started_at = after.written.first().map_or(earlier.agent.started_at, |report| report.agent.started_at);
    for report in &after.written {
        let mut report = report.clone();
        // Baselines and rows contain the time of their reading.
        report.baselines.clone_from(&earlier.baselines);
        report.checks.iter_mut().zip(&earlier.checks).for_each(|(row, earlier)| row.last_run = earlier.last_run);
        assert_eq!(report, earlier, "rows keep their times");
    }
}

#[test]
fn what_is_refused_for_its_texts_goes_without_them_at_once_and_its_texts_are_tried_seldom() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(10_000);
    (bench.answer, bench.only_texts_are_refused) = (Err(Refusal::Schema), true);
    for (index, code) in [(0, 79), (1, 48)] {
        bench.fault(xid(&gpu(index), code));
        let report = bench.report();
        let finding = report.findings.iter().find(|finding| finding.target == gpu(index)).expect("written at once");
        assert_eq!((&finding.outcome, finding.message.as_str(), &finding.evidence), (&Outcome::Fail, "", &None));
        let refused = report.agent.refused.as_ref().unwrap();
        assert_eq!((refused.reason.as_str(), refused.since), (reason::REPORT_REFUSED, Time::from_unix(MORNING + 10)));
        assert!(report.checks.iter().all(|row| row.message.is_none()), "{report:?}");
        assert_eq!(report.inventory.gpus.len(), 2);
    }
    let tried = |bench: &Bench| {
        let all = bench.effects.iter();
        all.filter(|effect| matches!(effect, Effect::Report { report, .. } if report.agent.refused.is_none())).count()
    };
    let (before, written) = (tried(&bench), bench.written.len());
    bench.pass(3_600_000);
    assert!((4..=10).contains(&(tried(&bench) - before)), "{}", tried(&bench) - before);
    assert_eq!(bench.written.len(), written, "a quiet node writes nothing");
    bench.answer = Ok(());
    bench.pass(600_000);
    assert_eq!(bench.report().agent.refused, None);
    assert!(bench.report().findings.iter().all(|finding| !finding.message.is_empty()));
}

#[test]
fn no_character_that_the_api_server_refuses_reaches_a_report_and_no_target_is_cut() {
    for bad in
        ['\u{ffff}', '\u{fffe}', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{feff}', '\u{1b}', '\0']
    {
        let mut bench = Bench::at_rest(spec());
        let message = format!("NVRM: Xid (PCI:0000:18:00): 31, pid=7, name=x{bad}y, MMU Fault{bad}");
        let observed = crate::xid::observe(&message).unwrap();
        bench.fault(LogEntry::Fault { observed: Box::new(observed), at: None, seq: Some(1), usec: 1 });
        bench.pass(2_000);
        bench.send(Event::KernelLogUnreadable { message: format!("gone{bad}") });
        bench.pass(2_000);
        let report = bench.report();
        assert!(report.findings.iter().any(|finding| finding.target == gpu(0)), "{report:?}");
        let text = serde_json::to_string(report).unwrap();
        assert!(!text.contains(bad) && text.chars().all(crate::text::is_plain), "{bad:?}: {text}");
    }
}

#[test]
fn each_row_says_when_its_check_last_ran_and_that_alone_writes_nothing() {
    let mut bench = Bench::at_rest(spec());
    bench.pass(2_000);
    let first = bench.row("inventory").last_run.unwrap();
    let written = bench.written.len();
    for _ in 0..10 {
        bench.measure_again(healthy(2));
    }
    assert_eq!(bench.written.len(), written, "a quiet node writes nothing");
    let old = Time::from_unix(bench.now.wall().unix() - 120);
    bench.fault(xid(&gpu(0), 79));
    for check in ["inventory", "xid"] {
        let ran = bench.row(check).last_run.unwrap();
        assert!(ran > old && ran <= bench.now.wall() && ran > first, "{check}: {ran}");
    }
    // What could not be judged did not run.
    let before = bench.row("xid").last_run;
    bench.send(Event::KernelLogUnreadable { message: "gone".into() });
    bench.pass(3_600_000);
    assert_eq!(bench.row("xid").outcome, Outcome::Inconclusive);
    assert!(bench.row("xid").last_run < before.map(|before| before.plus(61)), "{:?}", bench.row("xid"));
}
