//! `inventory`: compares the accelerators on PCI, in the driver, expected, and allocatable.

mod rules;

pub use rules::{PAGE, RULES};

use crate::judge::core::hardware::{addresses, driver_addresses, vendor_name};
use crate::judge::core::{Expectation, Findings, Found, Ground, Hardware, Judged, rule};
use crate::pci::PciAddress;
use crate::readings::inventory::{Accelerator, ConfigSpace, InventoryReport, NvmlView, Vendor};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::CheckRow;
use crds::{Outcome, reason};
use std::collections::BTreeSet;

/// The status of a library that is present and works.
const ANSWERED: &str = "Ok";
/// The statuses of a library that is missing.
const LIBRARY_MISSING: &[&str] = &["LibraryNotFound"];
/// The driver's status for a GPU that it lost (NVML_ERROR_GPU_IS_LOST, nvml.h).
const LOST: &str = "GpuLost";

/// Judges the inventory. Without the driver's library only the count is judged, by PCI; the row is then Inconclusive,
/// because a Pass would lift findings that only the library can clear.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Some(reason) = ground.expected.pause(ground.now) {
        return Judged::skipped(reason);
    }
    match ground.hardware {
        Hardware::NotYet => Judged::unknown(reason::NEVER_JUDGED, "the first inventory is not complete yet".to_owned()),
        Hardware::Unknown { reason, message } => unknown(reason, message),
        Hardware::Seen(report) if !report.pci_errors.is_empty() => Judged::unknown(
            reason::TOOL_ERROR,
            format!("the PCI tree cannot be read: {}", report.pci_errors.join("; ")),
        ),
        Hardware::Seen(report) => judge_seen(ground.expected, report),
    }
}

/// A measurement that hangs in the kernel is a finding of its own; earlier findings cannot be judged, and stay.
fn unknown(why: &str, message: &str) -> Judged {
    let mut judged = Judged::unknown(why, message.to_owned());
    if why == reason::CHILD_UNKILLABLE {
        judged.found = vec![found(why, TARGET_NODE, message.to_owned())];
    }
    judged
}

fn judge_seen(expected: &Expectation<'_>, report: &InventoryReport) -> Judged {
    let view = View::of(report);
    let missing = missing(expected, &view);
    if view.present.is_empty() && missing.is_none() && !view.answered_with_loss() {
        return none_here(expected);
    }
    if let Some((reason, message)) = view.library_silent() {
        // Only the count can be judged; all other findings stay.
        let judged = Judged::unknown(reason, message);
        return match missing {
            Some(missing) => Judged { outcome: Outcome::Pass, found: vec![missing], ..judged },
            None => judged,
        };
    }
    let mut found = view.not_well();
    found.extend(missing);
    found.extend(not_allocatable(expected, &view));
    found.extend(unexpected_models(expected, &view));
    let covered = view.present.iter().cloned().chain([TARGET_NODE.to_owned()]).collect();
    Judged {
        outcome: Outcome::Pass,
        reason: Some(reason::COUNT_RIGHT.to_owned()),
        message: None,
        covered,
        found: rule::worst_of_each(found),
        complete: true,
    }
}

/// Nothing seen and nothing expected. If the Node still offers some, that is a warning.
fn none_here(expected: &Expectation<'_>) -> Judged {
    let offered = expected.spec.map_or(0, |spec| spec.node.allocatable.values().sum::<i64>());
    if offered == 0 {
        return Judged { complete: true, ..Judged::skipped(reason::NO_ACCELERATOR) };
    }
    let message = format!("the Node offers {offered} accelerators, but neither PCI nor the driver shows one");
    Judged {
        outcome: Outcome::Pass,
        reason: None,
        message: None,
        covered: vec![TARGET_NODE.to_owned()],
        found: vec![found(reason::NOT_ON_PCI, TARGET_NODE, message)],
        complete: true,
    }
}

/// The two views of one inventory, side by side.
struct View<'a> {
    pci: &'a [Accelerator],
    nvml: &'a NvmlView,
    /// Every accelerator that either view shows.
    present: BTreeSet<String>,
    in_driver: BTreeSet<&'a str>,
    /// What the driver gave as a GPU's address but is not a valid one.
    no_addresses: Vec<&'a str>,
    /// GPUs that the driver shows without a valid address.
    nameless: usize,
}

