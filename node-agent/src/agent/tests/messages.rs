//! What the kernel says besides Xids, from the record to the finding.

use super::*;
use crate::judge::kernel_log::severity;
use crate::kernel_log::KernelRecord;
use crate::kernel_messages::tests::samples::{FIRES, Sample as Published};
use crate::kernel_messages::tests::{PORT, record as kernel_record};
use crate::xid::LineAssembler;
use crds::Severity;
use crds::node_health::Maintenance;

fn watching() -> NodeHealthSpec {
    let monitors = ["inventory", "driver", "xid", "kernelLog"];
    NodeHealthSpec {
        monitors: monitors.map(|name| Monitor { name: name.into(), interval_seconds: None }).to_vec().into(),
        ..NodeHealthSpec::default()
    }
}

/// The entries that these records are to the core.
fn entries(records: &[&str]) -> Vec<LogEntry> {
    let mut lines = LineAssembler::default();
    let records = records.iter().map(|text| kernel_record(text, &gpu(0)));
    let of = |record: KernelRecord| {
        let facts = lines.push(&record);
        facts.into_iter().filter_map(move |fact| LogEntry::of(fact, &record, None)).collect::<Vec<_>>()
    };
    records.flat_map(of).collect()
}

fn not_proven(mut entries: Vec<LogEntry>) -> Vec<LogEntry> {
    for entry in &mut entries {
        if let LogEntry::Message { message, .. } = entry {
            message.proven = false;
        }
    }
    entries
}

fn old(mut entries: Vec<LogEntry>) -> Vec<LogEntry> {
    for entry in &mut entries {
        if let LogEntry::Message { at, .. } = entry {
            *at = Some(Time::from_unix(MORNING - 86_000));
        }
    }
    entries
}

/// The tree: the first GPU alone behind its port.
fn with_port(bench: &mut Bench) {
    bench.by_hand();
    let Measured::Tree(mut tree) = tree_of(&healthy(2)) else { panic!("a tree") };
    tree.bridges = [(gpu(0), vec![PORT.to_owned()]), (gpu(1), vec!["0000:17:02.0".to_owned()])].into();
    if let Some(id) = bench.tree_probe() {
        bench.finish(id, Measured::Tree(tree.clone()));
    }
    bench.state.senses.readings.tree = Some((*tree, bench.now.mono_ms));
}

/// The records come, a moment after what was read before.
fn hears(bench: &mut Bench, entries: Vec<LogEntry>) {
    bench.pass(5);
    bench.send(Event::KernelLog { entries, cursor: None });
}

/// What the driver answers from now on.
fn answer(bench: &mut Bench, view: &NvmlView) {
    while bench.asked().is_some() {
        bench.answer_with(sample_of(view.clone()));
    }
}

/// The driver no longer lists the first GPU.
fn without_first() -> NvmlView {
    let mut view = healthy(2).nvml;
    view.gpus.remove(0);
    view
}

/// Takes the entries; the driver then answers so, at once and until 12 s have passed.
fn told(entries: Vec<LogEntry>, view: &NvmlView) -> Bench {
    let mut bench = Bench::at_rest(watching());
    with_port(&mut bench);
    hears(&mut bench, entries);
    for _ in 0..12 {
        answer(&mut bench, view);
        bench.pass(1_000);
    }
    bench
}

fn said(bench: &Bench) -> Vec<(String, String, Outcome, Severity)> {
    let of_log = bench.state.findings().filter(|finding| finding.check == "kernelLog");
    of_log.map(|f| (f.target.clone(), f.reason.clone(), f.outcome.clone(), f.severity.clone())).collect()
}

fn target_of(sample: &Published) -> String {
    if sample.is_about_a_gpu { gpu(0) } else { "node".to_owned() }
}

#[test]
fn a_message_condemns_what_the_driver_does_not_read_and_nothing_else() {
    for sample in FIRES.iter().filter(|sample| severity(sample.reason).condemns()) {
        let bench = told(entries(sample.records), &without_first());
        let expected = (target_of(sample), sample.reason.to_owned(), Outcome::Fail, severity(sample.reason));
        assert_eq!(said(&bench), [expected], "[{}]", sample.source);
    }
}

#[test]
fn a_message_about_a_gpu_that_the_driver_reads_is_a_warning() {
    for sample in FIRES {
        let bench = told(entries(sample.records), &healthy(2).nvml);
        let expected = (target_of(sample), sample.reason.to_owned(), Outcome::Warn, Severity::Monitor);
        assert_eq!(said(&bench), [expected], "[{}]", sample.source);
    }
}

#[test]
fn a_verdict_ends_with_a_later_reading_of_the_gpu() {
    let sample = &FIRES[0];
    let mut bench = told(entries(sample.records), &without_first());
    bench.measure_again(healthy(2));
    assert_eq!(said(&bench), []);
    assert_eq!(bench.row_says("kernelLog"), (Outcome::Pass, ""));
    assert!(bench.row("kernelLog").covered.contains(&gpu(0)));
}

#[test]
fn a_line_that_a_program_may_have_written_warns_at_most_and_not_at_all_where_the_driver_reads_the_gpu() {
    for sample in FIRES {
        assert_eq!(said(&told(not_proven(entries(sample.records)), &healthy(2).nvml)), [], "[{}]", sample.source);
        let unread = said(&told(not_proven(entries(sample.records)), &without_first()));
        assert!(unread.iter().all(|(.., outcome, _)| *outcome == Outcome::Warn), "{unread:?} [{}]", sample.source);
    }
}

