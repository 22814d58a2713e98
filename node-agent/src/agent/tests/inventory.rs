//! The inventory: what is judged, what is only reported, and when it is silent.

use super::*;
use crate::readings::inventory::NvmlError;
use crds::Severity;
use crds::node_hardware_profile::ExpectedGpus;
use crds::node_health::Expected;

pub(super) fn expecting(count: i64) -> NodeHealthSpec {
    let gpus = ExpectedGpus { count: Some(count), models: vec!["H100".into()], ..ExpectedGpus::default() };
    NodeHealthSpec { expected: Some(Expected { gpus: Some(gpus), ..Expected::default() }.into()), ..spec() }
}

/// The findings and the row after one inventory.
pub(super) fn judged_once(spec: NodeHealthSpec, report: InventoryReport) -> Bench {
    let mut bench = Bench::new();
    bench.send(Event::KernelLogOpened { source: "syslog".into() });
    bench.send(Event::SpecChanged(Box::new(order(spec, None))));
    bench.measure(report);
    bench
}

/// The findings and the row after the same inventory was read again.
pub(super) fn judged(spec: NodeHealthSpec, report: InventoryReport) -> Bench {
    let mut bench = judged_once(spec, report.clone());
    bench.measure_again(report);
    bench
}

pub(super) fn found(bench: &Bench) -> Vec<(String, String, Outcome, Severity)> {
    let of = |f: &Finding| (f.target.clone(), f.reason.clone(), f.outcome.clone(), f.severity.clone());
    bench.report().findings.iter().map(of).collect()
}

pub(super) fn without_library(mut report: InventoryReport) -> InventoryReport {
    report.nvml = NvmlView {
        status: "LibraryNotFound".into(),
        message: None,
        driver: None,
        count: None,
        gpus: Vec::new(),
        errors: Vec::new(),
    };
    report
}

/// The library neither counts nor shows the last GPU.
pub(super) fn not_counted(report: &mut InventoryReport) {
    report.nvml.gpus.pop();
    report.nvml.count = u32::try_from(report.nvml.gpus.len()).ok();
}

/// The library counts the last GPU, but gives no handle for it.
fn without_handle(mut report: InventoryReport, kind: &str, pci: Option<&str>) -> InventoryReport {
    let gone = report.nvml.gpus.pop().unwrap();
    report.nvml.errors.push(NvmlError {
        index: Some(gone.index),
        pci: pci.map(str::to_owned),
        call: "DeviceGetHandleByIndex".into(),
        kind: kind.into(),
    });
    report
}

pub(super) fn lost(report: InventoryReport, pci: Option<&str>) -> InventoryReport {
    let mut report = report;
    report.nvml.errors.push(NvmlError {
        index: Some(9),
        pci: pci.map(str::to_owned),
        call: "DeviceGetUUID".into(),
        kind: "GpuLost".into(),
    });
    report
}

#[test]
fn what_was_measured_before_the_first_sight_of_the_object_is_reported() {
    let mut bench = Bench::new();
    bench.send(Event::KernelLogOpened { source: "syslog".into() });
    bench.measure(healthy(2));
    bench.send(Event::SpecChanged(Box::new(order(expecting(2), None))));
    assert_eq!(bench.report().inventory.gpus.len(), 2);
}

#[test]
fn the_right_count_passes_and_covers_every_gpu_and_the_node() {
    let bench = judged(expecting(2), healthy(2));
    assert_eq!(bench.row_says("inventory"), (Outcome::Pass, reason::COUNT_RIGHT));
    assert_eq!(*bench.row("inventory").covered, [gpu(0), gpu(1), "node".into()]);
    assert_eq!(bench.report().inventory.gpus.len(), 2);
    assert_eq!(bench.report().inventory.driver.as_deref(), Some("570.86.15"));
}

#[test]
fn fewer_than_the_profile_declares_is_to_be_replaced() {
    let bench = judged(expecting(3), healthy(2));
    assert_eq!(found(&bench), [("node".into(), reason::GPU_MISSING.into(), Outcome::Fail, Severity::Isolate)]);
    assert_eq!(bench.row_says("inventory"), (Outcome::Fail, reason::GPU_MISSING));
}

