use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{Sample, Scene, Table, h200, sample};
use crate::readings::inventory::Nic;
use crate::readings::sysfs::EfaView;
use crds::node_hardware_profile::ExpectedNetwork;
use crds::node_health::Expected;

const CASE: &str = "AWS gpu-cluster-healthcheck, case D.2 (5): EFA 31 of 32 on a p5.48xlarge";
const P5: &str = "AWS gpu-cluster-healthcheck instance-profiles.conf: p5.48xlarge has 32";
const SCRIPT: &str = "AWS gpu-cluster-healthcheck check 2";
const MEMLOCK: &str = "awslabs/awsome-distributed-ai issue 647: ulimit -l was 65536";
const COUNTERS: &str = "linux-rdma/perftest issue 113: hw_counters of efa_0, rx_drops 0";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::EFA_DEVICES_MISSING, Fires, Derived, CASE, || settled(p5(adapters(31))).then(|_| {}).tree(adapters(31))),
    sample(reason::EFA_DEVICES_MISSING, NearMiss, Derived, P5, || p5(adapters(32))),
    sample(reason::EFA_DEVICES_MISSING, NearMiss, Derived, "AWS gpu-cluster-healthcheck, defect V7: no lspci, so 0 adapters", || p5(TreeReport::default())),
    sample(reason::EFA_DEVICES_MISSING, NearMiss, Invented, "the PCI tree cannot be read", || { let mut tree = adapters(3); tree.pci_errors = vec!["bus/pci/devices: permission denied".to_owned()]; p5(tree) }),
    sample(reason::EFA_DEVICES_MISSING, NearMiss, Invented, "nothing declared", || Scene::of(h200(1)).tree(adapters(31))),
    sample(reason::EFA_DEVICES_MISSING, Lifts, Derived, CASE, || settled(settled(p5(adapters(31))).then(|_| {}).tree(adapters(31))).then(|_| {}).tree(adapters(32))),
    sample(reason::EFA_INCOMPLETE, Fires, Derived, SCRIPT, || p5(changed(|efa| efa.uverbs.truncate(30)))),
    sample(reason::EFA_INCOMPLETE, Fires, Derived, SCRIPT, || p5(changed(|efa| efa.rdma.truncate(31)))),
    sample(reason::EFA_INCOMPLETE, NearMiss, Derived, SCRIPT, || p5(adapters(32))),
    sample(reason::EFA_INCOMPLETE, NearMiss, Invented, "the class cannot be read", || { let mut tree = changed(|efa| efa.uverbs.clear()); tree.errors = vec!["class/infiniband_verbs: permission denied".to_owned()]; p5(tree) }),
    sample(reason::EFA_INCOMPLETE, Lifts, Derived, SCRIPT, || settled(p5(changed(|efa| efa.uverbs.truncate(30)))).then(|_| {}).tree(adapters(32))),
    sample(reason::EFA_MODULE_MISSING, Fires, Derived, SCRIPT, || p5(changed(|efa| { efa.modules.insert("ib_uverbs".to_owned(), false); }))),
    sample(reason::EFA_MODULE_MISSING, NearMiss, Invented, "modules cannot be read", || p5(changed(|efa| efa.modules.clear()))),
    sample(reason::EFA_MODULE_MISSING, Lifts, Derived, SCRIPT, || settled(p5(changed(|efa| { efa.modules.insert("efa".to_owned(), false); }))).then(|_| {}).tree(adapters(32))),
    sample(reason::MEMLOCK_TOO_LOW, Fires, Recorded, MEMLOCK, || p5(changed(|efa| efa.memlock_kib = Some(65_536)))),
    sample(reason::MEMLOCK_TOO_LOW, NearMiss, Derived, SCRIPT, || p5(changed(|efa| efa.memlock_kib = Some(16_777_216)))),
    sample(reason::MEMLOCK_TOO_LOW, Lifts, Recorded, MEMLOCK, || settled(p5(changed(|efa| efa.memlock_kib = Some(65_536)))).then(|_| {}).tree(adapters(32))),
    sample(reason::EFA_DROPS, Fires, Invented, "two drops per second", || counted("rx_drops", 1200)),
    sample(reason::EFA_DROPS, Fires, Derived, "awslabs/awsome-distributed-ai pull request 885: a security group was removed under a job", || counted("retrans_timeout_events", 400)),
    sample(reason::EFA_DROPS, NearMiss, Recorded, COUNTERS, || counted("rx_drops", 0)),
    sample(reason::EFA_DROPS, NearMiss, Invented, "dropped before we looked", || p5(dropped("rx_drops", 1_000_000))),
    sample(reason::EFA_DROPS, Lifts, Invented, "ten quiet minutes", || settled(counted("rx_drops", 1200)).later(600, |_| {}).tree(dropped("rx_drops", 1200))),
];

