//! `rdmaLink`: the RDMA devices and ports of the node, from sysfs.
//!
//! Only declared ports can fail a node: some ports are down on purpose. EFA ports report ACTIVE in any state; their
//! counters belong to the check `efa`.

mod count;
mod rules;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rules::{PAGE, RULES};

use crate::judge::core::rates::{per_minute, rise_since_boot};
use crate::judge::core::rule::{found, judged, suspected, worst_of_each};
use crate::judge::core::{Counter, Found, Ground, Judged, MAX_COVERED};
use crate::readings::TreeReport;
use crate::readings::sysfs::RdmaPort;
use count::{Count, hidden, in_other_namespaces, may_be_unseen, too_many};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_hardware_profile::ExpectedNetwork;
use crds::reason;

/// States of a port in which it carries traffic: ACTIVE and ACTIVE_DEFER (`ib_verbs.h`).
const ACTIVE: &[u32] = &[4, 5];
/// The physical state LinkUp.
const LINK_UP: u32 = 5;
const HOUR_MS: u64 = 3_600_000;
/// The window for error rates, in milliseconds.
const RATE_WINDOW_MS: u64 = 600_000;
/// How often a port may go down within an hour. gpud calls three recoveries a flap, NVSentinel repeats within an hour.
const DOWNS_PER_HOUR: u64 = 3;
/// Symbol errors within an hour: the bit error rate of 1e-12 that InfiniBand allows (NVSentinel: 120 per hour).
const SYMBOL_ERRORS_PER_HOUR: u64 = 120;
/// Link recoveries within an hour. Our estimate: a single one may be a cable that was touched.
const RECOVERIES_PER_HOUR: u64 = 5;
/// Lost or repeated packets per minute. Our estimate: peers that exit leave some behind; a bad link has thousands.
const PACKET_ERRORS_PER_MINUTE: u64 = 600;

/// Judges the last reading of sysfs.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if ground.expected.spec.is_some_and(|spec| spec.maintenance.is_some()) {
        return Judged::skipped(reason::MAINTENANCE);
    }
    let tree = match ground.tree() {
        Ok(tree) => tree,
        Err(why) => return *why,
    };
    let declared = declared(ground);
    let wanted = declared.and_then(|network| usize::try_from(network.rdma_devices?).ok()).unwrap_or(0);
    let ports: Vec<&String> = declared.iter().flat_map(|network| &network.ports).map(|port| &port.name).collect();
    let ports = ports.as_slice();
    if tree.rdma.is_empty() && hidden(tree) > 0 {
        let (why, message) = in_other_namespaces("no RDMA device is visible", hidden(tree));
        return Judged::unknown(why, message);
    }
    if wanted == 0 && ports.is_empty() && tree.rdma.iter().all(|port| port.efa) {
        return Judged::skipped(reason::NOT_APPLICABLE);
    }
    if tree.rdma.is_empty() && sees_nothing(tree) {
        let why = tree.errors.iter().chain(&tree.pci_errors).next().map_or("sysfs shows no PCI device", String::as_str);
        return Judged::unknown(reason::TOOL_ERROR, format!("the RDMA devices cannot be counted: {why}"));
    }
    let (mut covered, mut findings) = (Vec::new(), Vec::new());
    let mut unclear = too_many(tree);
    match Count::of(ground, tree, wanted) {
        Count::Undeclared => {}
        Count::Right => {
            covered.push(TARGET_NODE.to_owned());
            covered.extend(removed(ground, tree, ports));
        }
        Count::Missing(missing) => {
            covered.push(TARGET_NODE.to_owned());
            findings.push(missing);
        }
        Count::Unclear(why) => unclear = unclear.or(Some(why)),
    }
    for name in ports.iter().copied().filter(|name| !tree.rdma.iter().any(|port| port.name == **name)) {
        if let Some(why) = may_be_unseen(tree) {
            unclear = unclear.or(Some(why));
            continue;
        }
        covered.push(name.clone());
        let message = format!("the declared RDMA port {name} is missing");
        findings.push(found(RULES, reason::PORT_DOWN, name, message, format!("{} ports", tree.rdma.len())));
    }
    for port in tree.rdma.iter().filter(|port| !port.efa && (!port.is_virtual || ports.contains(&&port.name))) {
        if let Some(of_port) = judge_port(ground, port, declared) {
            covered.push(port.name.clone());
            findings.extend(of_port);
        }
    }
    if let Some((why, message)) = unclear {
        return Judged { found: worst_of_each(findings), ..Judged::unknown(why, message) };
    }
    // What is left out has no finding and had none: nothing waits for it to be covered.
    let has_finding = |name: &String| {
        findings.iter().any(|found| found.target == *name)
            || ground.findings.get(Check::RdmaLink.name(), name).is_some()
    };
    covered.sort_by_cached_key(|name| (!has_finding(name), name != TARGET_NODE, !ports.contains(&name)));
    covered.truncate(MAX_COVERED);
    judged(covered, findings)
}

