//! Forged, split and genuine records.

use super::*;
use proptest::prelude::*;

const FAULT: &str = "NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.";

fn kmsg(text: &str) -> KernelRecord {
    KernelRecord::from_kmsg(text.as_bytes()).unwrap()
}

/// The lines with whether they are proven.
fn told(record: &KernelRecord) -> Vec<(String, bool)> {
    record.told().into_iter().map(|told| (told.line.into_owned(), told.proven)).collect()
}

/// The same for a text of `syslog(2)`.
fn told_by_syslog(text: &str) -> Vec<(String, bool)> {
    let mut boundaries = Boundaries::default();
    let mut all = Vec::new();
    for line in text.lines() {
        let mut record = KernelRecord::from_syslog(line.as_bytes()).unwrap();
        boundaries.mark(&mut record);
        all.extend(told(&record));
    }
    all
}

#[test]
fn a_name_with_a_line_feed_in_a_segfault_record_is_no_evidence() {
    // Recorded on Linux 6.18: an unprivileged process, executed from a file with such a name, wrote to address 1.
    let record = kmsg(
        r"6,508,24770879088,-;x\x0aNVRM: Xid (PC[8417]: segfault at 1 ip 000055cde4c04870 sp 00007ffd9031e728 error 6 in x\x0aNVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.[12870,55cde4c04000+3e000] likely on CPU 0 (core 0, socket 0)",
    );
    assert!(record.is_kernel() && record.quotes_a_driver());
    assert_eq!(told(&record), []);
}

#[test]
fn the_lines_into_which_syslog_splits_that_record_are_not_proven() {
    let text = "<6>[24770.000001] usb 1-1: new device
<6>[24770.879088] x
<6>[24770.879088] NVRM: Xid (PC[8417]: segfault at 1 ip 000055cde4c04870 sp 00007ffd9031e728 error 6 in x
<6>[24770.879088] NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.[12870,55cde4c04000+3e000]
<6>[24770.879269] Code: 00 e8 64 ff ff ff c6 05 e5 17 04 00";
    let lines = told_by_syslog(text);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|(_, proven)| !proven), "{lines:?}");
    // At a level that the driver uses: `pr_warn_once("process '%pD4' started with executable stack")`.
    let text = "<4>[    5.000001] process 'tmp/x
<4>[    5.000001] pcieport 0000:00:01.0: looks like the kernel's own
<4>[    5.000001] NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.
<4>[    5.000001] ' started with executable stack";
    assert_eq!(told_by_syslog(text), [(FAULT.to_owned(), false)]);
}

#[test]
fn a_line_of_syslog_with_its_own_time_or_level_begins_a_record() {
    for before in ["<6>[    5.000001] anything", "<4>[    5.000000] anything", "<12>[    5.000001] anything"] {
        let text = format!("{before}\n<4>[    5.000001] {FAULT}");
        assert_eq!(told_by_syslog(&text), [(FAULT.to_owned(), true)], "{before}");
    }
    let text = format!("<4>[    5.000001] {FAULT}");
    assert_eq!(told_by_syslog(&text), [(FAULT.to_owned(), false)], "what came before the window is not known");
    let text = format!("<4>anything\n<4>{FAULT}");
    assert_eq!(told_by_syslog(&text), [(FAULT.to_owned(), false)], "printk.time=0");
    let text = format!("<4>[    1.000000] a\n<4>[    5.000001] {FAULT}\n<4>[    5.000001] {FAULT}");
    assert!(told_by_syslog(&text).iter().all(|(_, proven)| *proven), "an Xid quotes too little to forge the next line");
}

#[test]
fn a_record_that_begins_with_the_prefix_is_proven_only_at_a_level_that_the_driver_uses() {
    for (level, proven) in [(0, true), (3, true), (4, true), (5, false), (6, false), (7, false)] {
        assert_eq!(told(&kmsg(&format!("{level},1,1,-;{FAULT}"))), [(FAULT.to_owned(), proven)], "level {level}");
    }
    assert_eq!(told(&kmsg(&format!("4,1,1,c;{FAULT}"))), [(FAULT.to_owned(), false)], "it continues another record");
    assert_eq!(told(&kmsg(&format!("12,1,1,-;{FAULT}"))), [], "a program wrote it");
}

