//! Arbitrary content of a kernel log: records, lines, faults, verdicts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::kernel_log::{MESSAGE_MAX, PrintedLog};
use node_agent::xid::{LineAssembler, LogFact, judge};

fuzz_target!(|data: &[u8]| {
    let mut lines = LineAssembler::default();
    let mut log = PrintedLog::default();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(record) = log.read(line) else { continue };
        assert!(record.message.len() <= MESSAGE_MAX);
        for fact in lines.push(&record) {
            let LogFact::Fault(fault) = fact else { continue };
            let verdict = judge(&fault, None);
            assert!(verdict.message.chars().count() <= 256 && fault.message.chars().count() <= 256);
            assert!(!verdict.reason.is_empty());
        }
    }
});
