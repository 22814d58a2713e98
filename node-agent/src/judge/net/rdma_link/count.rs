//! How many RDMA devices there are, and what keeps the agent from seeing all of them.
//!
//! A device that the agent does not see may be one that it cannot see: only what nothing explains is missing.

use super::rules::RULES;
use crate::judge::core::rule::{found, is_confirmed, suspected};
use crate::judge::core::{Found, Ground};
use crate::readings::TreeReport;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::reason;
use std::collections::BTreeSet;

/// Kernel drivers of network cards that carry RDMA devices: the drivers below `drivers/infiniband/hw` of Linux, and for
/// those that share a card, the network driver that binds it.
const RDMA_DRIVERS: &[&str] = &[
    "mlx5_core",
    "mlx4_core",
    "efa",
    "bnxt_en",
    "ice",
    "i40e",
    "irdma",
    "hfi1",
    "ionic",
    "mana",
    "qede",
    "be2net",
    "cxgb4",
    "hns3",
    "erdma",
    "ib_mthca",
];

/// Why the check cannot tell: reason and message.
pub(super) type Unclear = (&'static str, String);

/// The number of devices against the profile.
#[derive(Debug)]
pub(super) enum Count {
    /// None is declared.
    Undeclared,
    Right,
    Missing(Found),
    Unclear(Unclear),
}

impl Count {
    /// Fewer devices than declared: a warning at the first reading, confirmed at the second. A virtual function is a part of
    /// a device that is itself counted.
    pub(super) fn of(ground: &Ground<'_>, tree: &TreeReport, wanted: usize) -> Self {
        if wanted == 0 {
            return Self::Undeclared;
        }
        let physical: BTreeSet<&str> = devices(tree, false);
        if physical.len() >= wanted {
            return Self::Right;
        }
        let others = devices(tree, true).len();
        let message = format!("{} of {wanted} RDMA devices are present", physical.len());
        if let Some(unread) = unread(tree) {
            return Self::Unclear(unread);
        }
        let hidden = hidden(tree);
        if hidden > 0 && physical.len() + hidden >= wanted {
            return Self::Unclear(in_other_namespaces(&message, hidden));
        }
        if tree.rdma_left_out.other == 0 && physical.len() + others == wanted {
            let hint = format!(
                "{message}, and {others} virtual ones, which the profile seems to count: declare only physical devices in network.rdmaDevices"
            );
            return Self::Unclear((reason::RDMA_COUNT_UNCLEAR, hint));
        }
        Self::Missing(missing(ground, message, &physical))
    }
}

fn missing(ground: &Ground<'_>, message: String, devices: &BTreeSet<&str>) -> Found {
    let evidence = devices.iter().copied().collect::<Vec<_>>().join(" ");
    let why = reason::RDMA_DEVICES_MISSING;
    let taken = ground.readings.tree.as_ref().map_or(ground.now.mono_ms, |(_, taken)| *taken);
    if is_confirmed(ground, Check::RdmaLink, (TARGET_NODE, why), taken, 1) {
        found(RULES, why, TARGET_NODE, message, evidence)
    } else {
        suspected(RULES, why, TARGET_NODE, message, evidence)
    }
}

fn devices(tree: &TreeReport, is_virtual: bool) -> BTreeSet<&str> {
    tree.rdma.iter().filter(|port| port.is_virtual == is_virtual).map(|port| port.device.as_str()).collect()
}

/// Why a physical device may be there and was not read.
fn unread(tree: &TreeReport) -> Option<Unclear> {
    let error =
        tree.errors.first().map(|error| (reason::TOOL_ERROR, format!("the RDMA devices cannot be counted: {error}")));
    error.or_else(|| too_many(tree))
}

/// More ports of physical devices than are read.
pub(super) fn too_many(tree: &TreeReport) -> Option<Unclear> {
    let left_out = tree.rdma_left_out.physical;
    let all = tree.rdma.len() + left_out;
    (left_out > 0).then(|| {
        (
            reason::PORTS_NOT_READ,
            format!("{left_out} of {all} RDMA ports are not judged: the agent reads at most {}", tree.rdma.len()),
        )
    })
}

/// Why a port that is not among those read may be there all the same.
pub(super) fn may_be_unseen(tree: &TreeReport) -> Option<Unclear> {
    let left_out = tree.rdma_left_out.other;
    let others = (left_out > 0).then(|| {
        let message =
            format!("a declared RDMA port may be one of {left_out} ports of virtual functions that were not read");
        (reason::PORTS_NOT_READ, message)
    });
    let hidden = hidden(tree);
    let elsewhere = (hidden > 0).then(|| in_other_namespaces("a declared RDMA port is not visible", hidden));
    unread(tree).or(others).or(elsewhere)
}

/// How many cards may have an RDMA device in a network namespace that is not ours: those on PCI with a driver for RDMA and
/// without a device. 0 in the shared mode, where every device is seen from everywhere.
pub(super) fn hidden(tree: &TreeReport) -> usize {
    if tree.rdma_is_exclusive != Some(true) {
        return 0;
    }
    let carries = |driver: &str| RDMA_DRIVERS.contains(&driver);
    tree.nics.iter().filter(|nic| nic.rdma_devices.is_empty() && nic.driver.as_deref().is_some_and(carries)).count()
}

/// What a person does about devices in other network namespaces.
pub(super) fn in_other_namespaces(what: &str, hidden: usize) -> Unclear {
    let message = format!(
        "{what}; {hidden} cards may have theirs in another network namespace, because RDMA is in exclusive mode: use `rdma system set netns shared`, or declare only what stays with the host"
    );
    (reason::RDMA_NAMESPACE_EXCLUSIVE, message)
}
