//! Every row of every table: a line that matches the row, near misses that must not match, and what lifts it.
//!
//! The lines are recorded ones ([`SAMPLES`]). For rows and rules without a published line, they are the recorded form
//! with another number. The rows themselves are compared with NVIDIA's tables elsewhere: the Xid rows in
//! `catalogue/tests.rs`, links in `links.rs`.

use super::origin::{Origin, Tally};
use super::samples::SAMPLES;
use super::{links, observations};
use crate::judge::{Findings, xid as fold};
use crate::time::Now;
use crate::xid::catalogue::ROWS;
use crate::xid::{XidEvent, judge, recovery, repair, sxid};
use crds::check::Check;
use crds::{Severity, Time};
use std::collections::BTreeMap;

/// A line, its meaning, and near misses.
pub(super) struct Case {
    pub(super) line: String,
    /// The driver's major version, if the table needs it.
    pub(super) driver: Option<u32>,
    pub(super) severity: Severity,
    pub(super) reason: &'static str,
    /// A part of the verdict's message.
    pub(super) says: String,
    pub(super) origin: Origin,
    /// Kernel texts that must not give this severity with this reason.
    pub(super) misses: Vec<String>,
}

const FRAME: Origin = Origin::Derived("the recorded frame, another number");

/// Level and facility of a kernel record, and of one written by a program (facility 1).
const KERNEL: u32 = 4;
const PROGRAM: u32 = 12;

/// Texts that contain the code but are about something else.
fn holding(code: u32) -> Vec<String> {
    let other = if code == 43 { 13 } else { 43 };
    vec![
        format!("NVRM: Xid (PCI:0000:{:02x}:00): {other}, pid={code}, name=Xid {code}, Ch {code:08}", code % 0x100),
        format!("NVRM: Xid (PCI:0000:53:00): {other}, pid=1, name=a, Xid (PCI:0000:53:00): {code}, said by a program"),
        format!("NVRM: Xid (PCI:0000:53:00): {}, a longer number", if code == 999 { 79 } else { code * 1000 + 7 }),
        format!("NVRM: Xid (PCI:0000:53:00): 0x{code}, no decimal number"),
        format!("amdgpu 0000:53:00.0: Xid (PCI:0000:53:00): {code}, another driver"),
        format!("nouveau 0000:53:00.0: fifo: fault {code}"),
        format!("audit: comm=\"x\" msg=\"NVRM: Xid (PCI:0000:53:00): {code}, quoted\""),
    ]
}

/// One line per code of the catalogue.
fn xids() -> Vec<Case> {
    let every = ROWS.iter().flat_map(|row| row.codes.iter().cloned().flatten().map(move |code| (code, row)));
    every
        .map(|(code, row)| Case {
            line: format!("NVRM: Xid (PCI:0000:52:00): {code}, pid='<unknown>', name=<unknown>, {}", row.meaning),
            driver: None,
            severity: row.severity.clone(),
            reason: row.reason,
            says: format!("Xid {code}, "),
            origin: FRAME,
            misses: holding(code),
        })
        .collect()
}

/// The published lines.
fn published() -> Vec<Case> {
    SAMPLES
        .iter()
        .map(|sample| Case {
            line: sample.line.to_owned(),
            driver: None,
            severity: sample.severity.clone(),
            reason: sample.reason,
            says: String::new(),
            origin: sample.origin,
            misses: match sample.event {
                XidEvent::Xid(code) => holding(code),
                XidEvent::SXid(code) => vec![
                    format!("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): {code}, Severity 0 Engine instance 44"),
                    format!("nvidia-nvswitch3: SXid (PCI:0000:04:00.0): {code}, Data {{0x00000001, 0x00000000}}"),
                ],
                XidEvent::FallenOffTheBus => vec!["NVRM: GPU 0000:29:00.0: RmInitAdapter failed!".to_owned()],
            },
        })
        .collect()
}