#[test]
fn a_line_older_than_the_agent_warns_until_the_present_confirms_or_refutes_it() {
    let sample = &FIRES[0];
    let mut bench = told(old(entries(sample.records)), &without_first());
    assert_eq!(said(&bench), [(gpu(0), sample.reason.to_owned(), Outcome::Warn, Severity::Reboot)]);
    bench.measure_again(healthy(2));
    assert_eq!(said(&bench), [], "the driver reads it, and the line is a day old");
    let trusted = NodeHealthSpec { condemn_old_log: Some(true), ..watching() };
    let mut bench = Bench::at_rest(trusted);
    with_port(&mut bench);
    hears(&mut bench, old(entries(sample.records)));
    for _ in 0..12 {
        answer(&mut bench, &without_first());
        bench.pass(1_000);
    }
    assert_eq!(said(&bench)[0].2, Outcome::Fail);
}

#[test]
fn nothing_is_decided_under_maintenance_and_during_the_grace_after_a_boot() {
    let mut spec = watching();
    spec.maintenance = Some(Maintenance::default());
    let mut bench = Bench::at_rest(spec);
    hears(&mut bench, entries(FIRES[0].records));
    bench.pass(600_000);
    assert_eq!(said(&bench), []);
    let mut booting = Bench::new();
    booting.state.facts.booted_at = Some(Time::from_unix(MORNING - 60));
    booting.begin(order(watching(), None));
    booting.by_hand();
    hears(&mut booting, entries(FIRES[0].records));
    booting.pass(300_000);
    assert_eq!(said(&booting), []);
    booting.pass(400_000);
    assert_eq!(said(&booting)[0].2, Outcome::Fail, "the grace is over, and the driver has not answered");
}

#[test]
fn a_recovery_by_the_kernel_ends_what_the_port_said() {
    let loss = "pcieport {PORT}: AER: device recovery failed";
    let mut bench = told(entries(&[loss]), &without_first());
    assert_eq!(said(&bench)[0].2, Outcome::Fail);
    bench.send(Event::KernelLog {
        entries: entries(&["pcieport {PORT}: AER: device recovery successful"]),
        cursor: None,
    });
    assert_eq!(said(&bench), []);
}

#[test]
fn a_port_of_another_device_and_a_flood_leave_the_node_alone() {
    let storm: Vec<String> = (0..500)
        .map(|at| format!("pcieport 0000:{:02x}:00.0: AER: device recovery failed", 0x40 + at % 0x60))
        .collect();
    let records: Vec<&str> = storm.iter().map(String::as_str).collect();
    assert_eq!(said(&told(entries(&records), &without_first())), []);
}

#[test]
fn a_message_that_comes_again_is_counted_and_costs_no_second_finding() {
    let mut bench = told(entries(FIRES[0].records), &without_first());
    hears(&mut bench, entries(FIRES[0].records));
    for _ in 0..12 {
        answer(&mut bench, &without_first());
        bench.pass(1_000);
    }
    let finding = bench.state.findings().find(|finding| finding.check == "kernelLog").cloned().unwrap();
    assert_eq!((finding.count, finding.outcome), (2, Outcome::Fail));
}

#[test]
fn an_agent_that_starts_again_counts_no_line_twice_and_forgets_no_verdict() {
    let mut lines = entries(FIRES[0].records);
    for (entry, second) in lines.iter_mut().zip(1..) {
        let LogEntry::Message { at, .. } = entry else { panic!("a message") };
        *at = Some(Time::from_unix(MORNING + second));
    }
    let mut first = Bench::at_rest(watching());
    with_port(&mut first);
    first.pass(5_000);
    let cursor = Cursor { boot_id: "boot-1".into(), seq: Some(11), usec: 9_000_000_000 };
    first.send(Event::KernelLog { entries: lines.clone(), cursor: Some(cursor) });
    for _ in 0..12 {
        answer(&mut first, &without_first());
        first.pass(1_000);
    }
    let count = first.finding("kernelLog", &gpu(0)).unwrap().count;
    let mut second = Bench::booted("boot-1");
    second.begin(order(watching(), Some(first.report().clone())));
    second.by_hand();
    hears(&mut second, lines.clone());
    second.pass(1_000);
    let finding = second.state.findings().find(|finding| finding.check == "kernelLog").cloned().unwrap();
    assert_eq!((finding.count, finding.outcome), (count, Outcome::Fail));

    // Killed while the message still waited for the driver.
    let mut killed = Bench::at_rest(watching());
    with_port(&mut killed);
    killed.pass(5_000);
    let cursor = Cursor { boot_id: "boot-1".into(), seq: Some(11), usec: 9_000_000_000 };
    killed.send(Event::KernelLog { entries: lines.clone(), cursor: Some(cursor) });
    killed.pass(2_000);
    let mut next = Bench::booted("boot-1");
    next.begin(order(watching(), Some(killed.report().clone())));
    next.by_hand();
    hears(&mut next, lines);
    next.pass(11_000);
    assert_eq!(said(&next), [(gpu(0), reason::ADAPTER_INIT_FAILED.to_owned(), Outcome::Fail, Severity::Reboot)]);

    let mut booted = Bench::booted("boot-2");
    booted.begin(order(watching(), Some(first.report().clone())));
    assert_eq!(said(&booted), [], "a boot ends it");
}
