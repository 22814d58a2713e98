use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{Sample, Scene, Table, h200, sample};
use crate::readings::inventory::Nic;
use crds::node_hardware_profile::ExpectedPort;
use crds::node_health::Expected;
use crds::{Outcome, Severity, Time};

const GONE: &str = "leptonai/gpud pull request 752: stat of IB device 'mlx5_8' failed: No such file or directory";
const DISABLED: &str = "leptonai/gpud pull request 99: mlx5_8 State Down, Physical state Disabled";
const POLLING: &str = "leptonai/gpud pull request 482: mlx5_10 State Down, Physical state Polling, Rate 10";
const GOOD: &str = "leptonai/gpud pull request 752: mlx5_7 State Active, Physical state LinkUp, Rate 200";

pub(crate) static TABLE: Table = Table { page: &PAGE, judge, samples: SAMPLES };

#[rustfmt::skip]
static SAMPLES: &[Sample] = &[
    sample(reason::RDMA_DEVICES_MISSING, Fires, Derived, GONE, || settled(node(8)).then(|_| {}).tree(ports(8))),
    sample(reason::RDMA_DEVICES_MISSING, NearMiss, Recorded, GOOD, || node(9)),
    sample(reason::RDMA_DEVICES_MISSING, NearMiss, Invented, "the tree could not be read", || { let mut tree = ports(8); tree.errors = vec!["class/infiniband: permission denied".to_owned()]; with(tree) }),
    sample(reason::RDMA_DEVICES_MISSING, NearMiss, Invented, "no sysfs at all", || with(TreeReport::default())),
    sample(reason::RDMA_DEVICES_MISSING, Lifts, Derived, GONE, || settled(settled(node(8)).then(|_| {}).tree(ports(8))).then(|_| {}).tree(ports(9))),
    sample(reason::PORT_DOWN, Fires, Recorded, DISABLED, || with(changed(8, |port| (port.state, port.phys_state) = (Some(1), Some(3))))),
    sample(reason::PORT_DOWN, Fires, Recorded, POLLING, || with(changed(0, |port| (port.state, port.phys_state, port.rate_gbps) = (Some(1), Some(2), Some(10))))),
    sample(reason::PORT_DOWN, NearMiss, Derived, "imbue-ai/cluster-health issue 4: the second Ethernet port of each card is down", || undeclared(changed(8, |port| (port.state, port.phys_state) = (Some(1), Some(3))))),
    sample(reason::PORT_DOWN, NearMiss, Derived, "sysfs-class-infiniband: 5 is ACTIVE_DEFER", || with(changed(8, |port| port.state = Some(5)))),
    sample(reason::PORT_DOWN, NearMiss, Derived, "EFA driver: the state of an adapter proves nothing", || with(changed(8, |port| (port.efa, port.state) = (true, Some(1))))),
    sample(reason::PORT_DOWN, Lifts, Recorded, DISABLED, || settled(with(changed(8, |port| port.state = Some(1)))).then(|_| {}).tree(ports(9))),
    sample(reason::PORT_SLOW, Fires, Derived, "leptonai/gpud pull request 482 with a link that came up on one lane", || with(changed(8, |port| port.rate_gbps = Some(100)))),
    sample(reason::PORT_SLOW, NearMiss, Recorded, GOOD, || node(9)),
    sample(reason::PORT_SLOW, NearMiss, Invented, "a port that no profile names", || undeclared(changed(8, |port| port.rate_gbps = Some(25)))),
    sample(reason::PORT_SLOW, Lifts, Derived, "retrained", || settled(with(changed(8, |port| port.rate_gbps = Some(100)))).then(|_| {}).tree(ports(9))),
    sample(reason::PORT_FLAPPING, Fires, Derived, "leptonai/gpud: three returns are a flap", || counted("link_downed", 3)),
    sample(reason::PORT_FLAPPING, NearMiss, Invented, "twice within an hour", || counted("link_downed", 2)),
    sample(reason::PORT_FLAPPING, NearMiss, Invented, "while the node came up", || booting(counted("link_downed", 5))),
    sample(reason::PORT_FLAPPING, Lifts, Invented, "an hour later", || settled(counted("link_downed", 3)).later(3700, |_| {}).tree(changed(8, |port| { port.counters.insert("link_downed".to_owned(), 3); }))),
    sample(reason::PORT_ERRORS, Fires, Derived, "NVIDIA/NVSentinel: 120 symbol errors per hour are fatal", || counted("symbol_error", 121)),
    sample(reason::PORT_ERRORS, Fires, Invented, "retries at 30 per second", || counted("local_ack_timeout_err", 18_000)),
    sample(reason::PORT_ERRORS, NearMiss, Derived, "NVIDIA/NVSentinel: 120 symbol errors per hour", || counted("symbol_error", 120)),
    sample(reason::PORT_ERRORS, NearMiss, Invented, "peers that end", || counted("local_ack_timeout_err", 500)),
    sample(reason::PORT_ERRORS, Lifts, Invented, "an hour later", || settled(counted("symbol_error", 200)).later(3700, |_| {}).tree(changed(8, |port| { port.counters.insert("symbol_error".to_owned(), 200); }))),
];

