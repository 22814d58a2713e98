//! Published log lines (source in brackets) through the whole path: record, assembler, parser, verdict.

mod aws;
mod corpus;
mod links;
mod origin;
mod random;
mod samples;

use super::*;
use crate::kernel_log::KernelRecord;
use samples::SAMPLES;

use XidEvent::FallenOffTheBus;
use crds::Severity::{Isolate, Monitor, Reboot, Reset};

/// One line as `syslog(2)` returns it, read as the agent reads it.
fn faults(text: &str) -> Vec<XidObservation> {
    observations(text, 4)
}

fn facts(text: &str) -> Vec<LogFact> {
    facts_of(text, 4)
}

/// The faults in a text, one record per line, with this level and facility: 4 is a kernel warning, 12 one of a program.
fn observations(text: &str, priority: u32) -> Vec<XidObservation> {
    let facts = facts_of(text, priority).into_iter();
    facts.filter_map(|fact| if let LogFact::Fault(fault) = fact { Some(fault) } else { None }).collect()
}

fn facts_of(text: &str, priority: u32) -> Vec<LogFact> {
    let mut assembler = LineAssembler::default();
    text.lines().flat_map(|line| assembler.push(&record(line, priority))).collect()
}

/// One record of the device, with line feeds escaped as the kernel does it.
fn record(message: &str, priority: u32) -> KernelRecord {
    let escaped = message.replace('\n', "\\x0a");
    KernelRecord::from_kmsg(format!("{priority},7,4580565206,-;{escaped}").as_bytes()).unwrap()
}

fn only(text: &str) -> XidObservation {
    let mut all = faults(text);
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.remove(0)
}

#[test]
fn every_published_line_is_read_and_judged() {
    for sample in SAMPLES {
        let observed = only(sample.line);
        assert_eq!((observed.event, observed.pci.to_string().as_str()), (sample.event, sample.pci), "{}", sample.line);
        assert_eq!((observed.pid, observed.process.as_deref()), (sample.pid, sample.process), "{}", sample.line);
        let verdict = judge(&observed, None);
        assert_eq!((&verdict.severity, verdict.reason), (&sample.severity, sample.reason), "{}", sample.line);
        assert!(verdict.message.len() <= 256 && !verdict.clears, "{verdict:?}");
    }
}

#[test]
fn near_misses_are_no_faults() {
    for line in [
        "systemd[1]: watching for NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.",
        " NVRM: Xid (PCI:0000:01:00): 79, indented",
        "nvrm: xid (pci:0000:01:00): 79, small letters",
        "NVRM: Xid (PCI:…): 109, elided",
        "NVRM: Xid (PCI:0000:01:00): seventy-nine",
        "NVRM: Xid (PCI:0000:01:00): 79x",
        "NVRM: Xid (PCI:0000:01:00: 79, no closing parenthesis",
        "NVRM: Xid (PCI:0000:01:00): 99999999999, too large a code",
        "NVRM: GPU 0000:29:00.0: RmInitAdapter failed! (0x26:0x56:1463)",
        "NVRM: fallen off the bus and is not responding to commands.",
        "nvidia-nvswitch2: open (major=510)",
        // [NVIDIA/nvtrust 124, NVSentinel tests, gpud PR 338] companions of an SXid
        "nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 22013, Severity 0 Engine instance 44 Sub-engine instance 00",
        "nvidia-nvswitch1: SXid (PCI:0000:04:00.0): 12028, Data {0x00000001, 0x00000000}",
        "Xid",
        "",
    ] {
        assert_eq!(faults(line), [], "{line}");
        assert_eq!(observe(line), None, "{line}");
    }
    let forged =
        KernelRecord::from_kmsg(b"12,9,9,-;NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.").unwrap();
    assert!(!forged.is_kernel() && observe(&forged.message).is_some(), "only its facility gives a forged line away");
}

#[test]
fn a_line_of_an_unknown_form_is_counted_and_a_companion_is_not() {
    let mut assembler = LineAssembler::default();
    assembler.push(&record(
        "nvidia-nvswitch3: SXid (PCI:0000:04:00.0): 22013, Severity 0 Engine instance 44 Sub-engine instance 00",
        4,
    ));
    assembler.push(&record("NVRM: Xid (PCI:0000:01:00): 79, known", 4));
    assert_eq!(assembler.not_understood(), 0);
    assembler.push(&record("NVRM: Xid [0000:01:00] 79", 4));
    assert_eq!(assembler.not_understood(), 1);
}

