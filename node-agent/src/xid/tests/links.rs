//! NVLink: each rule of NVIDIA's decode sheet for Xid 144 to 150, in both layouts, and each bit of Xid 74's registers.
//!
//! The rules are repeated here, as the numbers of NVIDIA's sheets ("Xid 144-150 Decode"; WORKFLOW_NVLINK_ERR), so that
//! a mistake in the code's tables shows up.

use super::corpus::Case;
use super::only;
use super::origin::Origin::Derived;
use crate::xid::link_down::{self, Look};
use crate::xid::{NVLINK_PEER_FAULT, NVLINK_REMAP, judge};
use crds::Severity::{self, Monitor, Reset};

/// The action in the sheet.
#[derive(Clone, Copy)]
enum Do {
    ResetGpu,
    Eval154,
    Ignore,
}
use Do::{Eval154, Ignore, ResetGpu};

/// Xid, unit, sub-code before R575, sub-code since, and by value of `errorStatus` (of the reason for a lost link) what to do.
type Rules = (u32, &'static str, u32, &'static [u32], &'static [(Do, &'static [u32])]);

const LINK_DOWN: &str = "NETIR_LINK_DOWN";

#[rustfmt::skip]
const SHEET: &[Rules] = &[
    (144, "SAW_MVB", 1, &[1], &[(ResetGpu, &[0x2, 0x10]), (Ignore, &[0x1, 0x4, 0x8, 0x20])]),
    (145, "RLW_CTRL", 3, &[3], &[(Ignore, &[0x8000_0000])]),
    (145, "RLW_REMAP", 4, &[4], &[(Eval154, &[0x1, 0x2, 0x4, 0x8, 0x10, 0x20]), (ResetGpu, &[0x40, 0x80]), (Ignore, &[0x100, 0x200, 0x8000_0000])]),
    (145, "RLW_RSPCOL", 5, &[5], &[(ResetGpu, &[0x2]), (Ignore, &[0x1, 0x8000_0000])]),
    (145, "RLW_RXPIPE", 6, &[6], &[(Ignore, &[0x1, 0x2, 0x4, 0x8, 0x8000_0000])]),
    (145, "RLW_SRC_TRACK", 7, &[7], &[(ResetGpu, &[0x1, 0x10, 0x20]), (Eval154, &[0x4, 0x8]), (Ignore, &[0x2, 0x8000_0000])]),
    (145, "RLW_TAGSTATE", 8, &[8], &[(ResetGpu, &[0x2, 0x2_0000, 0x10_0000]), (Ignore, &[0x1, 0x1_0000, 0x8000_0000])]),
    (146, "TLW_CTRL", 9, &[9], &[(ResetGpu, &[0x4]), (Ignore, &[0x1, 0x2, 0x8000_0000])]),
    (146, "TLW_RX", 10, &[10, 11], &[(ResetGpu, &[0x4]), (Ignore, &[0x1, 0x2, 0x8000_0000])]),
    (146, "TLW_TX", 11, &[12, 13], &[(ResetGpu, &[0x4]), (Ignore, &[0x1, 0x2, 0x8000_0000])]),
    (147, "TREX", 12, &[14], &[(Ignore, &[0x1, 0x8000_0000])]),
    (148, "NVLPW", 0, &[15], &[(Ignore, &[0x8000_0000])]),
    (149, "NETIR_INT", 0, &[24], &[(ResetGpu, &[0x0])]),
    (149, LINK_DOWN, 14, &[17], &[(ResetGpu, &[0, 1, 2, 4, 10, 15, 16, 17, 18, 21, 22, 32, 33, 34, 35, 36, 37, 42, 43]), (Ignore, &[38, 40])]),
    (149, "NETIR_BER_EVENT", 17, &[19], &[(Ignore, &[0x0, 0x1, 0x2, 0x3])]),
    (149, "NETIR_MFDE_EVENT", 18, &[20], &[(ResetGpu, &[0x1, 0x4, 0x5, 0x7]), (Ignore, &[0x3])]),
    (150, "MSE", 0, &[0], &[(ResetGpu, &[0x0, 0xffff_ffff])]),
];

const REASONS: [&str; 7] =
    ["NvLinkSaw", "NvLinkRlw", "NvLinkTlw", "NvLinkTrex", "NvLinkNvlpw", "NvLinkNetir", "NvLinkMse"];