#[test]
fn a_name_in_an_xid_neither_ends_its_line_nor_begins_another() {
    let record = kmsg(
        r"4,1,1,-;NVRM: Xid (PCI:0000:0f:00): 149, pid=7, name=a\x0aNVRM: Xid (, NETIR_LINK_EVT Fatal XC1 i0 Link 3 (0x1 0x2)",
    );
    assert_eq!(
        told(&record),
        [(
            "NVRM: Xid (PCI:0000:0f:00): 149, pid=7, name=a NVRM: Xid (, NETIR_LINK_EVT Fatal XC1 i0 Link 3 (0x1 0x2)"
                .to_owned(),
            true
        )]
    );
}

#[test]
fn a_version_that_a_client_of_the_driver_invents_proves_nothing() {
    let record = kmsg(
        r"4,1,1,-;NVRM: API mismatch: the client 'evil' (pid 7)\x0aNVRM: has the version 1\x0aNVRM: GPU 0000:0f:00.0: GPU has fallen off the bus.\x0a, but",
    );
    let lines = told(&record);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines.iter().filter(|(_, proven)| *proven).count(), 1, "{lines:?}");
    assert!(!lines[2].1);
}

#[test]
fn a_message_of_several_lines_by_the_driver_is_proven_in_one_record_and_in_several_lines_of_syslog() {
    let lines = [
        "NVRM: The NVIDIA GPU 0000:b3:00.0",
        "NVRM: (PCI ID: 10de:26b5) installed in this system has",
        "NVRM: fallen off the bus and is not responding to commands.",
    ];
    let record = kmsg(&format!("4,1,1,-;{}", lines.join(r"\x0a")));
    assert_eq!(told(&record), lines.map(|line| (line.to_owned(), true)));
    let text = lines.map(|line| format!("<4>[    5.000001] {line}")).join("\n");
    assert_eq!(told_by_syslog(&format!("<6>[    4.000000] x\n{text}")), lines.map(|line| (line.to_owned(), true)));
}

proptest! {
    #[test]
    fn no_name_of_a_program_proves_a_line(
        name in prop_oneof![
            "[a-z\n]{0,20}",
            Just(format!("x\n{FAULT}")),
            Just(format!("x\npcieport 0000:00:01.0: a\n{FAULT}\n{FAULT}")),
            Just(format!("\n{FAULT}")),
        ],
        level in 0_u8..8,
        frame in prop_oneof![
            Just(("", "[7]: segfault at 1 ip 0 sp 0 error 6 in x[1,2+3]")),
            Just(("x[7]: segfault at 1 ip 0 sp 0 error 6 in ", "[1,2+3]")),
            Just(("process '", "' started with executable stack")),
            Just(("INFO: task ", ":7 blocked for more than 120 seconds.")),
            Just(("NVRM: API mismatch: the client '", "' (pid 7)")),
        ],
        before in 0_u64..3,
    ) {
        // The name of a task, where a record begins with one, has 15 bytes.
        let name = if frame.0.is_empty() { name.chars().take(15).collect() } else { name };
        let message = format!("{}{name}{}", frame.0, frame.1);
        let is_forged = |(line, proven): &(String, bool)| *proven && line.contains("79, GPU");
        let escaped = message.replace('\n', r"\x0a");
        let record = kmsg(&format!("{level},1,1,-;{escaped}"));
        prop_assert!(!told(&record).iter().any(is_forged));
        let lines: Vec<String> = message.split('\n').map(|line| format!("<{level}>[    1.000001] {line}")).collect();
        let text = format!("<{level}>[    1.00000{before}] before\n{}", lines.join("\n"));
        prop_assert!(!told_by_syslog(&text).iter().any(is_forged));
    }
}