impl<'a> View<'a> {
    fn of(report: &'a InventoryReport) -> Self {
        let reported = report.nvml.gpus.iter().filter_map(|gpu| gpu.pci.as_deref());
        let (named, no_addresses): (Vec<&str>, Vec<&str>) =
            reported.partition(|text| text.parse::<PciAddress>().is_ok());
        let nameless = report.nvml.gpus.len() - named.len();
        let (in_driver, present) = (driver_addresses(report), addresses(report));
        Self { pci: &report.pci, nvml: &report.nvml, present, in_driver, no_addresses, nameless }
    }

    fn of_vendor(&self, vendor: Option<&str>) -> usize {
        let on_pci = self.pci.iter().filter(|gpu| vendor.is_none_or(|v| v == vendor_name(gpu.vendor))).count();
        let beside =
            if vendor.is_none_or(|v| v == vendor_name(Vendor::Nvidia)) { self.only_in_driver().count() } else { 0 };
        on_pci + beside
    }

    fn nvidia_on_pci(&self) -> impl Iterator<Item = &'a Accelerator> {
        self.pci.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia)
    }

    fn only_in_driver(&self) -> impl Iterator<Item = &'a str> + '_ {
        let on_pci: BTreeSet<&str> = self.pci.iter().map(|gpu| gpu.address.as_str()).collect();
        self.in_driver.iter().copied().filter(move |address| !on_pci.contains(address))
    }

    fn answered_with_loss(&self) -> bool {
        self.nvml.errors.iter().any(|error| error.kind == LOST)
    }

    /// Why the library's view is not about the NVIDIA GPUs on PCI, if it is not.
    fn library_silent(&self) -> Option<(&'a str, String)> {
        let status = self.nvml.status.as_str();
        if status == ANSWERED || self.nvidia_on_pci().next().is_none() {
            return None;
        }
        let said = self.nvml.message.as_deref().unwrap_or(status);
        if LIBRARY_MISSING.contains(&status) {
            let message =
                format!("the driver's library cannot be loaded ({said}): install the driver, or set --nvml-library");
            return Some((reason::DRIVER_LIBRARY_MISSING, message));
        }
        Some((status, format!("the driver's library does not answer: {said}")))
    }

    /// GPUs that are lost, dead on the bus, or shown by one view only.
    fn not_well(&self) -> Vec<Found> {
        let mut all = Vec::new();
        let lost_at: BTreeSet<&str> =
            self.nvml.errors.iter().filter(|e| e.kind == LOST).filter_map(|e| e.pci.as_deref()).collect();
        let lost_somewhere: BTreeSet<Option<u32>> =
            self.nvml.errors.iter().filter(|e| e.kind == LOST && e.pci.is_none()).map(|e| e.index).collect();
        let absent: Vec<&str> = self
            .nvidia_on_pci()
            .map(|gpu| gpu.address.as_str())
            .filter(|address| !self.in_driver.contains(address))
            .collect();
        // If as many GPUs answer without an address, the absent ones are those, and only their own errors count.
        let absent = if self.nameless >= absent.len() { Vec::new() } else { absent };
        // A lost GPU may no longer have an address: it is then one of those that the driver does not show.
        let absent_are_lost = !absent.is_empty() && lost_somewhere.len() >= absent.len();
        for address in lost_at {
            all.push(found(reason::GPU_LOST, address, format!("the driver reports GPU {address} as lost")));
        }
        for address in &absent {
            all.push(if absent_are_lost {
                found(reason::GPU_LOST, address, format!("the driver reports GPU {address} as lost"))
            } else {
                found(reason::NOT_IN_DRIVER, address, format!("GPU {address} is on PCI but not in the driver"))
            });
        }
        if absent.is_empty() && !lost_somewhere.is_empty() {
            let count = lost_somewhere.len();
            all.push(found(
                reason::GPU_LOST,
                TARGET_NODE,
                format!("the driver reports {count} GPU(s) without an address as lost"),
            ));
        }
        for gpu in self.pci.iter().filter(|gpu| gpu.config_space == ConfigSpace::AllOnes) {
            all.push(found(
                reason::GPU_LOST,
                &gpu.address,
                format!("GPU {} does not answer on the bus: its configuration space reads all ones", gpu.address),
            ));
        }
        for address in self.only_in_driver() {
            all.push(found(reason::NOT_ON_PCI, address, format!("GPU {address} is in the driver but not on PCI")));
        }
        if let Some(text) = self.no_addresses.first() {
            let message = format!("the driver shows a GPU at `{text}`, which is not a PCI address");
            all.push(found(reason::NOT_ON_PCI, TARGET_NODE, message));
        }
        all
    }
}

