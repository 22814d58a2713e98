//! Causes follow their boards, as the findings of the agent do: an address is only where a board stood.

use super::{drill_causes, evidence::is_verdict, lift::one_pass};
use crds::{
    Check,
    node_health::{Cause, Finding, MAX_GPUS, Report},
};

/// The causes with each at the address where the agent now reports its board. Its age and its history stay.
pub(crate) fn followed(causes: &[Cause], report: Option<&Report>) -> Vec<Cause> {
    let Some(report) = report else { return causes.to_vec() };
    let moved: Vec<Cause> = causes
        .iter()
        .map(|cause| match now_at(cause, causes, report) {
            Some(finding) => {
                let mut lift = cause.lift.clone();
                lift.text = one_pass(&cause.check, &finding.target).text;
                Cause { target: finding.target.clone(), lift, ..cause.clone() }
            }
            None => cause.clone(),
        })
        .collect();
    let is_unique = moved
        .iter()
        .enumerate()
        .all(|(at, one)| moved.iter().skip(at + 1).all(|other| one.check != other.check || one.target != other.target));
    // Two at one address: the findings tell which of them stands there now.
    if is_unique { moved } else { causes.to_vec() }
}

/// The finding of the same check about the same board at another address. The GPUs of one board may share its serial
/// number: then nobody knows which is which.
fn now_at<'r>(cause: &Cause, causes: &[Cause], report: &'r Report) -> Option<&'r Finding> {
    let serial = cause.serial.as_deref().filter(|_| !drill_causes::is_of_drill(&cause.check))?;
    let part = part_of(&cause.target);
    let is_same = |check: &str, of: Option<&str>, target: &str| {
        check == cause.check && of == Some(serial) && part_of(target) == part
    };
    let mut findings = report.findings.iter().filter(|f| is_same(&f.check, f.serial.as_deref(), &f.target));
    let only = findings.next().filter(|_| findings.next().is_none())?;
    let rivals = causes.iter().filter(|other| is_same(&other.check, other.serial.as_deref(), &other.target)).count();
    let still_there = report
        .inventory
        .gpus
        .iter()
        .any(|gpu| gpu.pci_address == address_of(&cause.target) && gpu.serial.as_deref() == Some(serial));
    (rivals == 1 && !still_there && only.target != cause.target).then_some(only)
}

/// Whether the agent says that no board stands where this target is, and that none is missing: its inventory lists none
/// there, and passes for that address.
pub(crate) fn is_vacated(target: &str, report: &Report) -> bool {
    let address = address_of(target);
    let gpus = &report.inventory.gpus;
    !gpus.is_empty()
        && gpus.len() < MAX_GPUS
        && gpus.iter().all(|gpu| gpu.pci_address != address)
        && address.contains(':')
        && report.checks.iter().any(|row| {
            row.check == Check::Inventory.name()
                && is_verdict(&row.outcome)
                && row.covered.iter().any(|covered| covered == address)
        })
}

/// `0000:18:00.0` of `0000:18:00.0/link3`.
fn address_of(target: &str) -> &str {
    target.split('/').next().unwrap_or(target)
}

/// `link3` of `0000:18:00.0/link3`.
fn part_of(target: &str) -> &str {
    target.split_once('/').map_or("", |(_, part)| part)
}
