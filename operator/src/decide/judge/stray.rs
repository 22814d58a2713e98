//! What an agent reports in error: under a name that is no check, on a target that cannot be read, or about an address at which there never was anything while
//! its own inventory passes.
//!
//! Such a finding is told and makes no cause. A finding about an address that the last inventory does not list is no error
//! where the inventory does not pass (the board may be lost), where a board is known to have stood there, or where the check
//! covers the address by itself: no inventory lists switches.

use super::{drill_causes, evidence::has_verdict};
use crds::{
    Check, Outcome,
    node_health::{Cause, CheckRow, Finding, GpuVerdict, Report, address_of},
};

/// What stands before the slash in the name of a check that is a program of the user.
const CUSTOM: &str = "custom";
/// The longest name of such a program, as the API defines it.
const MAX_PROGRAM: usize = 63;

/// Whether this is the name of a check.
pub(crate) fn is_check(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_program = |program: &str| {
        program.starts_with(|c: char| c.is_ascii_alphanumeric())
            && program.len() <= MAX_PROGRAM
            && program.chars().all(is_plain)
    };
    match name.split_once('/') {
        Some((CUSTOM, program)) => is_program(program),
        Some(_) => false,
        None => Check::from_name(name).is_some_and(|check| check != Check::Custom),
    }
}

/// Whether this can name a part of a node: an address, a link, a port, `node`.
pub(crate) fn is_target(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '/' | '_' | '-' | '@' | '+');
    !text.is_empty() && text.chars().all(is_plain)
}

/// Why a finding is an error of the agent, as a clause; `None` if it is none. `gpus` are the verdicts on the GPUs so far.
pub(crate) fn error(finding: &Finding, report: &Report, gpus: &[GpuVerdict]) -> Option<String> {
    if drill_causes::is_of_drill(&finding.check) {
        return None;
    }
    if !is_check(&finding.check) {
        return Some(format!("a finding of {}, which is no check", finding.check));
    }
    if !is_target(&finding.target) {
        return Some(format!("a finding of {} on a target that cannot be read", finding.check));
    }
    is_nowhere(&finding.check, &finding.target, report, gpus)
        .then(|| format!("a finding of {} on {}, where the inventory lists nothing", finding.check, finding.target))
}

/// Whether a cause came from such an error, and the agent reports properly now.
pub(super) fn is_over(cause: &Cause, report: &Report, gpus: &[GpuVerdict]) -> bool {
    if report.truncated.is_some_and(|n| n > 0) {
        return false;
    }
    if !is_check(&cause.check) || !is_target(&cause.target) {
        return has_verdict(report);
    }
    is_nowhere(&cause.check, &cause.target, report, gpus) && passes(report, &cause.check)
}

fn is_nowhere(check: &str, target: &str, report: &Report, gpus: &[GpuVerdict]) -> bool {
    let address = address_of(target);
    let inventory = &report.inventory;
    let is_listed = inventory.gpus.iter().any(|gpu| gpu.pci_address == address)
        || inventory.nics.iter().any(|nic| nic.pci_address == address);
    let is_known = gpus.iter().any(|gpu| gpu.pci_address == address && (gpu.uuid.is_some() || gpu.serial.is_some()));
    let is_covered = |row: &CheckRow| row.check == check && row.covered.iter().any(|c| address_of(c) == address);
    address.contains(':')
        && !is_listed
        && !is_known
        && passes(report, Check::Inventory.name())
        && !report.checks.iter().any(is_covered)
}

fn passes(report: &Report, check: &str) -> bool {
    report.checks.iter().any(|row| row.check == check && row.outcome == Outcome::Pass)
}
