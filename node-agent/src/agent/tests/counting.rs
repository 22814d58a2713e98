//! What counts as an accelerator: display cards, boards with a display output, and GPUs of another vendor; and how many
//! readings it takes.

use super::inventory::{expecting, found, judged, judged_once, lost, not_counted, without_library};
use super::*;
use crate::readings::inventory::DISPLAY_CLASS;
use crds::Severity;

/// A display controller of NVIDIA at an address of its own, bound to this driver.
fn display(device: u16, driver: Option<&str>) -> Accelerator {
    Accelerator { device, class: DISPLAY_CLASS, driver: driver.map(str::to_owned), ..on_pci("0000:03:00.0") }
}

/// This report, and one more function on PCI.
fn beside(mut report: InventoryReport, more: Accelerator) -> InventoryReport {
    report.pci.push(more);
    report
}

/// A node of boards with a display output, as GeForce and RTX boards are.
fn workstation(count: u8) -> InventoryReport {
    let mut report = healthy(count);
    report.pci.iter_mut().for_each(|gpu| gpu.class = DISPLAY_CLASS);
    report
}

fn missing() -> Vec<(String, String, Outcome, Severity)> {
    vec![("node".into(), reason::GPU_MISSING.into(), Outcome::Fail, Severity::Isolate)]
}

#[test]
fn a_display_card_does_not_stand_in_for_a_missing_accelerator() {
    for driver in [None, Some("nouveau")] {
        // GeForce GT 710
        let bench = judged(expecting(3), beside(healthy(2), display(0x128b, driver)));
        assert_eq!(found(&bench), missing(), "{driver:?}");
        assert_eq!(bench.report().inventory.gpus.len(), 2, "nor does the report count it");
        let bench = judged(expecting(2), beside(healthy(2), display(0x128b, driver)));
        assert_eq!((found(&bench), bench.row_says("inventory").0), (Vec::new(), Outcome::Pass), "no word about it");
    }
}

#[test]
fn a_board_with_a_display_output_counts_where_the_driver_has_it_or_its_like() {
    let bench = judged(expecting(2), workstation(2));
    assert_eq!((found(&bench), bench.row_says("inventory").0), (Vec::new(), Outcome::Pass));
    assert_eq!(found(&judged(expecting(3), workstation(2))), missing());
    // One of two boards of a model is bound to no driver: a board, and a word about it.
    let mut unbound = workstation(2);
    unbound.pci[1].driver = None;
    not_counted(&mut unbound);
    let wanted = (gpu(1), reason::NO_KERNEL_DRIVER.into(), Outcome::Warn, Severity::Monitor);
    assert_eq!(found(&judged(expecting(2), unbound)), [wanted]);
}

#[test]
fn a_display_controller_that_may_be_an_accelerator_leaves_the_count_open() {
    // In a virtual machine it computes, or shows a picture.
    let mut bench = judged(expecting(3), beside(healthy(2), display(0x2684, Some("vfio-pci"))));
    assert_eq!(found(&bench), []);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, reason::COUNT_UNCLEAR));
    assert!(bench.row("inventory").covered.is_empty());
    // What was missing is not healed by it.
    bench.measure_again(healthy(2));
    bench.measure_again(healthy(2));
    assert_eq!(found(&bench), missing());
    bench.measure_again(beside(healthy(2), display(0x2684, Some("vfio-pci"))));
    assert_eq!(found(&bench), missing());
    bench.measure_again(healthy(3));
    assert_eq!(found(&bench), []);
}

#[test]
fn a_node_of_boards_with_a_display_output_is_not_condemned_while_its_driver_is_not_loaded() {
    for driver in [None, Some("nouveau"), Some("vfio-pci")] {
        let mut report = workstation(2);
        report.pci.iter_mut().for_each(|gpu| gpu.driver = driver.map(str::to_owned));
        report = without_library(report);
        report.nvml.status = "DriverNotLoaded".into();
        let bench = judged(expecting(2), report);
        assert!(found(&bench).is_empty(), "{driver:?}: {:?}", found(&bench));
    }
}

#[test]
fn a_driver_that_is_not_loaded_is_not_excused_by_a_display_card_with_a_driver_of_its_own() {
    let mut report = beside(healthy(2), display(0x128b, Some("nouveau")));
    report.pci[..2].iter_mut().for_each(|gpu| gpu.driver = None);
    report = without_library(report);
    report.nvml.status = "DriverNotLoaded".into();
    let bench = judged(expecting(2), report);
    assert_eq!(bench.row_says("inventory"), (Outcome::Inconclusive, "DriverNotLoaded"));
}

#[test]
fn a_gpu_of_another_vendor_does_not_count_whether_the_profile_names_a_vendor_or_not() {
    let of_amd = || Accelerator {
        vendor: Vendor::Amd,
        device: 0x743f,
        class: 0x0380,
        driver: Some("amdgpu".into()),
        ..on_pci("0000:03:00.0")
    };
    for vendor in [None, Some("nvidia".to_owned())] {
        let mut spec = expecting(3);
        spec.expected.as_mut().unwrap().gpus.as_mut().unwrap().vendor = vendor;
        assert_eq!(found(&judged(spec.clone(), beside(healthy(2), of_amd()))), missing());
        assert_eq!(found(&judged(spec, beside(healthy(3), of_amd()))), []);
    }
}

#[test]
fn a_single_odd_reading_condemns_nothing() {
    let mut not_shown = healthy(3);
    not_counted(&mut not_shown);
    let mut silent = healthy(3);
    silent.pci[2].config_space = ConfigSpace::AllOnes;
    for (odd, why) in [
        (healthy(2), reason::GPU_MISSING),
        (without_library(healthy(2)), reason::GPU_MISSING),
        (not_shown, reason::NOT_IN_DRIVER),
        (silent, reason::GPU_LOST),
        (lost(healthy(3), Some(&gpu(2))), reason::GPU_LOST),
    ] {
        let mut bench = judged_once(expecting(3), odd.clone());
        bench.pass(20_000);
        let [only] = found(&bench).try_into().unwrap();
        assert_eq!((only.1.as_str(), only.2, only.3), (why, Outcome::Warn, Severity::Monitor));
        bench.measure_again(healthy(3));
        assert_eq!(found(&bench), [], "{why}");
        // Odd again, and once more.
        bench.measure_again(odd.clone());
        assert_eq!(found(&bench)[0].2, Outcome::Warn, "{why}");
        bench.measure_again(odd);
        assert_eq!(found(&bench)[0].2, Outcome::Fail, "{why}");
    }
}

#[test]
fn a_gpu_that_is_lost_and_then_not_shown_was_at_fault_in_two_readings() {
    let mut bench = judged_once(expecting(2), lost(healthy(2), Some(&gpu(1))));
    let mut report = healthy(2);
    not_counted(&mut report);
    bench.measure_again(report);
    assert_eq!(found(&bench), [(gpu(1), reason::NOT_IN_DRIVER.into(), Outcome::Fail, Severity::Reboot)]);
}
