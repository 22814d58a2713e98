//! What people read: message, summary, verdicts on GPUs, conditions of the NodeHealth.

use crate::decide::{
    govern::{authority::Authority, fleet::Drift, selection::Subject},
    judge::{
        fold::is_verdict,
        verdict::{Judgement, unjudged},
    },
    marks::taints::{TaintToBe, status_of},
};
use crds::{
    Activity, Check, Condition, NodeHealth, Severity, State, Time,
    condition::{Wanted, merge, truncate},
    names,
    node_health::{
        Cause, Certification, CheckRow, Decision, Gpu, GpuVerdict, MAX_GPUS, NodeSummary, Report, fit_decision,
    },
    reason,
};
use std::{collections::BTreeMap, fmt::Write as _};

/// The longest message of a decision, in bytes.
const MAX_MESSAGE: usize = 512;

/// What happens to the marks of a node, for its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marking<'w> {
    /// What may be done.
    pub(crate) authority: Authority<'w>,
    /// What becomes of our taint.
    pub(crate) taint: TaintToBe,
    /// Whether our taint keeps pods away afterwards.
    pub(crate) removes_capacity: bool,
    /// Whether the node waits for budget.
    pub(crate) waits: bool,
}

/// What the decision says of the work on the node.
pub(crate) fn activity(in_maintenance: bool, has_orders: bool) -> Activity {
    if in_maintenance {
        Activity::Maintenance
    } else if has_orders {
        Activity::Checking
    } else {
        Activity::None
    }
}

/// The decision as it shall stand.
pub(crate) fn decision(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    marking: Marking<'_>,
    activity: Activity,
    drift: &Drift,
) -> Decision {
    let before = health.status.as_ref().and_then(|s| s.decision.as_ref());
    let quarantined = judgement.state == State::Quarantined;
    let taint_stays = match marking.taint {
        TaintToBe::Keep => subject.node.taint(names::TAINT_UNHEALTHY).is_some(),
        TaintToBe::Set(_) => true,
        TaintToBe::Remove => false,
    };
    let label_stays = match marking.authority {
        Authority::Enforce(policy) => policy.spec.outputs.as_ref().and_then(|o| o.labels).unwrap_or(true),
        Authority::Observe { release: true } => false,
        Authority::Frozen | Authority::Observe { release: false } => {
            subject.node.labels.contains_key(names::LABEL_HEALTH)
        }
    };
    let held = [(taint_stays, "taint"), (label_stays, "label")]
        .into_iter()
        .filter(|(stays, _)| *stays && quarantined)
        .map(|(_, mark)| mark.to_owned())
        .collect();
    let mut decision = Decision {
        state: judgement.state.clone(),
        activity,
        enforced: quarantined && marking.removes_capacity,
        severity: judgement.severity.clone(),
        action: judgement.action(),
        since: judgement.since,
        reason: judgement.reason.clone(),
        message: truncate(&(message(subject, health, judgement, marking) + &drift.note), MAX_MESSAGE),
        held,
        causes: judgement.causes.clone(),
        history: judgement.history.clone(),
        fleet_findings: drift.findings.clone(),
        flaps: before.and_then(|b| b.flaps.clone()),
        retest: before.and_then(|b| b.retest.clone()),
    };
    fit_decision(&mut decision);
    decision
}

/// Why, as a sentence, with what to do.
pub(crate) fn message(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    marking: Marking<'_>,
) -> String {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    let mut text = match judgement.state {
        State::Quarantined | State::Suspect => {
            let mut text = causes_text(health, judgement);
            text.push_str(&cure_text(judgement));
            text.push_str(&marks_text(subject, judgement, marking));
            text
        }
        State::NotApplicable => "The node has no accelerator, and none is expected.".to_owned(),
        State::Unknown | State::Unrecognized(_) => unknown_text(judgement, report),
        State::Healthy => match report.map(unjudged_text).filter(|t| !t.is_empty()) {
            Some(rows) => {
                format!("Nothing speaks against the node, but not all could be judged: {rows}.")
            }
            None => "Every enabled check passed or did not apply.".to_owned(),
        },
    };
    text.push_str(&overrun_text(health, judgement));
    truncate(&text, MAX_MESSAGE)
}

/// A drill begins with the word that nobody can miss, and does not hide what is real.
fn causes_text(health: &NodeHealth, judgement: &Judgement) -> String {
    let mut causes = judgement.causes.iter();
    let Some(worst) = causes.next() else {
        return String::new();
    };
    let (mut text, told) = if worst.is_drill() {
        let run = worst.run.as_deref().unwrap_or_default();
        let drill = format!("DRILL of run {run}, nothing is wrong: {}", cause_text(health, worst));
        match judgement.causes.iter().find(|cause| !cause.is_drill()) {
            Some(real) => (format!("{drill} What is real: {}", cause_text(health, real)), 2),
            None => (drill, 1),
        }
    } else {
        (cause_text(health, worst), 1)
    };
    match judgement.causes.len() - told {
        0 => {}
        1 => text.push_str(" And 1 more cause."),
        n => {
            let _ = write!(text, " And {n} more causes.");
        }
    }
    text
}