/// Ports that have a finding and are gone, while as many devices as declared are there: nothing is missing, so a card was
/// taken out, or its device has another name now. Absence alone lifts nothing.
fn removed(ground: &Ground<'_>, tree: &TreeReport, declared: &[&String]) -> Vec<String> {
    if may_be_unseen(tree).is_some() {
        return Vec::new();
    }
    let is_there = |name: &String| tree.rdma.iter().any(|port| port.name == *name) || declared.contains(&name);
    let targets = ground.findings.of(Check::RdmaLink.name()).map(|finding| &finding.target);
    targets.filter(|target| *target != TARGET_NODE && !is_there(target)).cloned().collect()
}

fn declared<'a>(ground: &Ground<'a>) -> Option<&'a ExpectedNetwork> {
    ground.expected.spec?.expected.as_ref()?.network.as_ref()
}

/// Whether the tree could not be read, or is empty.
fn sees_nothing(tree: &TreeReport) -> bool {
    !tree.errors.is_empty() || !tree.pci_errors.is_empty() || (tree.pci.is_empty() && tree.nics.is_empty())
}

/// `None` if its state cannot be read.
fn judge_port(ground: &Ground<'_>, port: &RdmaPort, declared: Option<&ExpectedNetwork>) -> Option<Vec<Found>> {
    let expected = declared.and_then(|network| network.ports.iter().find(|expected| expected.name == port.name));
    let state = port.state?;
    let is_up = ACTIVE.contains(&state) && port.phys_state.is_none_or(|phys| phys == LINK_UP);
    let name = &port.name;
    let evidence = show(port);
    let mut all = counters(ground, port);
    if !is_up {
        let phys = port.phys_state.map_or_else(String::new, |phys| format!(", physical state {phys}"));
        let what = format!("the RDMA port {name} is not active (state {state}{phys})");
        if expected.is_some() {
            all.push(found(RULES, reason::PORT_DOWN, name, what, evidence));
        } else if went_down(ground, port) {
            let message = format!("{what}; it was active before, but no profile declares it");
            all.push(suspected(RULES, reason::PORT_DOWN, name, message, evidence));
        }
        return Some(all);
    }
    let rate = expected.and_then(|expected| u32::try_from(expected.rate_gbps?).ok());
    if let Some((limit, now)) = rate.zip(port.rate_gbps).filter(|(limit, now)| now < limit) {
        let message = format!("the RDMA port {name} runs at {now} Gb/s; the profile declares {limit}");
        all.push(found(RULES, reason::PORT_SLOW, name, message, evidence));
    }
    Some(all)
}

/// An undeclared port that went down while the agent was watching, and has not recovered.
fn went_down(ground: &Ground<'_>, port: &RdmaPort) -> bool {
    let known = ground.findings.get(Check::RdmaLink.name(), &port.name);
    known.is_some_and(|known| known.reason == reason::PORT_DOWN)
        || rise_since_boot(ground, &port.name, Counter::LinkDowned, HOUR_MS) > 0
}

fn counters(ground: &Ground<'_>, port: &RdmaPort) -> Vec<Found> {
    let name = &port.name;
    let rise = |counter| rise_since_boot(ground, name, counter, HOUR_MS);
    let mut all = Vec::new();
    let downs = rise(Counter::LinkDowned);
    if downs >= DOWNS_PER_HOUR {
        let message = format!(
            "the RDMA port {name} went down {downs} times within an hour; {DOWNS_PER_HOUR} or more count as flapping"
        );
        all.push(found(RULES, reason::PORT_FLAPPING, name, message, format!("link_downed +{downs} in 3600 s")));
    }
    let (symbols, recoveries) = (rise(Counter::SymbolErrors), rise(Counter::LinkRecoveries));
    let packets = per_minute(ground, name, Counter::PacketErrors, RATE_WINDOW_MS).unwrap_or_default();
    let signs = [
        (symbols, SYMBOL_ERRORS_PER_HOUR, "symbol errors within an hour"),
        (recoveries, RECOVERIES_PER_HOUR, "link recoveries within an hour"),
        (packets, PACKET_ERRORS_PER_MINUTE, "lost or repeated packets per minute"),
    ];
    if let Some((count, limit, what)) = signs.into_iter().find(|(count, limit, _)| count > limit) {
        let message = format!("the RDMA port {name} has {count} {what}; up to {limit} is normal");
        let evidence =
            format!("symbol_error +{symbols}/h link_error_recovery +{recoveries}/h packet errors {packets}/min");
        all.push(found(RULES, reason::PORT_ERRORS, name, message, evidence));
    }
    all
}

fn show(port: &RdmaPort) -> String {
    let number = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!(
        "state={} phys_state={} rate={} link_layer={} pci={} interface={}",
        number(port.state),
        number(port.phys_state),
        number(port.rate_gbps),
        port.link_layer.as_deref().unwrap_or("-"),
        port.pci.as_deref().unwrap_or("-"),
        port.interface.as_deref().unwrap_or("-")
    )
}
