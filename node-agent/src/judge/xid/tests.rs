//! Bursts, switches and the driver's recovery action, folded into findings.

use super::remarks::{REMARK, SAME_FAULT_SECONDS};
use super::*;
use crate::judge::core::{Findings, Found, Readings};
use crate::judge::{Expectation, KernelLog, Measurements, Memory, Standing, judge as judge_all};
use crate::readings::sample::{GpuReadings, RecoveryReading};
use crate::time::Now;
use crate::xid::{judge as verdict_of, observe as read};
use crds::check::Check;
use crds::node_health::Finding;
use crds::{Outcome, Severity, Time};
use proptest::prelude::*;

const GPU: &str = "0000:0f:00.0";
const SWITCH: &str = "0000:85:00.0";
const THEN: i64 = 1_800_000_000;

fn fold(findings: &mut Findings, line: &str, at: i64) {
    let observed = read(line).unwrap();
    let verdict = verdict_of(&observed, None);
    observe(findings, &observed, &verdict, Time::from_unix(THEN + at));
}

fn gpu(text: &str) -> String {
    format!("NVRM: Xid (PCI:0000:0f:00): {text}")
}

fn found<'a>(findings: &'a Findings, target: &str) -> Option<&'a Finding> {
    findings.get(Check::Xid.name(), target)
}

/// The lines of one memory fault, in one burst.
const MEMORY: [&str; 6] = [
    "48, pid='<unknown>', name=<unknown>, An uncorrectable double bit error (DBE) has been detected on GPU",
    "63, pid='<unknown>', name=<unknown>, Row Remapper: New row (0x0000000018f31d80) marked for remapping, reset gpu to activate.",
    "94, pid='<unknown>', name=<unknown>, Contained: SM (0x1). RST: No, D-RST: No",
    "64, pid='<unknown>', name=<unknown>, Row Remapper: (0x00000002eebc4100) - Attempting to remap a row that is already pending remapping. Remapping will occur when the GPU is reset",
    "95, pid=5171, Uncontained: FBHUB. RST: Yes, D-RST: No",
    "154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)",
];

proptest! {
    #[test]
    fn a_memory_fault_is_one_finding_of_the_gravest_severity_in_whatever_order_it_is_told(lines in proptest::sample::subsequence((0..MEMORY.len()).collect::<Vec<_>>(), 1..=MEMORY.len()).prop_shuffle()) {
        let mut findings = Findings::default();
        for line in &lines {
            fold(&mut findings, &gpu(MEMORY[*line]), 0);
        }
        prop_assert_eq!(findings.iter().count(), 1);
        let grave = lines.iter().filter(|line| ![1, 2].contains(*line)).collect::<Vec<_>>();
        let finding = found(&findings, GPU).unwrap();
        let expected = if grave.is_empty() { Severity::Monitor } else { Severity::Reset };
        prop_assert_eq!(&finding.severity, &expected);
        // The first of the most severe names the cause; others of its rank are counted.
        let first = grave.first().map_or(lines[0], |line| **line);
        let code = MEMORY[first].split(',').next().unwrap();
        let begins = format!("Xid {code} at {GPU}");
        prop_assert!(finding.evidence.as_deref().unwrap().starts_with(&begins));
        prop_assert_eq!(finding.code.as_deref(), Some(code));
        let counted = if grave.is_empty() { lines.len() } else { grave.len() };
        prop_assert_eq!(usize::try_from(finding.count).unwrap(), counted);
        fold(&mut findings, &gpu("154, GPU recovery action changed from 0x4 (Drain and Reset) to 0x0 (None)"), 60);
        prop_assert_eq!(found(&findings, GPU).is_some(), grave.is_empty());
    }
}

