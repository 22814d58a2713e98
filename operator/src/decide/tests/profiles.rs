//! Which profile a node gets, and that it keeps it while its hardware says nothing.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{NodeHardwareProfile, State, node_health::Gpu};
use std::collections::BTreeMap;

/// The models of the GPUs, as far as they are reported.
type Models = &'static [Option<&'static str>];

const H100: &str = "NVIDIA H100 80GB HBM3";

/// A profile for nodes on which GPUs of these models are found.
fn by_models(name: &str, models: &[&str]) -> NodeHardwareProfile {
    let mut profile = profile(name, 8);
    profile.spec.match_.instance_types = None;
    profile.spec.match_.gpu_models = Some(models.iter().map(|m| (*m).to_owned()).collect());
    profile
}

fn with_profiles(profiles: Vec<NodeHardwareProfile>) -> Model {
    let mut model = under(Mode::Enforce, &["a"]);
    for profile in profiles {
        let name = profile.metadata.name.clone().unwrap();
        model.world.profiles.insert(name, Arc::new(profile));
    }
    model
}

fn finds(model: &mut Model, models: &[Option<&str>]) {
    let mut report = passing_report();
    let gpu = |(index, model): (usize, Option<&str>)| Gpu {
        pci_address: address(index).into(),
        model: model.map(Into::into),
        ..Gpu::default()
    };
    report.inventory.gpus = models.iter().copied().enumerate().map(gpu).collect();
    reports(model, "a", report);
}

fn profile_of(model: &Model) -> Option<&str> {
    health_of(model, "a").spec.profile.as_deref()
}

#[test]
fn a_profile_matches_by_the_models_that_are_found() {
    let table: [(&str, Models, Option<&str>); 7] = [
        ("all of one model", &[Some(H100), Some(H100)], Some("h100")),
        ("two models that are both named", &[Some(H100), Some("NVIDIA H200")], Some("h100")),
        ("one of another model", &[Some(H100), Some("NVIDIA L4")], None),
        ("a name that only begins so", &[Some("NVIDIA H100X")], None),
        ("one of which nothing is known", &[Some(H100), None], Some("h100")),
        ("nothing is known of any", &[None, None], None),
        ("no GPU", &[], None),
    ];
    for (what, models, wanted) in table {
        let mut model = with_profiles(vec![by_models("h100", &["H100", "H200"])]);
        finds(&mut model, models);
        assert_eq!(profile_of(&settled(model)), wanted, "{what}");
    }
}

#[test]
fn a_dead_driver_and_lost_gpus_take_no_profile_away_and_another_model_does() {
    let mut model = with_profiles(vec![by_models("h100", &["H100"]), by_models("l4", &["L4"])]);
    finds(&mut model, &[Some(H100); 8]);
    let mut model = settled(model);
    for (what, models, wanted) in [
        ("one fell off the bus", &[Some(H100); 7][..], Some("h100")),
        ("one does not report its model", &[Some(H100), None], Some("h100")),
        ("the driver died", &[None; 8], Some("h100")),
        ("all are gone", &[], Some("h100")),
        ("other boards were put in", &[Some("NVIDIA L4")], Some("l4")),
        ("two kinds of boards", &[Some("NVIDIA L4"), Some(H100)], None),
        ("nothing is found and there was no profile", &[], None),
    ] {
        finds(&mut model, models);
        model = settled(model);
        assert_eq!(profile_of(&model), wanted, "{what}");
    }
}

#[test]
fn every_member_of_a_match_must_hold_and_the_highest_priority_wins_then_the_oldest() {
    let mut typed = by_models("typed", &["H100"]);
    typed.spec.priority = 9;
    typed.spec.match_.instance_types = Some(vec!["p4d.24xlarge".into()]);
    let mut older = by_models("older", &["H100"]);
    older.metadata.creation_timestamp = timestamp(START.plus(-60));
    let mut model = with_profiles(vec![typed.clone(), by_models("newer", &["H100"]), older]);
    finds(&mut model, &[Some(H100)]);
    let mut model = settled(model);
    assert_eq!(profile_of(&model), Some("older"), "the instance type of the other does not match");
    typed.spec.match_.instance_types = Some(vec!["ml.p5.48xlarge".into()]);
    model.world.profiles.insert("typed".into(), Arc::new(typed));
    let mut model = settled(model);
    assert_eq!(profile_of(&model), Some("typed"));
    finds(&mut model, &[None]);
    assert_eq!(profile_of(&settled(model)), Some("typed"));
}

/// D.2 case 5 of the AWS suite: seven of eight GPUs, expected from the label of the instance type, with and without `ml.`.
#[test]
fn the_number_of_gpus_comes_from_the_instance_type_and_an_unknown_type_judges_nothing() {
    for (instance_type, count) in [("p5.48xlarge", Some(8)), ("ml.p5.48xlarge", Some(8)), ("x9.unheard-of", None)] {
        let mut model = with_profiles(vec![profile("p5", 8)]);
        model.edit_node("a", |n| {
            n.labels.insert(names::LABEL_INSTANCE_TYPE.into(), instance_type.into());
            n.accelerators = BTreeMap::from([("nvidia.com/gpu".to_owned(), 7)]).into();
        });
        let mut report = match count {
            Some(_) => {
                report_with(finding("inventory", "node", crds::Outcome::Fail, crds::Severity::Isolate, "GpuMissing"))
            }
            None => passing_report(),
        };
        report.inventory.gpus.truncate(7);
        reports(&mut model, "a", report);
        let model = settled(model);
        let expected = health_of(&model, "a").spec.expected.as_ref();
        assert_eq!(expected.and_then(|e| e.gpus.as_ref()?.count), count, "{instance_type}");
        let (state, taint, gpus) = match count {
            Some(_) => (State::Unhealthy, "isolate:NoSchedule", "7/8"),
            None => (State::Healthy, "", "7/7"),
        };
        assert_eq!(decision(&model, "a").state, state, "{instance_type}");
        assert_eq!(our_taint(&model, "a"), taint);
        let summary = health_of(&model, "a").status.as_ref().unwrap().summary.as_ref().unwrap();
        assert_eq!(summary.gpus.as_deref(), Some(gpus));
    }
}
