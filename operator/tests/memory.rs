//! What a node costs in memory. The only test of its process, because the memory of the process is what is measured.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::{Check, NodeHealth};
use operator::{
    stores::{
        Stores,
        observation::{Observation, Seen},
        projection::{Projection, Renewal},
    },
    world::Node,
};
use serde_json::{Value, json};
use std::{fs, sync::Arc, time::Instant};

const NODES: usize = 3_000;
/// The goal is 12 KiB for the whole process; the rest is for what decisions keep of a node and for answers under way.
const MOST_BYTES: usize = 11 * 1024;
/// How many objects are in memory as text at the same time, as in a page of a list.
const PAGE: usize = 100;
/// Labels that a node with feature discovery for CPU and GPUs has in common with its like.
const LABELS: usize = 40;

fn resident_bytes() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn address(index: usize) -> String {
    format!("0000:{:02x}:00.0", 0x10 + index)
}

fn node(number: usize) -> Value {
    let name = format!("node-{number:05}");
    let common = (0..LABELS).map(|label| (format!("feature.node.kubernetes.io/feature-{label}"), json!("value")));
    let own = [("kubernetes.io/hostname", name.clone()), ("nvidia.com/gfd.timestamp", format!("17952{number:05}"))];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), json!(value)));
    let labels: serde_json::Map<String, Value> = common.chain(own).collect();
    json!({
        "metadata": {"name": name, "uid": format!("aaaaaaaa-0000-0000-0000-{number:012}"),
            "resourceVersion": format!("{}", 100_000 + number), "labels": labels},
        "status": {
            "allocatable": {"nvidia.com/gpu": "8"},
            "addresses": [{"type": "InternalIP", "address": format!("10.0.{}.{}", number / 250, number % 250)}],
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "GPUHealthy", "status": "True", "reason": "AllChecksPassed",
                    "message": "Every enabled check passed.", "lastTransitionTime": "2026-11-28T00:00:00Z"}],
            "nodeInfo": {"bootID": format!("bbbbbbbb-0000-0000-0000-{number:012}")}},
    })
}

fn health(number: usize) -> Value {
    let name = format!("node-{number:05}");
    let time = format!("2026-11-28T{:02}:{:02}:00Z", number / 60 % 24, number % 60);
    let node_uid = format!("aaaaaaaa-0000-0000-0000-{number:012}");
    let all_passed = "Every enabled check passed.";
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": "AllChecksPassed", "message": all_passed,
            "lastTransitionTime": time})
    };
    let conditions = ["Healthy", "AgentReporting", "ProfileResolved", "Covered"].map(condition);
    let uuid = |gpu: usize| format!("GPU-{number:08}-0000-0000-0000-{gpu:012}");
    let verdict = |gpu: usize| json!({"pciAddress": address(gpu), "uuid": uuid(gpu), "serial": serial(number, gpu), "state": "Healthy"});
    let monitors: Vec<Value> = monitors().map(|name| json!({"name": name, "intervalSeconds": 30})).collect();
    json!({
        "metadata": {"name": name, "uid": format!("cccccccc-0000-0000-0000-{number:012}"),
            "resourceVersion": format!("{}", 200_000 + number), "generation": 1, "creationTimestamp": time,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid}]},
        "spec": {"node": {"uid": node_uid, "allocatable": {"nvidia.com/gpu": 8}}, "monitors": monitors},
        "status": {
            "conditions": conditions,
            "gpus": (0..8).map(verdict).collect::<Vec<_>>(),
            "gpuCount": {"expected": 8, "healthy": 8},
            "summary": {"gpus": "8/8"},
            "decision": {"state": "Healthy", "since": time, "reason": "AllChecksPassed", "message": all_passed},
            "report": report(number, &time)},
    })
}

/// A report of eight GPUs and twelve network devices, on which every check passes.
fn report(number: usize, time: &str) -> Value {
    let covered: Vec<String> = (0..8).map(address).chain(["node".to_owned()]).collect();
    let gpu = |gpu: usize| {
        json!({"pciAddress": address(gpu), "index": gpu, "uuid": format!("GPU-{number:08}-0000-0000-0000-{gpu:012}"),
            "serial": serial(number, gpu), "model": "NVIDIA H100 80GB HBM3", "vbios": "96.00.5E.00.03",
            "memoryMiB": 81_559})
    };
    let nic = |nic: usize| {
        json!({"pciAddress": format!("0000:{:02x}:00.0", 0x80 + nic), "interface": format!("ibs{nic}"),
            "rdma": format!("mlx5_{nic}")})
    };
    let row =
        |check: &str| json!({"check": check, "outcome": "Pass", "covered": covered, "since": time, "lastRun": time});
    json!({
        "agent": {"version": "0.1.0", "bootId": format!("bbbbbbbb-0000-0000-0000-{number:012}"), "bootedAt": time,
            "startedAt": time, "kernelLog": "kmsg:/dev/kmsg"},
        "inventory": {"vendor": "nvidia", "driver": "570.86.15", "gpus": (0..8).map(gpu).collect::<Vec<_>>(),
            "nics": (0..12).map(nic).collect::<Vec<_>>()},
        "checks": monitors().map(row).collect::<Vec<_>>(),
    })
}

fn serial(number: usize, gpu: usize) -> String {
    format!("16546{number:06}{gpu:02}")
}

fn monitors() -> impl Iterator<Item = &'static str> {
    let monitors = Check::ALL.iter().filter(|check| check.is_monitor() && !check.name().starts_with("amd"));
    monitors.map(|check| check.name())
}

/// The object as the watch reads it from the API server's text.
fn read<T: Projection>(object: &Value) -> Arc<T> {
    Arc::new(T::project(serde_json::from_str(&object.to_string()).unwrap()))
}

fn list<T>(stores: &mut Stores, wrap: fn(Seen<T>) -> Observation, count: usize, object: impl Fn(usize) -> T) {
    let at = Instant::now();
    let _ = stores.observe(wrap(Seen::ListBegan), at);
    for first in (0..count).step_by(PAGE) {
        let page: Vec<T> = (first..count.min(first + PAGE)).map(&object).collect();
        for object in page {
            let _ = stores.observe(wrap(Seen::Listed(object)), at);
        }
    }
    let _ = stores.observe(wrap(Seen::ListEnded), at);
}

#[test]
fn a_node_with_eight_gpus_costs_at_most_11_kib() {
    let renewal = |number: usize| Renewal {
        node: format!("node-{number:05}"),
        stamp: "2026-11-28T03:00:00.000000Z".to_owned(),
        version: format!("{}", 300_000 + number),
    };
    let mut stores = Stores::new(false);
    // What the first object of a kind costs is not the price of a node.
    drop((read::<Node>(&node(0)), read::<NodeHealth>(&health(0))));
    let before = resident_bytes();
    list(&mut stores, Observation::Node, NODES, |number| read(&node(number)));
    list(&mut stores, Observation::NodeHealth, NODES, |number| read(&health(number)));
    list(&mut stores, Observation::Lease, NODES, renewal);
    let bytes = (resident_bytes() - before) / NODES;
    assert_eq!((stores.world().nodes.len(), stores.world().node_healths.len()), (NODES, NODES));
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    eprintln!("{bytes} bytes a node");
}
