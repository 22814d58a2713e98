//! Versions against those of the fleet.

use super::*;
use crate::decide::model::fixtures::*;
use crate::world::labels::Labels;
use crds::{Outcome, State, reason};

/// Nodes of one profile with these drivers.
fn fleet(drivers: &[Option<&str>]) -> Model {
    let names: Vec<String> = (0..drivers.len()).map(|i| format!("n{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut model = under(Mode::Enforce, &names);
    model.world.profiles.insert("p5".into(), Arc::new(profile("p5", 8)));
    for (name, driver) in names.iter().zip(drivers) {
        runs_driver(&mut model, name, *driver);
    }
    model
}

fn runs_driver(model: &mut Model, name: &str, driver: Option<&str>) {
    let mut report = passing_report();
    report.inventory.driver = driver.map(str::to_owned);
    reports(model, name, report);
}

fn odd(model: &Model) -> Vec<String> {
    let healths = model.world.node_healths.values();
    let found = healths.filter_map(|h| {
        let decision = h.status.as_ref()?.decision.as_ref()?;
        let targets: Vec<&str> = decision.fleet_findings.iter().map(|f| f.target.as_str()).collect();
        (!targets.is_empty())
            .then(|| format!("{} {}", h.metadata.name.as_deref().unwrap_or_default(), targets.join(",")))
    });
    found.collect()
}

#[test]
fn a_driver_that_differs_from_most_is_told_and_the_node_stays_healthy() {
    let mut model = settled(fleet(&[Some("570.2"), Some("570.2"), Some("570.1")]));
    assert_eq!(odd(&model), ["n2 driver"]);
    let decided = decision(&model, "n2");
    let found = &decided.fleet_findings[0];
    assert_eq!(
        (found.check.as_str(), &found.outcome, found.reason.as_str()),
        ("drift", &Outcome::Warn, reason::VERSION_DIFFERS)
    );
    assert_eq!(decided.state, State::Healthy);
    assert!(
        decided.message.ends_with("Differs from most nodes of profile p5: driver 570.1 instead of 570.2."),
        "{}",
        decided.message
    );
    assert_eq!(our_taint(&model, "n2"), "");
    let condition = node_of(&model, "n2").condition.as_ref().unwrap();
    assert_eq!(condition.message, "Every enabled check passed or did not apply.", "the Node does not show it");
    let since = found.since;
    model.now = model.now.plus(60);
    let mut model = settled(model);
    runs_driver(&mut model, "n2", None);
    let mut model = settled(model);
    assert_eq!(decision(&model, "n2").fleet_findings[0].since, since, "a driver that does not answer changes nothing");
    runs_driver(&mut model, "n2", Some("570.2"));
    assert_eq!(odd(&settled(model)), Vec::<String>::new());
}

#[test]
fn without_a_clear_majority_of_three_no_node_is_odd() {
    let none: [&str; 0] = [];
    assert_eq!(odd(&settled(fleet(&[Some("1"), Some("2")]))), none, "two nodes");
    assert_eq!(odd(&settled(fleet(&[Some("1"), Some("2"), None]))), none, "only two versions are known");
    assert_eq!(odd(&settled(fleet(&[Some("1"), Some("2"), Some("3")]))), none);
    assert_eq!(odd(&settled(fleet(&[Some("1"), Some("1"), Some("2"), Some("2")]))), none, "half of an upgrade");
    let mut other_profile = fleet(&[Some("1"), Some("1"), Some("2")]);
    other_profile.edit_node("n2", |n| {
        n.labels.insert(names::LABEL_INSTANCE_TYPE.into(), "p4d.24xlarge".into());
    });
    assert_eq!(odd(&settled(other_profile)), none, "no profile says that they should be alike");
}

#[test]
fn a_node_under_maintenance_neither_counts_nor_is_odd() {
    let mut model = fleet(&[Some("1"), Some("1"), Some("1"), Some("2")]);
    for name in ["n2", "n3"] {
        model.edit_node(name, |n| {
            n.labels.insert(names::LABEL_DRIVER_UPGRADE.into(), "pod-restart-required".into());
        });
    }
    let mut model = settled(model);
    assert_eq!(odd(&model), Vec::<String>::new(), "two that count are too few");
    model.edit_node("n2", |n| {
        n.labels = Labels::default();
    });
    model.edit_node("n2", |n| n.labels = fixtures::node("n2").labels);
    let mut model = settled(model);
    assert_eq!(odd(&model), Vec::<String>::new());
    model.edit_node("n3", |n| n.labels = fixtures::node("n3").labels);
    assert_eq!(odd(&settled(model)), ["n3 driver"]);
}

#[test]
fn a_vbios_is_compared_among_gpus_of_one_model() {
    let mut model = fleet(&[Some("1"); 3]);
    for (name, odd_one) in [("n0", None), ("n1", Some(4)), ("n2", None)] {
        let mut report = passing_report();
        report.inventory.driver = Some("1".into());
        for (index, gpu) in report.inventory.gpus.iter_mut().enumerate() {
            gpu.model = Some(if index < 6 { "H100" } else { "H200" }.into());
            let vbios = if index < 6 { "96.00.1" } else { "96.00.9" };
            gpu.vbios = Some(if odd_one == Some(index) { "96.00.0" } else { vbios }.into());
        }
        reports(&mut model, name, report);
    }
    assert_eq!(odd(&settled(model)), [format!("n1 {}", address(4))]);
}