/// The reasons for which NVIDIA blames the other end (INVESTIGATE_PEER_DEVICE).
const PEER: [u32; 7] = [21, 32, 33, 34, 35, 36, 37];
/// The values of RLW_REMAP that a link which just went down explains (CHECK_NVLINK_FAILURE_FLOW).
const EXPLAINED: [u32; 4] = [0x4, 0x8, 0x10, 0x20];

/// NVIDIA's investigatory action by the reason of a lost link.
#[rustfmt::skip]
const LOOKS: &[(&[u32], &str, Look)] = &[
    (&[0], "SYMPATHETIC_REPORT_SOLO", Look::OtherFaults),
    (&[1], "REPORT_ISSUE (if seen >1 per day)", Look::ReportIfDaily),
    (&[2, 4, 10], "INVESTIGATE_LINK_SI", Look::Signal),
    (&[15, 17, 22, 38], "INVESTIGATE_SW_USER", Look::Software),
    (&[16, 18], "INVESTIGATE_SW_USER_LINK_SI", Look::SoftwareAndSignal),
    (&PEER, "INVESTIGATE_PEER_DEVICE", Look::Peer),
    (&[40], "INVESTIGATE_HOST", Look::Host),
    (&[42, 43], "INVESTIGATE_LINK_SI_AND_CABLES", Look::SignalAndCables),
];

#[test]
fn each_reason_of_a_lost_link_has_nvidias_investigatory_action() {
    let mut walked = 0;
    for (reasons, bucket, look) in LOOKS {
        for reason in *reasons {
            assert_eq!(link_down::by_value(*reason).map(|row| row.look), Some(*look), "{reason}: {bucket}");
            walked += 1;
        }
    }
    assert_eq!(walked, link_down::REASONS.len());
}

/// A major version of either layout.
const V1: u32 = 570;
const V2: u32 = 580;

fn line(xid: u32, unit: &str, intr_info: u32, status: u32) -> String {
    format!(
        "NVRM: Xid (PCI:0009:01:00): {xid}, {unit} Nonfatal XC0 i0 Link 01 (0x{intr_info:08x} 0x{status:08x} 0x00000000 0x00000000 0x00000000 0x00000000)"
    )
}

fn rule(xid: u32, unit: &str, layout: u32, intr_info: u32, status: u32, action: Do) -> Case {
    let (severity, says) = match action {
        ResetGpu => (Reset, "RESET_GPU"),
        Eval154 => (Monitor, "the Xid 154 decides"),
        Ignore => (Monitor, "IGNORE"),
    };
    // A reason where none belongs, one that is not listed, and malformed words: no rule matches, and none is invented.
    let mut misses = vec![line(31, unit, intr_info, status)];
    if severity == Reset {
        misses.push(line(xid, unit, intr_info | 0x3f << 20, status));
        misses.push(line(xid, unit, intr_info, status).replace("(0x", "(0y"));
        misses.push(line(if xid == 144 { 147 } else { 144 }, unit, intr_info, status));
    }
    let reason = if unit == LINK_DOWN && PEER.contains(&(intr_info >> 20)) {
        NVLINK_PEER_FAULT
    } else if unit == "RLW_REMAP" && EXPLAINED.contains(&status) {
        NVLINK_REMAP
    } else {
        REASONS[(xid - 144) as usize]
    };
    Case {
        line: line(xid, unit, intr_info, status),
        driver: Some(layout),
        severity,
        reason,
        says: format!("{unit}: {says}"),
        origin: Derived("the recorded frame, the sheet's numbers"),
        misses,
    }
}

fn decoded() -> Vec<Case> {
    let mut cases = Vec::new();
    for (xid, unit, v1, v2, actions) in SHEET {
        for (action, values) in *actions {
            for value in *values {
                let (status, lost) = if *unit == LINK_DOWN { (0, value << 20) } else { (*value, 0) };
                // The group of the first layout: 1 for 144 to 6 for 149, 0 for 150.
                let group = (xid - 143) % 7;
                cases.push(rule(*xid, unit, V1, lost | v1 << 5 | group, status, *action));
                for sub in *v2 {
                    cases.push(rule(*xid, unit, V2, lost | sub, status, *action));
                }
            }
        }
    }
    for status in [0x1, 0x2, 0x4] {
        // Bit 10 of the first layout, or bit 7 of the second, turns RXPIPE's notices into resets.
        cases.push(rule(145, "RLW_RXPIPE", V1, 0x4c2, status, ResetGpu));
        cases.push(rule(145, "RLW_RXPIPE", V2, 0x86, status, ResetGpu));
    }
    cases
}