fn cause_text(health: &NodeHealth, cause: &Cause) -> String {
    let what = if cause.message.is_empty() { cause.reason.as_str() } else { cause.message.trim_end_matches('.') };
    let target = part(health, &cause.target);
    if what.starts_with("GPU ") && what.contains(&cause.target) {
        // The agent's own words name the board, by its serial too.
        return format!("{what} [{} {}].", cause.check, cause.reason);
    }
    let place = if target == cause.target { target } else { format!("{target} ({})", cause.target) };
    format!("{place}: {what} [{} {}].", cause.check, cause.reason)
}

fn cure_text(judgement: &Judgement) -> String {
    let cure = cure(judgement);
    if judgement.is_drill() {
        format!(" Nothing is to be done, it ends by itself; a real one would ask for this: {cure}")
    } else {
        format!(" {cure}")
    }
}

fn overrun_text(health: &NodeHealth, judgement: &Judgement) -> String {
    let maintenance = health.spec.maintenance.as_ref().filter(|_| judgement.overrun);
    maintenance.map_or_else(String::new, |m| {
        format!(
            " The maintenance ({}) began at {} and takes longer than expected; end it, or look where it is stuck.",
            m.reason, m.since
        )
    })
}

fn cure(judgement: &Judgement) -> &'static str {
    if judgement.state == State::Suspect {
        return "Keep an eye on it; it stays in use.";
    }
    match judgement.severity {
        Severity::Reset => "Drain the node and reset the GPU.",
        Severity::Reboot => "Drain and reboot the node.",
        Severity::Isolate => "Drain the node and have the part replaced.",
        Severity::None | Severity::Monitor | Severity::Unrecognized(_) => "Keep an eye on it.",
    }
}

fn marks_text(subject: &Subject<'_>, judgement: &Judgement, marking: Marking<'_>) -> String {
    if judgement.state != State::Quarantined {
        return String::new();
    }
    let policy = subject.policy.and_then(|p| p.metadata.name.as_deref()).unwrap_or_default();
    match marking.authority {
        Authority::Enforce(_) if marking.waits => format!(
            " It waits for the budget of policy {policy}, whose limit of nodes out of use is reached; until then pods are only kept away where they can go elsewhere."
        ),
        Authority::Enforce(_) => String::new(),
        Authority::Observe { .. } if marking.removes_capacity => format!(
            " The marks of a former policy stay until a pass lifts every cause or releaseAll is set on a policy ({}).",
            reason::HELD_BY_FORMER_POLICY
        ),
        Authority::Observe { .. } if policy.is_empty() => " Nothing is marked: no policy governs the node.".to_owned(),
        Authority::Observe { .. } => format!(" Nothing is marked: policy {policy} only observes."),
        Authority::Frozen => " Marks are on hold: none is set and none is lifted.".to_owned(),
    }
}

fn unknown_text(judgement: &Judgement, report: Option<&Report>) -> String {
    let Some(report) = report else {
        return "No agent has reported yet: is its pod running on this node (label gpuhealth.dev/agent=true)?"
            .to_owned();
    };
    if judgement.silent {
        return "The agent has not renewed its Lease for 150 s: is the node up, and its agent's pod running?"
            .to_owned();
    }
    match unjudged_text(report) {
        rows if rows.is_empty() => "No check has judged anything yet.".to_owned(),
        rows => format!("No check has judged anything yet: {rows}."),
    }
}

fn unjudged_text(report: &Report) -> String {
    let rows: Vec<String> = unjudged(report)
        .map(|row| format!("{} ({})", row.check, row.reason.as_deref().unwrap_or("no reason given")))
        .collect();
    rows.join(", ")
}

/// The part that people speak of: `GPU3` for a PCI address that the driver numbers, else the target itself. A GPU that
/// is gone from the inventory keeps the name that it had.
fn part(health: &NodeHealth, target: &str) -> String {
    let status = health.status.as_ref();
    let (address, rest) = split(target);
    let gpus = status.and_then(|s| s.report.as_ref()).map_or(&[][..], |r| r.inventory.gpus.as_slice());
    if let Some(index) = gpus.iter().find(|gpu| gpu.pci_address == address).and_then(|gpu| gpu.index) {
        return format!("GPU{index}{rest}");
    }
    let former = status.and_then(|s| {
        let same = s.decision.as_ref()?.causes.first()?.target == target;
        s.summary.as_ref()?.target.clone().filter(|_| same)
    });
    former.unwrap_or_else(|| target.to_owned())
}

/// A target as an address and what is behind it: `0000:83:00.0/link2` is `0000:83:00.0` and `/link2`.
fn split(target: &str) -> (&str, &str) {
    target.split_at(target.find('/').unwrap_or(target.len()))
}

/// Whether a target is a PCI address, such as `0000:83:00.0`.
fn is_pci_address(text: &str) -> bool {
    let mut parts = text.split(':');
    let hex = |part: Option<&str>, min: usize| {
        part.is_some_and(|p| p.len() >= min && p.chars().all(|c| c.is_ascii_hexdigit() || c == '.'))
    };
    hex(parts.next(), 4) && hex(parts.next(), 2) && hex(parts.next(), 4) && parts.next().is_none()
}