#[test]
fn without_a_profile_nothing_is_missing() {
    let bench = judged(spec(), healthy(1));
    assert_eq!((found(&bench), bench.row_says("inventory").0), (Vec::new(), Outcome::Pass));
}

#[test]
fn a_gpu_whose_address_the_driver_garbles_is_not_gone_and_the_garble_does_not_stay() {
    for garbled in [Some("\u{fffd}\u{fffd}".to_owned()), None] {
        let mut report = healthy(2);
        report.nvml.gpus[1].pci = garbled.clone();
        let mut bench = judged(expecting(2), report);
        let wanted: Vec<_> = garbled
            .map(|_| ("node".to_owned(), reason::NOT_ON_PCI.into(), Outcome::Warn, Severity::Monitor))
            .into_iter()
            .collect();
        assert_eq!(found(&bench), wanted);
        bench.measure_again(healthy(2));
        assert_eq!(found(&bench), []);
    }
}

#[test]
fn a_gpu_that_the_driver_does_not_show_needs_a_reboot() {
    let mut report = healthy(2);
    not_counted(&mut report);
    let bench = judged(expecting(2), report);
    assert_eq!(found(&bench), [(gpu(1), reason::NOT_IN_DRIVER.into(), Outcome::Fail, Severity::Reboot)]);
}

#[test]
fn a_gpu_that_the_driver_calls_lost_needs_a_reboot_also_when_it_has_no_address_any_more() {
    let bench = judged(expecting(2), lost(healthy(2), Some(&gpu(1))));
    assert_eq!(found(&bench), [(gpu(1), reason::GPU_LOST.into(), Outcome::Fail, Severity::Reboot)]);
    let mut report = lost(healthy(2), None);
    not_counted(&mut report);
    let bench = judged(expecting(2), report);
    assert_eq!(found(&bench), [(gpu(1), reason::GPU_LOST.into(), Outcome::Fail, Severity::Reboot)]);
}

#[test]
fn a_gpu_that_the_driver_counts_without_a_handle_is_neither_gone_nor_covered() {
    for (kind, pci) in [("NoPermission", None), ("Unknown", None), ("Unknown(77)", Some(gpu(1))), ("NotReady", None)] {
        let bench = judged(expecting(2), without_handle(healthy(2), kind, pci.as_deref()));
        let condemning = found(&bench).into_iter().filter(|(_, _, outcome, _)| *outcome == Outcome::Fail);
        assert_eq!(condemning.count(), 0, "{kind}");
        let row = bench.row("inventory");
        assert_eq!((&row.outcome, row.covered.as_slice()), (&Outcome::Pass, &[gpu(0), "node".into()][..]), "{kind}");
        let message = row.message.clone().unwrap();
        assert!(message.contains(&gpu(1)) && message.contains("nvmlDeviceGetHandleByIndex"), "{message}");
    }
}

#[test]
fn a_gpu_that_is_there_and_not_read_keeps_its_finding_although_the_count_is_right() {
    let mut report = healthy(2);
    not_counted(&mut report);
    let mut bench = judged(expecting(2), report);
    assert_eq!(bench.finding("inventory", &gpu(1)).unwrap().reason, reason::NOT_IN_DRIVER);
    bench.measure_again(without_handle(healthy(2), "NoPermission", None));
    assert!(bench.finding("inventory", &gpu(1)).is_some(), "it is not read yet");
    assert!(!bench.row("inventory").covered.contains(&gpu(1)));
    bench.measure_again(healthy(2));
    assert_eq!(bench.finding("inventory", &gpu(1)), None);
}

#[test]
fn a_library_that_gives_no_handle_at_all_leaves_everything_open() {
    let mut report = healthy(1);
    report = without_handle(report, "NoPermission", None);
    let bench = judged(expecting(1), report.clone());
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::CODE_UNCLEAR));
    report.pci.clear();
    let bench = judged(spec(), report);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::CODE_UNCLEAR), "not NoAccelerator");
}

#[test]
fn of_two_absent_gpus_one_of_which_was_counted_neither_is_named_as_gone() {
    let mut report = without_handle(healthy(3), "NoPermission", None);
    report.nvml.gpus.pop();
    report.nvml.count = Some(2);
    let bench = judged(expecting(3), report);
    assert_eq!(found(&bench), [("node".into(), reason::NOT_IN_DRIVER.into(), Outcome::Fail, Severity::Reboot)]);
    assert_eq!(*bench.row("inventory").covered, [gpu(0), "node".into()]);
}

