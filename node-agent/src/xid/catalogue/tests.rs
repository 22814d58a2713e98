//! Compares the table with NVIDIA's, row by row, from a separate fixture: codes, both actions, and the GPUs.

use super::*;
use std::collections::BTreeMap;

/// The rows of NVIDIA's catalogue as its page had them in November 2026: codes, immediate action, investigatory action
/// (`same` repeats the immediate one), and the GPUs that it applies to (A100, H100, B100, GB200).
const NVIDIA: &str = "
8|RESTART_APP|CONTACT_SUPPORT|AHBG
11,25,32|RESTART_APP|CHECK_APP/CUDA|AHBG
80|RESTART_APP|CHECK_APP/CUDA|AH
13|RESTART_APP|WORKFLOW_XID_13|AHBG
14|IGNORE|CONTACT_SUPPORT|AHBG
31|RESTART_APP|WORKFLOW_XID_31|AHBG
37|IGNORE|CHECK_APP/CUDA|AHBG
38|IGNORE|CONTACT_SUPPORT|AHBG
39-41,70-72,75-77,85|RESTART_APP|CONTACT_SUPPORT|AHBG
126-135|RESTART_APP|CONTACT_SUPPORT|BG
43|IGNORE|CONTACT_SUPPORT|AHBG
44|IGNORE|CONTACT_SUPPORT|AHBG
45|WORKFLOW_XID_45|Solo: RESTART_FM Not Solo: IGNORE (follow other Xid)|AHBG
46|RESET_GPU|CONTACT_SUPPORT|AHBG
48|WORKFLOW_XID_48|same|AHBG
54|CHECK_MECHANICALS|CONTACT_SUPPORT|AHB
60|RESTART_APP|INVESTIGATE_SW|AHBG
61|CONTACT_SUPPORT||
62|RESET_GPU|CONTACT_SUPPORT|AHBG
63|IGNORE|IGNORE|AHBG
64|RESET_GPU|CONTACT_SUPPORT|AHBG
66|IGNORE|INVESTIGATE_SW|AHBG
67|IGNORE|CONTACT_SUPPORT|AHBG
68|RESTART_APP|CONTACT_SUPPORT|AHBG
69|RESTART_APP|CHECK_APP/CUDA|AHBG
74|WORKFLOW_NVLINK_ERR|CONTACT_SUPPORT|AH
78|UPDATE_SWFW|same|AHBG
79|RESTART_BM|CONTACT_SUPPORT|AHBG
82-84,86,88,89|RESTART_APP|CONTACT_SUPPORT|AHBG
96-105|RESTART_APP|CONTACT_SUPPORT|HBG
92|IGNORE|CONTACT_SUPPORT|AHBG
93|IGNORE|CONTACT_SUPPORT|A
94|RESTART_APP|IGNORE (sympathetic)|AHBG
95|RESET_GPU|IGNORE (sympathetic)|AHBG
106,107|IGNORE|IGNORE|AHBG
108|IGNORE|XID_137_FLOW|AHBG
109|RESET_GPU|CONTACT_SUPPORT|AHBG
110|RESET_GPU|INVESTIGATE_SW|HBG
119,120|RESET_GPU|INVESTIGATE_SW|AHBG
121|IGNORE|CONTACT_SUPPORT|G
136|RESET_GPU|INVESTIGATE_LINK_SI|H
137|IGNORE|XID_137_FLOW|AHBG
139|RESTART_APP|CONTACT_SUPPORT|BG
140|RESET_GPU|CONTACT_SUPPORT|AHBG
141|IGNORE|CONTACT_SUPPORT|HBG
142|CONTACT_SUPPORT||G
143|RESET_GPU|CONTACT_SUPPORT|HBG
144-150|WORKFLOW_NVLINK5_ERR|same|BG
151|RESTART_VM|CONTACT_SUPPORT|HBG
152,153|IGNORE|CONTACT_SUPPORT|
154|XID_154|Informational only regarding another Xid|AHBG
155|RESET_GPU|INVESTIGATE_SW_USER|BG
156|RESET_GPU|IGNORE|HBG
157|IGNORE|CONTACT_SUPPORT|HBG
158|RESET_GPU|CONTACT_SUPPORT|AHBG
159|CHECK_UVM|SYMPATHETIC_REPORT_SOLO|BG
160,161|IGNORE|INVESTIGATE_SW|BG
162-166,170|||BG
167,169|||HBG
168,171,172|||AHBG
1-7,9,10,12,15-24,26-30,33-36,42,47,49-53,55-59,65,73,81,87,90,91,111-118,122-125,138|CONTACT_SUPPORT||
";