/// One line per SXid, with either word of the line and without one.
fn sxids() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in sxid::ROWS {
        for code in row.codes.iter().cloned().flatten() {
            let line =
                |said: &str, text: &str| format!("nvidia-nvswitch1: SXid (PCI:0000:85:00.0): {code:05}, {said}{text}");
            let (fatal, harmless) = ("Fatal, ", "Non-fatal, ");
            for (said, is_fatal) in [(fatal, true), (harmless, false), ("", row.is_fatal())] {
                let (severity, reason) = match (is_fatal, row.scope) {
                    (true, sxid::Scope::Host) => (Severity::Reboot, "NvSwitchHostFatal"),
                    (true, _) => (Severity::Reset, "NvSwitchFatal"),
                    (false, _) => (Severity::Monitor, "NvSwitchNonFatal"),
                };
                cases.push(Case {
                    line: line(said, "Link 61 egress error (First)"),
                    driver: None,
                    severity,
                    reason,
                    says: format!("SXid {code}, "),
                    origin: FRAME,
                    misses: vec![
                        line("", "Severity 1 Engine instance 61 Sub-engine instance 00"),
                        line("", "Data {0x00000001, 0x00000000}"),
                        // The line itself wins over the list.
                        line(if is_fatal { harmless } else { fatal }, "Link 61 egress error (First)"),
                        format!("nvidia-nvswitch1: open (major={code})"),
                        format!("nvidia-nvswitch1: SXid (PCI:0000:85:00.0): 7{code:05}, Link 61"),
                    ],
                });
            }
        }
    }
    cases
}

/// One line per text of Xid 64.
fn repairs() -> Vec<Case> {
    let line =
        |code: u32, text: &str| format!("NVRM: Xid (PCI:0000:0f:00): {code}, pid='<unknown>', name=<unknown>, {text}");
    let texts = repair::TEXTS.iter().map(|row| {
        let is_row = row.says.starts_with(|c: char| c.is_ascii_uppercase()) && !row.says.starts_with("HW");
        let text = if is_row {
            format!("Row Remapper Error: (0x00000002eebc4100) - {}", row.says)
        } else {
            format!("DRAM Retirement failed due to {} at 0x00000002eebc4100", row.says)
        };
        (row, text)
    });
    texts
        .map(|(row, text)| Case {
            line: line(64, &text),
            driver: None,
            severity: row.severity.clone(),
            reason: row.reason,
            says: row.means.to_owned(),
            origin: Origin::Derived("a format of open-gpu-kernel-modules 615.71.09"),
            misses: vec![
                line(63, &text),
                line(64, "Row Remapper Error: (0x00000002eebc4100) - Attempting to remap a reserved row"),
                line(64, "DRAM Retirement failed due to internal error at 0x00000002eebc4100"),
                line(64, &format!("said by a program: {text}")),
                line(43, &text),
            ],
        })
        .collect()
}

/// One line per recovery action except None, which raises nothing.
fn actions() -> Vec<Case> {
    let raising = recovery::ACTIONS.iter().filter(|action| action.value != recovery::NONE);
    raising
        .map(|action| Case {
            line: format!(
                "NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x{:x} ({})",
                action.value, action.name
            ),
            driver: None,
            severity: action.severity.clone(),
            reason: action.reason,
            says: action.name.to_owned(),
            origin: FRAME,
            misses: vec![
                // The previous value does not matter.
                format!(
                    "NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x{:x} ({}) to 0x0 (None)",
                    action.value, action.name
                ),
                format!(
                    "NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action is 0x{:x} ({})",
                    action.value, action.name
                ),
                format!(
                    "NVRM: Xid (PCI:0009:01:00): 43, GPU recovery action changed from 0x0 (None) to 0x{:x}",
                    action.value
                ),
            ],
        })
        .collect()
}

/// A GPU that left the bus in three records.
fn farewell() -> Case {
    let text = |last: &str| {
        format!("NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system {last}")
    };
    Case {
        line: text("has\nNVRM: fallen off the bus and is not responding to commands."),
        driver: None,
        severity: Severity::Reboot,
        reason: "FallenOffTheBus",
        says: "GPU left the bus".to_owned(),
        origin: Origin::Recorded("NVSentinel issue 155; gpud PR 1209"),
        misses: vec![
            text("is not supported\nNVRM: by the NVIDIA 550.90.07 driver release."),
            text("is not supported\nNVRM: fallen off the bus and is not responding to commands."),
            "NVRM: fallen off the bus and is not responding to commands.".to_owned(),
            "NVRM: The NVIDIA probe routine failed for 1 device(s).".to_owned(),
        ],
    }
}

fn cases() -> Vec<Case> {
    let mut all = published();
    all.extend(xids());
    all.extend(links::cases());
    all.extend(sxids());
    all.extend(repairs());
    all.extend(actions());
    all.push(farewell());
    all
}