#[test]
fn a_mig_instance_and_a_cause_are_kept() {
    let mig = |line| only(line).mig;
    assert_eq!(mig("NVRM: Xid (PCI:0000:01:00 GPU-I:05): 13, x"), Some(MigInstance { gpu: 5, compute: None }));
    assert_eq!(
        mig("NVRM: Xid (PCI:0000:01:00 GPU-I:05 GPU-CI:00): 13, x"),
        Some(MigInstance { gpu: 5, compute: Some(0) })
    );
    assert_eq!(mig("NVRM: Xid (PCI:0000:01:00): 13, x"), None);
    assert_eq!(
        only("NVRM: Xid (PCI:0000:dc:00): 45, pid=1, name=a, Ch 00000001 caused by previous Xid 149").caused_by,
        Some(149)
    );
}

#[test]
fn the_fields_of_link_errors_are_read() {
    let observed = only(
        "NVRM: Xid (PCI:0018:01:00): 145, pid=876767, name=ray::WorkerDict, RLW_RXPIPE Nonfatal XC1 i1 Link 13 (0x0409a0c2 0x00000008)",
    );
    let XidDetail::NvLink5(fault) = &observed.detail else { panic!("{observed:?}") };
    assert_eq!(
        (fault.injected, fault.link, fault.intr_info, fault.error_status),
        (true, Some(13), 0x0409_a0c2, Some(8))
    );
    let verdict = judge(&observed, None);
    assert!(
        verdict.message.starts_with("Xid 145, NVLink5 RLW link 13, injected (RLW_RXPIPE: IGNORE)"),
        "{}",
        verdict.message
    );

    let undecoded = "NVRM: Xid (PCI:0018:01:00): 149, NETIR Fatal XC0 i0 Link 01 (0x0274000e 0x00000000)";
    assert_eq!(judge(&only(undecoded), None).severity, Monitor);
}

#[test]
fn registers_that_excuse_the_link_make_an_xid_74_a_notice() {
    let with = |first: &str| {
        judge(
            &only(&format!(
                "NVRM: Xid (PCI:0003:00:00): 74, NVLink: fatal error detected on link 14({first}, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)"
            )),
            None,
        )
    };
    assert_eq!((with("0x1").severity, with("0x1").reason), (Monitor, "NvLinkNotice"));
    assert_eq!((with("0x100000").severity, with("0x100000").reason), (Monitor, "NvLinkSecondary"));
    assert_eq!((with("0x100").severity, with("0x100").reason), (Reset, "NvLinkHardware"));
    assert_eq!((with("0x0").severity, with("0x0").reason), (Reset, "NvLinkError"));
    let unreadable = judge(&only("NVRM: Xid (PCI:0003:00:00): 74, NVLink: something else"), None);
    assert_eq!((unreadable.severity, unreadable.reason), (Reset, "NvLinkError"));
}

#[test]
fn the_recovery_action_is_judged_by_the_value_it_changed_to() {
    let to = |value: &str| {
        let verdict = judge(
            &only(&format!(
                "NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x2 (Node Reboot Required) to {value}"
            )),
            None,
        );
        (verdict.severity, verdict.reason, verdict.clears)
    };
    assert_eq!(to("0x0 (None)"), (Monitor, "RecoveryNotNeeded", true));
    assert_eq!(to("0x1 (GPU Reset Required)"), (Reset, "RecoveryGpuReset", false));
    assert_eq!(to("0x2 (Node Reboot Required)"), (Reboot, "RecoveryNodeReboot", false));
    assert_eq!(to("0x3 (Drain P2P)"), (Reset, "RecoveryDrainPeers", false));
    assert_eq!(to("0x4 (Drain and Reset)"), (Reset, "RecoveryDrainAndReset", false));
    assert_eq!(to("0x5 (Recover IMEX Domain)"), (Monitor, "RecoveryImexDomain", false));
    assert_eq!(to("0x2a (Unknown)"), (Monitor, "RecoveryActionUnknown", false));
    let unreadable = judge(&only("NVRM: Xid (PCI:0009:01:00): 154, rewritten"), None);
    assert_eq!((unreadable.severity, unreadable.clears), (Monitor, false));
}

