//! A million forged PCI addresses leave the agent as small, and as quiet, as a hundred: in a process of its own, because
//! its memory is measured.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere, in its helpers too")]

use crds::Time;
use crds::node_health::{Gpu, Inventory, Monitor, NodeHealthSpec, Report};
use node_agent::agent::{Effect, Event, Facts, LogEntry, Order, State, step};
use node_agent::time::Now;
use node_agent::xid;

const FORGED: u64 = 1_000_000;
const PER_EVENT: u64 = 100;
/// The GPU that is really there.
const REAL: &str = "0000:18:00.0";

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn entry(address: &str, code: u32, seq: u64) -> LogEntry {
    let line = format!("NVRM: Xid (PCI:{address}): {code}, pid='<unknown>', name=<unknown>, forged {seq}");
    let observed = Box::new(xid::observe(&line).unwrap());
    LogEntry::Fault { observed, at: None, seq: Some(seq), usec: seq * 10 }
}

/// Takes the effects of one step: the last report, and how many there were.
fn take(state: &mut State, event: Event, now: Now, last: &mut Report) -> u64 {
    let mut written = 0;
    for effect in step(state, event, now) {
        if let Effect::Report { report, .. } = effect {
            *last = *report;
            written += 1 + take(state, Event::ReportApplied(Ok(())), now, last);
        }
    }
    written
}

#[test]
fn a_million_forged_addresses_leave_memory_report_and_writes_flat_and_push_out_no_real_fault() {
    let facts = Facts {
        version: "1.0.0".into(),
        boot_id: "boot-1".into(),
        booted_at: Some(Time::from_unix(1_800_000_000)),
        started_at: Time::from_unix(1_800_000_100),
        addresses: Vec::new(),
    };
    let at = |ms: u64| Now { unix_ms: 1_800_000_100_000 + i64::try_from(ms).unwrap(), mono_ms: 1_000 + ms };
    let mut state = State::new(facts, at(0));
    let mut last = Report::default();
    let known = Report {
        agent: crds::node_health::AgentFacts { boot_id: "boot-1".into(), ..Default::default() },
        inventory: Inventory { gpus: vec![Gpu { pci_address: REAL.into(), ..Gpu::default() }], ..Inventory::default() },
        ..Report::default()
    };
    let monitors = ["xid", "kernelLog"].map(|name| Monitor { name: name.into(), interval_seconds: None }).to_vec();
    let spec = NodeHealthSpec { monitors: monitors.into(), ..NodeHealthSpec::default() };
    let order = Order { uid: "u".into(), generation: 1, spec, report: Some(Box::new(known)) };
    take(&mut state, Event::SpecChanged(Box::new(order)), at(1), &mut last);
    take(&mut state, Event::KernelLogOpened { source: "kmsg:/dev/kmsg".into() }, at(2), &mut last);

    let (mut written, mut sizes) = (0, Vec::new());
    for event in 0..FORGED / PER_EVENT {
        // Fatal ones, and those of applications; each of another GPU or switch.
        let entries = (0..PER_EVENT).map(|n| {
            let number = event * PER_EVENT + n;
            // The order of the addresses is not that of their arrival.
            let mixed = number.wrapping_mul(0x9e37_79b1) & 0xf_ffff;
            let (domain, bus) = (0x1000 + (mixed >> 8), mixed & 0xff);
            entry(&format!("{domain:04x}:{bus:02x}:00"), if n % 3 == 0 { 79 } else { 31 }, number + 1)
        });
        let mut entries: Vec<LogEntry> = entries.collect();
        if event == FORGED / PER_EVENT / 2 {
            // Milder than the forged ones before and after it.
            entries.push(entry("0000:18:00", 48, FORGED + 1));
        }
        let now = at(1_000 + event * 20);
        let new = take(&mut state, Event::KernelLog { entries, cursor: None }, now, &mut last);
        written += new;
        if (event + 1) % (FORGED / PER_EVENT / 10) == 0 {
            let bytes = serde_json::to_vec(&last).unwrap().len();
            let (kept, kib) = (state.findings().count(), resident_kib());
            println!(
                "{:>8} forged: {kept} findings kept, report {bytes} bytes, {written} writes, {kib} KiB resident",
                (event + 1) * PER_EVENT
            );
            sizes.push((kept, bytes, written, kib));
        }
    }
    let (first, end) = (sizes[0], sizes[sizes.len() - 1]);
    assert!(last.findings.iter().any(|finding| finding.target == REAL), "the real fault: {last:?}");
    assert!(end.0 <= first.0 + 2, "findings: {first:?} -> {end:?}");
    assert!(end.1 <= crds::node_health::MAX_REPORT_BYTES, "report: {end:?}");
    // The real fault is one more; counts of known findings move once a minute.
    assert!(end.2 <= first.2 + 40, "writes: {first:?} -> {end:?}");
    assert!(end.3 <= first.3 + 4 * 1024, "memory: {first:?} -> {end:?}");
}
