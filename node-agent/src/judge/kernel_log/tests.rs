//! Where a message belongs, what the present says about it, and what lifts it.

use super::*;
use crate::judge::core::events::{end_with_boot, expire, next_expiry};
use crate::judge::core::{Findings, Readings};
use crate::judge::samples::{Scene, address, h200};
use crate::judge::xid::Present;
use crate::kernel_messages::{Message, Place, Says};
use crate::pci::PciAddress;
use crate::readings::TreeReport;
use crate::readings::inventory::{Accelerator, ConfigSpace, Vendor};
use crds::names::TARGET_NODE;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time};

const LOST: &str = reason::PCIE_LOSS;

fn pci(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn board(address: &str, vendor: Vendor) -> Accelerator {
    Accelerator {
        address: address.to_owned(),
        vendor,
        device: 0x2330,
        class: 0x0302,
        numa_node: None,
        driver: Some("nvidia".to_owned()),
        slot: None,
        config_space: ConfigSpace::Answers,
    }
}

/// Two GPUs, each behind a port of its own of one switch, and a switch of another vendor's GPU.
fn tree() -> TreeReport {
    let above = |ports: &[&str]| ports.iter().map(|port| (*port).to_owned()).collect::<Vec<_>>();
    TreeReport {
        pci: vec![
            board(&address(0), Vendor::Nvidia),
            board(&address(1), Vendor::Nvidia),
            board("0000:c0:00.0", Vendor::Amd),
        ],
        bridges: [
            (address(0), above(&["0000:15:01.0", "0000:16:00.0", "0000:17:00.0"])),
            (address(1), above(&["0000:15:01.0", "0000:16:00.0", "0000:17:01.0"])),
            ("0000:c0:00.0".to_owned(), above(&["0000:bf:01.0"])),
            ("0000:d0:00.0".to_owned(), above(&["0000:cf:01.0"])),
        ]
        .into(),
        ..TreeReport::default()
    }
}

fn read(tree: TreeReport) -> Readings {
    Readings { tree: Some((tree, 0)), ..Readings::default() }
}

#[test]
fn a_port_accuses_the_gpu_behind_it_and_none_where_there_are_several_or_none() {
    let readings = read(tree());
    let of = |place| locate(place, &readings, &[]);
    assert_eq!(of(Place::Device(pci("0000:17:01.0"))), Target::Is(address(1)));
    assert_eq!(of(Place::Device(pci("0000:16:00.0"))), Target::NoGpu, "two GPUs behind one port");
    for other in ["0000:bf:01.0", "0000:cf:01.0", "0000:00:1c.5"] {
        assert_eq!(of(Place::Device(pci(other))), Target::NoGpu, "{other}");
    }
    assert_eq!(of(Place::Device(pci("0000:18:00.1"))), Target::Is(address(0)), "the audio function is the board's");
    assert_eq!(locate(Place::Device(pci("0000:17:01.0")), &Readings::default(), &[]), Target::NotYet);
}

#[test]
fn the_drivers_own_number_names_a_gpu_only_where_there_is_one() {
    assert_eq!(locate(Place::Instance(1), &read(tree()), &[]), Target::Is(TARGET_NODE.to_owned()));
    let alone = TreeReport { pci: vec![board(&address(0), Vendor::Nvidia)], ..TreeReport::default() };
    assert_eq!(locate(Place::Instance(5), &read(alone.clone()), &[]), Target::Is(address(0)));
    let unread = TreeReport { pci_errors: vec!["0000:19:00.0".to_owned()], ..alone };
    assert_eq!(locate(Place::Instance(5), &read(unread), &[]), Target::Is(TARGET_NODE.to_owned()));
}

#[test]
fn the_driver_refutes_what_it_reads_and_only_what_it_read_afterwards() {
    let scene = Scene::of(h200(2));
    let of = |target: &str, is_fresh| ask(target, &Severity::Reboot, is_fresh, &scene.findings, &scene.readings);
    assert_eq!(of(&address(0), true), Present::Refutes);
    assert_eq!(of(TARGET_NODE, true), Present::Refutes);
    assert_eq!(of(&address(0), false), Present::NotYet);
    assert_eq!(of("0000:aa:00.0", true), Present::CannotTell, "a GPU that it does not list");
    let hung = scene.clone().trouble(reason::CALL_HUNG, None, None);
    assert_eq!(ask(&address(0), &Severity::Reboot, true, &hung.findings, &hung.readings), Present::CannotTell);
}

#[test]
fn a_finding_of_the_hardware_confirms_a_message_of_at_most_its_severity() {
    let mut scene = Scene::of(h200(2));
    scene.findings.put(Finding {
        check: "driver".into(),
        target: address(0),
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        ..Finding::default()
    });
    let of = |target: &str, severity| ask(target, &severity, true, &scene.findings, &scene.readings);
    assert_eq!(of(&address(0), Severity::Reset), Present::Confirms);
    assert_eq!(of(TARGET_NODE, Severity::Reset), Present::Confirms);
    assert_eq!(of(&address(0), Severity::Reboot), Present::Refutes);
    assert_eq!(of(&address(1), Severity::Reset), Present::Refutes);
}

fn message() -> Message {
    Message { says: Says::Reason(LOST), place: Place::Node, text: "device recovery failed".into(), proven: true }
}

#[test]
fn a_verdict_ends_once_the_driver_reads_the_gpu_again_and_a_warning_after_an_hour() {
    let mut scene = Scene::of(h200(2));
    let mut findings = Findings::default();
    let printed = scene.now.wall().plus(1);
    observe(&mut findings, &address(0), LOST, &message(), Worth::Verdict, printed);
    observe(&mut findings, &address(1), LOST, &message(), Worth::Over, printed);
    lift(&mut findings, &scene.readings, scene.now);
    assert_eq!(findings.iter().count(), 2, "an older reading lifts nothing");
    scene = scene.later(60, |_| {});
    lift(&mut findings, &scene.readings, scene.now);
    assert_eq!(findings.iter().map(|finding| finding.target.clone()).collect::<Vec<_>>(), [address(1)]);
    let ends = next_expiry(&findings).unwrap();
    let at = |time: Time| crate::time::Now { unix_ms: time.unix() * 1000, ..scene.now };
    expire(&mut findings, at(ends.plus(-1)));
    assert_eq!(findings.iter().count(), 1);
    expire(&mut findings, at(ends));
    assert_eq!(findings.iter().count(), 0);
}

#[test]
fn absence_of_the_gpu_silence_of_the_driver_and_time_lift_nothing() {
    let scene = Scene::of(h200(2));
    let mut findings = Findings::default();
    observe(&mut findings, "0000:aa:00.0", LOST, &message(), Worth::Verdict, scene.now.wall());
    observe(&mut findings, &address(1), LOST, &message(), Worth::Verdict, scene.now.wall());
    let later = scene.later(7_200, |sample| sample.view.gpus.retain(|gpu| gpu.pci.as_deref() != Some(&address(1))));
    lift(&mut findings, &later.readings, later.now);
    expire(&mut findings, later.now);
    assert!(findings.iter().all(|finding| finding.outcome == Outcome::Fail), "{findings:?}");
    let hung = later.trouble(reason::CALL_HUNG, None, None);
    lift(&mut findings, &hung.readings, hung.now);
    assert_eq!(findings.iter().filter(|finding| finding.outcome == Outcome::Fail).count(), 2);
    end_with_boot(&mut findings);
    assert_eq!(findings.iter().count(), 0, "a boot ends them");
}

#[test]
fn a_recovery_by_the_kernel_lifts_a_loss_and_nothing_else() {
    let mut findings = Findings::default();
    let at = Time::from_unix(1);
    observe(&mut findings, &address(0), LOST, &message(), Worth::Verdict, at);
    observe(&mut findings, &address(1), reason::ADAPTER_INIT_FAILED, &message(), Worth::Verdict, at);
    recovered(&mut findings, &address(0));
    recovered(&mut findings, &address(1));
    assert_eq!(findings.iter().map(|finding| finding.target.clone()).collect::<Vec<_>>(), [address(1)]);
}

#[test]
fn every_reason_of_a_form_or_story_has_a_rule_and_a_sentence() {
    use crate::kernel_messages::{FORMS, STORIES};
    let said = FORMS.iter().map(|form| form.says).chain(STORIES.iter().map(|story| story.says));
    for says in said {
        let Says::Reason(reason) = says else { continue };
        assert!(RULES.iter().any(|rule| rule.reason == reason), "{reason}");
        let mut findings = Findings::default();
        observe(&mut findings, TARGET_NODE, reason, &message(), Worth::Verdict, Time::from_unix(1));
        assert_ne!(findings.iter().next().unwrap().message, "a line looks like a fault", "{reason}");
    }
}
