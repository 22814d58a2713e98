//! Which finding is the root, in whatever order the lines are read.

use super::*;
use crate::judge::core::Found;
use crate::judge::xid::{expire, observe};
use crate::time::Now;
use crate::xid::{judge as verdict_of, observe as read};
use proptest::prelude::*;

const THEN: i64 = 1_800_000_000;
const LOST: &str = "0000:91:00.0";
const PEER: &str = "0000:0f:00.0";
const SWITCH: &str = "0000:06:00.0";

const FELL_OFF: &str = "NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.";
const LINK: &str = "NVRM: Xid (PCI:0000:0f:00): 74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)";
const SWITCH_LINK: &str = "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up";
const MEMORY: &str = "NVRM: Xid (PCI:0000:0f:00): 48, pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected on GPU";
const ASKS: &str =
    "NVRM: Xid (PCI:0000:0f:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)";

/// gpud's SXid page: the Xid 79 of one GPU, 12 s later the switches; a peer's Xid 74 is NVSentinel's, its time ours.
const LOSS: [(&str, i64); 7] = [
    (FELL_OFF, 0),
    ("NVRM: GPU 0000:91:00.0: GPU has fallen off the bus.", 0),
    (SWITCH_LINK, 12),
    ("nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 63 LTSSM Fault Up", 12),
    ("nvidia-nvswitch2: SXid (PCI:0000:07:00.0): 20034, Fatal, Link 37 LTSSM Fault Up", 12),
    ("nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 62 LTSSM Fault Up", 12),
    (LINK, 13),
];

fn fold(findings: &mut Findings, line: &str, at: i64) {
    let observed = read(line).unwrap();
    observe(findings, &observed, &verdict_of(&observed, None), Time::from_unix(THEN + at));
}

/// What stands after these lines, judged after each.
fn after(lines: &[(&str, i64)]) -> Findings {
    let mut findings = Findings::default();
    for (line, at) in lines {
        fold(&mut findings, line, *at);
        attribute(&mut findings);
    }
    findings
}

fn found<'a>(findings: &'a Findings, target: &str) -> &'a Finding {
    findings.get(Check::Xid.name(), target).unwrap_or_else(|| panic!("nothing about {target}: {findings:?}"))
}

fn condemned(findings: &Findings) -> Vec<(&str, &str)> {
    let condemn = findings.iter().filter(|finding| finding.outcome == Outcome::Fail && finding.severity.condemns());
    condemn.map(|finding| (finding.target.as_str(), finding.reason.as_str())).collect()
}

fn by(finding: &Finding) -> Option<(&str, &str)> {
    finding.caused_by.as_ref().map(|by| (by.check.as_str(), by.target.as_str()))
}

