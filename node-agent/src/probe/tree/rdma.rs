//! RDMA ports below `class/infiniband`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::bus::{is_virtual_function, rdma_address};
use super::root::Root;
use super::values;
use crate::readings::inventory::Nic;
use crate::readings::sysfs::{RdmaLeftOut, RdmaPort};
use crate::text::key;

/// The most ports that are read; the largest nodes have 40.
const MAX_PORTS: usize = 128;
/// The most counters of a port.
const MAX_COUNTERS: usize = 24;

/// Amazon's vendor id, and the device ids of EFA 0 to 3 (`drivers/infiniband/hw/efa/efa_main.c`).
const EFA: (u16, std::ops::RangeInclusive<u16>) = (0x1d0f, 0xefa0..=0xefa3);

/// Error counters, listed before all others. Source: `Documentation/ABI/stable/sysfs-class-infiniband`, mlx5
/// (`drivers/infiniband/hw/mlx5/counters.c`), EFA (`drivers/infiniband/hw/efa/efa_verbs.c`).
const KNOWN: &[&str] = &[
    "link_downed",
    "link_error_recovery",
    "symbol_error",
    "local_link_integrity_errors",
    "excessive_buffer_overrun_errors",
    "port_rcv_errors",
    "port_rcv_remote_physical_errors",
    "port_rcv_switch_relay_errors",
    "port_rcv_constraint_errors",
    "port_xmit_discards",
    "port_xmit_constraint_errors",
    "VL15_dropped",
    "local_ack_timeout_err",
    "packet_seq_err",
    "out_of_sequence",
    "out_of_buffer",
    "rnr_nak_retry_err",
    "rx_drops",
    "retrans_timeout_events",
    "unresponsive_remote_events",
    "impaired_remote_conn_events",
    "rdma_read_wr_err",
    "rdma_write_wr_err",
    "cmds_err",
    "no_completion_cmds",
];
/// Words in the names of other drivers' error counters.
const ERROR_WORDS: &[&str] = &["err", "drop", "discard", "timeout"];

/// Whether a network card is an Elastic Fabric Adapter.
pub(super) fn is_efa(nic: &Nic) -> bool {
    (nic.vendor == EFA.0 && EFA.1.contains(&nic.device)) || nic.driver.as_deref() == Some("efa")
}

/// Every port, by device and number, those of physical devices first, and how many were left out. `errors` lists what
/// cannot be read.
pub(super) fn ports(root: &Root, nics: &[Nic], errors: &mut Vec<String>) -> (Vec<RdmaPort>, RdmaLeftOut) {
    let efa: BTreeSet<&str> =
        nics.iter().filter(|nic| is_efa(nic)).flat_map(|nic| &nic.rdma_devices).map(String::as_str).collect();
    let devices = root.names("class/infiniband").unwrap_or_else(|error| {
        // A node without RDMA has no such folder.
        if error.kind() != std::io::ErrorKind::NotFound {
            errors.push(format!("{}: {error}", root.shown("class/infiniband")));
        }
        Vec::new()
    });
    let mut all: Vec<(bool, String, u32)> = Vec::new();
    for device in devices {
        let is_virtual = is_virtual(root, &device);
        all.extend(numbers(root, &device, errors).into_iter().map(|number| (is_virtual, device.clone(), number)));
    }
    all.sort();
    let rest = all.split_off(all.len().min(MAX_PORTS));
    let other = rest.iter().filter(|(is_virtual, ..)| *is_virtual).count();
    let left_out = RdmaLeftOut { physical: rest.len() - other, other };
    let read = |(is_virtual, device, number): (bool, String, u32)| RdmaPort {
        is_virtual,
        ..port(root, &device, number, efa.contains(device.as_str()))
    };
    (all.into_iter().map(read).collect(), left_out)
}

fn numbers(root: &Root, device: &str, errors: &mut Vec<String>) -> Vec<u32> {
    let folder = format!("class/infiniband/{device}/ports");
    match root.names(&folder) {
        Ok(names) => names.into_iter().filter_map(|name| name.parse::<u32>().ok()).collect(),
        // A device that disappeared after the listing is not an error.
        Err(_) if root.place(format!("class/infiniband/{device}")).is_err() => Vec::new(),
        Err(error) => {
            errors.push(format!("{}: {error}", root.shown(&folder)));
            Vec::new()
        }
    }
}

