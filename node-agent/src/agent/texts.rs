//! The smallest report: every verdict and every key, and nothing that is only for people.
//!
//! It is what the agent sends while the API server refuses the full one, so that a text that nobody foresaw can delay
//! words, but no verdict. All that stays is of our own making, or printable ASCII ([`crds::text::key`]).

use super::positions::is_position;
use crds::node_health::{
    AgentFacts, CheckResult, CheckRow, Finding, Gpu, Inventory, MAX_GPUS, Refused, Report, RunReport,
};
use crds::{Time, reason};

/// The report without its texts. `since`: when the full one was first refused.
pub(super) fn without_texts(report: Report, since: Time) -> Report {
    let Report { observed_generation, agent, inventory, fabric: _, checks, findings, truncated, baselines, runs } =
        report;
    Report {
        observed_generation,
        agent: facts(agent, since),
        inventory: of_addresses(inventory),
        fabric: None,
        checks: checks.iter().map(|row| CheckRow { message: None, ..row.clone() }).collect(),
        findings: findings.into_iter().map(verdict).collect(),
        truncated,
        // Without the positions in the log, a restart would count faults twice, and raise those that were lifted.
        baselines: baselines.into_iter().filter(is_position).collect(),
        runs: runs.into_iter().map(run).collect(),
    }
}

fn facts(facts: AgentFacts, since: Time) -> AgentFacts {
    let AgentFacts { version, boot_id, booted_at, started_at, kernel_log: _, driver_handles, refused: _, addresses: _ } =
        facts;
    let refused = Some(Refused { reason: reason::REPORT_REFUSED.to_owned(), since });
    // Addresses are left out too: no test between nodes begins meanwhile.
    AgentFacts {
        version,
        boot_id,
        booted_at,
        started_at,
        kernel_log: None,
        driver_handles,
        refused,
        addresses: Vec::new(),
    }
}

fn of_addresses(inventory: Inventory) -> Inventory {
    let gpus = inventory.gpus.into_iter().take(MAX_GPUS);
    let gpus = gpus.map(|gpu| Gpu { pci_address: gpu.pci_address, index: gpu.index, ..Gpu::default() });
    Inventory { gpus: gpus.collect(), ..Inventory::default() }
}

fn verdict(finding: Finding) -> Finding {
    let Finding {
        check,
        target,
        outcome,
        severity,
        reason,
        message: _,
        since,
        last_seen,
        count,
        evidence: _,
        code: _,
        uuid: _,
        serial: _,
        // A schema older than this field would refuse the smallest report too.
        caused_by: _,
    } = finding;
    Finding { check, target, outcome, severity, reason, since, last_seen, count, ..Finding::default() }
}

fn run(run: RunReport) -> RunReport {
    let results = run.results.into_iter();
    let results = results.map(|result| CheckResult { message: None, aggregates: Vec::new(), ..result });
    RunReport { results: results.collect(), ..run }
}