/// Register from one, bits, severity and reason.
#[rustfmt::skip]
const REGISTERS: &[(usize, &[u32], Severity, &str)] = &[
    (1, &[0, 23, 30], Monitor, "NvLinkNotice"),
    (1, &[1, 20], Monitor, "NvLinkSecondary"),
    (1, &[4, 5], Reset, "NvLinkEccOrParity"),
    (1, &[8, 9, 12, 16, 17, 24, 28], Reset, "NvLinkHardware"),
    (1, &[21, 22], Reset, "NvLinkMarginalSignal"),
    (1, &[27, 29], Reset, "NvLinkInternal"),
    (3, &[0, 1, 2, 6], Reset, "NvLinkEccOrParity"),
    (3, &[16, 19], Reset, "NvLinkRepeatable"),
    (3, &[17, 18], Reset, "NvLinkInternal"),
    (4, &[16, 17], Monitor, "NvLinkSecondary"),
    (4, &[18], Reset, "NvLinkFabricReset"),
    (5, &[18, 19, 21, 22, 24, 25, 27, 28], Reset, "NvLinkEccOrParity"),
    (5, &[20, 23, 26, 29], Monitor, "NvLinkThreshold"),
];

fn fault(xid: u32, register: usize, bit: u32) -> String {
    let mut registers = [0_u32; 7];
    registers[register - 1] = 1 << bit;
    let words: Vec<String> = registers.iter().map(|word| format!("0x{word:x}")).collect();
    format!(
        "NVRM: Xid (PCI:0003:00:00): {xid}, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 14({})",
        words.join(", ")
    )
}

fn registers() -> Vec<Case> {
    let every = REGISTERS.iter().flat_map(|row| row.1.iter().map(move |bit| (row, *bit)));
    every
        .map(|((register, _, severity, reason), bit)| Case {
            line: fault(74, *register, bit),
            driver: None,
            severity: severity.clone(),
            reason,
            says: "Xid 74, NVLink 14".to_owned(),
            origin: Derived("NVSentinel tests, other bits"),
            // The second, sixth and seventh registers mean nothing, but a seventh word must be present.
            misses: vec![
                fault(74, 2, bit),
                fault(74, 6, bit),
                fault(74, 7, bit),
                fault(31, *register, bit),
                fault(74, *register, bit).replace(", 0x0)", ")"),
            ],
        })
        .collect()
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = decoded();
    all.extend(registers());
    all
}

#[test]
fn a_link_that_its_other_end_took_down_asks_for_a_reset_and_does_not_accuse_this_board() {
    // [gpud kmsg_test.go] the fatal lines of a GB200 tray: reasons 33 and 37.
    for (words, reason) in [
        ("0x021425c6", "reason 33, peer side down to disable state"),
        ("0x025525c6", "reason 37, peer side down due to reset event"),
    ] {
        let line =
            format!("NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 ({words} 0x00000000)");
        let verdict = judge(&only(&line), None);
        assert_eq!((verdict.severity, verdict.reason), (Reset, NVLINK_PEER_FAULT));
        let says = format!("{reason}: the other end went down: look there, this board is not at fault");
        assert!(verdict.message.contains(&says), "{}", verdict.message);
    }
    // Signal integrity is this end's as much as the other's.
    let line = "NVRM: Xid (PCI:0009:01:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x004025c6 0x00000000)";
    let verdict = judge(&only(line), None);
    assert_eq!(verdict.reason, "NvLinkNetir");
    assert!(verdict.message.contains("reason 4: look at the link's signal integrity"), "{}", verdict.message);
}

#[test]
fn the_sheet_of_144_to_150_is_walked_in_both_layouts() {
    let decoded = decoded();
    let of = |layout| decoded.iter().filter(|case| case.driver == Some(layout)).count();
    println!("NVLink5: {} rules before R575, {} since; Xid 74: {} bits", of(V1), of(V2), registers().len());
    assert_eq!((of(V1), of(V2), registers().len()), (90, 98, 41));
}
