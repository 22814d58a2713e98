//! `probe inventory` on synthetic trees and with the simulated driver library.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use node_agent::probe::inventory::{ConfigSpace, InventoryReport, NvmlView, Vendor};
use probe_support::{Simulated, probe, simulated_nvml};
use serde_json::json;

/// A tree as below `/sys`.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("bus/pci/devices")).unwrap();
        Self(folder)
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// As in the kernel: the device lies below `devices`, and `bus/pci/devices` has a link to it.
    fn device(&self, address: &str, class: &str, vendor: &str, device: &str, driver: Option<&str>) {
        let folder = self.root().join("devices/pci0000:00").join(address);
        fs::create_dir_all(&folder).unwrap();
        let files = [("class", class), ("vendor", vendor), ("device", device), ("numa_node", "1")];
        for (name, text) in files {
            fs::write(folder.join(name), format!("{text}\n")).unwrap();
        }
        fs::write(folder.join("config"), [0xde, 0x10, 0x30, 0x23, 0]).unwrap();
        if let Some(driver) = driver {
            symlink(format!("../../../bus/pci/drivers/{driver}"), folder.join("driver")).unwrap();
        }
        symlink(&folder, self.root().join("bus/pci/devices").join(address)).unwrap();
    }

    fn write(&self, path: &str, text: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn gpu(&self, address: &str) {
        self.device(address, "0x030200", "0x10de", "0x2330", Some("nvidia"));
    }

    fn probe(&self, library: &str, environment: &[(&str, &str)]) -> InventoryReport {
        let root = format!("--sysfs-root={}", self.root().display());
        probe(&["inventory", &root, &format!("--nvml-library={library}")], environment)
    }
}

const EIGHT: [&str; 8] = [
    "0000:18:00.0",
    "0000:2a:00.0",
    "0000:3a:00.0",
    "0000:5d:00.0",
    "0001:9a:00.0",
    "0001:ab:00.0",
    "0009:ba:00.0",
    "10000:db:00.0",
];

fn addresses(report: &InventoryReport) -> Vec<&str> {
    report.pci.iter().map(|gpu| gpu.address.as_str()).collect()
}

fn with_library(tree: &Tree, simulated: &Simulated) -> NvmlView {
    let state = simulated.path();
    let environment = [("SIMULATED_NVML_STATE", state.to_str().unwrap())];
    tree.probe(simulated_nvml().to_str().unwrap(), &environment).nvml
}

#[test]
fn eight_gpus_are_found_in_any_domain_and_in_the_order_of_the_bus() {
    let tree = Tree::new();
    for address in EIGHT.iter().rev() {
        tree.gpu(address);
    }
    // Neighbours that are no accelerators: a bridge, an NVSwitch, a GPU's audio function, the graphics of a BMC and of
    // an AMD processor.
    tree.device("0000:00:00.0", "0x060400", "0x10de", "0x1af1", None);
    tree.device("0000:07:00.0", "0x068000", "0x10de", "0x22a3", None);
    tree.device("0000:18:00.1", "0x040300", "0x10de", "0x2330", None);
    tree.device("0000:03:00.0", "0x030000", "0x1a03", "0x2000", Some("ast"));
    tree.device("0000:04:00.0", "0x030000", "0x1002", "0x1638", Some("amdgpu"));
    tree.write("bus/pci/slots/7/address", b"0000:18:00\n");
    let report = tree.probe("/nonexistent.so", &[]);
    assert_eq!(addresses(&report), EIGHT);
    assert!(report.pci_errors.is_empty() && report.nics.is_empty(), "{report:?}");
    let first = &report.pci[0];
    assert_eq!((first.vendor, first.device, first.numa_node), (Vendor::Nvidia, 0x2330, Some(1)));
    assert_eq!((first.driver.as_deref(), first.slot.as_deref()), (Some("nvidia"), Some("7")));
    assert_eq!(first.config_space, ConfigSpace::Answers);
    assert_eq!(report.pci[1].slot, None);
    assert_eq!(report.nvml.status, "LibraryNotFound");
}

