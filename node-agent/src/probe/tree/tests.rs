//! Trees as kernels make them, and as no kernel would.

use super::*;
use crate::pci::PciAddress;
use crate::readings::sysfs::{PciLink, RdmaPort};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

/// `sys` and `proc` in one folder, laid out as the kernel does: devices below `devices`, everything else as links.
struct Node(tempfile::TempDir);

impl Node {
    fn new() -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        for folder in ["sys/bus/pci/devices", "sys/module", "proc"] {
            fs::create_dir_all(node.0.path().join(folder)).unwrap();
        }
        node
    }

    fn sys(&self, path: &str) -> PathBuf {
        self.0.path().join("sys").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.sys(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A function at a path below `devices`, such as `pci0000:00/0000:00:01.0/0000:18:00.0`.
    fn function(&self, path: &str, class: &str, vendor: &str, device: &str) {
        for (file, text) in [("class", class), ("vendor", vendor), ("device", device), ("numa_node", "0")] {
            self.write(&format!("sys/devices/{path}/{file}"), &format!("{text}\n"));
        }
        let address = path.rsplit('/').next().unwrap();
        self.link(&format!("bus/pci/devices/{address}"), &format!("../../../devices/{path}"));
    }

    fn files(&self, folder: &str, files: &[(&str, &str)]) {
        for (file, text) in files {
            self.write(&format!("sys/{folder}/{file}"), text);
        }
    }

    /// An RDMA device below a PCI function, with one port.
    fn rdma(&self, function: &str, device: &str, files: &[(&str, &str)]) {
        let folder = format!("devices/{function}/infiniband/{device}");
        self.files(&format!("{folder}/ports/1"), files);
        let address = function.rsplit('/').next().unwrap();
        self.link(&format!("{folder}/device"), &format!("../../../{address}"));
        self.link(&format!("class/infiniband/{device}"), &format!("../../{folder}"));
    }

    fn measure(&self) -> TreeReport {
        measure(&TreeParameters { sysfs_root: self.sys(""), proc_root: self.0.path().join("proc") })
    }
}

const GPU: &str = "pci0000:10/0000:10:01.0/0000:16:00.0/0000:18:00.0";
const NIC: &str = "pci0000:10/0000:10:01.0/0000:17:00.0/0000:1b:00.0";

/// A switch with a GPU and an InfiniBand card below it.
fn node() -> Node {
    let node = Node::new();
    node.function("pci0000:10/0000:10:01.0", "0x060400", "0x8086", "0x347a");
    node.function(GPU, "0x030200", "0x10de", "0x2330");
    node.function(NIC, "0x020700", "0x15b3", "0x1021");
    let link = [
        ("current_link_speed", "16.0 GT/s PCIe\n"),
        ("current_link_width", "8\n"),
        ("max_link_speed", "32.0 GT/s PCIe\n"),
        ("max_link_width", "16\n"),
        ("aer_dev_correctable", "RxErr 3\nBadTLP 1\nTOTAL_ERR_COR 4\n"),
        ("aer_dev_nonfatal", "Undefined 0\nTOTAL_ERR_NONFATAL 0\n"),
        ("aer_dev_fatal", "TOTAL_ERR_FATAL 1\n"),
    ];
    node.files(&format!("devices/{GPU}"), &link);
    let port = [
        ("state", "4: ACTIVE\n"),
        ("phys_state", "5: LinkUp\n"),
        ("rate", "400 Gb/sec (4X NDR)\n"),
        ("link_layer", "InfiniBand\n"),
        ("counters/link_downed", "2\n"),
        ("counters/port_xmit_data", "123456789\n"),
        ("hw_counters/out_of_sequence", "7\n"),
        ("hw_counters/lifespan", "10\n"),
    ];
    node.rdma(NIC, "mlx5_0", &port);
    node.write(&format!("sys/devices/{NIC}/net/ib0/dev_port"), "0\n");
    node
}

#[test]
fn a_gpu_s_link_errors_and_bridges_are_told_as_the_kernel_has_them() {
    let report = node().measure();
    assert_eq!(report.pci.iter().map(|gpu| gpu.address.as_str()).collect::<Vec<_>>(), ["0000:18:00.0"]);
    let link = PciLink {
        generation: Some(4),
        width: Some(8),
        max_generation: Some(5),
        max_width: Some(16),
        aer_correctable: Some(4),
        aer_nonfatal: Some(0),
        aer_fatal: Some(1),
    };
    assert_eq!(report.links, BTreeMap::from([("0000:18:00.0".to_owned(), link)]));
    let above = |bridges: &[&str]| bridges.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        report.bridges,
        BTreeMap::from([
            ("0000:18:00.0".to_owned(), above(&["0000:10:01.0", "0000:16:00.0"])),
            ("0000:1b:00.0".to_owned(), above(&["0000:10:01.0", "0000:17:00.0"])),
        ])
    );
    assert_eq!((report.pci_errors, report.errors), (vec![], vec![]));
}

