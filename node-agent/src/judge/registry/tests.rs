//! Properties of all rows together, and the samples that test their rules.

use super::{MONITORS, Tree, of, pages, tables};
use crate::judge::drift;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::{Scene, a100_mig, h200, t4, v100};
use crds::check::Check;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_monitor_that_the_api_calls_built_has_exactly_one_row_and_no_row_is_of_another_check() {
    for check in Check::ALL {
        let rows = MONITORS.iter().filter(|monitor| monitor.check() == *check).count();
        let wanted = usize::from(check.is_monitor() && check.is_built());
        assert_eq!(rows, wanted, "rows of {}", check.name());
    }
}

#[test]
fn every_row_reads_something() {
    for row in MONITORS {
        let reads = &row.reads;
        let reads_tree = reads.tree == Tree::Read;
        assert!(!reads.driver.is_empty() || reads_tree || reads.kernel_log, "{} reads nothing", row.check().name());
        assert!(row.reading_intervals > 0, "{}", row.check().name());
    }
    assert!(of(Check::Drift).is_none(), "the operator judges drift");
}

fn source_below(path: &Path) -> String {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| source_below(&entry.unwrap().path())).collect(),
        Err(_) => std::fs::read_to_string(path).unwrap(),
    }
}

#[test]
fn a_page_names_only_metrics_that_there_are() {
    let source = source_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics"));
    let names = pages().chain([&drift::PAGE]).flat_map(|page| page.metrics);
    let ours = names.filter(|name| !name.starts_with("gpu_health_operator_"));
    let missing: Vec<_> = ours.filter(|name| !source.contains(&format!("\"{name}\""))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn no_check_has_two_pages() {
    let all: Vec<Check> = pages().chain([&drift::PAGE]).map(|page| page.check).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
}

#[test]
fn it_is_told_what_the_rules_rest_on() {
    let all = |origin| tables().iter().map(|table| table.count(origin)).sum::<usize>();
    for table in tables() {
        println!("{}", table.line());
    }
    println!(
        "{} checks, {} samples: {} recorded, {} derived, {} invented",
        tables().len(),
        tables().iter().map(|table| table.samples.len()).sum::<usize>(),
        all(Recorded),
        all(Derived),
        all(Invented)
    );
    assert!(tables().iter().all(|table| table.samples.iter().all(|sample| !sample.source.is_empty())));
}

#[test]
fn healthy_hardware_is_silent() {
    for table in tables() {
        for (name, sample) in [("h200", h200(8)), ("t4", t4(1)), ("a100 with MIG", a100_mig(4)), ("v100", v100(4))] {
            let scene = Scene::of(sample).later(60, |_| {}).later(60, |_| {});
            let condemning: Vec<_> =
                scene.judge(table.judge).found.into_iter().filter(|found| found.severity.condemns()).collect();
            assert!(condemning.is_empty(), "{} condemns a healthy {name}: {condemning:?}", table.page.check.name());
        }
    }
}