proptest! {
    #[test]
    fn a_lost_gpu_is_the_root_of_what_switches_and_peers_print_whoever_is_read_first(lines in Just(LOSS.to_vec()).prop_shuffle(), judged_between: bool) {
        let mut findings = Findings::default();
        for (line, at) in &lines {
            fold(&mut findings, line, *at);
            if judged_between {
                attribute(&mut findings);
            }
        }
        attribute(&mut findings);
        prop_assert_eq!(condemned(&findings), [(LOST, FALLEN_OFF_THE_BUS)]);
        for target in [PEER, SWITCH, "0000:05:00.0", "0000:07:00.0"] {
            let echo = found(&findings, target);
            prop_assert_eq!((&echo.outcome, &echo.severity), (&Outcome::Warn, &Severity::Monitor), "{}", target);
            prop_assert_eq!(by(echo), Some(("xid", LOST)));
            prop_assert!(echo.message.ends_with(" | follows the loss of GPU 0000:91:00.0, and is not judged by itself (alone: Reset)"), "{}", echo.message);
        }
        prop_assert_eq!(found(&findings, "0000:05:00.0").count, 2);
        // Another judgement changes nothing.
        let before = findings.clone();
        attribute(&mut findings);
        prop_assert_eq!(findings, before);
    }

    #[test]
    fn a_fault_that_stands_by_itself_is_hidden_behind_no_root(lines in Just(vec![(FELL_OFF, 0), (LINK, 1), (MEMORY, 2)]).prop_shuffle()) {
        let findings = after(&lines);
        prop_assert_eq!(condemned(&findings), [(PEER, "DoubleBitEcc"), (LOST, FALLEN_OFF_THE_BUS)]);
    }

    #[test]
    fn a_peer_that_the_driver_wants_reset_is_no_echo(lines in Just(vec![(FELL_OFF, 0), (LINK, 1), (ASKS, 2)]).prop_shuffle()) {
        let findings = after(&lines);
        let peer = found(&findings, PEER);
        prop_assert_eq!((&peer.outcome, &peer.severity), (&Outcome::Fail, &Severity::Reset), "{:?}", lines);
        prop_assert_eq!(by(peer), None);
    }

    #[test]
    fn a_halted_pmu_and_the_timeout_after_it_are_one_incident(lines in Just(vec![
        ("NVRM: Xid (PCI:0000:01:00): 62, 32260b5e 000154b0 00000000 2026da96 202b5626 202b5832 202b5872 202b58be", 0),
        ("NVRM: Xid (PCI:0000:01:00): 109, pid=2203, name=cinnamon, channel 0x00000007, errorString CTX SWITCH TIMEOUT, Info 0x74007", 9),
    ]).prop_shuffle()) {
        // [open-gpu-kernel-modules 1045]
        let findings = after(&lines);
        let finding = found(&findings, "0000:01:00.0");
        prop_assert_eq!((finding.reason.as_str(), finding.count, findings.iter().count()), ("PmuHalt", 2, 1));
    }
}

#[test]
fn the_drivers_request_for_a_reset_leaves_the_link_its_name() {
    for lines in [&[(LINK, 0), (ASKS, 1)][..], &[(LINK, 0), (ASKS, 1), (FELL_OFF, 2)]] {
        let findings = after(lines);
        let peer = found(&findings, PEER);
        assert_eq!((peer.reason.as_str(), &peer.outcome, peer.count), ("NvLinkRepeatable", &Outcome::Fail, 2));
    }
}

#[test]
fn a_fatal_sxid_and_a_link_without_a_lost_gpu_stay_faults() {
    let findings = after(&LOSS[2..]);
    assert_eq!(condemned(&findings).len(), 4, "{:?}", condemned(&findings));
    assert!(findings.iter().all(|finding| finding.caused_by.is_none()));
}

#[test]
fn only_listed_codes_near_in_time_are_echoes() {
    let ecc = "NVRM: Xid (PCI:0000:0f:00): 74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 14(0x10, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)";
    let of_switch = "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 19047, Fatal, NCISOC HDR ECC DBE";
    let of_host = "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 22003, Fatal, Link 48 Minion Halt";
    let gsp = "NVRM: Xid (PCI:0000:0f:00): 119, pid=1, name=a, Timeout waiting for RPC from GSP!";
    for line in [ecc, of_switch, of_host, gsp, MEMORY, ASKS] {
        for lines in [[(FELL_OFF, 0), (line, 1)], [(line, -1), (FELL_OFF, 0)]] {
            assert_eq!(condemned(&after(&lines)).len(), 2, "{line}");
        }
    }
    let window = Kind::Lost.seconds();
    for (at, condemns) in [(-window - 1, 2), (-window, 1), (window, 1), (window + 1, 2)] {
        assert_eq!(condemned(&after(&[(FELL_OFF, 0), (SWITCH_LINK, at)])).len(), condemns, "{at} s");
    }
}