/// mlx5_0 to mlx5_N as gpud's captures show them.
fn ports(devices: u32) -> TreeReport {
    let port = |index: u32| RdmaPort {
        name: format!("mlx5_{index}/1"),
        device: format!("mlx5_{index}"),
        link_layer: Some("InfiniBand".to_owned()),
        state: Some(4),
        phys_state: Some(5),
        rate_gbps: Some(200),
        counters: ["link_downed", "symbol_error", "local_ack_timeout_err"].map(|name| (name.to_owned(), 0)).into(),
        ..RdmaPort::default()
    };
    let nic = Nic {
        address: "0000:1a:00.0".to_owned(),
        vendor: 0x15b3,
        device: 0x1021,
        numa_node: Some(0),
        driver: Some("mlx5_core".to_owned()),
        rdma_devices: Vec::new(),
        interfaces: Vec::new(),
    };
    TreeReport { rdma: (0..devices).map(port).collect(), nics: vec![nic], ..TreeReport::default() }
}

fn changed(index: usize, change: impl Fn(&mut RdmaPort)) -> TreeReport {
    let mut tree = ports(9);
    change(&mut tree.rdma[index]);
    tree
}

/// A node whose profile declares nine devices and two ports.
fn with(tree: TreeReport) -> Scene {
    let mut scene = undeclared(tree);
    let network = ExpectedNetwork {
        rdma_devices: Some(9),
        ports: ["mlx5_0/1", "mlx5_8/1"].map(|name| ExpectedPort { name: name.to_owned(), rate_gbps: Some(200) }).into(),
        ..ExpectedNetwork::default()
    };
    scene.spec.expected = Some(Expected { network: Some(network), ..Expected::default() }.into());
    scene
}

fn undeclared(tree: TreeReport) -> Scene {
    Scene::of(h200(1)).tree(tree)
}

fn node(devices: u32) -> Scene {
    with(ports(devices))
}

fn settled(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge)
}

/// Ten minutes pass, and this counter of mlx5_8 rises by this count.
fn counted(counter: &str, count: u64) -> Scene {
    let tree = changed(8, |port| {
        port.counters.insert(counter.to_owned(), count);
    });
    node(9).later(600, |_| {}).tree(tree)
}

fn booting(mut scene: Scene) -> Scene {
    scene.booted_at = Some(Time::from_unix(scene.now.wall().unix() - 900));
    scene
}

#[test]
fn every_row_has_samples_that_fire_that_almost_do_and_that_lift() {
    TABLE.prove();
}

#[test]
fn a_device_that_is_gone_for_one_reading_is_a_warning() {
    let judged = node(8).judge(judge);
    let missing = judged.found.iter().find(|found| found.reason == reason::RDMA_DEVICES_MISSING);
    assert_eq!(missing.map(|found| (&found.outcome, &found.severity)), Some((&Outcome::Warn, &Severity::Monitor)));
    // Judged again before the tree was read again: still the same reading.
    let again = settled(node(8));
    let missing = again.judge(judge).found.into_iter().find(|found| found.reason == reason::RDMA_DEVICES_MISSING);
    assert_eq!(missing.map(|found| found.outcome), Some(Outcome::Warn));
}

