//! `efa`: Elastic Fabric Adapters, from PCI to what a process needs to use them.
//!
//! Fewer adapters than declared is a finding only if the PCI tree could be read: a missing tool or tree must never look
//! like missing hardware.

#[cfg(test)]
pub(in crate::judge) mod tests;

use crate::judge::core::rates::per_minute;
use crate::judge::core::rule::{found, is_confirmed, judged, suspected};
use crate::judge::core::{Counter, Found, Ground, Judged, MAX_COVERED, Page, Rule};
use crate::readings::TreeReport;
use crate::readings::sysfs::RdmaPort;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::{Outcome, Severity, reason};

/// The modules that a process needs to reach an adapter (AWS gpu-cluster-healthcheck check 2).
const MODULES: &[&str] = &["efa", "ib_uverbs", "ib_core"];
/// The minimum limit of locked memory, in KiB: 16 GiB (AWS gpu-cluster-healthcheck check 2).
const MEMLOCK_KIB: u64 = 16_777_216;
/// Over how long rates are taken, in milliseconds.
const RATE_WINDOW_MS: u64 = 600_000;
/// Dropped packets per minute. Our estimate: a slow receiver drops some; AWS's script warns at the first since boot.
const DROPS_PER_MINUTE: u64 = 60;
/// Retransmission timeouts per minute. Our estimate: a peer that exits leaves some behind.
const TIMEOUTS_PER_MINUTE: u64 = 10;

/// What the check can find.
pub static RULES: &[Rule] = &[
    Rule {
        reason: reason::EFA_DEVICES_MISSING,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        when: "In two readings PCI shows fewer EFA functions than the profile's network.efaDevices. Not judged while the PCI tree cannot be read.",
        lifts: "One reading with at least as many.",
        act: "Stop and start the instance, or replace it. On p5en the adapters may appear only seconds after the boot; two readings allow for that.",
        source: "AWS gpu-cluster-healthcheck check 2 (mismatch: isolate), also for 31 of 32",
    },
    Rule {
        reason: reason::EFA_INCOMPLETE,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Fewer EFA RDMA devices, or fewer uverbs nodes, than EFA functions on PCI. Not judged while RDMA is in exclusive mode: the devices may be in another network namespace.",
        lifts: "One reading with as many of both.",
        act: "Reload the module efa, or reboot; then look in the kernel log for the adapter that did not come up.",
        source: "AWS gpu-cluster-healthcheck check 2 (`EFA OK: <n> PCI devices, <n> RDMA devices, <n> uverbs nodes`)",
    },
    Rule {
        reason: reason::EFA_MODULE_MISSING,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "One of the modules efa, ib_uverbs, ib_core is not loaded although there are EFA functions on PCI.",
        lifts: "All of them are loaded.",
        act: "Load it; install the EFA driver in the image if it is missing.",
        source: "AWS gpu-cluster-healthcheck check 2",
    },
    Rule {
        reason: reason::MEMLOCK_TOO_LOW,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The limit of locked memory is below 16,777,216 KiB (16 GiB).",
        lifts: "The limit is at least that, or unlimited.",
        act: "Raise LimitMEMLOCK of the container runtime's unit to infinity and restart it; libfabric fails with `Cannot allocate memory` otherwise.",
        source: "AWS gpu-cluster-healthcheck check 2 (16777216 KB); awslabs/awsome-distributed-ai issue 647 (65536)",
    },
    Rule {
        reason: reason::EFA_DROPS,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "Over ten minutes an EFA port drops more than 60 packets per minute on receipt, or has more than 10 retransmission timeouts per minute.",
        lifts: "Ten minutes within these limits.",
        act: "Check whether a peer is gone or a security group blocks traffic; if neither, run efaLoopback.",
        source: "AWS EC2 user guide, Monitor an Elastic Fabric Adapter (rx_drops, retrans_timeout_events); AWS gpu-cluster-healthcheck check 6; both rates are our judgement",
    },
    Rule {
        reason: reason::EFA_DEVICES_MISSING,
        outcome: Outcome::Warn,
        severity: Severity::Monitor,
        when: "The same in one reading only: adapters may appear late after a boot.",
        lifts: "One reading with at least as many.",
        act: "Wait for the next reading.",
        source: "AWS gpu-cluster-healthcheck check 2 (p5en: three tries, 5 s apart)",
    },
];

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Efa,
    means: "The node has fewer Elastic Fabric Adapters than its instance type, or its processes cannot use them: multi-node jobs fail or fall back to TCP.",
    measured: "sysfs and procfs: EFA functions on PCI, their RDMA devices and uverbs nodes, loaded modules, the limit of locked memory, hw_counters as increases between readings. No tool is run. What cannot be read is not judged.",
    profile: &["network.efaDevices"],
    metrics: &["gpu_health_efa_devices", "gpu_health_rdma_port_errors_total"],
    rules: RULES,
};

