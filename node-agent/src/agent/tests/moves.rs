//! Boards that are moved, taken out and replaced, and what was found about them.

use super::inventory::expecting;
use super::*;
use crate::readings::inventory::DISPLAY_CLASS;
use crate::readings::sample::RemapReading;

/// These boards at these places.
fn node(boards: &[(u8, u8)]) -> InventoryReport {
    let mut report = healthy(0);
    report.pci = boards.iter().map(|(place, _)| on_pci(&gpu(*place))).collect();
    report.nvml.gpus = boards.iter().map(|(place, board)| in_driver(*board, &gpu(*place))).collect();
    report.nvml.count = u32::try_from(boards.len()).ok();
    report
}

/// A node of two boards, of which board 1 has fallen off the bus.
fn sick() -> Bench {
    let mut bench = Bench::at_rest(expecting(2));
    bench.fault(xid(&gpu(1), 79));
    bench.pass(2_000);
    assert_eq!(bench.finding("xid", &gpu(1)).unwrap().serial.as_deref(), Some("serial-1"));
    bench
}

fn covers(bench: &Bench, place: u8) -> bool {
    let row = bench.row("inventory");
    row.outcome == Outcome::Pass && row.covered.contains(&gpu(place))
}

#[test]
fn a_board_in_another_slot_takes_its_findings_along_and_its_old_address_passes() {
    let mut bench = sick();
    bench.measure_again(node(&[(0, 0), (4, 1)]));
    assert_eq!(bench.finding("xid", &gpu(1)), None);
    let moved = bench.finding("xid", &gpu(4)).unwrap().clone();
    assert_eq!((moved.serial.as_deref(), moved.severity), (Some("serial-1"), crds::Severity::Reboot));
    assert!(moved.message.ends_with("(found at 0000:19:00.0)"), "{}", moved.message);
    assert!(covers(&bench, 1) && covers(&bench, 4));
    bench.measure_again(node(&[(0, 0), (4, 1)]));
    assert!(covers(&bench, 1), "for as long as nothing stands there");
}

#[test]
fn boards_that_changed_places_while_the_agent_was_away_keep_their_findings() {
    let report = sick().report().clone();
    let mut bench = Bench::new();
    let report = Report { checks: Vec::new().into(), ..report };
    bench.begin(order(expecting(2), Some(report)));
    bench.measure_again(node(&[(0, 1), (1, 0)]));
    let of = |place| bench.finding("xid", &gpu(place)).map(|finding| finding.serial.clone());
    assert_eq!((of(0), of(1)), (Some(Some("serial-1".into())), None));
}

#[test]
fn absence_releases_nothing_a_full_count_does_and_the_board_brings_its_findings_back() {
    let mut bench = sick();
    bench.measure_again(node(&[(0, 0)]));
    assert!(bench.finding("xid", &gpu(1)).is_some() && !covers(&bench, 1));
    bench.measure_again(node(&[(0, 0), (5, 7)]));
    assert!(bench.report().findings.is_empty() && covers(&bench, 1), "{:?}", bench.report().findings);
    bench.measure_again(node(&[(0, 0), (3, 1), (5, 7)]));
    assert!(bench.finding("xid", &gpu(3)).is_some(), "it is the same sick board");
}

#[test]
fn only_boards_of_the_profile_that_are_read_make_a_node_whole() {
    let display = Accelerator { device: 0x128b, class: DISPLAY_CLASS, driver: None, ..on_pci("0000:03:00.0") };
    let mut with_display = node(&[(0, 0)]);
    with_display.pci.push(display);
    let mut in_a_machine = node(&[(0, 0), (5, 7)]);
    in_a_machine.pci[1].driver = Some("vfio-pci".into());
    in_a_machine.nvml.gpus.pop();
    in_a_machine.nvml.count = Some(1);
    let mut not_on_pci = node(&[(0, 0), (5, 7)]);
    not_on_pci.pci.pop();
    let mut silent = node(&[(0, 0), (5, 7)]);
    silent.pci[1].config_space = ConfigSpace::AllOnes;
    let mut nameless = node(&[(0, 0), (5, 7)]);
    (nameless.nvml.gpus[1].uuid, nameless.nvml.gpus[1].serial) = (None, None);
    let mut not_read = node(&[(0, 0), (5, 7)]);
    not_read.nvml.count = Some(3);
    let mut unreadable = node(&[(0, 0), (5, 7)]);
    unreadable.pci_errors.push("0000:19:00.0: class: permission denied".into());
    for (number, report) in
        [with_display, in_a_machine, not_on_pci, silent, nameless, not_read, unreadable].into_iter().enumerate()
    {
        let mut bench = sick();
        bench.measure_again(report.clone());
        bench.measure_again(report);
        assert!(bench.finding("xid", &gpu(1)).is_some(), "{number}");
        assert!(!covers(&bench, 1), "{number}");
    }
}

#[test]
fn without_a_declared_number_a_vacant_address_keeps_its_findings() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(xid(&gpu(1), 79));
    bench.measure_again(node(&[(0, 0), (5, 7)]));
    assert!(bench.finding("xid", &gpu(1)).is_some());
    // The board itself is proof enough.
    bench.measure_again(node(&[(0, 0), (2, 1), (5, 7)]));
    assert!(bench.finding("xid", &gpu(1)).is_none() && bench.finding("xid", &gpu(2)).is_some());
}

#[test]
fn a_boot_lifts_at_the_new_address_what_it_would_have_lifted_at_the_old_one() {
    let mut monitors = expecting(2);
    monitors.monitors.push(Monitor { name: "rowRemap".into(), interval_seconds: None });
    let mut bench = Bench::at_rest(monitors.clone());
    let sample = |report: &InventoryReport, sick: u8, reads: bool| {
        let mut sample = sample_of(report.nvml.clone());
        for gpu_ in &mut sample.gpus {
            let failure = reads.then(|| gpu_.pci == gpu(sick));
            gpu_.row_remap = Some(RemapReading { failure, ..RemapReading::default() });
        }
        sample
    };
    bench.by_hand();
    bench.pass(62_000);
    let before = node(&[(0, 0), (1, 1)]);
    bench.finish(bench.tree_probe().unwrap(), tree_of(&before));
    bench.answer_with(sample(&before, 1, true));
    bench.fault(xid(&gpu(1), 79));
    bench.pass(2_000);
    assert!(bench.finding("rowRemap", &gpu(1)).is_some() && bench.finding("xid", &gpu(1)).is_some());
    let report = bench.report().clone();
    // The board is put into another slot, which takes a boot; its memory cannot be read at first.
    let mut after_boot = Bench::booted("boot-2");
    after_boot.send(Event::KernelLogOpened { source: "syslog".into() });
    after_boot.state.facts.started_at = report.agent.started_at.unwrap().plus(60);
    after_boot.send(Event::SpecChanged(Box::new(order(monitors, Some(report)))));
    let after = node(&[(0, 0), (4, 1)]);
    after_boot.finish(after_boot.tree_probe().unwrap(), tree_of(&after));
    after_boot.answer_with(sample(&after, 4, false));
    after_boot.pass(2_000);
    let found: Vec<_> = after_boot.report().findings.iter().map(|f| (f.check.as_str(), f.target.clone())).collect();
    assert_eq!(found, [("rowRemap", gpu(4))], "the fault of the log ended with the boot, that of the board did not");
    // It is read, and in order: another board of the same name would be, too.
    after_boot.pass(62_000);
    after_boot.answer_with(sample(&after, 9, true));
    after_boot.pass(2_000);
    assert!(after_boot.report().findings.is_empty(), "{:?}", after_boot.report().findings);
}