#[test]
fn a_port_that_nobody_declared_is_a_warning_once_it_was_seen_to_go_down_and_until_it_is_back() {
    let down = |port: &mut RdmaPort| {
        port.counters.insert("link_downed".to_owned(), 1);
        port.state = Some(1);
    };
    let scene = undeclared(ports(9)).then(|_| {}).tree(changed(8, down));
    assert_eq!(scene.found(judge), [("mlx5_8/1".to_owned(), reason::PORT_DOWN.to_owned())]);
    let later = settled(scene).later(7200, |_| {}).tree(changed(8, down));
    assert_eq!(later.found(judge).len(), 1);
    let back = changed(8, |port| {
        port.counters.insert("link_downed".to_owned(), 1);
    });
    let judged = settled(later).then(|_| {}).tree(back).judge(judge);
    assert!(judged.found.is_empty() && judged.covered.contains(&"mlx5_8/1".to_owned()));
}

#[test]
fn a_node_without_rdma_and_declaration_is_not_judged_and_an_unreadable_one_has_no_verdict() {
    let judged = undeclared(TreeReport::default()).judge(judge);
    assert_eq!((judged.outcome, judged.reason.as_deref()), (Outcome::Skipped, Some(reason::NOT_APPLICABLE)));
    let judged = with(TreeReport::default()).judge(judge);
    assert_eq!((judged.outcome, judged.found.len()), (Outcome::Inconclusive, 0));
}

/// These ports, and those of this many virtual functions.
fn with_virtual(physical: u32, others: u32) -> TreeReport {
    let mut tree = ports(physical + others);
    tree.rdma.iter_mut().skip(usize::try_from(physical).unwrap()).for_each(|port| port.is_virtual = true);
    tree
}

/// The outcome for the node after two readings of this tree, and the reason of the row or of its finding.
fn twice(tree: &TreeReport) -> (Outcome, String) {
    let judged = settled(with(tree.clone())).then(|_| {}).tree(tree.clone()).judge(judge);
    let missing = judged.found.iter().find(|found| found.target == TARGET_NODE);
    match missing {
        Some(found) => (found.outcome.clone(), found.reason.clone()),
        None => (judged.outcome, judged.reason.unwrap_or_default()),
    }
}

#[test]
fn a_virtual_function_does_not_stand_in_for_a_missing_device() {
    assert_eq!(twice(&with_virtual(8, 16)), (Outcome::Fail, reason::RDMA_DEVICES_MISSING.to_owned()));
    assert_eq!(twice(&with_virtual(9, 16)).0, Outcome::Pass);
    let of_part = with(with_virtual(9, 16)).judge(judge).covered;
    assert_eq!(of_part.len(), 10, "the node and nine ports: {of_part:?}");
}

#[test]
fn a_profile_that_counts_virtual_functions_is_told_so_and_condemns_nothing() {
    assert_eq!(twice(&with_virtual(8, 1)), (Outcome::Inconclusive, reason::RDMA_COUNT_UNCLEAR.to_owned()));
}

