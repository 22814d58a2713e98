//! Parts of a node as people call them: `GPU3` instead of a PCI address.

use crds::NodeHealth;

/// The name that people use: `GPU3` for the PCI address of a GPU with a driver index, else the target itself. A GPU that
/// is missing from the inventory keeps its former name.
pub(crate) fn part(health: &NodeHealth, target: &str) -> String {
    let status = health.status.as_ref();
    let (address, rest) = split(target);
    let gpus = status.and_then(|s| s.report.as_ref()).map_or(&[][..], |r| r.inventory.gpus.as_slice());
    if let Some(index) = gpus.iter().find(|gpu| gpu.pci_address == address).and_then(|gpu| gpu.index) {
        return format!("GPU{index}{rest}");
    }
    let former = status.and_then(|s| {
        let same = s.decision.as_ref()?.causes.first()?.target == target;
        s.summary.as_ref()?.target.clone().filter(|_| same)
    });
    former.unwrap_or_else(|| target.to_owned())
}

/// Splits a target into its address and the rest: `0000:83:00.0/link2` is `0000:83:00.0` and `/link2`.
pub(crate) fn split(target: &str) -> (&str, &str) {
    target.split_at(target.find('/').unwrap_or(target.len()))
}

/// Whether a target is a PCI address, such as `0000:83:00.0`.
pub(crate) fn is_pci_address(text: &str) -> bool {
    let mut parts = text.split(':');
    let hex = |part: Option<&str>, min: usize| {
        part.is_some_and(|p| p.len() >= min && p.chars().all(|c| c.is_ascii_hexdigit() || c == '.'))
    };
    hex(parts.next(), 4) && hex(parts.next(), 2) && hex(parts.next(), 4) && parts.next().is_none()
}