/// This many adapters, all complete.
fn adapters(count: u32) -> TreeReport {
    let address = |index| format!("0000:{index:02x}:1b.0");
    let name = |index| format!("rdmap{index}s27");
    let port = |index| RdmaPort {
        name: format!("{}/1", name(index)),
        device: name(index),
        pci: Some(address(index)),
        efa: true,
        state: Some(4),
        phys_state: Some(5),
        counters: ["rx_drops", "retrans_timeout_events"].map(|name| (name.to_owned(), 0)).into(),
        ..RdmaPort::default()
    };
    let nic = |index| Nic {
        address: address(index),
        vendor: 0x1d0f,
        device: 0xefa1,
        numa_node: Some(0),
        driver: Some("efa".to_owned()),
        rdma_devices: vec![name(index)],
        interfaces: Vec::new(),
    };
    TreeReport {
        nics: (0..count).map(nic).collect(),
        rdma: (0..count).map(port).collect(),
        efa: EfaView {
            pci: (0..count).map(address).collect(),
            rdma: (0..count).map(name).collect(),
            uverbs: (0..count).map(|index| format!("uverbs{index}")).collect(),
            modules: MODULES.iter().map(|name| ((*name).to_owned(), true)).collect(),
            memlock_kib: None,
        },
        ..TreeReport::default()
    }
}

fn changed(change: impl Fn(&mut EfaView)) -> TreeReport {
    let mut tree = adapters(32);
    change(&mut tree.efa);
    tree
}

fn dropped(counter: &str, count: u64) -> TreeReport {
    let mut tree = adapters(32);
    tree.rdma[4].counters.insert(counter.to_owned(), count);
    tree
}

/// A p5.48xlarge.
fn p5(tree: TreeReport) -> Scene {
    let mut scene = Scene::of(h200(8)).tree(tree);
    let network = ExpectedNetwork { efa_devices: Some(32), ..ExpectedNetwork::default() };
    scene.spec.expected = Some(Expected { network: Some(network), ..Expected::default() }.into());
    scene
}

fn counted(counter: &str, count: u64) -> Scene {
    p5(adapters(32)).later(600, |_| {}).tree(dropped(counter, count))
}

fn settled(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge)
}

#[test]
fn every_row_has_samples_that_fire_that_almost_do_and_that_lift() {
    TABLE.prove();
}

#[test]
fn adapters_that_come_late_are_a_warning_for_one_reading() {
    let found = p5(adapters(31)).judge(judge).found;
    assert_eq!(found.iter().map(|found| &found.outcome).collect::<Vec<_>>(), [&Outcome::Warn]);
}

#[test]
fn what_is_missing_for_a_process_is_told_in_one_finding_of_the_node() {
    let tree = changed(|efa| {
        efa.modules.insert("ib_uverbs".to_owned(), false);
        efa.uverbs.clear();
        efa.memlock_kib = Some(65_536);
    });
    let judged = p5(tree).judge(judge);
    let messages: Vec<_> = judged.found.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "0 uverbs nodes for 32 EFA adapters on PCI; not loaded: ib_uverbs; the limit of locked memory is 65536 KiB; EFA needs 16777216"
        ]
    );
    assert_eq!(judged.covered.len(), 33);
}

#[test]
fn a_tree_that_is_missing_has_no_verdict_and_a_node_without_efa_is_not_judged() {
    assert_eq!(p5(TreeReport::default()).judge(judge).outcome, Outcome::Inconclusive);
    let judged = Scene::of(h200(1)).tree(TreeReport::default()).judge(judge);
    assert_eq!((judged.outcome, judged.reason.as_deref()), (Outcome::Skipped, Some(reason::NOT_APPLICABLE)));
}

#[test]
fn adapters_whose_devices_are_in_another_network_namespace_are_not_incomplete() {
    let elsewhere = |is_exclusive| {
        let mut tree = changed(|efa| {
            efa.rdma.truncate(3);
            efa.uverbs.truncate(3);
        });
        tree.rdma_is_exclusive = Some(is_exclusive);
        p5(tree).judge(judge)
    };
    let judged = elsewhere(true);
    assert_eq!(
        (judged.outcome, judged.reason.as_deref()),
        (Outcome::Inconclusive, Some(reason::RDMA_NAMESPACE_EXCLUSIVE))
    );
    assert!(judged.found.is_empty(), "{:?}", judged.found);
    assert_eq!(elsewhere(false).found[0].reason, reason::EFA_INCOMPLETE);
}
