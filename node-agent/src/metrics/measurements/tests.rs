use super::*;
use crate::judge::Trouble;
use crate::judge::samples::h200;
use crate::readings::TreeReport;
use crate::readings::sample::{NvlinkReading, PowerReading};
use std::collections::{BTreeMap, BTreeSet};

fn gpu(pci: &str) -> GpuReadings {
    GpuReadings {
        pci: pci.to_owned(),
        power: Some(PowerReading { draw_milliwatts: Some(71_500), ..PowerReading::default() }),
        nvlink: Some(NvlinkReading {
            links: vec![LinkReading { link: 3, state: LinkState::Active, replays: Some(2), ..LinkReading::default() }],
            ..NvlinkReading::default()
        }),
        ..GpuReadings::default()
    }
}

fn shown(gpus: &[&str], trouble: Option<Trouble>) -> String {
    let gpus: BTreeMap<String, GpuReadings> = gpus.iter().map(|pci| ((*pci).to_owned(), gpu(pci))).collect();
    let measurements = Measurements::default();
    measurements.show(&Readings { gpus, trouble, ..Readings::default() });
    let mut text = String::new();
    measurements.write(&mut text);
    text
}

#[test]
fn values_are_shown_in_base_units_and_a_missing_answer_has_no_series() {
    let text = shown(&["0000:18:00.0"], None);
    assert!(text.contains("gpu_health_gpu_power_watts{pci_address=\"0000:18:00.0\"} 71.5\n"), "{text}");
    let errors = "gpu_health_nvlink_errors_total{pci_address=\"0000:18:00.0\",link=\"3\",kind=\"replay\"} 2\n";
    assert!(text.contains(errors), "{text}");
    assert!(!text.contains("crc") && !text.contains("temperature") && !text.contains("limit"), "{text}");
}

#[test]
fn a_gpu_that_is_gone_and_a_driver_that_does_not_answer_have_no_series() {
    assert!(!shown(&["0000:18:00.0"], None).contains("0000:2a"));
    let trouble = Trouble { reason: "CallHung".into(), message: String::new(), call: None, pci: None, since: 0 };
    assert_eq!(shown(&["0000:18:00.0"], Some(trouble)), "");
}

#[test]
fn no_name_is_there_twice_and_every_help_is_a_sentence() {
    let names: BTreeSet<&str> = MEASUREMENTS.iter().map(|measurement| measurement.name).collect();
    assert_eq!(names.len(), MEASUREMENTS.len());
    assert!(MEASUREMENTS.iter().all(|measurement| measurement.help.ends_with('.')));
}

#[test]
fn each_value_has_a_value_for_each_label_of_its_metric() {
    let sample = h200(2);
    let port =
        RdmaPort { name: "mlx5_0/1".into(), counters: [("symbol_error".into(), 1)].into(), ..RdmaPort::default() };
    let link = PciLink { aer_fatal: Some(1), ..PciLink::default() };
    let tree = TreeReport { links: [("0000:18:00.0".into(), link)].into(), rdma: vec![port], ..TreeReport::default() };
    let gpus = sample.gpus.into_iter().map(|gpu| (gpu.pci.clone(), gpu)).collect();
    let readings = Readings { gpus, view: Some(sample.view), tree: Some((tree, 0)), ..Readings::default() };
    for measurement in MEASUREMENTS {
        for (values, _) in measurement.series(&readings) {
            assert_eq!(values.len(), measurement.labels.len(), "{} {values:?}", measurement.name);
        }
    }
}

#[test]
fn labels_of_a_lying_driver_do_not_break_the_text() {
    assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
}
