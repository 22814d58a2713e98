//! The column texts of `kubectl get nodehealth`.

use super::parts::part;
use crate::decide::{
    govern::selection::Subject,
    judge::{evidence::is_verdict, verdict::Judgement},
};
use crds::{
    Check, NodeHealth, State,
    condition::truncate,
    node_health::{Cause, Certification, CheckRow, Gpu, GpuVerdict, NodeSummary},
};

/// The column texts.
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
            |gpu: &&Gpu| !gpus.iter().any(|v| v.pci_address == gpu.pci_address && v.state == State::Unhealthy);
        let seen = &report.inventory.gpus;
        let well = i64::try_from(seen.iter().filter(is_well).count()).unwrap_or(0);
        let all = i64::try_from(seen.len()).unwrap_or(0);
        let total = expected.unwrap_or(if offered > 0 { offered } else { all }).max(well);
        // Without a verdict, an empty inventory does not mean that there are no GPUs.
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