#[test]
fn a_root_that_stands_for_a_day_does_not_explain_what_is_printed_in_between() {
    let day = 86_400;
    let findings = after(&[(FELL_OFF, 0), (FELL_OFF, day), (SWITCH_LINK, day / 2)]);
    assert_eq!(condemned(&findings).len(), 2);
    // Nor a fault that had stood before by itself.
    let findings = after(&[(SWITCH_LINK, -day), (SWITCH_LINK, 1), (FELL_OFF, 0)]);
    assert_eq!(condemned(&findings).len(), 2);
}

#[test]
fn an_echo_ends_with_its_root_and_is_judged_by_itself_when_it_comes_again() {
    let mut findings = after(&LOSS);
    fold(
        &mut findings,
        "NVRM: Xid (PCI:0000:91:00): 154, GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)",
        600,
    );
    attribute(&mut findings);
    assert_eq!(findings.iter().count(), 0, "{findings:?}");
    fold(&mut findings, SWITCH_LINK, 700);
    attribute(&mut findings);
    assert_eq!(condemned(&findings), [(SWITCH, "NvSwitchFatal")]);
}

#[test]
fn an_echo_that_comes_again_long_after_its_root_is_judged_by_itself() {
    let mut findings = after(&LOSS);
    fold(&mut findings, SWITCH_LINK, 600);
    attribute(&mut findings);
    assert_eq!(condemned(&findings), [(SWITCH, "NvSwitchFatal"), (LOST, FALLEN_OFF_THE_BUS)]);
}

#[test]
fn an_echo_expires_like_any_warning_that_is_only_watched() {
    let mut findings = after(&LOSS);
    expire(&mut findings, Now { unix_ms: (THEN + 13 + super::super::MONITOR_SECONDS) * 1000, mono_ms: 0 });
    assert_eq!(findings.iter().count(), 1);
}

#[test]
fn what_nobody_proves_explains_nothing() {
    let mut findings = Findings::default();
    fold(&mut findings, FELL_OFF, 0);
    let root = found(&findings, LOST).clone();
    findings.put(Finding { outcome: Outcome::Warn, ..root });
    fold(&mut findings, SWITCH_LINK, 12);
    attribute(&mut findings);
    assert_eq!(condemned(&findings), [(SWITCH, "NvSwitchFatal")]);
}

/// A lost GPU as another check has read it.
fn read_as_lost(check: Check, target: &str, at: i64) -> Finding {
    let found = Found {
        target: target.to_owned(),
        outcome: Outcome::Fail,
        severity: Severity::Reboot,
        reason: reason::GPU_LOST.to_owned(),
        message: String::new(),
        evidence: None,
    };
    found.as_finding(check.name(), Time::from_unix(THEN + at))
}

#[test]
fn a_gpu_that_a_reading_finds_lost_is_a_root_too() {
    for check in [Check::Driver, Check::Inventory] {
        let mut findings = after(&LOSS[2..]);
        // The reading comes after the next interval.
        findings.put(read_as_lost(check, LOST, 80));
        attribute(&mut findings);
        assert_eq!(condemned(&findings), [(LOST, reason::GPU_LOST)], "{check:?}");
        assert_eq!(by(found(&findings, SWITCH)), Some((check.name(), LOST)));
        findings.retain(|finding| finding.check == Check::Xid.name());
        attribute(&mut findings);
        assert_eq!(findings.iter().count(), 0, "the GPU is back");
    }
    let mut findings = after(&LOSS[2..]);
    findings.put(read_as_lost(Check::Driver, TARGET_NODE, 80));
    attribute(&mut findings);
    assert_eq!(condemned(&findings).len(), 5, "which GPU it is nobody knows");
}

#[test]
fn a_memory_access_that_fails_because_its_gpu_was_lost_is_not_the_programs_fault() {
    // [open-gpu-kernel-modules 1229] another check finds the loss, the line names the same GPU.
    let mut findings =
        after(&[("NVRM: Xid (PCI:0000:91:00): 31, name=vllm, channel 0x0000000c, intr 00000000. MMU Fault", 5)]);
    findings.put(read_as_lost(Check::Driver, LOST, 0));
    attribute(&mut findings);
    assert_eq!(by(found(&findings, LOST)), Some(("driver", LOST)));
}