#[test]
fn a_contained_error_needs_a_reset_only_where_the_driver_says_so() {
    let severity = |text: &str| judge(&only(&format!("NVRM: Xid (PCI:0000:0f:00): {text}")), None).severity;
    // [open-gpu-kernel-modules kernel_rc.c]
    assert_eq!(severity("94, pid=1, name=a, Contained: CE User Channel (0x9). RST: No, D-RST: No"), Monitor);
    assert_eq!(severity("94, pid=1, name=a, Contained: CE User Channel (0x9). RST: No, D-RST: Yes"), Reset);
    assert_eq!(severity("94, pid=1, name=a, Contained: CE User Channel (0x9). RST: Yes, D-RST: No"), Reset);
    assert_eq!(severity("95, Uncontained: LTC TAG (0x2, 0x1). RST: Yes, D-RST: No physAddr: 0x00000001"), Reset);
    assert_eq!(severity("95, Uncontained: LTC TAG (0x2, 0x1). RST: No, D-RST: No"), Reset);
}

#[test]
fn an_xid_64_isolates_only_where_its_text_says_that_nothing_is_left() {
    let verdict = |text: &str| {
        let verdict = judge(&only(&format!("NVRM: Xid (PCI:0000:0f:00): 64, pid=1896, name=python3{text}")), None);
        (verdict.severity, verdict.reason)
    };
    assert_eq!(verdict(""), (Reset, "RowRemapFailed"));
    assert_eq!(
        verdict(", Row Remapper Error: (0x0000000000abcdef) - Internal kernel error"),
        (Reset, "RowRemapFailed")
    );
    assert_eq!(verdict(", DRAM Retirement failed due to pending bank remap at 0x1"), (Reset, "RowRemapPending"));
    assert_eq!(verdict(", DRAM Retirement failed due to no spare for retirement at 0x1"), (Isolate, "RowRemapNoSpare"));
    // What a program is called says nothing.
    let named = "NVRM: Xid (PCI:0000:0f:00): 64, pid=1, name=a) - Row Remapping table is full, Row Remapper Error: (0x1) - Internal error";
    assert_eq!(judge(&only(named), None).reason, "RowRemapFailed");
}

#[test]
fn only_the_end_of_an_xid_45_names_its_root() {
    let root = |text: &str| only(&format!("NVRM: Xid (PCI:0000:dc:00): {text}")).caused_by;
    assert_eq!(root("45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 109"), Some(109));
    assert_eq!(root("45, Ch 00000001 caused by previous Xid 109"), Some(109));
    assert_eq!(root("45, pid=1, name=a caused by previous Xid 79, Ch 00000001"), None);
    assert_eq!(root("45, pid=1, name=a, caused by previous Xid 79, Ch 00000001"), None);
    assert_eq!(root("45, pid=1, name=a, caused by previous Xid 79"), None);
    assert_eq!(root("45, pid=1, name=a, Ch 00000001 caused by previous Xid 79 or so"), None);
    assert_eq!(root("43, pid=1, name=a, Ch 00000001 caused by previous Xid 79"), None);
}

#[test]
fn a_farewell_of_three_records_names_the_gpu_that_left() {
    // [NVSentinel issue 155; gpud PR 1209]
    let text = "NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system has\nNVRM: fallen off the bus and is not responding to commands.";
    let split = only(&text.replace('\n', "\nusb 1-1: something else\n"));
    assert_eq!((split.event, split.pci.to_string().as_str()), (FallenOffTheBus, "0000:b3:00.0"));
    assert_eq!(judge(&split, None).severity, Reboot);
    // As one record of three lines.
    let whole = LineAssembler::default().push(&record(text, 4));
    assert_eq!(whole, [LogFact::Fault(split)]);
}

#[test]
fn two_gpus_that_leave_at_once_are_both_named() {
    let text = "NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: The NVIDIA GPU 0000:b4:00.0\n\
                NVRM: (PCI ID: 10de:26b5) installed in this system has\nNVRM: (PCI ID: 10de:26b5) installed in this system has\n\
                NVRM: fallen off the bus and is not responding to commands.\nNVRM: fallen off the bus and is not responding to commands.";
    let left: Vec<String> = faults(text).into_iter().map(|fault| fault.pci.to_string()).collect();
    assert_eq!(left, ["0000:b3:00.0", "0000:b4:00.0"]);
}

