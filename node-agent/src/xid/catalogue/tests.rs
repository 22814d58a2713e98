//! Compares the table with NVIDIA's, row by row, from a separate fixture: codes, immediate action, investigatory
//! action.

use super::*;
use std::collections::BTreeMap;

/// The rows of NVIDIA's catalogue (sheet "Xids"), as it groups them. `same` repeats the immediate action.
const NVIDIA: &str = "
8|RESTART_APP|CONTACT_SUPPORT
11,25,32,80|RESTART_APP|CHECK_APP/CUDA
13|RESTART_APP|WORKFLOW_XID_13
31|RESTART_APP|WORKFLOW_XID_31
37|IGNORE|
38|IGNORE|CONTACT_SUPPORT
39-41,70-72,75-77,85,126-135|RESTART_APP|CONTACT_SUPPORT
43|IGNORE|
44|IGNORE|CONTACT_SUPPORT
45|WORKFLOW_XID_45|same
46|RESET_GPU|CONTACT_SUPPORT
48|WORKFLOW_XID_48|field diag
54|CHECK_MECHANICALS|
60|RESTART_APP|
61|\"Unused\" on Ampere and later|
62|RESET_GPU|CONTACT_SUPPORT
63|IGNORE|IGNORE
64|RESET_GPU|CONTACT_SUPPORT
66,67|IGNORE|
68|RESTART_APP|
69|RESTART_APP|CHECK_APP
74|WORKFLOW_NVLINK_ERR|same
78|UPDATE_SWFW|
79|RESTART_BM|CONTACT_SUPPORT
82-84,86,88,89,96-105|RESTART_APP|
92|IGNORE|CONTACT_SUPPORT
93|IGNORE|
94|RESTART_APP|
95|RESET_GPU|
106,107|IGNORE|
109|RESET_GPU|
110|RESET_GPU|INVESTIGATE_SW
119,120|RESET_GPU|INVESTIGATE_SW
121|IGNORE|
136|RESET_GPU|INVESTIGATE_LINK_SI
137|IGNORE|XID_137_FLOW (application debugging)
140|RESET_GPU|
141|IGNORE|
142|CONTACT_SUPPORT|
143|RESET_GPU|
144-150|WORKFLOW_NVLINK5_ERR|
151|RESTART_VM|
152,153|IGNORE|
154|follow the text|
155|RESET_GPU|
156|RESET_GPU|IGNORE
157|IGNORE|CONTACT_SUPPORT
158|RESET_GPU|
159|CHECK_UVM|
160,161|IGNORE|INVESTIGATE_SW
162-165||
166-172||
173-176||
1-7,9,10,12,14-24,26-30,33-36,42,47,49-53,55-59,65,73,81,87,90,91,108,111-118,122-125,138|CONTACT_SUPPORT|
";

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
            walked += 1;
        }
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
    ("follow the text", Severity::Monitor, "the text names the cure: xid::recovery; this is of a text that cannot be read"),
    ("\"Unused\" on Ampere and later", Severity::Monitor, "says nothing of today's GPUs"),
    ("WORKFLOW_XID_45", Severity::Monitor, "with another Xid ignore it; alone start the fabric manager again"),
    ("WORKFLOW_NVLINK5_ERR", Severity::Monitor, "the decode sheet: xid::nvlink5; this is of words that no rule fits, and an Xid 154 decides"),
    ("WORKFLOW_NVLINK_ERR", Severity::Reset, "the registers: xid::nvlink_registers; this is of registers that excuse nothing"),
    ("WORKFLOW_XID_48", Severity::Reset, "alone RESET_GPU, with 63 or 64 DRAIN_AND_RESET"),
    ("RESET_GPU", Severity::Reset, ""),
    ("CHECK_UVM", Severity::Reset, "RESET_GPU if UVM or vGPU is in use"),
    ("RESTART_VM", Severity::Reboot, ""),
    ("RESTART_BM", Severity::Reboot, ""),
    ("CHECK_MECHANICALS", Severity::Isolate, "hands are needed"),
    ("CONTACT_SUPPORT", Severity::Isolate, "no cure but a person's word"),
];

/// Where our severity deliberately differs from NVIDIA's immediate action: code, ours, why.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, Severity, &str)] = &[
    ("157", Severity::Isolate, "NVIDIA: IGNORE, then CONTACT_SUPPORT. The retirement of a resource failed: there is nothing left to retire to, and only its support can say more"),
    ("159", Severity::Monitor, "NVIDIA: reset if UVM or vGPU is in use, else ignore. The line does not tell which; if a reset is needed the driver's recovery action says so"),
    ("165", Severity::Isolate, "NVIDIA: no action yet. Power smoothing has no lifetime left: only another board has (AWS under STRICT_PSHC)"),
    ("167", Severity::Reboot, "NVIDIA: no action yet. A device that PCIe does not reach cannot be reset through it"),
    ("168", Severity::Reboot, "NVIDIA: no action yet. The GPU booted with less memory: booting again is the cure of NVSentinel and AWS"),
    ("173", Severity::Reboot, "not in the catalogue. The link between CPU and GPU is dead, through which a reset would go"),
    ("1-7,9,10,12,14-24,26-30,33-36,42,47,49-53,55-59,65,73,81,87,90,91,108,111-118,122-125,138", Severity::Monitor, "NVIDIA prints CONTACT_SUPPORT for each number that is unused since Ampere: a number without a meaning takes no node away"),
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
    assert_eq!(by_severity[&Severity::Isolate], [54, 142, 157, 165]);
    assert_eq!(by_severity[&Severity::Reboot], [79, 151, 167, 168, 173]);
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
fn each_code_has_one_row_and_each_row_a_reason_of_its_own() {
    let mut seen = BTreeMap::new();
    for row in ROWS {
        assert!(!row.meaning.is_empty(), "{row:?}");
        let camel = row.reason.starts_with(|c: char| c.is_ascii_uppercase())
            && row.reason.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(camel, "{}", row.reason);
        assert_eq!(seen.insert(row.reason.to_owned(), row.meaning), None);
        for code in row.codes.iter().cloned().flatten() {
            assert_eq!(seen.insert(code.to_string(), row.meaning), None, "{code} stands twice");
        }
    }
    assert_eq!(row(139), None);
    assert_eq!(row(177), None);
    assert_eq!(row(0), None);
}
