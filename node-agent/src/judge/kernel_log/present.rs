//! What the present state says about a message: the driver's own reading of the GPU decides.

use crate::judge::core::{Findings, Readings};
use crate::judge::xid::Present;
use crate::readings::inventory::NvmlView;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::{Outcome, Severity};

/// Checks whose condemning finding confirms a message, up to the severity of that finding: each asks the hardware.
const WITNESSES: [Check; 3] = [Check::RecoveryAction, Check::Driver, Check::Inventory];

/// Asks the present about a message of this severity on this target. `is_fresh`: the driver was read after the message.
pub fn ask(target: &str, severity: &Severity, is_fresh: bool, findings: &Findings, readings: &Readings) -> Present {
    let is_witness = |check: &str| WITNESSES.iter().any(|witness| witness.name() == check);
    let is_about = |about: &str| target == TARGET_NODE || about == target;
    let confirms = findings.iter().any(|finding| {
        is_witness(&finding.check)
            && is_about(&finding.target)
            && finding.outcome == Outcome::Fail
            && finding.severity.condemns()
            && finding.severity.rank() >= severity.rank()
    });
    if confirms {
        return Present::Confirms;
    }
    if readings.trouble.is_some() {
        return Present::CannotTell;
    }
    let Some(view) = readings.view.as_ref().filter(|_| is_fresh) else { return Present::NotYet };
    if reads(view, target) { Present::Refutes } else { Present::CannotTell }
}

/// Whether the driver reads the GPU, or every GPU where the message is about the node.
fn reads(view: &NvmlView, target: &str) -> bool {
    let count = usize::try_from(view.count.unwrap_or(0)).unwrap_or(0);
    let fails = |pci: &str| view.errors.iter().any(|error| error.pci.as_deref().is_none_or(|failed| failed == pci));
    if view.status != NvmlView::OK {
        return false;
    }
    if target == TARGET_NODE {
        return count > 0 && view.gpus.len() == count && view.errors.is_empty();
    }
    view.gpus.iter().any(|gpu| gpu.pci.as_deref() == Some(target)) && !fails(target)
}