#[test]
fn amd_accelerators_of_each_class_are_found_and_a_missing_driver_shows() {
    let tree = Tree::new();
    tree.device("0000:05:00.0", "0x120000", "0x1002", "0x74a1", Some("amdgpu"));
    tree.device("0000:26:00.0", "0x038000", "0x1002", "0x738c", None);
    tree.write("devices/pci0000:00/0000:26:00.0/numa_node", b"-1\n");
    let report = tree.probe("/nonexistent.so", &[]);
    assert_eq!(addresses(&report), ["0000:05:00.0", "0000:26:00.0"]);
    assert!(report.pci.iter().all(|gpu| gpu.vendor == Vendor::Amd));
    assert_eq!((report.pci[1].driver.as_deref(), report.pci[1].numa_node), (None, None));
}

#[test]
fn a_gpu_whose_configuration_space_is_all_ones_is_there_but_answers_no_more() {
    let tree = Tree::new();
    tree.gpu("0000:18:00.0");
    tree.gpu("0000:2a:00.0");
    tree.write("devices/pci0000:00/0000:2a:00.0/config", &[0xff; 64]);
    let report = tree.probe("/nonexistent.so", &[]);
    let spaces: Vec<_> = report.pci.iter().map(|gpu| gpu.config_space).collect();
    assert_eq!(spaces, [ConfigSpace::Answers, ConfigSpace::AllOnes]);
}

#[test]
fn network_cards_carry_their_rdma_devices_and_interfaces() {
    let tree = Tree::new();
    tree.device("0000:1b:00.0", "0x020700", "0x15b3", "0x1021", Some("mlx5_core"));
    tree.device("0000:1c:00.0", "0x020000", "0x1d0f", "0xefa2", Some("efa"));
    for (rdma, address) in [("mlx5_0", "0000:1b:00.0"), ("rdmap28s0", "0000:1c:00.0")] {
        let folder = tree.root().join("class/infiniband").join(rdma);
        fs::create_dir_all(&folder).unwrap();
        symlink(tree.root().join("devices/pci0000:00").join(address), folder.join("device")).unwrap();
    }
    tree.write("devices/pci0000:00/0000:1b:00.0/net/ib0/mtu", b"4092\n");
    let report = tree.probe("/nonexistent.so", &[]);
    let seen: Vec<_> = report
        .nics
        .iter()
        .map(|nic| (nic.address.as_str(), nic.vendor, nic.rdma_devices.join(","), nic.interfaces.join(",")))
        .collect();
    assert_eq!(
        seen,
        [
            ("0000:1b:00.0", 0x15b3, "mlx5_0".to_owned(), "ib0".to_owned()),
            ("0000:1c:00.0", 0x1d0f, "rdmap28s0".to_owned(), String::new()),
        ]
    );
}

#[test]
fn a_tree_that_cannot_be_read_is_an_error_and_not_a_node_without_gpus() {
    let report = Tree(tempfile::tempdir().unwrap()).probe("/nonexistent.so", &[]);
    assert_eq!(report.pci_errors.len(), 1);
    assert!(report.pci_errors[0].contains("bus/pci/devices: No such file"), "{report:?}");
    let tree = Tree::new();
    tree.gpu("0000:18:00.0");
    tree.gpu("0000:2a:00.0");
    tree.write("devices/pci0000:00/0000:2a:00.0/class", b"nonsense\n");
    let report = tree.probe("/nonexistent.so", &[]);
    assert_eq!(addresses(&report), ["0000:18:00.0"]);
    assert!(report.pci_errors[0].starts_with("0000:2a:00.0: class: "), "{report:?}");
}

#[test]
fn the_library_tells_identity_and_memory_of_each_gpu() {
    let simulated = Simulated::new(&json!({"driver": "570.86.15", "gpus": [
        {"pci": "0000:18:00.0"},
        {"pci": "10000:db:00.0", "name": "NVIDIA H200", "memory_mib": 143_771, "serial": "SIM0000000042"},
    ]}));
    let nvml = with_library(&Tree::new(), &simulated);
    assert_eq!((nvml.status.as_str(), nvml.driver.as_deref(), nvml.count), ("Ok", Some("570.86.15"), Some(2)));
    assert!(nvml.errors.is_empty(), "{nvml:?}");
    let [first, second] = nvml.gpus.as_slice() else { panic!("{nvml:?}") };
    assert_eq!((first.index, first.pci.as_deref()), (0, Some("0000:18:00.0")));
    assert_eq!(first.uuid.as_deref(), Some("GPU-simulated-0000-0000-0000-000000000001"));
    assert_eq!((first.serial.as_deref(), first.vbios.as_deref()), (Some("SIM0000000001"), Some("96.00.74.00.01")));
    assert_eq!((first.name.as_deref(), first.memory_mib), (Some("NVIDIA H100 80GB HBM3"), Some(81_559)));
    assert_eq!((second.index, second.pci.as_deref()), (1, Some("10000:db:00.0")));
    assert_eq!((second.serial.as_deref(), second.memory_mib), (Some("SIM0000000042"), Some(143_771)));
}

