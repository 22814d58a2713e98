//! The report as it would be written now, within every limit of the API.

use super::carry;
use super::state::State;
use crate::dispatch::{Work, drill};
use crate::judge::link::domain;
use crate::judge::{registry, worst_first};
use crate::time::Now;
use crds::Time;
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::node_health::{
    AgentFacts, Baseline, DriverHandles, Finding, MAX_BASELINES, MAX_EDGES_REPORTED, MAX_FINDINGS, MAX_RUNS_REPORTED,
    Report, RunReport, fit_report,
};
use std::cmp::Reverse;

/// The report, and when the count or time of one of its findings may next change.
pub(super) fn compose(state: &State, now: Now) -> (Report, Option<u64>) {
    let mut all = worst_first(state.standing.findings.iter().filter(|finding| state.is_shown(finding)));
    // What only the log or a program has named displaces nothing that is known to be there, the first named stays, and a
    // drill displaces no real finding.
    all.sort_by_cached_key(|f| {
        let is_hearsay = state.is_hearsay(f);
        let badness = Reverse((f.outcome.rank(), f.severity.rank()));
        (drill::is_drill(f), is_hearsay, badness, is_hearsay.then_some(f.since))
    });
    let truncated = all.len().saturating_sub(MAX_FINDINGS);
    let mut findings: Vec<Finding> = all.into_iter().take(MAX_FINDINGS).cloned().collect();
    let moves_at = state.writer.damp(&mut findings, now.mono_ms);
    let wall = now.wall();
    let mut report = Report {
        observed_generation: state.order.as_ref().map(|order| order.generation),
        agent: agent_facts(state),
        inventory: state.senses.inventory.clone(),
        fabric: domain::of_node(&state.senses.readings),
        checks: state.standing.rows.clone().into(),
        findings,
        truncated: (truncated > 0).then(|| i64::try_from(truncated).unwrap_or(1_000_000).min(1_000_000)),
        baselines: baselines(state, wall),
        runs: runs(state),
    };
    fit_report(&mut report);
    (report, moves_at)
}

/// The positions in the log first, then as many counters as there is room for.
fn baselines(state: &State, at: Time) -> Vec<Baseline> {
    let boot_id = &state.facts.boot_id;
    let mut baselines: Vec<Baseline> = state
        .cursor
        .iter()
        .map(|cursor| carry::cursor_baseline(cursor, at))
        .chain(carry::switches_baseline(&state.log.switches, boot_id, at))
        .collect();
    baselines.extend(state.senses.memory.baselines(boot_id, at, MAX_BASELINES - baselines.len()));
    baselines
}

fn agent_facts(state: &State) -> AgentFacts {
    let facts = &state.facts;
    AgentFacts {
        version: facts.version.clone(),
        boot_id: facts.boot_id.clone(),
        booted_at: facts.booted_at,
        started_at: Some(facts.started_at),
        kernel_log: state.log.source.clone(),
        driver_handles: if state.holds_driver() { DriverHandles::Held } else { DriverHandles::Released },
        refused: None,
        addresses: facts.addresses.clone(),
    }
}

/// The runs in the order of the spec, then those being stopped; but first of all those that must restore something, because
/// the report is what a restart of the agent knows them by. The limit on edges applies to all of them together.
fn runs(state: &State) -> Vec<RunReport> {
    let mut ordered: Vec<&Work> = state.works.iter().collect();
    ordered.sort_by_key(|work| (!work.must_restore(), work.is_cancelled()));
    let mut room = MAX_EDGES_REPORTED;
    ordered
        .into_iter()
        .take(MAX_RUNS_REPORTED)
        .map(|work| {
            let mut run = work.report().clone();
            run.edges.truncate(room);
            room -= run.edges.len();
            run
        })
        .collect()
}

impl State {
    /// Whether the target is known from the kernel log or from a custom check alone. All other checks name what they have
    /// read.
    fn is_hearsay(&self, finding: &Finding) -> bool {
        let reads_hardware = match Check::from_name(&finding.check) {
            Some(check) => {
                registry::named(check.name()).is_some_and(|row| !row.reads.kernel_log) || !check.is_monitor()
            }
            None => false,
        };
        let is_there = |target: &str| self.senses.inventory.gpus.iter().any(|gpu| gpu.pci_address == target);
        !reads_hardware && finding.target != TARGET_NODE && !is_there(&finding.target)
    }

    /// Findings of disabled monitors are kept but not shown, because the spec's list of monitors is complete. What a
    /// run found stays until a later pass.
    fn is_shown(&self, finding: &Finding) -> bool {
        match Check::from_name(&finding.check) {
            Some(check) if check.is_monitor() => {
                registry::wanted(&self.expectation()).iter().any(|monitor| monitor.name == finding.check)
            }
            _ => true,
        }
    }
}