#[test]
fn a_gpu_that_another_kernel_driver_has_is_told_and_not_missed() {
    for (driver, warns) in [(Some("vfio-pci"), false), (None, true)] {
        let mut report = healthy(2);
        report.pci[1].driver = driver.map(str::to_owned);
        not_counted(&mut report);
        let bench = judged(expecting(2), report.clone());
        let wanted = (gpu(1), reason::NO_KERNEL_DRIVER.into(), Outcome::Warn, Severity::Monitor);
        assert_eq!(found(&bench), if warns { vec![wanted] } else { Vec::new() });
        assert_eq!(bench.row("inventory").covered.contains(&gpu(1)), warns);
        assert_eq!(bench.report().inventory.gpus[1].kernel_driver.as_deref(), driver);
        let mut strict = expecting(2);
        strict.expected.as_mut().unwrap().gpus.as_mut().unwrap().kernel_driver = Some("nvidia".into());
        let bench = judged(strict, report);
        assert_eq!(bench.finding("inventory", "node").unwrap().reason, reason::GPU_MISSING);
    }
}

#[test]
fn a_gpu_without_a_device_node_in_our_container_is_our_loss_and_is_named() {
    let minors = |known: &[u8]| known.iter().map(|index| (gpu(*index), u32::from(*index))).collect();
    // The node is missing; the runtime hides it in procfs too; the node is there and the driver does not show it.
    for (known, nodes, wanted) in [
        (vec![0, 1], vec![0], (Outcome::Inconclusive, reason::AGENT_LOST_DEVICE_ACCESS)),
        (vec![0], vec![0], (Outcome::Inconclusive, reason::AGENT_LOST_DEVICE_ACCESS)),
        (vec![0, 1], vec![0, 1], (Outcome::Warn, reason::NOT_IN_DRIVER)),
    ] {
        let mut report = healthy(2);
        not_counted(&mut report);
        let mut bench = Bench::new();
        bench.send(Event::KernelLogOpened { source: "syslog".into() });
        bench.send(Event::SpecChanged(Box::new(order(expecting(2), None))));
        let tree = TreeReport { pci: report.pci.clone(), minors: Some(minors(&known)), ..TreeReport::default() };
        let probe = bench.tree_probe().unwrap();
        bench.finish(probe, Measured::Tree(Box::new(tree)));
        bench.answer_with(Sample { device_nodes: Some(nodes), ..sample_of(report.nvml) });
        bench.pass(2_000);
        assert_eq!(bench.row_says("inventory"), wanted, "{known:?}");
        if wanted.0 == Outcome::Inconclusive {
            assert!(bench.row("inventory").message.as_ref().unwrap().contains(&gpu(1)));
            assert!(found(&bench).is_empty() && bench.row("inventory").covered.is_empty());
        }
    }
}

#[test]
fn with_all_gpus_in_virtual_machines_no_monitor_of_the_driver_applies() {
    for (status, kind) in [("LibraryNotFound", None), ("DriverNotLoaded", Some("nvmlInit_v2 answered 9")), ("Ok", None)]
    {
        let mut report = healthy(2);
        report.pci.iter_mut().for_each(|gpu| gpu.driver = Some("vfio-pci".into()));
        report = without_library(report);
        report.nvml.status = status.into();
        report.nvml.message = kind.map(str::to_owned);
        let mut watching = expecting(2);
        watching.monitors.extend(["driver", "ecc"].map(|name| Monitor { name: name.into(), interval_seconds: None }));
        let bench = judged(watching, report);
        assert!(found(&bench).is_empty(), "{:?}", found(&bench));
        for check in ["inventory", "driver", "ecc"] {
            assert_eq!(bench.row_says(check), (Outcome::Skipped, reason::OTHER_KERNEL_DRIVER), "{status}");
            assert!(bench.row(check).message.as_ref().unwrap().contains("vfio-pci"));
        }
    }
}

