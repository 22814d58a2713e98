//! The tree of a simulated node, read by the product's own probe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use gpu_health_tests::product::{RdmaKind, SimulatedNode, binary_folder, built};
use node_agent::readings::ProbeReport;
use node_agent::readings::TreeReport;
use node_agent::readings::inventory::ConfigSpace;
use serde_json::json;
use std::process::Command;

fn read(node: &SimulatedNode) -> TreeReport {
    let agent = built(&binary_folder(), "gpu-health-agent").unwrap();
    let mut probe = Command::new(agent);
    probe.args(["probe", "tree", "--sysfs-root"]).arg(node.sysfs_root()).arg("--proc-root").arg(node.proc_root());
    let output = probe.output().unwrap();
    let report = ProbeReport::parse("tree", &String::from_utf8(output.stdout).unwrap());
    report.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn node(gpus: usize) -> (tempfile::TempDir, SimulatedNode) {
    let folder = tempfile::tempdir().unwrap();
    let node = SimulatedNode::boot("sim-1", folder.path(), gpus).unwrap();
    (folder, node)
}

#[test]
fn a_fresh_node_of_any_size_has_full_links_clean_counters_and_bridges() {
    for gpus in [0, 1, 8, 16] {
        let (_folder, node) = node(gpus);
        let report = read(&node);
        assert_eq!(
            report.pci.iter().map(|gpu| gpu.address.clone()).collect::<std::collections::BTreeSet<_>>().len(),
            gpus
        );
        assert!(report.pci_errors.is_empty() && report.errors.is_empty(), "{report:?}");
        for address in node.gpus() {
            let link = &report.links[address];
            assert_eq!(
                (link.width, link.generation, link.max_width, link.max_generation),
                (Some(16), Some(5), Some(16), Some(5))
            );
            assert_eq!((link.aer_correctable, link.aer_nonfatal, link.aer_fatal), (Some(0), Some(0), Some(0)));
            assert_eq!(report.bridges[address].len(), 2);
        }
    }
}

#[test]
fn links_errors_and_losses_are_read_as_they_were_written() {
    let (_folder, node) = node(4);
    node.set_pci_link(1, 8, 4).unwrap();
    node.set_aer(1, 7, 1, 2).unwrap();
    node.stop_answering(2).unwrap();
    node.remove_from_bus(3).unwrap();
    let report = read(&node);
    let link = &report.links[&node.gpus()[1]];
    assert_eq!((link.width, link.generation), (Some(8), Some(4)));
    assert_eq!((link.aer_correctable, link.aer_nonfatal, link.aer_fatal), (Some(7), Some(1), Some(2)));
    let spaces: Vec<_> = report.pci.iter().map(|gpu| gpu.config_space).collect();
    assert_eq!(spaces, [ConfigSpace::Answers, ConfigSpace::Answers, ConfigSpace::AllOnes]);
    assert_eq!(report.links[&node.gpus()[2]].width, None);
    node.put_on_bus(3).unwrap();
    assert_eq!(read(&node).pci.len(), 4);
}

#[test]
fn rdma_ports_and_efa_devices_come_go_and_count() {
    let (_folder, node) = node(2);
    node.rdma_port("mlx5_0", 0, RdmaKind::InfiniBand).unwrap();
    node.rdma_port("rdmap41s1", 1, RdmaKind::Efa).unwrap();
    node.set_memlock("65536").unwrap();
    node.set_rdma_port("mlx5_0", "state", "1: DOWN").unwrap();
    node.set_rdma_port("mlx5_0", "counters/link_downed", "3").unwrap();
    let report = read(&node);
    let ports: Vec<_> =
        report.rdma.iter().map(|port| (port.name.as_str(), port.efa, port.state, port.rate_gbps)).collect();
    assert_eq!(ports, [("mlx5_0/1", false, Some(1), Some(400)), ("rdmap41s1/1", true, Some(4), Some(100))]);
    assert_eq!(report.rdma[0].counters["link_downed"], 3);
    assert_eq!(report.rdma[0].interface.as_deref(), Some("ib0"));
    // Behind the same switch as the GPU.
    let port = report.rdma[0].pci.as_deref().unwrap();
    assert_eq!(report.bridges[port], report.bridges[&node.gpus()[0]]);
    let efa = &report.efa;
    assert_eq!((efa.pci.len(), efa.rdma.len(), efa.uverbs.len(), efa.memlock_kib), (1, 1, 1, Some(64)));
    assert!(efa.modules.values().all(|loaded| *loaded), "{efa:?}");

    node.remove_rdma_port("rdmap41s1", 1).unwrap();
    node.unload_module("efa").unwrap();
    let report = read(&node);
    assert_eq!((report.rdma.len(), report.efa.pci.len(), report.efa.modules["efa"]), (1, 0, false));
}

#[test]
fn single_values_of_the_driver_s_state_can_be_changed_and_the_rest_stays() {
    let (_folder, node) = node(2);
    node.driver_state_json(|state| state["gpus"][1]["name"] = json!("NVIDIA H200")).unwrap();
    node.driver_state_json(|state| state["driver"] = json!("580.1.1")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&std::fs::read(node.driver_state()).unwrap()).unwrap();
    assert_eq!((&state["driver"], &state["gpus"][1]["name"]), (&json!("580.1.1"), &json!("NVIDIA H200")));
    assert_eq!(state["gpus"][0]["pci"], json!(node.gpus()[0]));
}