#[test]
fn every_row_fires_on_its_line_as_it_says() {
    for case in cases() {
        let found = observations(&case.line, KERNEL);
        let [observed] = found.as_slice() else { panic!("{}: {found:?}", case.line) };
        let verdict = judge(observed, case.driver);
        assert_eq!((verdict.severity, verdict.reason), (case.severity, case.reason), "{}", case.line);
        assert!(verdict.message.contains(&case.says), "{}: {}", case.line, verdict.message);
    }
}

#[test]
fn what_is_nearly_the_line_does_not_fire() {
    let mut walked = 0_usize;
    for case in cases() {
        let quoted = format!("systemd[1]: saw {}", case.line.replace('\n', " "));
        let forged = observations(&case.line, PROGRAM);
        assert_eq!(forged, [], "a program wrote: {}", case.line);
        assert!(!case.misses.is_empty(), "{}", case.line);
        for miss in case.misses.iter().chain([&quoted]) {
            for observed in observations(miss, KERNEL) {
                let verdict = judge(&observed, case.driver);
                assert_ne!((&verdict.severity, verdict.reason), (&case.severity, case.reason), "{miss}");
            }
            walked += 1;
        }
    }
    println!("near misses: {walked}, and as many forgeries as samples");
}

const THEN: i64 = 1_800_000_000;

fn folded(line: &str, driver: Option<u32>, findings: &mut Findings, at: i64) {
    for observed in observations(line, KERNEL) {
        let verdict = judge(&observed, driver);
        fold::observe(findings, &observed, &verdict, Time::from_unix(at));
    }
}

fn after(findings: &Findings, seconds: i64) -> Findings {
    let mut findings = findings.clone();
    fold::expire(&mut findings, Now { unix_ms: (THEN + seconds) * 1000, mono_ms: 0 });
    findings
}

fn cured(pci: &str) -> String {
    let place = pci.trim_end_matches(".0");
    format!("NVRM: Xid (PCI:{place}): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)")
}

#[test]
fn every_row_is_lifted_by_what_lifts_its_severity_and_by_nothing_else() {
    for case in cases() {
        let mut findings = Findings::default();
        folded(&case.line, case.driver, &mut findings, THEN);
        let target = observations(&case.line, KERNEL)[0].pci.to_string();
        let stands = |findings: &Findings| findings.get(Check::Xid.name(), &target).is_some();
        assert!(stands(&findings), "{}", case.line);

        let day = 86_400;
        assert!(stands(&after(&findings, fold::MONITOR_SECONDS - 1)), "{}", case.line);
        assert_eq!(
            stands(&after(&findings, fold::MONITOR_SECONDS)),
            case.severity != Severity::Monitor,
            "{}",
            case.line
        );
        assert_eq!(stands(&after(&findings, 30 * day)), case.severity != Severity::Monitor, "{}", case.line);

        let mut rebooted = findings.clone();
        fold::end_with_boot(&mut rebooted);
        assert_eq!(stands(&rebooted), case.severity == Severity::Monitor, "a boot: {}", case.line);

        let mut elsewhere = findings.clone();
        folded(&cured("0000:fe:00.0"), None, &mut elsewhere, THEN + 1);
        assert!(stands(&elsewhere), "another GPU's recovery: {}", case.line);

        folded(&cured(&target), None, &mut findings, THEN + 1);
        let curable = matches!(case.severity, Severity::Reset | Severity::Reboot);
        assert_eq!(stands(&findings), !curable, "no recovery needed any more: {}", case.line);
    }
}

#[test]
fn nothing_of_reset_or_worse_rests_on_invented_lines_alone() {
    let mut all = Tally::default();
    let mut by_reason: BTreeMap<(Severity, &str), Tally> = BTreeMap::new();
    for case in cases() {
        all.count(case.origin);
        by_reason.entry((case.severity.clone(), case.reason)).or_default().count(case.origin);
    }
    println!("samples: {} recorded, {} derived, {} invented", all.recorded, all.derived, all.invented);
    let mut recorded = Vec::new();
    let mut derived = Vec::new();
    for ((severity, reason), tally) in by_reason.iter().filter(|((severity, _), _)| *severity >= Severity::Reset) {
        if tally.recorded > 0 {
            recorded.push(*reason);
            continue;
        }
        derived.push(*reason);
        assert!(tally.derived > 0, "{severity:?} {reason} rests on invented lines");
    }
    println!("Reset or worse on recorded lines ({}): {}", recorded.len(), recorded.join(", "));
    println!("Reset or worse on derived lines only ({}): {}", derived.len(), derived.join(", "));
    assert_eq!(all.all(), cases().len());
    assert!(all.recorded >= 50, "{all:?}");
}