/// Codes that only the driver's source (615.71.09) and the release notes of its events name, without an action.
const WITHOUT_A_ROW: &str = "173-182,185";

fn codes(text: &str) -> Vec<u32> {
    text.split(',')
        .flat_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            first.parse::<u32>().unwrap()..=last.parse().unwrap()
        })
        .collect()
}

#[test]
fn every_code_has_nvidias_actions() {
    let mut walked = 0;
    for line in NVIDIA.trim().lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let investigate = if fields[2] == "same" { fields[1] } else { fields[2] };
        for code in codes(fields[0]) {
            let row = row(code).unwrap_or_else(|| panic!("{code} has no row"));
            assert_eq!((row.immediate, row.investigate), (fields[1], investigate), "Xid {code}");
            let letters: String = row.applies.iter().filter_map(|gpu| gpu.chars().next()).collect();
            assert_eq!(letters, fields[3], "Xid {code} applies to");
            walked += 1;
        }
    }
    for code in codes(WITHOUT_A_ROW) {
        let row = row(code).unwrap_or_else(|| panic!("{code} has no row"));
        assert_eq!((row.immediate, row.investigate, row.applies), ("", "", &[][..]), "Xid {code}");
        walked += 1;
    }
    let in_table: usize = ROWS.iter().flat_map(|row| row.codes).map(|codes| codes.clone().count()).sum();
    assert_eq!(walked, in_table, "the table lists codes that NVIDIA does not");
}

/// NVIDIA's immediate actions as our severities.
#[rustfmt::skip]
const ACTIONS: &[(&str, Severity, &str)] = &[
    ("", Severity::Monitor, "NVIDIA gives none yet"),
    ("IGNORE", Severity::Monitor, "nothing to do"),
    ("RESTART_APP", Severity::Monitor, "the program is started again; the node does nothing"),
    ("UPDATE_SWFW", Severity::Monitor, "software to update, when it suits"),
    ("XID_154", Severity::Monitor, "the text names the cure: xid::recovery; this is of a text that cannot be read"),
    ("WORKFLOW_XID_45", Severity::Monitor, "with another Xid ignore it; alone start the fabric manager again"),
    ("WORKFLOW_NVLINK5_ERR", Severity::Monitor, "the decode sheet: xid::nvlink5; this is of words that no rule fits, and an Xid 154 decides"),
    ("WORKFLOW_NVLINK_ERR", Severity::Reset, "the registers: xid::nvlink_registers; this is of registers that excuse nothing"),
    ("WORKFLOW_XID_48", Severity::Reset, "alone RESET_GPU, with 63 or 64 DRAIN_AND_RESET"),
    ("RESET_GPU", Severity::Reset, ""),
    ("CHECK_UVM", Severity::Reset, "RESET_GPU if UVM or vGPU is in use"),
    ("RESTART_VM", Severity::Reboot, "the machine that owns the GPU: the node"),
    ("RESTART_BM", Severity::Reboot, ""),
    ("CHECK_MECHANICALS", Severity::Isolate, "hands are needed"),
    ("CONTACT_SUPPORT", Severity::Isolate, "no cure but a person's word"),
];

/// Where our severity deliberately differs from NVIDIA's immediate action: code, ours, why.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, Severity, &str)] = &[
    ("142", Severity::Monitor, "NVIDIA: CONTACT_SUPPORT, and no cure. It stops a program, as the exceptions of all other video engines do (68, 82 to 84, 139: RESTART_APP)"),
    ("159", Severity::Monitor, "NVIDIA: reset if UVM or vGPU is in use, else ignore. The line does not tell which; if a reset is needed the driver's recovery action says so"),
    ("168", Severity::Reboot, "NVIDIA: no action, but its description names the cure: enable ECC or boot again. Until then the GPU has less memory; NVSentinel and AWS boot again, too"),
    ("1-7,9,10,12,15-24,26-30,33-36,42,47,49-53,55-59,61,65,73,81,87,90,91,111-118,122-125,138", Severity::Monitor, "NVIDIA prints CONTACT_SUPPORT for each number that is unused since Ampere: a number without a meaning takes no node away"),
];

