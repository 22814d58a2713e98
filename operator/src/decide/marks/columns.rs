//! The column texts of `kubectl get nodehealth`, and the number of GPUs.

use super::parts::part;
use crate::decide::{
    govern::selection::Subject,
    judge::{evidence::is_verdict, verdict::Judgement},
};
use crds::{
    Check, NodeHealth, State,
    condition::truncate,
    node_health::{Cause, Certification, CheckRow, Gpu, GpuCount, GpuVerdict, NodeSummary},
};

/// The most GPUs that the schema lets a node have. A device plugin may offer more, by time slicing.
const MAX_COUNT: i64 = 4096;

/// The number of GPUs; `None` until the agent has counted them.
pub(crate) fn gpu_count(subject: &Subject<'_>, health: &NodeHealth, gpus: &[GpuVerdict]) -> Option<GpuCount> {
    let report = health.status.as_ref().and_then(|s| s.report.as_ref())?;
    let declared = subject.profile.and_then(|p| p.spec.gpus.as_ref()).and_then(|g| g.count).filter(|count| *count > 0);
    let offered: i64 = subject.node.accelerators.values().sum();
    let is_well = |gpu: &&Gpu| !gpus.iter().any(|v| v.pci_address == gpu.pci_address && v.state == State::Unhealthy);
    let seen = &report.inventory.gpus;
    let healthy = i64::try_from(seen.iter().filter(is_well).count()).unwrap_or(0);
    let all = i64::try_from(seen.len()).unwrap_or(0);
    let expected = declared.unwrap_or(if offered > 0 { offered } else { all }).max(healthy).min(MAX_COUNT);
    // Without a verdict, an empty inventory does not mean that there are no GPUs.
    let is_counted = all > 0 || report.checks.iter().any(counts_gpus);
    (expected > 0 && is_counted).then_some(GpuCount { expected, healthy })
}

/// The column texts.
pub(crate) fn summary(
    health: &NodeHealth,
    judgement: &Judgement,
    gpus: Option<GpuCount>,
    certifications: &[Certification],
) -> NodeSummary {
    NodeSummary {
        gpus: gpus.map(|count| truncate(&format!("{}/{}", count.healthy, count.expected), 16)),
        certified: certifications.last().map(|c| c.level.clone()),
        target: judgement.causes.first().map(|Cause { target, .. }| truncate(&part(health, target), 64)),
    }
}

fn counts_gpus(row: &CheckRow) -> bool {
    row.check == Check::Inventory.name() && is_verdict(&row.outcome)
}
