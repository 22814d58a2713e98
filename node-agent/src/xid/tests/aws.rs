//! The table of AWS's GPU cluster health check (`checks/0-nvidia-smi-check.sh`), code by code, next to our severities,
//! with the reason for each difference.

use super::{observations, only};
use crate::judge::{Findings, xid as fold};
use crate::xid::{XidEvent, judge};
use crds::Severity::{self, Isolate, Monitor, Reboot, Reset};
use crds::check::Check;
use crds::{Outcome, Time};

/// Codes, AWS's severity, what overrides it there, ours.
type Row = (&'static [u32], Severity, &'static [(&'static str, Severity)], Severity);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (&[54], Isolate, &[], Isolate),
    (&[79, 151, 168], Reboot, &[], Reboot),
    (&[48], Reset, &[], Reset),
    (&[64], Reset, &[("A100", Reboot), ("PR 1190", Isolate)], Reset),
    (&[95], Reset, &[("A100 without MIG", Reboot)], Reset),
    (&[109, 110, 119, 120, 136, 140, 143, 155, 156, 158], Reset, &[], Reset),
    (&[74], Reset, &[("NVLINK_DEFAULT=MONITOR", Monitor), ("NVLINK_DEFAULT=REBOOT", Reboot)], Reset),
    (&[144, 145, 146, 147, 148, 149, 150], Monitor, &[("NVLINK5_DEFAULT=RESET", Reset)], Monitor),
    (&[159], Monitor, &[("UVM in use", Reset)], Monitor),
    (&[162, 163, 164], Monitor, &[], Monitor),
    (&[165], Monitor, &[("STRICT_PSHC=1", Isolate)], Monitor),
    (&[13, 31, 94, 126], Monitor, &[], Monitor),
    (&[43, 63, 92, 121], Monitor, &[], Monitor),
    (&[154], Monitor, &[], Monitor),
    (&[157], Monitor, &[], Monitor),
    (&[81, 125], Monitor, &[], Monitor),
];

/// Where ours differs from AWS's: code, which of its rules (empty: its default), reason.
#[rustfmt::skip]
const DIFFERENCES: &[(u32, &str, &str)] = &[
    (64, "A100", "the driver's recovery action says whether a reset or a reboot is needed, on every model"),
    (64, "PR 1190", "Isolate where the text says that nothing is left, or rowRemap reads failure=true; a line without a text is a remapping that may only be pending"),
    (95, "A100 without MIG", "the driver's recovery action says whether a reset or a reboot is needed, on every model"),
    (74, "NVLINK_DEFAULT=MONITOR", "the registers say which of them are notices; what they do not excuse is a fault"),
    (74, "NVLINK_DEFAULT=REBOOT", "NVIDIA's workflow asks for no reboot; if a reset does not do, the recovery action says so"),
    (144, "NVLINK5_DEFAULT=RESET", "NVIDIA's decode sheet says which need a reset; the default is for words that no rule fits"),
    (159, "UVM in use", "UVM is in use wherever CUDA runs, so that the rule means always; NVIDIA ignores it otherwise, and the recovery action decides"),
    (165, "STRICT_PSHC=1", "NVIDIA replaces the board only where power smoothing is wanted and swings do harm, which the node does not know"),
];

#[test]
fn the_table_of_aws_gives_its_severities_or_a_difference_with_a_reason() {
    let mut walked = 0;
    let mut used = Vec::new();
    let why = |code: u32, rule: &str| {
        DIFFERENCES
            .iter()
            .position(|(of, named, _)| (*of == code || (*of == 144 && (144..=150).contains(&code))) && *named == rule)
    };
    for (codes, theirs, overrides, ours) in TABLE {
        for code in *codes {
            walked += 1;
            let line = format!("NVRM: Xid (PCI:0000:53:00): {code}, pid=7, name=python3, Ch 00000008");
            let observed = only(&line);
            assert_eq!(observed.event, XidEvent::Xid(*code), "{code}, not 53 and not 7");
            let verdict = judge(&observed, None);
            assert_eq!(verdict.severity, *ours, "Xid {code}");
            for (rule, severity) in [("", theirs.clone())].iter().chain(*overrides) {
                let difference = why(*code, rule);
                assert_eq!(difference.is_some(), severity != ours, "Xid {code} {rule}: {theirs:?} and {ours:?}");
                used.extend(difference);
            }
            let mut findings = Findings::default();
            fold::observe(&mut findings, &observed, &verdict, Time::from_unix(0));
            let outcome = findings.get(Check::Xid.name(), "0000:53:00.0").unwrap().outcome.clone();
            assert_eq!(outcome, if *ours >= Reset { Outcome::Fail } else { Outcome::Warn }, "Xid {code}");
        }
    }
    assert_eq!(walked, 42);
    assert!((0..DIFFERENCES.len()).all(|at| used.contains(&at)), "a difference that is none");
    for (code, rule, why) in DIFFERENCES {
        println!("Xid {code} {rule}: {why}.");
    }
}

#[test]
fn the_text_of_an_xid_154_decides_as_it_does_at_aws() {
    for (text, severity) in [
        ("0x2 (Node Reboot Required)", Reboot),
        ("0x1 (GPU Reset Required)", Reset),
        ("0x4 (Drain and Reset)", Reset),
        ("0x3 (Drain P2P)", Reset),
        ("0x5 (Recover IMEX Domain)", Monitor),
        ("0x63 (Unknown)", Monitor),
        ("0x0 (None)", Monitor),
    ] {
        let line = format!("NVRM: Xid (PCI:0000:53:00): 154, GPU recovery action changed from 0x0 (None) to {text}");
        let verdict = judge(&only(&line), None);
        assert_eq!((verdict.severity, verdict.clears), (severity, text == "0x0 (None)"), "{text}");
    }
}

#[test]
fn an_unlisted_code_is_watched() {
    for code in [183, 200, 999, u32::MAX] {
        let line = format!("NVRM: Xid (PCI:0000:53:00): {code}, x");
        assert_eq!(judge(&only(&line), None).severity, Monitor, "{code}");
    }
    assert_eq!(observations("NVRM: Xid (PCI:0000:53:00): 4294967296, too large for a code", 4), []);
}