#[test]
fn a_lost_gpu_is_an_error_of_its_own_and_hides_no_other() {
    let simulated = Simulated::new(&json!({"gpus": [
        {"pci": "0000:18:00.0"},
        {"pci": "0000:2a:00.0", "fault": {"return": 15}},
        {"pci": "0000:3a:00.0", "calls": {"nvmlDeviceGetUUID": {"return": 16}, "nvmlDeviceGetSerial": {"return": 3}}},
    ]}));
    let nvml = with_library(&Tree::new(), &simulated);
    assert_eq!(nvml.status, "Ok");
    assert_eq!(nvml.gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!((nvml.gpus[1].uuid.as_deref(), nvml.gpus[1].serial.as_deref()), (None, None));
    let errors: Vec<_> = nvml
        .errors
        .iter()
        .map(|error| (error.index, error.pci.as_deref(), error.call.as_str(), error.kind.as_str()))
        .collect();
    assert_eq!(
        errors,
        [
            (Some(1), None, "DeviceGetHandleByIndex", "GpuLost"),
            (Some(2), Some("0000:3a:00.0"), "DeviceGetUUID", "ResetRequired"),
        ]
    );
}

#[test]
fn holes_in_the_numbering_hide_no_gpu_behind_them() {
    let simulated = Simulated::new(&json!({"gpus": [
        {"pci": "0000:18:00.0"},
        {"pci": "0000:2a:00.0", "hole": true},
        {"pci": "0000:3a:00.0", "hole": true},
        {"pci": "0000:5d:00.0"},
    ]}));
    let nvml = with_library(&Tree::new(), &simulated);
    assert_eq!(nvml.count, Some(2));
    let seen: Vec<_> = nvml.gpus.iter().map(|gpu| (gpu.index, gpu.pci.as_deref().unwrap())).collect();
    assert_eq!(seen, [(0, "0000:18:00.0"), (3, "0000:5d:00.0")]);
    assert_eq!(nvml.errors.iter().map(|error| error.index).collect::<Vec<_>>(), [Some(1), Some(2)]);
}

#[test]
fn the_hardware_can_change_between_two_probes() {
    let simulated = Simulated::new(&json!({"gpus": [{"pci": "0000:18:00.0"}]}));
    let tree = Tree::new();
    assert_eq!(with_library(&tree, &simulated).gpus.len(), 1);
    simulated.becomes(&json!({"gpus": []}));
    let nvml = with_library(&tree, &simulated);
    assert_eq!((nvml.count, nvml.gpus.len(), nvml.status.as_str()), (Some(0), 0, "Ok"));
}

#[test]
fn each_failure_of_the_driver_has_its_own_status() {
    let cases = [
        (9, "DriverNotLoaded"),
        (18, "LibRmVersionMismatch"),
        (4, "NoPermission"),
        (999, "Unknown"),
        (4242, "Unknown(4242)"),
    ];
    for (code, status) in cases {
        let simulated = Simulated::new(&json!({"calls": {"nvmlInit_v2": {"return": code}}}));
        let nvml = with_library(&Tree::new(), &simulated);
        assert_eq!((nvml.status.as_str(), nvml.count, nvml.gpus.len()), (status, None, 0));
        assert!(nvml.message.is_some());
    }
    let simulated = Simulated::new(&json!({"calls": {"nvmlDeviceGetCount_v2": {"return": 15}}}));
    assert_eq!(with_library(&Tree::new(), &simulated).status, "GpuLost");
}
