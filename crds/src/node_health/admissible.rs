//! What the API server takes: every text plain, every key comparable, every list and number within its bound.
//!
//! This is the last place before a write, whatever came in earlier. Each type is taken apart completely, so that a new
//! field does not compile until it has its line here; a test holds the bounds against the schema.

use super::{
    AgentFacts, Aggregate, Baseline, CausedBy, CheckResult, CheckRow, Edge, Exclusive, FabricDomain, FailedTarget,
    Finding, Gpu, Inventory, MAX_BASELINES, MAX_EDGES_REPORTED, MAX_EVIDENCE, MAX_FAILED, MAX_FINDINGS, MAX_GPUS,
    MAX_NICS, MAX_RUNS_REPORTED, Nic, Refused, Report, RunReport,
};
use crate::text::{keyed, plainly};
use std::{borrow::Cow, ops::Deref};

/// The largest integer that JSON parsers agree on.
const MAX_INTEGER: i64 = 9_007_199_254_740_991;

pub(super) fn report(report: &mut Report) {
    let Report { observed_generation, agent, inventory, fabric, checks, findings, truncated, baselines, runs } = report;
    within(observed_generation.as_mut(), 0, MAX_INTEGER);
    agent_facts(agent);
    self::inventory(inventory);
    if let Some(FabricDomain { cluster_uuid, clique_id }) = fabric {
        key(cluster_uuid, 36);
        within(Some(clique_id), 0, i64::from(u32::MAX));
    }
    each(checks, 24, row);
    each(findings, MAX_FINDINGS, finding);
    within(truncated.as_mut(), 0, 1_000_000);
    each(baselines, MAX_BASELINES, baseline);
    each(runs, MAX_RUNS_REPORTED, run);
}

pub(super) fn exclusive(exclusive: &mut Exclusive) {
    let Exclusive { pod_uid, assignment, state: _, findings, results } = exclusive;
    text(pod_uid, 64);
    text(assignment, 80);
    each(findings, MAX_FINDINGS, finding);
    each(results, 16, result);
}

fn agent_facts(facts: &mut AgentFacts) {
    let AgentFacts { version, boot_id, booted_at: _, started_at: _, kernel_log, driver_handles: _, refused, addresses } =
        facts;
    text(version, 64);
    text(boot_id, 64);
    optional(kernel_log, 300);
    if let Some(Refused { reason, since: _ }) = refused {
        key(reason, 63);
    }
    each(addresses, 16, |address| text(address, 64));
}

fn inventory(inventory: &mut Inventory) {
    let Inventory { vendor, driver, gpus, nics } = inventory;
    optional(vendor, 32);
    optional(driver, 64);
    each(gpus, MAX_GPUS, gpu);
    each(nics, MAX_NICS, nic);
}

fn gpu(gpu: &mut Gpu) {
    let Gpu { pci_address, index, uuid, serial, model, vbios, memory_mib, kernel_driver } = gpu;
    key(pci_address, 32);
    within(index.as_mut(), 0, 4096);
    optional(uuid, 96);
    optional(serial, 64);
    optional(model, 96);
    optional(vbios, 64);
    within(memory_mib.as_mut(), 0, 16_777_216);
    optional(kernel_driver, 32);
}

fn nic(nic: &mut Nic) {
    let Nic { pci_address, interface, rdma } = nic;
    key(pci_address, 32);
    optional(interface, 32);
    optional(rdma, 64);
}

fn row(row: &mut CheckRow) {
    let CheckRow { check, outcome: _, covered, since: _, last_run: _, reason, message } = row;
    key(check, 32);
    each(covered, 49, |target| key(target, 64));
    optional_key(reason, 63);
    optional(message, 256);
}

fn finding(finding: &mut Finding) {
    let Finding {
        check,
        target,
        outcome: _,
        severity: _,
        reason,
        message,
        since: _,
        last_seen: _,
        count,
        evidence,
        code,
        uuid,
        serial,
        caused_by,
    } = finding;
    key(check, 80);
    key(target, 64);
    key(reason, 63);
    text(message, 256);
    within(Some(count), 0, 1_000_000_000);
    optional(evidence, MAX_EVIDENCE);
    optional_key(code, 32);
    optional(uuid, 96);
    optional(serial, 64);
    if let Some(CausedBy { check, target }) = caused_by {
        key(check, 80);
        key(target, 64);
    }
}

fn baseline(baseline: &mut Baseline) {
    let Baseline { target, boot_id, at: _, values } = baseline;
    key(target, 64);
    text(boot_id, 64);
    text(values, 256);
}

fn run(run: &mut RunReport) {
    let RunReport { id, state: _, report_only: _, started_at: _, finished_at: _, results, edges } = run;
    key(id, 80);
    each(results, 16, result);
    each(edges, MAX_EDGES_REPORTED, edge);
}

fn result(result: &mut CheckResult) {
    let CheckResult { name, check, outcome: _, severity: _, reason, message, duration_ms, tested, failed, aggregates } =
        result;
    // Half a list would say that the others passed.
    if failed.len() > MAX_FAILED {
        failed.clear();
    }
    for FailedTarget { target, outcome: _, severity: _, reason } in failed.iter_mut() {
        key(target, 64);
        optional_key(reason, 63);
    }
    key(name, 63);
    key(check, 80);
    optional_key(reason, 63);
    optional(message, 256);
    within(Some(duration_ms), 0, 604_800_000);
    each(tested, 16, |target| key(target, 64));
    each(aggregates, 4, aggregate);
}

fn aggregate(aggregate: &mut Aggregate) {
    let Aggregate { name, min, median, max, worst } = aggregate;
    key(name, 63);
    for value in [min, median, max] {
        within(Some(value), -MAX_INTEGER, MAX_INTEGER);
    }
    optional_key(worst, 253);
}

fn edge(edge: &mut Edge) {
    let Edge { slot, peer, rail, interface, mbps, outcome: _, reason } = edge;
    optional_key(rail, 32);
    optional_key(interface, 32);
    within(Some(slot), 0, 4095);
    key(peer, 63);
    within(mbps.as_mut(), 0, 100_000_000);
    optional_key(reason, 63);
}

fn each<T>(list: &mut Vec<T>, most: usize, one: impl FnMut(&mut T)) {
    list.truncate(most);
    list.iter_mut().for_each(one);
}

fn within(number: Option<&mut i64>, min: i64, max: i64) {
    if let Some(number) = number {
        *number = (*number).clamp(min, max);
    }
}

fn text<T: Deref<Target = str> + From<String>>(text: &mut T, most: usize) {
    if let Cow::Owned(changed) = plainly(text, most) {
        *text = changed.into();
    }
}

fn optional<T: Deref<Target = str> + From<String>>(text: &mut Option<T>, most: usize) {
    if let Some(text) = text {
        self::text(text, most);
    }
}

fn optional_key(key: &mut Option<String>, most: usize) {
    if let Some(key) = key {
        self::key(key, most);
    }
}

fn key<T: Deref<Target = str> + From<String>>(key: &mut T, most: usize) {
    if let Cow::Owned(changed) = keyed(key, most) {
        *key = changed.into();
    }
}

#[cfg(test)]
mod tests;
