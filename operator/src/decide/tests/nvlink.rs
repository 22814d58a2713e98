//! Nodes of one NVLink domain.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{Outcome, State, node_health::FabricDomain, reason};
use proptest::prelude::*;
use std::collections::BTreeSet;

const LABEL: &str = "example.com/rack";
const ONE: &str = "5c1f0d7a-2b3e-4f60-8172-93a4b5c6d7e8";

fn domain(clique_id: i64) -> FabricDomain {
    FabricDomain { cluster_uuid: ONE.into(), clique_id }
}

/// Nodes of one profile: rack, and the clique that each reports.
fn fleet(nodes: &[(&str, Option<i64>)]) -> Model {
    let names: Vec<String> = (0..nodes.len()).map(|i| format!("n{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut model = under(Mode::Enforce, &names);
    let mut declared = profile("p5", 8);
    declared.spec.nvlink_domain_label = Some(LABEL.into());
    model.world.profiles.insert("p5".into(), Arc::new(declared));
    for (name, (rack, clique)) in names.iter().zip(nodes) {
        model.edit_node(name, |node| {
            node.labels.insert(LABEL.into(), (*rack).into());
        });
        tells(&mut model, name, clique.map(domain));
    }
    model
}

fn tells(model: &mut Model, name: &str, fabric: Option<FabricDomain>) {
    let mut report = passing_report();
    report.fabric = fabric;
    reports(model, name, report);
}

/// The nodes that are told, by number.
fn told(model: &Model) -> BTreeSet<usize> {
    let healths = model.world.node_healths.values();
    let told = healths.filter(|health| {
        let decision = health.status.as_ref().and_then(|status| status.decision.as_ref());
        decision.is_some_and(|d| d.fleet_findings.iter().any(|f| f.reason == reason::NVLINK_DOMAIN_SPLIT))
    });
    told.map(|health| health.metadata.name.as_deref().unwrap()[1..].parse().unwrap()).collect()
}

#[test]
fn a_node_in_another_clique_than_its_rack_is_told_and_stays_healthy() {
    let mut model = settled(fleet(&[("r1", Some(7)), ("r1", Some(7)), ("r1", Some(8)), ("r2", Some(8))]));
    assert_eq!(told(&model), BTreeSet::from([2]));
    let decided = decision(&model, "n02");
    let found = &decided.fleet_findings[0];
    assert_eq!(
        (found.check.as_str(), found.target.as_str(), &found.outcome),
        ("drift", "nvlinkDomain", &Outcome::Warn)
    );
    assert_eq!((&decided.state, our_taint(&model, "n02").as_str()), (&State::Healthy, ""));
    let wanted = format!("NVLink domain {ONE}.8 instead of {ONE}.7.");
    assert!(decided.message.ends_with(&wanted), "{}", decided.message);
    // A fabric that is being set up changes nothing, the right clique does.
    let since = found.since;
    model.now = model.now.plus(60);
    tells(&mut model, "n02", None);
    let mut model = settled(model);
    assert_eq!(decision(&model, "n02").fleet_findings[0].since, since);
    tells(&mut model, "n02", Some(domain(7)));
    assert_eq!(told(&settled(model)), BTreeSet::new());
}

#[test]
fn without_a_majority_every_node_of_the_rack_is_told() {
    assert_eq!(told(&settled(fleet(&[("r1", Some(7)), ("r1", Some(8))]))), BTreeSet::from([0, 1]));
    let halves = [("r1", Some(7)), ("r1", Some(8)), ("r1", Some(7)), ("r1", Some(8)), ("r1", None)];
    assert_eq!(told(&settled(fleet(&halves))), BTreeSet::from([0, 1, 2, 3]), "one that does not say is not told");
}

#[test]
fn only_what_the_profile_s_label_puts_together_is_compared() {
    let none = BTreeSet::new();
    assert_eq!(told(&settled(fleet(&[("r1", Some(7)), ("r2", Some(8)), ("r3", Some(9))]))), none);
    assert_eq!(told(&settled(fleet(&[("", Some(7)), ("", Some(8))]))), none, "a node without a rack");
    let mut undeclared = fleet(&[("r1", Some(7)), ("r1", Some(8))]);
    undeclared.world.profiles.insert("p5".into(), Arc::new(profile("p5", 8)));
    assert_eq!(told(&settled(undeclared)), none);
    let mut under_maintenance = fleet(&[("r1", Some(7)), ("r1", Some(8))]);
    under_maintenance.edit_node("n01", |node| {
        node.labels.insert(names::LABEL_DRIVER_UPGRADE.into(), "pod-restart-required".into());
    });
    assert_eq!(told(&settled(under_maintenance)), none);
}

/// Racks, cliques, and an order of the nodes.
fn shuffled() -> impl Strategy<Value = (Vec<(&'static str, Option<i64>)>, Vec<usize>)> {
    let node =
        (prop_oneof![Just("r1"), Just("r2")], prop_oneof![3 => Just(Some(7)), 1 => Just(Some(8)), 1 => Just(None)]);
    prop::collection::vec(node, 1..8).prop_flat_map(|nodes| {
        let order: Vec<usize> = (0..nodes.len()).collect();
        (Just(nodes), Just(order).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn who_is_told_does_not_depend_on_the_order_of_the_nodes((nodes, order) in shuffled()) {
        let told_first = told(&settled(fleet(&nodes)));
        let again: Vec<_> = order.iter().map(|at| nodes[*at]).collect();
        let told_then: BTreeSet<usize> = told(&settled(fleet(&again))).into_iter().map(|at| order[at]).collect();
        prop_assert_eq!(&told_first, &told_then);
        // Whoever is told reports something, and somebody of the same rack reports something else.
        for at in told_first {
            let (rack, clique) = nodes[at];
            prop_assert!(clique.is_some());
            prop_assert!(nodes.iter().any(|(other, theirs)| *other == rack && theirs.is_some() && *theirs != clique));
        }
    }
}