#[test]
fn devices_in_another_network_namespace_are_not_missing() {
    let exclusive = |visible: u32, cards: u32| {
        let mut tree = ports(visible);
        tree.rdma_is_exclusive = Some(true);
        let card = tree.nics[0].clone();
        let nic = |index| Nic { address: format!("0000:{index:02x}:00.0"), ..card.clone() };
        tree.nics = (0..cards).map(|index| nic(0x20 + index)).collect();
        tree
    };
    let elsewhere = (Outcome::Inconclusive, reason::RDMA_NAMESPACE_EXCLUSIVE.to_owned());
    assert_eq!(twice(&exclusive(0, 9)), elsewhere);
    assert_eq!(twice(&exclusive(3, 6)), elsewhere);
    let judged = undeclared(exclusive(0, 9)).judge(judge);
    assert_eq!(judged.reason.as_deref(), Some(reason::RDMA_NAMESPACE_EXCLUSIVE));
    assert!(judged.message.unwrap().contains("rdma system set netns shared"));
    // What no card can explain is missing all the same, and so is everything in the shared mode.
    assert_eq!(twice(&exclusive(3, 2)).0, Outcome::Fail);
    let shared = TreeReport { rdma_is_exclusive: Some(false), ..exclusive(3, 6) };
    assert_eq!(twice(&shared).0, Outcome::Fail);
    // Cards without RDMA explain nothing.
    let mut others = exclusive(3, 6);
    others.nics.iter_mut().for_each(|nic| nic.driver = Some("igb".to_owned()));
    assert_eq!(twice(&others).0, Outcome::Fail);
}

#[test]
fn ports_that_were_not_read_are_told_with_their_number_and_heal_nothing() {
    let mut tree = ports(9);
    tree.rdma_left_out.physical = 3;
    let judged = with(tree).judge(judge);
    assert_eq!((&judged.outcome, judged.reason.as_deref()), (&Outcome::Inconclusive, Some(reason::PORTS_NOT_READ)));
    assert!(judged.message.unwrap().starts_with("3 of 12 RDMA ports"));
    assert!(judged.covered.is_empty());
    // Of virtual functions only a declared port is looked for.
    let mut tree = ports(9);
    tree.rdma_left_out.other = 300;
    assert_eq!(with(tree.clone()).judge(judge).outcome, Outcome::Pass);
    tree.rdma.remove(8);
    tree.rdma[7].device = "mlx5_9".to_owned();
    let mut scene = with(tree);
    scene.spec.expected.as_mut().unwrap().network.as_mut().unwrap().rdma_devices = Some(8);
    let judged = scene.judge(judge);
    assert_eq!((judged.reason.as_deref(), judged.found.len()), (Some(reason::PORTS_NOT_READ), 0));
}

#[test]
fn a_port_beyond_those_that_a_row_names_is_healed_like_the_others() {
    let many = |down: bool| {
        let mut tree = ports(100);
        if down {
            tree.rdma[99].counters.insert("link_downed".to_owned(), 5);
        }
        tree
    };
    let flapping = settled(undeclared(many(false)).later(600, |_| {}).tree(many(true)));
    assert!(flapping.findings.get("rdmaLink", "mlx5_99/1").is_some());
    let healed = settled(flapping.later(3_700, |_| {}).tree(many(true)));
    assert!(healed.findings.get("rdmaLink", "mlx5_99/1").is_none());
}

#[test]
fn a_removed_port_is_released_once_the_declared_number_is_there_and_not_before() {
    let gone = || {
        let mut tree = ports(9);
        tree.rdma.remove(5);
        tree
    };
    let renamed = || {
        let mut tree = gone();
        tree.rdma.push(RdmaPort { name: "mlx5_77/1".to_owned(), device: "mlx5_77".to_owned(), ..tree.rdma[0].clone() });
        tree
    };
    let flaps = |port: &mut RdmaPort| {
        port.counters.insert("link_downed".to_owned(), 3);
    };
    let mut tree = ports(9);
    flaps(&mut tree.rdma[5]);
    let flapping = settled(node(9).later(600, |_| {}).tree(tree));
    assert!(flapping.findings.get("rdmaLink", "mlx5_5/1").is_some());
    let absent = settled(flapping.then(|_| {}).tree(gone()));
    assert!(absent.findings.get("rdmaLink", "mlx5_5/1").is_some(), "absence heals nothing");
    let hidden = TreeReport { errors: vec!["class/infiniband: permission denied".to_owned()], ..renamed() };
    let hidden = settled(absent.then(|_| {}).tree(hidden));
    assert!(hidden.findings.get("rdmaLink", "mlx5_5/1").is_some());
    let replaced = settled(hidden.then(|_| {}).tree(renamed()));
    assert!(replaced.findings.get("rdmaLink", "mlx5_5/1").is_none());
}