/// Judges the last reading of sysfs.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if ground.expected.spec.is_some_and(|spec| spec.maintenance.is_some()) {
        return Judged::skipped(reason::MAINTENANCE);
    }
    let tree = match ground.tree() {
        Ok(tree) => tree,
        Err(why) => return *why,
    };
    let wanted = declared(ground).unwrap_or(0);
    if wanted == 0 && tree.efa.pci.is_empty() && tree.efa.rdma.is_empty() {
        return Judged::skipped(reason::NOT_APPLICABLE);
    }
    let is_empty = tree.pci.is_empty() && tree.nics.is_empty() && tree.efa.pci.is_empty();
    if is_empty || !tree.pci_errors.is_empty() {
        let why = tree.pci_errors.first().map_or("sysfs shows no PCI device", String::as_str);
        return Judged::unknown(reason::TOOL_ERROR, format!("the EFA adapters cannot be counted: {why}"));
    }
    let mut covered = vec![TARGET_NODE.to_owned()];
    let mut findings = Vec::new();
    findings.extend(of_node(ground, tree, wanted));
    for port in tree.rdma.iter().filter(|port| port.efa && !port.counters.is_empty()) {
        covered.push(port.name.clone());
        findings.extend(drops(ground, port));
    }
    if let Some(hidden) = efa_elsewhere(tree) {
        let message = format!(
            "{hidden} EFA adapters may have their RDMA device in another network namespace, because RDMA is in exclusive mode: use `rdma system set netns shared`"
        );
        return Judged { found: findings, ..Judged::unknown(reason::RDMA_NAMESPACE_EXCLUSIVE, message) };
    }
    covered.extend(removed(ground, tree, wanted));
    covered.truncate(MAX_COVERED);
    judged(covered, findings)
}

/// How many adapters on PCI have no RDMA device in sight while devices belong to one network namespace each.
fn efa_elsewhere(tree: &TreeReport) -> Option<usize> {
    let hidden = tree.efa.pci.len().checked_sub(tree.efa.rdma.len()).filter(|hidden| *hidden > 0);
    hidden.filter(|_| tree.rdma_is_exclusive == Some(true))
}

/// Ports that have a finding and are gone, while as many adapters as declared are there and complete. Absence alone lifts
/// nothing.
fn removed(ground: &Ground<'_>, tree: &TreeReport, wanted: usize) -> Vec<String> {
    let efa = &tree.efa;
    if wanted == 0 || efa.pci.len() < wanted || efa.rdma.len() < efa.pci.len() || !tree.errors.is_empty() {
        return Vec::new();
    }
    let is_there = |target: &str| target == TARGET_NODE || tree.rdma.iter().any(|port| port.name == target);
    let targets = ground.findings.of(Check::Efa.name()).map(|finding| finding.target.clone());
    targets.filter(|target| !is_there(target)).collect()
}

fn declared(ground: &Ground<'_>) -> Option<usize> {
    let network = ground.expected.spec?.expected.as_ref()?.network.as_ref()?;
    usize::try_from(network.efa_devices?).ok()
}

/// One finding for the node: missing adapters, or else everything that keeps a process from using the present ones.
fn of_node(ground: &Ground<'_>, tree: &TreeReport, wanted: usize) -> Option<Found> {
    let efa = &tree.efa;
    let evidence = format!(
        "pci={} rdma={} uverbs={} memlock_kib={}",
        efa.pci.len(),
        efa.rdma.len(),
        efa.uverbs.len(),
        efa.memlock_kib.map_or_else(|| "-".to_owned(), |kib| kib.to_string())
    );
    if efa.pci.len() < wanted {
        let why = reason::EFA_DEVICES_MISSING;
        let message = format!("{} of {wanted} EFA adapters are on PCI", efa.pci.len());
        let taken = ground.readings.tree.as_ref().map_or(ground.now.mono_ms, |(_, taken)| *taken);
        return Some(if is_confirmed(ground, Check::Efa, (TARGET_NODE, why), taken, 1) {
            found(RULES, why, TARGET_NODE, message, evidence)
        } else {
            suspected(RULES, why, TARGET_NODE, message, evidence)
        });
    }
    let mut signs = Vec::new();
    for (count, what) in [(efa.rdma.len(), "RDMA devices"), (efa.uverbs.len(), "uverbs nodes")] {
        // A device class that could not be read shows no device either, nor one of another network namespace.
        if tree.errors.is_empty() && efa_elsewhere(tree).is_none() && count < efa.pci.len() {
            signs.push((reason::EFA_INCOMPLETE, format!("{count} {what} for {} EFA adapters on PCI", efa.pci.len())));
        }
    }
    let missing: Vec<&str> = MODULES.iter().filter(|name| efa.modules.get(**name) == Some(&false)).copied().collect();
    if !missing.is_empty() {
        signs.push((reason::EFA_MODULE_MISSING, format!("not loaded: {}", missing.join(", "))));
    }
    if let Some(kib) = efa.memlock_kib.filter(|kib| *kib < MEMLOCK_KIB) {
        let message = format!("the limit of locked memory is {kib} KiB; EFA needs {MEMLOCK_KIB}");
        signs.push((reason::MEMLOCK_TOO_LOW, message));
    }
    let why = signs.first()?.0;
    let message = signs.into_iter().map(|(_, message)| message).collect::<Vec<_>>().join("; ");
    Some(found(RULES, why, TARGET_NODE, message, evidence))
}

fn drops(ground: &Ground<'_>, port: &RdmaPort) -> Option<Found> {
    let rate = |counter| per_minute(ground, &port.name, counter, RATE_WINDOW_MS).unwrap_or_default();
    let (drops, timeouts) = (rate(Counter::ReceiveDrops), rate(Counter::RetransmitTimeouts));
    let signs = [
        (drops, DROPS_PER_MINUTE, "packets dropped on receipt"),
        (timeouts, TIMEOUTS_PER_MINUTE, "retransmission timeouts"),
    ];
    let (count, limit, what) = signs.into_iter().find(|(count, limit, _)| count > limit)?;
    let message = format!("the EFA port {} has {count} {what} per minute; up to {limit} is normal", port.name);
    let evidence = format!("rx_drops {drops}/min retrans_timeout_events {timeouts}/min");
    Some(found(RULES, reason::EFA_DROPS, &port.name, message, evidence))
}
