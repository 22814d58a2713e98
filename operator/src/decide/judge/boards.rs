//! Causes follow their boards, as the findings of the agent do: an address is only where a board stood.

use super::{drill_causes, lift::one_pass};
use crds::node_health::{Cause, Finding, Report, address_of};

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

/// `link3` of `0000:18:00.0/link3`.
fn part_of(target: &str) -> &str {
    target.split_once('/').map_or("", |(_, part)| part)
}