#[test]
fn the_module_s_version_and_the_minors_of_its_gpus_are_read() {
    let node = node();
    assert_eq!((node.measure().module_version, node.measure().minors), (None, None));
    node.write("sys/module/nvidia/version", "570.86.15\n");
    let information = "Model: \t\t NVIDIA H100\nIRQ:   \t\t 241\nBus Location: \t 0000:18:00.0\nDevice Minor: \t 3\n";
    node.write("proc/driver/nvidia/gpus/0000:18:00.0/information", information);
    node.write("proc/driver/nvidia/gpus/0000:2a:00.0/information", "garbage");
    let report = node.measure();
    assert_eq!(report.module_version.as_deref(), Some("570.86.15"));
    assert_eq!(report.minors, Some(BTreeMap::from([("0000:18:00.0".to_owned(), 3)])));
}

#[test]
fn a_port_has_its_state_rate_interface_and_counters_of_errors_only() {
    let expected = RdmaPort {
        name: "mlx5_0/1".to_owned(),
        device: "mlx5_0".to_owned(),
        pci: Some("0000:1b:00.0".to_owned()),
        is_virtual: false,
        efa: false,
        link_layer: Some("InfiniBand".to_owned()),
        state: Some(4),
        phys_state: Some(5),
        rate_gbps: Some(400),
        interface: Some("ib0".to_owned()),
        counters: BTreeMap::from([("link_downed".to_owned(), 2), ("out_of_sequence".to_owned(), 7)]),
    };
    assert_eq!(node().measure().rdma, [expected]);
}

#[test]
fn a_tree_of_plain_folders_has_devices_and_no_bridges() {
    let node = Node::new();
    let at = "bus/pci/devices/0000:18:00.0";
    node.files(at, &[("class", "0x030200\n"), ("vendor", "0x10de\n"), ("device", "0x2330\n")]);
    let report = node.measure();
    assert_eq!(report.links, BTreeMap::from([("0000:18:00.0".to_owned(), PciLink::default())]));
    assert_eq!(report.bridges["0000:18:00.0"], Vec::<String>::new());
}

#[test]
fn bridges_behind_a_volume_management_device_are_in_order_and_roots_are_none() {
    let node = Node::new();
    node.function("pci0000:00/0000:00:0e.0/pci10000:00/10000:00:01.0/10000:01:00.0", "0x030200", "0x10de", "0x2330");
    assert_eq!(node.measure().bridges["10000:01:00.0"], ["0000:00:0e.0", "10000:00:01.0"]);
}

#[test]
fn virtual_functions_of_a_gpu_are_no_gpus() {
    let node = node();
    node.function("pci0000:10/0000:18:00.4", "0x030200", "0x10de", "0x2330");
    node.link("devices/pci0000:10/0000:18:00.4/physfn", "../0000:10:01.0/0000:16:00.0/0000:18:00.0");
    assert_eq!(node.measure().pci.len(), 1);
}

#[test]
fn what_is_no_rdma_hardware_of_its_own_is_told_and_takes_no_place() {
    let node = node();
    let port = [("state", "4: ACTIVE\n"), ("link_layer", "InfiniBand\n")];
    // 150 virtual functions, whose names come before that of the card.
    for number in 0..150 {
        let function = format!("pci0000:10/0000:{:02x}:{:02x}.{}", 0x40 + number / 100, number % 100 / 8, number % 8);
        node.function(&function, "0x020700", "0x15b3", "0x1022");
        node.link(&format!("devices/{function}/physfn"), &format!("../../{NIC}"));
        node.rdma(&function, &format!("a_{number}"), &port);
    }
    // A scalable function, siw, and rxe on top of the card.
    for (folder, device) in
        [(format!("{NIC}/mlx5_core.sf.4"), "b_sf"), ("virtual".to_owned(), "b_siw"), (NIC.to_owned(), "b_rxe")]
    {
        let folder = format!("devices/{folder}/infiniband/{device}");
        node.files(&format!("{folder}/ports/1"), &port);
        node.link(&format!("class/infiniband/{device}"), &format!("../../{folder}"));
    }
    node.link(&format!("devices/{NIC}/mlx5_core.sf.4/infiniband/b_sf/device"), "../../../mlx5_core.sf.4");
    node.link(&format!("devices/{NIC}/infiniband/b_rxe/device"), "../../../0000:1b:00.0");
    node.write(&format!("sys/devices/{NIC}/infiniband/b_rxe/parent"), "ib0\n");
    let report = node.measure();
    let physical: Vec<&str> =
        report.rdma.iter().filter(|port| !port.is_virtual).map(|port| port.device.as_str()).collect();
    assert_eq!((physical, report.rdma.len()), (vec!["mlx5_0"], 128));
    assert_eq!(report.rdma_left_out, crate::readings::sysfs::RdmaLeftOut { physical: 0, other: 26 });
    assert_eq!((report.nics.len(), report.errors), (1, vec![]), "virtual functions are no cards");
}

