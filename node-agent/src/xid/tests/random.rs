//! Random and forged texts: no panic, no growth, no unrelated finding.

use super::record;
use super::samples::SAMPLES;
use crate::xid::XidEvent::Xid;
use crate::xid::{LineAssembler, LogFact, judge, observe};
use crds::Severity;
use proptest::prelude::*;

/// Text resembling lines of the driver, cut and joined at random.
fn driver_like() -> impl Strategy<Value = String> {
    let words =
        SAMPLES.iter().flat_map(|sample| sample.line.split_inclusive(' ')).map(str::to_owned).collect::<Vec<_>>();
    let word = prop_oneof![3 => proptest::sample::select(words), 1 => any::<String>(), 1 => Just("\n".to_owned())];
    (
        prop_oneof![
            Just("NVRM: Xid (PCI:"),
            Just("NVRM: Xid (PCI:0000:01:00): "),
            Just("nvidia-nvswitch"),
            Just("NVRM: GPU "),
            Just("NVRM: ")
        ],
        proptest::collection::vec(word, 0..12),
    )
        .prop_map(|(start, words)| start.to_owned() + &words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_reader_panic_or_hold_more(texts in proptest::collection::vec(prop_oneof![driver_like(), any::<String>()], 0..40)) {
        let mut assembler = LineAssembler::default();
        for text in texts {
            for fact in assembler.push(&record(&text, 4)) {
                if let LogFact::Fault(fault) = fact {
                    prop_assert!(judge(&fault, None).message.chars().count() <= 256);
                    prop_assert!(fault.process.is_none_or(|name| name.chars().count() <= 64));
                }
            }
        }
    }

    #[test]
    fn a_written_line_is_read_back(domain in 0_u32..0x1_0000, bus: u8, device in 0_u8..32, code in 0_u32..1000, pid: u32, name in "[!-+\\--~]{1,15}", text in "[ -~]{0,60}", with_process: bool) {
        let process = if with_process { format!("pid={pid}, name={name}, ") } else { String::new() };
        let observed = observe(&format!("NVRM: Xid (PCI:{domain:04x}:{bus:02x}:{device:02x}): {code}, {process}{text}"));
        let observed = observed.expect("a line of the driver's own form");
        prop_assert_eq!(observed.event, Xid(code));
        prop_assert_eq!((observed.pci.domain, observed.pci.bus, observed.pci.device, observed.pci.function), (domain, bus, device, 0));
        if with_process {
            prop_assert_eq!(observed.pid, Some(pid));
            prop_assert_eq!(observed.process, (name != "<unknown>").then_some(name));
        }
    }

    #[test]
    fn no_word_of_the_message_changes_the_code_the_gpu_or_an_unrelated_severity(text in driver_like()) {
        let line = format!("NVRM: Xid (PCI:0000:07:00): 43, pid=1, name=a, {}", text.replace('\n', " "));
        let observed = observe(&line).expect("a line of the driver's own form");
        prop_assert_eq!((observed.event, observed.pci.to_string()), (Xid(43), "0000:07:00.0".to_owned()));
        prop_assert_eq!(judge(&observed, None).severity, Severity::Monitor);
    }
}

#[test]
fn a_million_lines_of_garbage_leave_a_bounded_assembler() {
    let starts = [
        "NVRM: The NVIDIA GPU 0000:b3:00.0",
        "NVRM: GPU at PCI:0000:02:00: GPU-x",
        "NVRM: (PCI ID: 1) installed in this system has",
        "\u{fffd}\u{1}garbage",
        "NVRM: Xid (",
        "",
        "NVRM: Xid (PCI:0000:",
    ];
    let mut assembler = LineAssembler::default();
    let mut most = 0;
    for at in 0..1_000_000_usize {
        // A step that shares no factor with the count, so that every sequence occurs.
        assembler.push(&record(starts[(at * at + at / 7) % starts.len()], 4));
        most = most.max(assembler.held());
    }
    assert!((1..=16).contains(&most), "{most}");
}
