//! Boards that move, and addresses that they leave.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{
    Outcome, Severity, State,
    node_health::{Finding, Gpu},
};

/// The address of a slot that is empty at first.
const SPARE: &str = "0000:99:00.0";

/// A finding of a check on the board with this serial number.
fn sick(check: &str, target: &str, serial: &str) -> Finding {
    Finding { serial: Some(serial.into()), ..finding(check, target, Outcome::Fail, Severity::Reset, "Sick") }
}

/// The board of GPU 3 stands at this address; the inventory passes for what the agent says is vacant.
fn report(at: Option<&str>, vacant: &[String], findings: Vec<Finding>) -> Report {
    let mut report = passing_report();
    let covered = &mut report.checks[0].covered;
    report.inventory.gpus.remove(3);
    covered.retain(|target| *target != address(3));
    covered.extend(vacant.iter().cloned());
    if let Some(at) = at {
        report.checks.iter_mut().for_each(|row| row.covered.push(at.to_owned()));
        let gpu = Gpu { pci_address: at.to_owned().into(), serial: Some("S3".into()), ..Gpu::default() };
        report.inventory.gpus.push(gpu);
    }
    for finding in &findings {
        report.checks.iter_mut().filter(|row| row.check == finding.check).for_each(|row| row.outcome = Outcome::Fail);
    }
    report.findings = findings;
    report
}

fn causes(model: &Model) -> Vec<(String, String)> {
    decision(model, "a").causes.iter().map(|cause| (cause.check.clone(), cause.target.clone())).collect()
}

/// A node on which a monitor and a program of a run have found GPU 3 at fault.
fn quarantined() -> Model {
    let mut model = under(Mode::Enforce, &["a"]);
    let at = address(3);
    let found = vec![sick("rowRemap", &at, "S3"), sick("custom/burn", &at, "S3")];
    reports(&mut model, "a", report(Some(&at), &[], found));
    settled(model)
}

fn at(check: &str, target: &str) -> (String, String) {
    (check.to_owned(), target.to_owned())
}

#[test]
fn a_board_that_moves_takes_its_causes_along_with_their_age_and_opens_none() {
    let mut model = quarantined();
    let before = decision(&model, "a").clone();
    model.now = model.now.plus(60);
    let found = vec![sick("rowRemap", SPARE, "S3"), sick("custom/burn", SPARE, "S3")];
    reports(&mut model, "a", report(Some(SPARE), &[address(3)], found));
    let mut model = settled(model);
    assert_eq!(causes(&model), [at("custom/burn", SPARE), at("rowRemap", SPARE)]);
    let decided = decision(&model, "a");
    assert!(decided.causes.iter().zip(&before.causes).all(|(now, then)| now.since == then.since));
    assert_eq!(decided.history, before.history, "nothing has happened again");
    assert!(decided.causes.iter().all(|cause| cause.lift.text.contains(SPARE)));
    reports(&mut model, "a", report(Some(SPARE), &[address(3)], Vec::new()));
    // The row passes there; the program has to pass in a run.
    assert_eq!(causes(&settled(model)), [at("custom/burn", SPARE)]);
}

#[test]
fn a_vacant_address_ends_its_causes_of_every_check_and_an_address_that_is_only_absent_ends_none() {
    let mut model = quarantined();
    reports(&mut model, "a", report(None, &[], Vec::new()));
    let mut model = settled(model);
    assert_eq!(decision(&model, "a").state, State::Unhealthy, "no row covers custom, and inventory says nothing");
    assert!(causes(&model).contains(&at("custom/burn", &address(3))));
    let mut inconclusive = report(None, &[address(3)], Vec::new());
    inconclusive.checks[0].outcome = Outcome::Inconclusive;
    reports(&mut model, "a", inconclusive);
    let mut model = settled(model);
    assert!(causes(&model).contains(&at("custom/burn", &address(3))));
    reports(&mut model, "a", report(Some(SPARE), &[address(3)], Vec::new()));
    let model = settled(model);
    assert_eq!((causes(&model), &decision(&model, "a").state), (Vec::new(), &State::Healthy));
}

#[test]
fn an_address_that_is_covered_because_something_stands_there_ends_only_what_its_check_covers() {
    let mut model = quarantined();
    reports(&mut model, "a", report(Some(&address(3)), &[], Vec::new()));
    assert_eq!(causes(&settled(model)), [at("custom/burn", &address(3))]);
}

#[test]
fn gpus_that_share_the_serial_number_of_their_board_keep_their_causes_apart() {
    let mut model = under(Mode::Enforce, &["a"]);
    let both = vec![sick("rowRemap", &address(4), "S"), sick("rowRemap", &address(5), "S")];
    reports(&mut model, "a", report(Some(&address(3)), &[], both));
    let mut model = settled(model);
    let one = vec![sick("rowRemap", &address(5), "S")];
    let mut later = report(Some(&address(3)), &[], one);
    later.checks.iter_mut().for_each(|row| row.covered.retain(|target| *target != address(4)));
    reports(&mut model, "a", later);
    assert_eq!(causes(&settled(model)), [at("rowRemap", &address(4)), at("rowRemap", &address(5))]);
}