const DOWN: &str =
    "NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x021425c6 0x00000000 0x00000000)";
const DOWN_TOO: &str =
    "NVRM: Xid (PCI:0018:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x025525c6 0x00000000 0x00000000)";
const REMAP: &str =
    "NVRM: Xid (PCI:0008:01:00): 145, RLW_REMAP Nonfatal XC0 i0 Link 02 (0x00000004 0x00000008 0x00000000)";

#[test]
fn an_access_to_a_link_that_went_down_within_30_seconds_follows_it() {
    let remap = "0008:01:00.0";
    for lines in [[(DOWN, 0), (REMAP, 30)], [(REMAP, 30), (DOWN, 0)]] {
        assert_eq!(by(found(&after(&lines), remap)), Some(("xid", "0009:01:00.0")));
    }
    assert_eq!(by(found(&after(&[(DOWN, 0), (REMAP, 31)]), remap)), None);
    let unexplained = REMAP.replace("0x00000008", "0x00000001");
    assert_eq!(by(found(&after(&[(DOWN, 0), (&unexplained, 1)]), remap)), None);
}

proptest! {
    #[test]
    fn an_echo_is_no_root(lines in Just(vec![(FELL_OFF, 0), (DOWN, 1), (REMAP, 2)]).prop_shuffle(), judged_between: bool) {
        let mut findings = Findings::default();
        for (line, at) in lines {
            fold(&mut findings, line, at);
            if judged_between {
                attribute(&mut findings);
            }
        }
        attribute(&mut findings);
        prop_assert_eq!(condemned(&findings), [(LOST, FALLEN_OFF_THE_BUS)]);
        prop_assert_eq!(by(found(&findings, "0009:01:00.0")), Some(("xid", LOST)));
        let remap = found(&findings, "0008:01:00.0");
        prop_assert_eq!(by(remap), None);
        prop_assert!(!remap.message.contains("follows"), "{}", remap.message);
    }
}

#[test]
fn where_links_of_several_gpus_go_down_together_the_fabric_is_looked_at_first() {
    // [gpud kmsg_test.go] a GB200 tray: two GPUs with link faults, one with the driver's request alone.
    let asks = "NVRM: Xid (PCI:0019:01:00): 154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x1 (GPU Reset Required)";
    let says = " | links of 2 GPUs went down together: look at the fabric first (switch tray, fabric manager)";
    for lines in [[(DOWN, 0), (DOWN_TOO, 1), (asks, 1)], [(asks, 1), (DOWN_TOO, 1), (DOWN, 0)]] {
        let findings = after(&lines);
        for target in ["0009:01:00.0", "0018:01:00.0", "0019:01:00.0"] {
            let finding = found(&findings, target);
            assert!(finding.message.ends_with(says), "{}", finding.message);
            assert_eq!((&finding.outcome, &finding.severity), (&Outcome::Fail, &Severity::Reset));
        }
    }
    let apart = after(&[(DOWN, 0), (DOWN_TOO, 3_600)]);
    assert!(apart.iter().all(|finding| !finding.message.contains("fabric")), "{apart:?}");
}

#[test]
fn no_fault_of_memory_and_no_request_of_the_driver_is_ever_an_echo() {
    for code in [48, 54, 62, 63, 64, 79, 92, 94, 95, 119, 120, 140, 154] {
        assert!(ECHOES.iter().all(|echo| echo.event != Xid(code)), "{code}");
    }
    for echo in ECHOES {
        assert!(echo.why.len() > 20, "{echo:?}");
        assert!(!ROOTS.iter().any(|root| echo.kind == root.kind && echo.reasons.contains(&root.reason)), "{echo:?}");
    }
    for root in ROOTS {
        assert!(!root.source.is_empty(), "{root:?}");
    }
}