#[test]
fn a_missing_library_is_our_trouble_and_judges_the_count_on_pci_alone() {
    let bench = judged(expecting(2), without_library(healthy(2)));
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::DRIVER_LIBRARY_MISSING));
    assert!(found(&bench).is_empty() && bench.row("inventory").covered.is_empty());
    let bench = judged(expecting(3), without_library(healthy(2)));
    assert_eq!(bench.row_says("inventory"), (Outcome::Fail, reason::GPU_MISSING));
}

#[test]
fn a_missing_library_heals_nothing_that_was_found_before() {
    let mut report = healthy(2);
    not_counted(&mut report);
    let mut bench = judged(expecting(2), report);
    bench.measure_again(without_library(healthy(2)));
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::DRIVER_LIBRARY_MISSING));
    assert_eq!(found(&bench).len(), 1);
    bench.measure_again(healthy(2));
    assert_eq!((found(&bench), bench.row_says("inventory").0), (Vec::new(), Outcome::Pass));
}

#[test]
fn what_only_disagrees_is_a_warning() {
    let mut models = expecting(2);
    models.expected.as_mut().unwrap().gpus.as_mut().unwrap().models = vec!["B200".into()];
    let bench = judged(models, healthy(1).clone());
    assert!(found(&bench).contains(&(gpu(0), reason::MODEL_UNEXPECTED.into(), Outcome::Warn, Severity::Monitor)));
    let mut offered = spec();
    offered.node.allocatable.insert("nvidia.com/gpu".into(), 1);
    let bench = judged(offered.clone(), healthy(2));
    assert_eq!(found(&bench), [("node".into(), reason::NOT_ALLOCATABLE.into(), Outcome::Warn, Severity::Monitor)]);
    offered.node.allocatable.insert("nvidia.com/mig-1g.10gb".into(), 7);
    assert!(found(&judged(offered, healthy(2))).is_empty(), "MIG counts mean something else");
}

#[test]
fn a_node_without_accelerators_is_skipped_unless_it_should_have_some() {
    let bench = judged(spec(), without_library(healthy(0)));
    assert_eq!(bench.row_says("inventory"), (Outcome::Skipped, reason::NO_ACCELERATOR));
    assert!(bench.row("inventory").covered.is_empty());
    let bench = judged(expecting(8), without_library(healthy(0)));
    assert_eq!(bench.row_says("inventory"), (Outcome::Fail, reason::GPU_MISSING));
    let mut offered = spec();
    offered.node.allocatable.insert("nvidia.com/gpu".into(), 8);
    let bench = judged(offered, without_library(healthy(0)));
    assert_eq!(bench.row_says("inventory"), (Outcome::Warn, reason::NOT_ON_PCI));
}

#[test]
fn a_tree_that_cannot_be_read_is_not_an_empty_one() {
    let mut report = without_library(healthy(0));
    report.pci_errors.push("/sys: permission denied".into());
    let bench = judged(expecting(8), report);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::TOOL_ERROR));
    assert!(found(&bench).is_empty());
}

#[test]
fn within_the_boot_grace_nothing_is_added_and_nothing_healed() {
    let mut bench = judged(expecting(3), healthy(2));
    let grace = NodeHealthSpec { boot_grace_seconds: Some(86_400 + 120), ..expecting(3) };
    bench.send(Event::SpecChanged(Box::new(order(grace, None))));
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory"), (Outcome::Skipped, reason::BOOT_GRACE));
    assert_eq!(found(&bench).len(), 1);
    bench.measure_again(healthy(3));
    bench.pass(120_000);
    assert_eq!((found(&bench), bench.row_says("inventory").0), (Vec::new(), Outcome::Pass));
}

#[test]
fn a_tree_that_does_not_end_is_inconclusive_and_a_child_that_cannot_be_killed_is_reported() {
    for (why, findings) in
        [(reason::PROBE_DEADLINE_EXCEEDED, 0), (reason::RUNNER_GONE, 0), (reason::CHILD_UNKILLABLE, 1)]
    {
        let mut bench = Bench::at_rest(spec());
        bench.by_hand();
        while bench.tree_probe().is_none() {
            bench.pass(1_000);
        }
        let id = bench.tree_probe().unwrap();
        bench.finish(id, Measured::Unknown { reason: why.into(), message: "process 7".into() });
        bench.pass(2_000);
        assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, why));
        assert_eq!(found(&bench).len(), findings, "{why}");
        assert!(found(&bench).iter().all(|(_, _, outcome, _)| *outcome == Outcome::Warn));
        assert_eq!(bench.report().inventory.gpus.len(), 2, "what was seen before is still shown");
    }
}

