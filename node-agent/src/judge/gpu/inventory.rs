//! `inventory`: compares the accelerators on PCI, in the driver, expected, and allocatable.

mod rules;
mod view;

pub use rules::{PAGE, RULES};

use crate::judge::core::{Expectation, Findings, Found, Ground, Hardware, Judged, Whereabouts, rule};
use crate::readings::inventory::InventoryReport;
use crate::readings::sample::Section;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::CheckRow;
use crds::{Outcome, reason};
use view::{Unread, View, found};

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
        Hardware::Seen(report) => judge_seen(ground, report),
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

fn judge_seen(ground: &Ground<'_>, report: &InventoryReport) -> Judged {
    let (expected, view) = (ground.expected, View::of(report));
    let count = Count::of(ground, &view);
    if view.present.is_empty() && count.missing.is_none() && !view.library_counts_some() {
        return none_here(expected);
    }
    if let Some(elsewhere) = ground.all_elsewhere() {
        return with_missing(ground, elsewhere, count.missing);
    }
    if let Some(silent) = view.library_silent(ground) {
        return with_missing(ground, silent, count.missing);
    }
    let hidden = view.hidden(ground);
    let unread = view.unread(&hidden);
    let mut found = view.not_well(&hidden);
    found.extend(count.missing);
    found.extend(not_allocatable(expected, &view));
    found.extend(unexpected_models(expected, &view));
    let found: Vec<Found> = rule::worst_of_each(found).into_iter().map(|found| confirmed(ground, found)).collect();
    let covered = covered(ground, &view, &unread, &found);
    let message = (!unread.why.is_empty()).then(|| unread.why.join("; "));
    if let Some(first) = hidden.first() {
        let message = format!(
            "{} of the driver's GPUs have no device node in the agent's container, first {first}: restart the agent's pod; the node is not at fault",
            hidden.len()
        );
        return Judged { found, ..Judged::unknown(reason::AGENT_LOST_DEVICE_ACCESS, message) };
    }
    if let Some(why) = count.unclear {
        return Judged { found, ..Judged::unknown(reason::COUNT_UNCLEAR, why) };
    }
    if covered.iter().all(|target| target == TARGET_NODE) && view.library_counts_some() {
        let message = message.unwrap_or_else(|| "the library counts GPUs, but none was read".to_owned());
        return Judged { found, ..Judged::unknown(reason::CODE_UNCLEAR, message) };
    }
    Judged {
        outcome: Outcome::Pass,
        reason: Some(reason::COUNT_RIGHT.to_owned()),
        message,
        covered,
        found,
        complete: true,
    }
}

/// Only the count can be judged; all other findings stay.
fn with_missing(ground: &Ground<'_>, judged: Judged, missing: Option<Found>) -> Judged {
    match missing {
        Some(missing) => {
            Judged { outcome: Outcome::Pass, found: vec![confirmed(ground, missing)], complete: false, ..judged }
        }
        None => judged,
    }
}

/// The finding as it is if an earlier reading showed the target at fault too; otherwise the warning that a single reading
/// is worth. PCI and driver are read one after the other, buses are rescanned, and a GPU that is being reset is silent.
fn confirmed(ground: &Ground<'_>, found: Found) -> Found {
    let why = found.reason.as_str();
    if !IN_TWO_READINGS.contains(&why) {
        return found;
    }
    let now = ground.now.mono_ms;
    let tree = ground.readings.tree.as_ref().map_or(now, |(_, taken)| *taken);
    let driver = ground.readings.taken.get(&Section::Driver).copied().unwrap_or(tree);
    // The count is that of PCI; everything else compares PCI with the driver.
    let taken = if why == reason::GPU_MISSING { tree } else { tree.min(driver) };
    // A GPU that was first lost and then not shown is at fault in both readings.
    let stands = |why: &&str| rule::is_confirmed(ground, Check::Inventory, (&found.target, why), taken, 1);
    if IN_TWO_READINGS.iter().any(stands) {
        return found;
    }
    rule::suspected(RULES, why, &found.target, found.message, found.evidence.unwrap_or_default())
}

/// The reasons that condemn, each only in two readings.
const IN_TWO_READINGS: [&str; 3] = [reason::GPU_MISSING, reason::NOT_IN_DRIVER, reason::GPU_LOST];

/// What could be judged: not what was not read, and not the node while one of its findings may be about such a GPU.
fn covered(ground: &Ground<'_>, view: &View<'_>, unread: &Unread, found: &[Found]) -> Vec<String> {
    let is_found = |target: &str| found.iter().any(|found| found.target == target);
    let gpus = view.present.iter().filter(|gpu| is_found(gpu) || !unread.addresses.contains(*gpu)).cloned();
    let standing = ground.findings.get(Check::Inventory.name(), TARGET_NODE);
    let is_of_unread = standing.is_some_and(|finding| {
        !unread.addresses.is_empty() && [reason::GPU_LOST, reason::NOT_IN_DRIVER].contains(&finding.reason.as_str())
    });
    gpus.chain((!is_of_unread || is_found(TARGET_NODE)).then(|| TARGET_NODE.to_owned())).collect()
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

/// The number of accelerators against the profile. Without a profile none is missing.
#[derive(Default)]
struct Count {
    missing: Option<Found>,
    /// Why it cannot be told whether some are missing.
    unclear: Option<String>,
}

impl Count {
    fn of(ground: &Ground<'_>, view: &View<'_>) -> Self {
        let Some((gpus, wanted)) = ground.expected.declared_gpus() else { return Self::default() };
        let (sure, possible) = view.count(gpus.vendor.as_deref(), gpus.kernel_driver.as_deref());
        if sure >= wanted {
            return Self::default();
        }
        if possible >= wanted {
            let unclear = format!(
                "{sure} of {wanted} accelerators found, and {} display controllers that NVIDIA's driver does not have: they may be accelerators or display cards; set gpus.kernelDriver in the profile to count only what the driver has",
                possible - sure
            );
            return Self { unclear: Some(unclear), ..Self::default() };
        }
        let message = format!("{sure} of {wanted} accelerators found: {}", shown(view));
        Self { missing: Some(found(reason::GPU_MISSING, TARGET_NODE, message)), ..Self::default() }
    }
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
        .filter(|(_, name)| !gpus.models.iter().any(|model| crds::node_hardware_profile::is_of_model(name, model)))
        .map(|(address, name)| {
            let wanted = gpus.models.join(", ");
            found(reason::MODEL_UNEXPECTED, address, format!("GPU {address} is {name}; the profile declares {wanted}"))
        })
        .collect()
}

/// Covers vacant addresses: those that a board has left, and while all boards are there, those that were covered before. A
/// pass there says that nothing is wrong at them any more, whatever check had found it.
pub(in crate::judge) fn cover_vacant(
    boards: &Whereabouts,
    judged: &mut Judged,
    findings: &Findings,
    before: Option<&CheckRow>,
) {
    if !judged.complete || judged.outcome != Outcome::Pass {
        return;
    }
    let before = before.filter(|_| boards.is_complete()).into_iter().flat_map(|row| &row.covered);
    for address in findings.vacated().chain(before) {
        if boards.is_vacant(address) && !judged.covered.contains(address) {
            judged.covered.push(address.clone());
        }
    }
}