/// Fewer accelerators than the profile declares. Without a profile none is missing.
fn missing(expected: &Expectation<'_>, view: &View<'_>) -> Option<Found> {
    let gpus = expected.spec?.expected.as_ref()?.gpus.as_ref()?;
    let wanted = usize::try_from(gpus.count?).ok()?;
    let there = view.of_vendor(gpus.vendor.as_deref());
    (there < wanted).then(|| {
        found(reason::GPU_MISSING, TARGET_NODE, format!("{there} of {wanted} accelerators found: {}", shown(view)))
    })
}

fn shown(view: &View<'_>) -> String {
    if view.present.is_empty() {
        return "none on PCI or in the driver".to_owned();
    }
    view.present.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The device plugin offers fewer than the driver shows. Not judged with MIG, where the numbers mean something else.
fn not_allocatable(expected: &Expectation<'_>, view: &View<'_>) -> Option<Found> {
    let allocatable = &expected.spec?.node.allocatable;
    if allocatable.iter().any(|(name, count)| name.starts_with("nvidia.com/mig-") && *count > 0) {
        return None;
    }
    let offered = *allocatable.get("nvidia.com/gpu")?;
    let shown = i64::try_from(view.nvml.gpus.len()).unwrap_or(i64::MAX);
    (offered < shown).then(|| {
        found(reason::NOT_ALLOCATABLE, TARGET_NODE, format!("the driver shows {shown} GPUs, the Node offers {offered}"))
    })
}

fn unexpected_models(expected: &Expectation<'_>, view: &View<'_>) -> Vec<Found> {
    let Some(gpus) = expected.spec.and_then(|spec| spec.expected.as_ref()?.gpus.as_ref()) else {
        return Vec::new();
    };
    if gpus.models.is_empty() {
        return Vec::new();
    }
    let named = view.nvml.gpus.iter().filter_map(|gpu| Some((gpu.pci.as_deref()?, gpu.name.as_deref()?)));
    named
        .filter(|(_, name)| !gpus.models.iter().any(|model| crds::hardware_profile::is_of_model(name, model)))
        .map(|(address, name)| {
            let wanted = gpus.models.join(", ");
            found(reason::MODEL_UNEXPECTED, address, format!("GPU {address} is {name}; the profile declares {wanted}"))
        })
        .collect()
}

fn found(reason: &str, target: &str, message: String) -> Found {
    rule::found(RULES, reason, target, message, String::new())
}

/// Covers absent addresses while the count matches the profile: no accelerator is missing then, so earlier findings at
/// such an address were judged together with the count.
pub(in crate::judge) fn cover_gone(
    expected: &Expectation<'_>,
    judged: &mut Judged,
    findings: &Findings,
    before: Option<&CheckRow>,
) {
    let declared = expected.spec.and_then(|spec| spec.expected.as_ref()?.gpus.as_ref()?.count);
    let right = judged.found.iter().all(|found| found.reason != reason::GPU_MISSING);
    if !judged.complete || judged.outcome != Outcome::Pass || declared.is_none() || !right {
        return;
    }
    let found_before = findings.of(Check::Inventory.name()).map(|finding| &finding.target);
    for target in found_before.chain(before.into_iter().flat_map(|row| &row.covered)) {
        if !judged.covered.contains(target) {
            judged.covered.push(target.clone());
        }
    }
}