/// The verdict on each GPU that is there, and on each that a cause speaks of.
pub(crate) fn gpus(health: &NodeHealth, judgement: &Judgement) -> Vec<GpuVerdict> {
    let status = health.status.as_ref();
    let seen = status.and_then(|s| s.report.as_ref()).map_or(&[][..], |r| r.inventory.gpus.as_slice());
    let former = status.map_or(&[][..], |s| s.gpus.as_slice());
    let mut verdicts: BTreeMap<&str, GpuVerdict> =
        seen.iter().map(|gpu| (gpu.pci_address.as_str(), verdict(gpu, judgement))).collect();
    // Worst first: the first cause of a GPU is the one that it is judged by.
    for cause in judgement.causes.iter().rev() {
        let (address, _) = split(&cause.target);
        if !is_pci_address(address) {
            continue;
        }
        let entry = verdicts.entry(address).or_insert_with(|| {
            let known = former.iter().find(|gpu| gpu.pci_address == address);
            GpuVerdict {
                pci_address: truncate(address, 32),
                uuid: known.and_then(|k| k.uuid.clone()),
                serial: known.and_then(|k| k.serial.clone()),
                ..GpuVerdict::default()
            }
        });
        entry.state = if cause.condemns() { State::Quarantined } else { State::Suspect };
        entry.severity = cause.severity.clone();
        entry.reason = Some(cause.reason.clone());
    }
    verdicts.into_values().take(MAX_GPUS).collect()
}

fn verdict(gpu: &Gpu, judgement: &Judgement) -> GpuVerdict {
    GpuVerdict {
        pci_address: gpu.pci_address.clone(),
        uuid: gpu.uuid.clone(),
        serial: gpu.serial.clone(),
        state: match judgement.state {
            State::Unknown | State::Unrecognized(_) => State::Unknown,
            _ if judgement.silent => State::Unknown,
            State::Healthy | State::Suspect | State::Quarantined | State::NotApplicable => State::Healthy,
        },
        severity: Severity::None,
        reason: None,
    }
}

/// The texts of the columns.
pub(crate) fn summary(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    gpus: &[GpuVerdict],
    certifications: &[Certification],
) -> NodeSummary {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref());
    let expected = subject.profile.and_then(|p| p.spec.gpus.as_ref()).and_then(|g| g.count).filter(|count| *count > 0);
    let offered: i64 = subject.node.accelerators.values().sum();
    let text = report.and_then(|report| {
        let is_well =
            |gpu: &&Gpu| !gpus.iter().any(|v| v.pci_address == gpu.pci_address && v.state == State::Quarantined);
        let seen = &report.inventory.gpus;
        let well = i64::try_from(seen.iter().filter(is_well).count()).unwrap_or(0);
        let all = i64::try_from(seen.len()).unwrap_or(0);
        let total = expected.unwrap_or(if offered > 0 { offered } else { all }).max(well);
        // An inventory that has not judged does not say that none is there.
        let is_counted = all > 0 || report.checks.iter().any(counts_gpus);
        (total > 0 && is_counted).then(|| format!("{well}/{total}"))
    });
    NodeSummary {
        gpus: text.map(|t| truncate(&t, 16)),
        certified: certifications.last().map(|c| c.level.clone()),
        target: judgement.causes.first().map(|Cause { target, .. }| truncate(&part(health, target), 64)),
    }
}

fn counts_gpus(row: &CheckRow) -> bool {
    row.check == Check::Inventory.name() && is_verdict(&row.outcome)
}

/// Healthy, AgentReporting, ProfileResolved.
pub(crate) fn conditions(
    subject: &Subject<'_>,
    health: &NodeHealth,
    judgement: &Judgement,
    message: &str,
    now: Time,
) -> Vec<Condition> {
    let status = health.status.as_ref();
    let reported = status.is_some_and(|s| s.report.is_some());
    let healthy = Wanted::new("Healthy", status_of(&judgement.state), &judgement.reason, message);
    let agent = match (reported, judgement.silent) {
        (false, _) => Wanted::new("AgentReporting", false, reason::NEVER_REPORTED, "No agent has reported yet."),
        (true, true) => {
            Wanted::new("AgentReporting", false, reason::AGENT_SILENT, "The agent has not renewed its Lease for 150 s.")
        }
        (true, false) => Wanted::new("AgentReporting", true, reason::REPORTING, "The agent reports."),
    };
    let profile = match subject.profile.and_then(|p| p.metadata.name.as_deref()) {
        Some(name) => Wanted::new(
            "ProfileResolved",
            true,
            reason::PROFILE_MATCHED,
            format!("HardwareProfile {name} says what the node must be."),
        ),
        None => Wanted::new(
            "ProfileResolved",
            false,
            reason::NO_PROFILE,
            "No HardwareProfile matches the node; nothing is condemned for a number that nobody declared.",
        ),
    };
    let before = status.map_or(&[][..], |s| s.conditions.as_slice());
    // No observedGeneration: the operator itself writes the spec, and each write would make another one here.
    merge(before, vec![healthy, agent, profile], None, now)
}