#[test]
fn a_driver_that_does_not_answer_leaves_the_count_on_pci_to_be_judged() {
    let mut bench = Bench::at_rest(expecting(2));
    bench.by_hand();
    bench.pass(60_000);
    bench.hang_twice("nvmlDeviceGetUUID", None);
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::CALL_HUNG));
    assert_eq!(bench.report().inventory.gpus[0].serial.as_deref(), Some("serial-0"), "what was seen is still shown");
    let id = bench.tree_probe().unwrap();
    let tree = TreeReport { pci: healthy(1).pci, ..TreeReport::default() };
    bench.finish(id, Measured::Tree(Box::new(tree.clone())));
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory"), (Outcome::Warn, reason::GPU_MISSING));
    while bench.tree_probe().is_none() {
        bench.pass(1_000);
    }
    bench.finish(bench.tree_probe().unwrap(), Measured::Tree(Box::new(tree)));
    bench.pass(2_000);
    assert_eq!(bench.row_says("inventory"), (Outcome::Fail, reason::GPU_MISSING));
}

#[test]
fn a_gpu_that_the_driver_does_not_show_any_more_keeps_its_name() {
    let mut bench = Bench::at_rest(expecting(2));
    let mut report = healthy(2);
    not_counted(&mut report);
    bench.measure_again(report);
    let finding = bench.finding("inventory", &gpu(1)).unwrap();
    assert_eq!((finding.serial.as_deref(), finding.uuid.as_deref()), (Some("serial-1"), Some("GPU-1")));
    assert_eq!(bench.report().inventory.gpus[1].serial.as_deref(), Some("serial-1"));
}

#[test]
fn another_board_at_the_address_is_shown_at_once_and_what_was_found_of_the_former_goes() {
    let mut bench = Bench::at_rest(spec());
    bench.fault(xid(&gpu(1), 79));
    assert_eq!(bench.finding("xid", &gpu(1)).unwrap().serial.as_deref(), Some("serial-1"));
    let mut report = healthy(2);
    report.nvml.gpus[1].serial = Some("other".into());
    bench.measure_again(report);
    assert_eq!(bench.report().inventory.gpus[1].serial.as_deref(), Some("other"));
    assert_eq!(bench.finding("xid", &gpu(1)), None);
    assert!(bench.row("xid").covered.contains(&gpu(1)));
}

#[test]
fn an_address_that_is_no_more_is_not_missed_once_the_count_is_right() {
    let mut bench = Bench::at_rest(expecting(2));
    let mut report = healthy(2);
    not_counted(&mut report);
    bench.measure_again(report);
    assert!(bench.finding("inventory", &gpu(1)).is_some());
    let mut moved = healthy(3);
    moved.pci.remove(1);
    moved.nvml.gpus.remove(1);
    moved.nvml.count = Some(2);
    bench.measure_again(moved);
    assert_eq!((found(&bench), bench.row_says("inventory").0), (Vec::new(), Outcome::Pass));
    assert!(bench.row("inventory").covered.contains(&gpu(1)), "the pass says that it heals the old address");
}

#[test]
fn a_monitor_that_this_agent_does_not_have_has_its_row_and_one_that_is_off_has_none() {
    let mut bench = Bench::at_rest(spec());
    let mut changed = spec();
    changed.monitors.retain(|monitor| monitor.name != "xid");
    changed.monitors.push(Monitor { name: "drift".into(), interval_seconds: None });
    bench.fault(xid(&gpu(0), 79));
    bench.send(Event::SpecChanged(Box::new(Order { generation: 2, ..order(changed, None) })));
    bench.pass(2_000);
    assert_eq!(bench.row_says("drift"), (Outcome::Inconclusive, reason::NOT_IMPLEMENTED));
    assert!(bench.report().checks.iter().all(|row| row.check != "xid"));
    assert!(bench.report().findings.is_empty());
    assert_eq!(bench.report().observed_generation, Some(2));
}