#[test]
fn whether_rdma_devices_belong_to_one_network_namespace_is_told() {
    let node = node();
    assert_eq!(node.measure().rdma_is_exclusive, None);
    for (text, is_exclusive) in [("Y\n", Some(false)), ("N\n", Some(true)), ("?\n", None)] {
        node.write("sys/module/ib_core/parameters/netns_mode", text);
        assert_eq!(node.measure().rdma_is_exclusive, is_exclusive);
    }
}

#[test]
fn efa_is_told_by_its_ids_with_its_uverbs_modules_and_locked_memory() {
    let node = node();
    let efa = "pci0000:20/0000:20:1c.0";
    node.function(efa, "0x020000", "0x1d0f", "0xefa2");
    node.link(&format!("devices/{efa}/driver"), "../../../bus/pci/drivers/efa");
    let port = [
        ("state", "4: ACTIVE\n"),
        ("link_layer", "Unspecified\n"),
        ("hw_counters/rx_drops", "3\n"),
        ("hw_counters/tx_bytes", "3\n"),
    ];
    node.rdma(efa, "rdmap32s28", &port);
    node.files("class/infiniband_verbs/uverbs0", &[("ibdev", "mlx5_0\n")]);
    node.files("class/infiniband_verbs/uverbs1", &[("ibdev", "rdmap32s28\n")]);
    node.files("module/efa", &[("version", "3.1.0\n")]);
    node.write("proc/self/limits", "Max locked memory         65536                65536                bytes     \n");
    node.write("proc/1/limits", "Max locked memory         1                    1                    bytes     \n");
    let report = node.measure();
    let view = report.efa;
    assert_eq!(
        (view.pci, view.rdma, view.uverbs),
        (vec!["0000:20:1c.0".to_owned()], vec!["rdmap32s28".to_owned()], vec!["uverbs1".to_owned()])
    );
    // ib_core and ib_uverbs are built in: they have classes but no module folders.
    assert!(view.modules.values().all(|there| *there) && view.modules.len() == 3, "{:?}", view.modules);
    assert_eq!(view.memlock_kib, Some(64));
    let port = report.rdma.iter().find(|port| port.efa).unwrap();
    assert_eq!((port.name.as_str(), &port.counters), ("rdmap32s28/1", &BTreeMap::from([("rx_drops".to_owned(), 3)])));
}

#[test]
fn modules_that_cannot_be_listed_are_unknown_and_not_missing() {
    let node = node();
    fs::remove_dir(node.sys("module")).unwrap();
    let report = node.measure();
    assert!(report.efa.modules.is_empty());
    assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
}

#[test]
fn garbage_in_any_file_leaves_a_hole_and_spares_the_rest() {
    let node = node();
    let garbage = "\u{0}\u{1b}[31m 99999999999999999999999999 \u{fffd}\n".repeat(4);
    for file in ["current_link_speed", "current_link_width", "aer_dev_correctable", "numa_node"] {
        node.write(&format!("sys/devices/{GPU}/{file}"), &garbage);
    }
    for file in ["state", "rate", "link_layer", "counters/link_downed"] {
        node.write(&format!("sys/devices/{NIC}/infiniband/mlx5_0/ports/1/{file}"), &garbage);
    }
    let report = node.measure();
    let link = &report.links["0000:18:00.0"];
    assert_eq!((link.generation, link.width, link.aer_correctable), (None, None, None));
    assert_eq!((link.max_width, link.aer_fatal), (Some(16), Some(1)));
    let port = &report.rdma[0];
    assert_eq!((port.state, port.rate_gbps, &port.link_layer, port.phys_state), (None, None, &None, Some(5)));
    assert!(!port.counters.contains_key("link_downed") && report.pci_errors.is_empty(), "{report:?}");
}