/// Whether a device is no hardware of its own: a virtual function (`physfn`), a scalable function (an auxiliary device
/// `mlx5_core.sf.N`, `drivers/net/ethernet/mellanox/mlx5/core/sf/dev/dev.c`), or software: siw has no device below it,
/// and rxe a file `parent` (`drivers/infiniband/sw/rxe/rxe_verbs.c`).
fn is_virtual(root: &Root, device: &str) -> bool {
    let Ok(below) = root.place(format!("class/infiniband/{device}/device")) else {
        // A device that was copied without its links may be anything.
        return root.link_target(format!("class/infiniband/{device}")).is_ok_and(|target| is_without_bus(&target));
    };
    let is_scalable = below.name().is_some_and(|name| name.contains(".sf."));
    is_scalable || is_virtual_function(root, &below) || root.place(format!("class/infiniband/{device}/parent")).is_ok()
}

/// Devices without a parent on a bus stand below `devices/virtual`.
fn is_without_bus(target: &Path) -> bool {
    target.components().any(|part| part.as_os_str() == "virtual")
}

/// Whether RDMA devices belong to one network namespace each (`rdma system set netns exclusive`). The parameter is true for
/// the shared mode (`drivers/infiniband/core/device.c`, `netns_mode`).
pub(super) fn is_exclusive(root: &Root) -> Option<bool> {
    match root.read("module/ib_core/parameters/netns_mode", values::word)?.as_str() {
        "Y" => Some(false),
        "N" => Some(true),
        _ => None,
    }
}

fn port(root: &Root, device: &str, number: u32, efa: bool) -> RdmaPort {
    let folder = format!("class/infiniband/{device}/ports/{number}");
    RdmaPort {
        name: key(&format!("{device}/{number}"), 64),
        device: device.to_owned(),
        pci: rdma_address(root, device).map(|address| address.to_string()),
        is_virtual: false,
        efa,
        link_layer: root.read(format!("{folder}/link_layer"), values::word),
        state: root.read(format!("{folder}/state"), values::port_state),
        phys_state: root.read(format!("{folder}/phys_state"), values::port_state),
        rate_gbps: root.read(format!("{folder}/rate"), values::rate_gbps),
        interface: interface(root, device, number),
        counters: counters(root, device, &folder),
    }
}

/// The interface of a port. If a device has several, the one whose `dev_port` (counted from 0) matches the port.
fn interface(root: &Root, device: &str, number: u32) -> Option<String> {
    let folder = format!("class/infiniband/{device}/device/net");
    let names = root.names(&folder).ok()?;
    let is_ours = |name: &&String| {
        let port = root.read(format!("{folder}/{name}/dev_port"), values::counter);
        port.is_some_and(|port| port + 1 == u64::from(number))
    };
    let several = names.len() > 1;
    names.iter().find(|name| !several || is_ours(name)).or_else(|| names.first()).cloned()
}

/// Error counters: of the port, and of the whole device if its driver counts there (EFA).
fn counters(root: &Root, device: &str, port: &str) -> BTreeMap<String, u64> {
    let folders =
        [format!("{port}/counters"), format!("{port}/hw_counters"), format!("class/infiniband/{device}/hw_counters")];
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for folder in &folders {
        for name in root.names(folder).unwrap_or_default() {
            places.entry(name).or_insert(folder);
        }
    }
    let others = places.keys().filter(|name| is_error(name) && !KNOWN.contains(&name.as_str())).map(String::as_str);
    let wanted = KNOWN.iter().copied().filter(|name| places.contains_key(*name)).chain(others);
    let value =
        |name: &str| Some((name.to_owned(), root.read(format!("{}/{name}", places.get(name)?), values::counter)?));
    wanted.filter_map(value).take(MAX_COUNTERS).collect()
}

fn is_error(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.len() <= 64 && ERROR_WORDS.iter().any(|word| name.contains(word))
}
