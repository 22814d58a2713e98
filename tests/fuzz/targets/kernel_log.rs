//! Arbitrary content of a kernel log: records, lines, faults, verdicts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::kernel_log::{Boundaries, KernelRecord, MESSAGE_MAX, PrintedLog};
use node_agent::xid::{LineAssembler, LogFact, judge};

fuzz_target!(|data: &[u8]| {
    let mut lines = LineAssembler::default();
    let mut boundaries = Boundaries::default();
    let mut printed = PrintedLog::default();
    for line in data.split(|byte| *byte == b'\n') {
        let record = match KernelRecord::from_line(line) {
            Some(mut record) => {
                boundaries.mark(&mut record);
                Some(record)
            }
            None => printed.read(line),
        };
        let Some(record) = record else { continue };
        assert!(record.message.len() <= MESSAGE_MAX);
        for fact in lines.push(&record) {
            let LogFact::Fault(fault) = fact else { continue };
            let verdict = judge(&fault, None);
            assert!(verdict.message.chars().count() <= 256 && fault.message.chars().count() <= 256);
            assert!(!verdict.reason.is_empty());
        }
    }
});
