//! Whatever stands in a file of sysfs or procfs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::probe::tree::values as parse;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = parse::aer_total(&text);
    let _ = parse::port_state(&text);
    let _ = parse::rate_gbps(&text);
    let _ = parse::counter(&text);
    let _ = parse::hexadecimal(&text);
    let _ = parse::numa_node(&text);
    let _ = parse::memlock_kib(&text);
    assert!(parse::link_generation(&text).is_none_or(|generation| (1..=8).contains(&generation)));
    assert!(parse::link_width(&text).is_none_or(|width| width > 0));
    assert!(parse::word(&text).is_none_or(|word| !word.is_empty() && word.len() <= text.len()));
});