#[test]
fn a_device_whose_class_cannot_be_read_is_named_and_the_others_are_told() {
    let node = node();
    node.function("pci0000:20/0000:20:00.0", "garbage", "0x10de", "0x2330");
    node.function("pci0000:20/0000:21:00.0", "0x030200", "0x10de", "0x12330");
    let report = node.measure();
    assert_eq!(report.pci.len(), 1);
    assert_eq!(report.pci_errors.len(), 2, "{:?}", report.pci_errors);
    assert!(report.pci_errors[0].starts_with("0000:20:00.0: class: no hexadecimal number"), "{:?}", report.pci_errors);
}

#[test]
fn a_device_that_went_away_behind_its_link_is_not_there_and_no_error() {
    let node = node();
    node.link("bus/pci/devices/0000:2a:00.0", "../../../devices/pci0000:00/0000:2a:00.0");
    node.link("class/infiniband/mlx5_9", "../../devices/gone/infiniband/mlx5_9");
    let report = node.measure();
    assert_eq!((report.pci.len(), report.rdma.len()), (1, 1));
    assert!(report.pci_errors.is_empty() && report.errors.is_empty(), "{report:?}");
}

#[test]
fn fifos_huge_files_and_circles_of_links_neither_hold_up_nor_fail() {
    let node = node();
    let gpu = format!("devices/{GPU}");
    for file in ["current_link_speed", "aer_dev_fatal", "config"] {
        let _ = fs::remove_file(node.sys(&format!("{gpu}/{file}")));
        mknodat(CWD, node.sys(&format!("{gpu}/{file}")), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    fs::write(node.sys(&format!("{gpu}/aer_dev_correctable")), vec![b'1'; 1 << 20]).unwrap();
    node.link("bus/pci/devices/0000:30:00.0", "0000:31:00.0");
    node.link("bus/pci/devices/0000:31:00.0", "0000:30:00.0");
    node.link("class/infiniband/mlx5_1", "mlx5_1");
    let report = node.measure();
    let link = &report.links["0000:18:00.0"];
    assert_eq!((link.generation, link.aer_correctable, link.aer_fatal), (None, None, None));
    assert_eq!((link.width, report.pci.len(), report.rdma.len()), (Some(8), 1, 1));
    assert_eq!(report.pci[0].config_space, crate::readings::inventory::ConfigSpace::Unreadable);
}

#[test]
fn nothing_outside_of_the_root_is_read() {
    let node = node();
    node.write("elsewhere/class", "0x030200\n");
    node.write("elsewhere/vendor", "0x10de\n");
    node.write("elsewhere/device", "0x2330\n");
    node.link("bus/pci/devices/0000:40:00.0", "../../../../elsewhere");
    fs::remove_file(node.sys(&format!("devices/{GPU}/max_link_width"))).unwrap();
    node.write("width", "4\n");
    node.link(&format!("devices/{GPU}/max_link_width"), node.0.path().join("width").to_str().unwrap());
    let report = node.measure();
    assert_eq!((report.pci.len(), report.links["0000:18:00.0"].max_width), (1, None));
    assert_eq!(report.pci_errors, ["0000:40:00.0: leads out of the tree"]);
}

#[test]
fn a_root_that_is_not_there_is_an_error_in_words_and_not_an_empty_machine() {
    let report = measure(&TreeParameters { sysfs_root: "/nonexistent".into(), proc_root: "/nonexistent".into() });
    assert_eq!(report.pci_errors, ["/nonexistent/bus/pci/devices: No such file or directory (os error 2)"]);
    assert_eq!(report.efa.memlock_kib, None);
}

#[test]
fn more_devices_and_counters_than_any_machine_has_are_cut_and_told() {
    let node = node();
    for number in 0..300_u32 {
        let address = PciAddress {
            domain: 1,
            bus: (number / 8).try_into().unwrap(),
            device: 0,
            function: (number % 8).try_into().unwrap(),
        };
        node.function(&format!("pci0001:00/{address}"), "0x020000", "0x8086", "0x1572");
    }
    for number in 0..100 {
        let name = format!("devices/{NIC}/infiniband/mlx5_0/ports/1/hw_counters/some_error_{number:03}");
        node.write(&format!("sys/{name}"), "1\n");
    }
    let report = node.measure();
    assert_eq!((report.nics.len(), report.pci.len(), report.rdma[0].counters.len()), (256, 1, 24));
    assert!(report.rdma[0].counters.contains_key("link_downed"));
    assert_eq!(report.errors, ["45 more network cards than are read"]);
    assert!(report.pci_errors.is_empty());
}