#[test]
fn each_severity_is_nvidias_immediate_action_or_a_difference_with_a_reason() {
    let mut differences: BTreeMap<u32, (Severity, &str)> = BTreeMap::new();
    for (listed, ours, why) in DIFFERENCES {
        println!("Xid {listed}: {ours:?}. {why}.");
        assert!(why.len() > 20, "{listed}: why?");
        for code in codes(listed) {
            assert_eq!(differences.insert(code, (ours.clone(), why)), None, "{code} stands twice");
        }
    }
    for code in ROWS.iter().flat_map(|row| row.codes.iter().cloned().flatten()) {
        let row = row(code).unwrap();
        let (_, theirs, _) =
            ACTIONS.iter().find(|(word, ..)| *word == row.immediate).unwrap_or_else(|| panic!("{}", row.immediate));
        match differences.remove(&code) {
            Some((ours, _)) => {
                assert_eq!(row.severity, ours, "Xid {code}: the difference says otherwise");
                assert_ne!(ours, *theirs, "Xid {code}: no difference, and yet it is listed");
            }
            None => assert_eq!(row.severity, *theirs, "Xid {code} ({}): a difference without a reason", row.immediate),
        }
    }
    assert!(differences.is_empty(), "differences about codes that have no row: {differences:?}");
    for (word, ..) in ACTIONS {
        assert!(ROWS.iter().any(|row| row.immediate == *word), "no row has the action {word}");
    }
}

#[test]
fn severities_above_monitor_are_exactly_these() {
    let mut by_severity: BTreeMap<&Severity, Vec<u32>> = BTreeMap::new();
    for code in 1..=200 {
        by_severity.entry(row(code).map_or(&UNKNOWN.severity, |row| &row.severity)).or_default().push(code);
    }
    assert_eq!(by_severity[&Severity::Isolate], [54]);
    assert_eq!(by_severity[&Severity::Reboot], [79, 151, 168]);
    assert_eq!(
        by_severity[&Severity::Reset],
        [46, 48, 62, 64, 74, 95, 109, 110, 119, 120, 136, 140, 143, 155, 156, 158]
    );
}

#[test]
fn no_code_that_nvidia_blames_on_the_application_condemns_a_board() {
    for row in ROWS {
        assert!(row.concern != Concern::Application || row.severity == Severity::Monitor, "{row:?}");
    }
    for code in [13, 31, 43, 45, 68, 69] {
        assert_eq!(row(code).unwrap().concern, Concern::Application, "{code}");
    }
}

#[test]
fn no_difference_from_nvidia_condemns_without_a_cure_that_nvidia_names() {
    let graver: Vec<&str> =
        DIFFERENCES.iter().filter(|(_, ours, _)| ours.condemns()).map(|(codes, ..)| *codes).collect();
    assert_eq!(graver, ["168"], "a driver that prints 155 or above has a recovery action, which decides");
}

#[test]
fn each_code_has_one_row_and_each_reason_one_meaning() {
    let mut seen = BTreeMap::new();
    for row in ROWS {
        assert!(!row.meaning.is_empty(), "{row:?}");
        let camel = row.reason.starts_with(|c: char| c.is_ascii_uppercase())
            && row.reason.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(camel, "{}", row.reason);
        let same = seen.insert(row.reason.to_owned(), row.meaning);
        assert!(same.is_none_or(|meaning| meaning == row.meaning), "{row:?}");
        for code in row.codes.iter().cloned().flatten() {
            assert_eq!(seen.insert(code.to_string(), row.meaning), None, "{code} stands twice");
        }
    }
    assert_eq!([183, 184, 186].map(row), [None; 3]);
    assert_eq!(row(0), None);
}

#[test]
fn every_reason_of_an_xid_may_stand_in_a_rule_of_a_policy() {
    let of_signs = crate::xid::verdict::LINK_SIGNS.iter().map(|(_, _, reason, _)| *reason);
    let of_rows = ROWS.iter().chain([&UNKNOWN]).map(|row| row.reason);
    for reason in of_rows.chain(of_signs).chain([FALLEN_OFF_THE_BUS]) {
        assert!(crds::reason::OF_XIDS.contains(&reason), "{reason}: add it to crds::reason::OF_XIDS");
    }
}