#[test]
fn an_unsupported_gpu_is_not_a_lost_one_and_nothing_is_joined_across_many_lines() {
    let unsupported = "NVRM: The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:26b5)\nNVRM: (PCI ID: 10de:26b5) installed in this system is not supported\n\
                       NVRM: fallen off the bus and is not responding to commands.";
    assert_eq!(faults(unsupported), []);
    let mut assembler = LineAssembler::default();
    assembler
        .push(&record("NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system has", 4));
    for _ in 0..100 {
        assembler.push(&record("NVRM: something else", 4));
    }
    assert_eq!(assembler.push(&record("NVRM: fallen off the bus and is not responding to commands.", 4)), []);
}

#[test]
fn the_lines_before_a_gpus_first_xid_tell_which_board_it_is() {
    // [open-gpu-kernel-modules kernel_rc.c]
    let facts = facts(
        "NVRM: GPU at PCI:0000:02:00: GPU-2a1f3c4d-0000-1111-2222-333344445555\nNVRM: GPU Board Serial Number: 1654321098765\n\
         NVRM: GPU 0000:29:00.0: GPU serial number is 1650000000001.\nNVRM: GPU Board Serial Number: 9",
    );
    let board = |pci: &str, uuid: Option<&str>, serial: Option<&str>| {
        LogFact::Board(BoardIdentity {
            pci: pci.parse().unwrap(),
            uuid: uuid.map(Into::into),
            serial: serial.map(Into::into),
        })
    };
    assert_eq!(
        facts,
        [
            board("0000:02:00.0", Some("GPU-2a1f3c4d-0000-1111-2222-333344445555"), None),
            board("0000:02:00.0", None, Some("1654321098765")),
            board("0000:29:00.0", None, Some("1650000000001")),
        ]
    );
}

#[test]
fn one_real_memory_fault_tells_four_things_of_which_the_gravest_is_a_reset() {
    // Order as in [wtdcode/vllm-backport 62]: 48, 63, 94, 154.
    let burst = "NVRM: Xid (PCI:0000:0f:00): 48, pid=1, name=a, DBE\nNVRM: Xid (PCI:0000:0f:00): 63, pid=1, name=a, Row Remapper\n\
                 NVRM: Xid (PCI:0000:0f:00): 94, pid=1, name=a, Contained\n\
                 NVRM: Xid (PCI:0000:0f:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)";
    let verdicts: Vec<XidVerdict> = faults(burst).iter().map(|fault| judge(fault, Some(570))).collect();
    assert_eq!(
        verdicts.iter().map(|verdict| verdict.severity.clone()).collect::<Vec<_>>(),
        [Reset, Monitor, Monitor, Reset]
    );
}

#[test]
fn repeated_lines_share_a_key_and_different_faults_do_not() {
    let key = |line: &str| only(line).dedupe_key();
    let first = key("NVRM: Xid (PCI:0000:01:00): 31, pid=1, name=a, Ch 00000001");
    assert_eq!(first, key("NVRM: Xid (PCI:0000:01:00): 31, pid=2, name=b, Ch 00000002"));
    assert_ne!(first, key("NVRM: Xid (PCI:0000:02:00): 31, pid=1, name=a, Ch 00000001"));
    assert_ne!(first, key("NVRM: Xid (PCI:0000:01:00): 13, pid=1, name=a, Ch 00000001"));
    assert_eq!(key("NVRM: Xid (PCI:0000:29:00): 79, x"), key("NVRM: GPU 0000:29:00.0: GPU has fallen off the bus."));
    let recovery = |to: &str| {
        key(&format!("NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to {to}"))
    };
    assert_ne!(recovery("0x1 (GPU Reset Required)"), recovery("0x0 (None)"));
    let link = |words: &str| key(&format!("NVRM: Xid (PCI:0009:01:00): 149, NETIR Fatal XC0 i0 {words}"));
    assert_ne!(link("Link 01 (0x021425c6 0x0)"), link("Link 02 (0x021425c6 0x0)"));
}

#[test]
fn only_the_applications_faults_are_called_so() {
    let application = |code: u32| judge(&only(&format!("NVRM: Xid (PCI:0000:01:00): {code}, x")), None).application;
    assert_eq!([13, 31, 43, 45, 68, 69].map(application), [true; 6]);
    assert_eq!([48, 79, 94, 119, 999].map(application), [false; 5]);
}

#[test]
fn messages_are_printable_and_bounded() {
    let observed = only(&format!("NVRM: Xid (PCI:0000:01:00): 79, \x1b[31m{}", "ä".repeat(4000)));
    assert!(observed.message.chars().count() <= 256 && !observed.message.contains('\x1b'));
    assert!(judge(&observed, None).message.chars().count() <= 256);
}
