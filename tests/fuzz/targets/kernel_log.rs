//! Arbitrary content of a kernel log: records, lines, faults, verdicts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::kernel_log::{KernelRecord, MESSAGE_MAX};
use node_agent::xid::{LineAssembler, LogFact, judge};

fuzz_target!(|data: &[u8]| {
    let mut lines = LineAssembler::default();
    for line in data.split(|byte| *byte == b'\n') {
        let record = KernelRecord::from_line(line);
        if let Some(record) = &record {
            assert!(record.message.len() <= MESSAGE_MAX);
        }
        let message = record.map_or_else(|| String::from_utf8_lossy(line).into_owned(), |record| record.message);
        for fact in lines.push(&message) {
            let LogFact::Fault(fault) = fact else { continue };
            let verdict = judge(&fault, None);
            assert!(verdict.message.chars().count() <= 256 && fault.message.chars().count() <= 256);
            assert!(!verdict.reason.is_empty());
        }
    }
});