#[test]
fn where_links_and_their_switch_fail_together_the_switch_is_named_whoever_tells_first() {
    let link = gpu(
        "74, pid='<unknown>', name=<unknown>, NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)",
    );
    let switch =
        "nvidia-nvswitch2: SXid (PCI:0000:85:00.0): 12028, Non-fatal, Link 61 egress non-posted PRIV error (First)";
    for order in [[link.as_str(), switch], [switch, link.as_str()]] {
        let mut findings = Findings::default();
        fold(&mut findings, order[0], 0);
        fold(&mut findings, order[1], SAME_FAULT_SECONDS);
        let finding = found(&findings, GPU).unwrap();
        assert!(
            finding
                .message
                .ends_with(" | NVSwitch 0000:85:00.0 reported an SXid at the same time: the switch is the root cause"),
            "{}",
            finding.message
        );
        assert!(finding.message.starts_with("Xid 74, NVLink 14"), "{}", finding.message);
        assert_eq!((finding.severity.clone(), finding.reason.as_str()), (Severity::Reset, "NvLinkRepeatable"));
        assert!(!found(&findings, SWITCH).unwrap().message.contains(REMARK));
        // The same fault again adds no second remark.
        fold(&mut findings, order[0], SAME_FAULT_SECONDS);
        assert_eq!(found(&findings, GPU).unwrap().message.matches(REMARK).count(), 1);
    }
    let mut findings = Findings::default();
    fold(&mut findings, switch, 0);
    fold(&mut findings, &link, SAME_FAULT_SECONDS + 1);
    assert!(!found(&findings, GPU).unwrap().message.contains(REMARK), "long ago is another fault");
    let mut findings = Findings::default();
    fold(&mut findings, switch, 0);
    fold(&mut findings, &gpu("79, GPU has fallen off the bus."), 1);
    assert!(!found(&findings, GPU).unwrap().message.contains(REMARK), "a switch does not push a GPU off its bus");
}

#[test]
fn a_remark_takes_the_place_of_the_last_and_keeps_within_the_bound() {
    let mut findings = Findings::default();
    remark(&mut findings, GPU, "nobody");
    assert_eq!(findings.iter().count(), 0);
    fold(&mut findings, &gpu(&format!("31, pid=1, name=a, {}", "ä".repeat(200))), 0);
    remark(&mut findings, GPU, "first");
    remark(&mut findings, GPU, "look at the board");
    let message = &found(&findings, GPU).unwrap().message;
    assert!(
        message.chars().count() <= 256 && message.ends_with(" | look at the board") && !message.contains("first"),
        "{message}"
    );
    assert!(message.starts_with("Xid 31, MMU fault"));
}

fn readings(action: u32) -> Readings {
    let reading = GpuReadings {
        pci: GPU.to_owned(),
        recovery_action: Some(RecoveryReading { action: Some(action) }),
        ..GpuReadings::default()
    };
    Readings { gpus: [(GPU.to_owned(), reading)].into(), ..Readings::default() }
}

#[test]
fn the_recovery_action_back_at_none_lifts_what_a_reset_cures_and_only_if_it_was_another() {
    let asks = Found {
        target: GPU.to_owned(),
        outcome: Outcome::Fail,
        severity: Severity::Reset,
        reason: "RecoveryGpuReset".to_owned(),
        message: "the driver asks for a reset".to_owned(),
        evidence: None,
    }
    .as_finding(Check::RecoveryAction.name(), Time::from_unix(THEN));
    for (line, curable) in
        [(MEMORY[0], true), ("79, GPU has fallen off the bus.", true), ("54, aux power", false), ("31, x", false)]
    {
        let mut findings = Findings::default();
        fold(&mut findings, &gpu(line), 0);
        lift_by_recovery_action(&mut findings, &readings(0));
        assert!(found(&findings, GPU).is_some(), "it was never another: {line}");
        findings.put(asks.clone());
        lift_by_recovery_action(&mut findings, &readings(1));
        assert!(found(&findings, GPU).is_some(), "it is not back: {line}");
        lift_by_recovery_action(&mut findings, &Readings::default());
        assert!(found(&findings, GPU).is_some(), "the action was not read: {line}");
        lift_by_recovery_action(&mut findings, &readings(0));
        assert_eq!(found(&findings, GPU).is_none(), curable, "{line}");
    }
}

#[test]
fn each_judgement_looks_at_the_recovery_action_before_that_check_is_judged() {
    let mut findings = Findings::default();
    fold(&mut findings, &gpu(MEMORY[0]), 0);
    findings.put(Finding { check: Check::RecoveryAction.name().to_owned(), ..found(&findings, GPU).unwrap().clone() });
    let readings = readings(0);
    let measured = Measurements {
        hardware: &Hardware::NotYet,
        kernel_log: &KernelLog { source: Some("kmsg:/dev/kmsg".to_owned()), ..KernelLog::default() },
        readings: &readings,
        memory: &Memory::default(),
        gpus: &[],
    };
    let expected = Expectation { spec: None, booted_at: None };
    let before = Standing { findings, rows: Vec::new() };
    let now = Now { unix_ms: (THEN + 60) * 1000, mono_ms: 60_000 };
    let after = judge_all(&expected, &measured, before, now);
    assert_eq!(found(&after.findings, GPU), None);
}
