//! `probe tree` as a process, on synthetic trees: what it reports of PCI.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod probe_support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use node_agent::readings::TreeReport;
use node_agent::readings::inventory::{ConfigSpace, Vendor};
use probe_support::probe;

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

    fn probe(&self) -> TreeReport {
        let root = self.root().display();
        probe(&["tree", &format!("--sysfs-root={root}"), &format!("--proc-root={root}")], &[])
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

fn addresses(report: &TreeReport) -> Vec<&str> {
    report.pci.iter().map(|gpu| gpu.address.as_str()).collect()
}

#[test]
fn eight_gpus_are_found_in_any_domain_and_in_the_order_of_the_bus() {
    let tree = Tree::new();
    for address in EIGHT.iter().rev() {
        tree.gpu(address);
    }
    // Other devices that are no accelerators: a bridge, an NVSwitch, a GPU's audio function, the graphics of a BMC and of
    // an AMD processor.
    tree.device("0000:00:00.0", "0x060400", "0x10de", "0x1af1", None);
    tree.device("0000:07:00.0", "0x068000", "0x10de", "0x22a3", None);
    tree.device("0000:18:00.1", "0x040300", "0x10de", "0x2330", None);
    tree.device("0000:03:00.0", "0x030000", "0x1a03", "0x2000", Some("ast"));
    tree.device("0000:04:00.0", "0x030000", "0x1002", "0x1638", Some("amdgpu"));
    tree.write("bus/pci/slots/7/address", b"0000:18:00\n");
    let report = tree.probe();
    assert_eq!(addresses(&report), EIGHT);
    assert!(report.pci_errors.is_empty() && report.nics.is_empty(), "{report:?}");
    let first = &report.pci[0];
    assert_eq!((first.vendor, first.device, first.numa_node), (Vendor::Nvidia, 0x2330, Some(1)));
    assert_eq!((first.driver.as_deref(), first.slot.as_deref()), (Some("nvidia"), Some("7")));
    assert_eq!(first.config_space, ConfigSpace::Answers);
    assert_eq!(report.pci[1].slot, None);
}

#[test]
fn amd_accelerators_of_each_class_are_found_and_a_missing_driver_shows() {
    let tree = Tree::new();
    tree.device("0000:05:00.0", "0x120000", "0x1002", "0x74a1", Some("amdgpu"));
    tree.device("0000:26:00.0", "0x038000", "0x1002", "0x738c", None);
    tree.write("devices/pci0000:00/0000:26:00.0/numa_node", b"-1\n");
    let report = tree.probe();
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
    let report = tree.probe();
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
    let report = tree.probe();
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
    let report = Tree(tempfile::tempdir().unwrap()).probe();
    assert_eq!(report.pci_errors.len(), 1);
    assert!(report.pci_errors[0].contains("bus/pci/devices: No such file"), "{report:?}");
    let tree = Tree::new();
    tree.gpu("0000:18:00.0");
    tree.gpu("0000:2a:00.0");
    tree.write("devices/pci0000:00/0000:2a:00.0/class", b"nonsense\n");
    let report = tree.probe();
    assert_eq!(addresses(&report), ["0000:18:00.0"]);
    assert!(report.pci_errors[0].starts_with("0000:2a:00.0: class: "), "{report:?}");
}
