//! The agent's metrics, in the text format of Prometheus. Labels are bounded: checks, severities, sources, PCI addresses.

mod made;
mod measurements;
mod sampler_stats;

pub use measurements::{MEASUREMENTS, Measurement, Measurements};
pub use sampler_stats::SamplerMetrics;

use crate::judge::interval_seconds;
use crds::node_health::{CheckRow, Finding, Inventory, Monitor};
use made::Made;
use prometheus::{
    Encoder, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

/// Every metric of the agent.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Current findings, by check, severity and outcome.
    findings: IntGaugeVec,
    /// The outcome of each monitor: 0 Pass, 1 Skipped, 2 Inconclusive, 3 Warn, 4 Fail.
    check_outcome: IntGaugeVec,
    /// The interval of each monitor.
    check_interval: IntGaugeVec,
    /// 1 for each accelerator present.
    gpu_info: IntGaugeVec,
    /// 1 while a kernel log is being read.
    pub kernel_log_readable: IntGauge,
    /// Records read from the kernel log.
    pub kernel_log_records: IntCounter,
    /// GPU faults found in the kernel log.
    pub kernel_log_faults: IntCounter,
    /// How often records were overwritten before they were read.
    pub kernel_log_overruns: IntCounter,
    /// Lines that look like a GPU fault and could not be parsed.
    pub kernel_log_not_understood: IntGauge,
    /// Lines that look like a GPU fault but that a program may have written.
    pub kernel_log_not_proven: IntGauge,
    /// Reports written.
    pub reports_written: IntCounter,
    /// Reports that the API server refused, by reason.
    pub report_refused: IntCounterVec,
    /// 1 while the API server refuses the full report and one without texts is written.
    pub report_without_texts: IntGauge,
    /// The time from the decision to write to the answer.
    pub report_seconds: Histogram,
    /// The time from the line in the kernel log to the request that reports it.
    pub kmsg_to_report_seconds: Histogram,
    /// The time from the arrival of the sample that changed the findings to the request that reports it.
    pub counter_to_report_seconds: Histogram,
    /// The last measurements.
    pub gpus: Measurements,
    /// The state of the sampler.
    pub sampler: SamplerMetrics,
    /// How long probes took, by probe.
    pub probe_seconds: HistogramVec,
    /// Probes that gave no result, by probe and reason.
    pub probe_inconclusive: IntCounterVec,
    /// How often the runner was lost.
    pub runner_lost: IntCounter,
    /// Renewals of the Lease, by result.
    pub lease_renewals: IntCounterVec,
    /// Failures of the watch.
    pub watch_errors: IntCounter,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let new = Made { registry: Registry::new() };
        let metrics = Self {
            findings: new.gauges(
                "gpu_health_findings",
                "Current findings, by check, severity and outcome.",
                &["check", "severity", "outcome"],
            )?,
            check_outcome: new.gauges(
                "gpu_health_check_outcome",
                "Outcome of each monitor: 0 Pass, 1 Skipped, 2 Inconclusive, 3 Warn, 4 Fail.",
                &["check"],
            )?,
            check_interval: new.gauges(
                "gpu_health_check_interval_seconds",
                "Interval of each monitor, in seconds.",
                &["check"],
            )?,
            gpu_info: new.gauges(
                "gpu_health_gpu_info",
                "1 for each accelerator present.",
                &["pci_address", "uuid", "serial", "model"],
            )?,
            kernel_log_readable: new
                .gauge("gpu_health_agent_kernel_log_readable", "1 while the agent can read a kernel log.")?,
            kernel_log_records: new
                .counter("gpu_health_agent_kernel_log_records_total", "Records read from the kernel log.")?,
            kernel_log_faults: new
                .counter("gpu_health_agent_kernel_log_faults_total", "GPU faults found in the kernel log.")?,
            kernel_log_overruns: new.counter(
                "gpu_health_agent_kernel_log_overruns_total",
                "Times that kernel log records were overwritten before they were read.",
            )?,
            kernel_log_not_understood: new.gauge(
                "gpu_health_agent_kernel_log_not_understood",
                "Kernel log lines since the start that look like a GPU fault and could not be parsed.",
            )?,
            kernel_log_not_proven: new.gauge(
                "gpu_health_agent_kernel_log_not_proven",
                "Kernel log lines since the start that look like a GPU fault but that a program may have written.",
            )?,
            reports_written: new
                .counter("gpu_health_agent_reports_written_total", "Reports written to the API server.")?,
            report_refused: new.counters(
                "gpu_health_agent_report_refused_total",
                "Reports that the API server did not accept, by reason.",
                &["reason"],
            )?,
            report_without_texts: new.gauge(
                "gpu_health_agent_report_without_texts",
                "1 while the API server refuses the full report (ReportRefused), so that it is written without texts.",
            )?,
            report_seconds: new.histogram(
                "gpu_health_agent_report_seconds",
                "Duration of the request that writes a report, in seconds.",
            )?,
            kmsg_to_report_seconds: new.histogram(
                "gpu_health_agent_kmsg_to_report_seconds",
                "Time from reading a fault in the kernel log to sending the first report with it, in seconds.",
            )?,
            counter_to_report_seconds: new.histogram(
                "gpu_health_agent_counter_to_report_seconds",
                "Time from the sample that changed a finding to sending the first report with the change, in seconds.",
            )?,
            gpus: Measurements::default(),
            sampler: SamplerMetrics::new(&new)?,
            probe_seconds: new.histograms(
                "gpu_health_agent_probe_seconds",
                "Duration of probes, in seconds.",
                &["probe"],
            )?,
            probe_inconclusive: new.counters(
                "gpu_health_agent_probe_inconclusive_total",
                "Probes that gave no result, by probe and reason.",
                &["probe", "reason"],
            )?,
            runner_lost: new
                .counter("gpu_health_agent_runner_lost_total", "Times that the connection to the runner was lost.")?,
            lease_renewals: new.counters(
                "gpu_health_agent_lease_renewals_total",
                "Renewals of the Lease, by result.",
                &["result"],
            )?,
            watch_errors: new
                .counter("gpu_health_agent_watch_errors_total", "Failures of the watch on this node's NodeHealth.")?,
            registry: new.registry,
        };
        Ok(metrics)
    }

    /// Sets the gauges to the current findings and rows.
    pub fn show<'a>(
        &self,
        findings: impl Iterator<Item = &'a Finding>,
        rows: &[CheckRow],
        monitors: &[Monitor],
        inventory: &Inventory,
    ) {
        self.findings.reset();
        for finding in findings {
            self.findings
                .with_label_values(&[finding.check.as_str(), finding.severity.as_str(), finding.outcome.as_str()])
                .inc();
        }
        self.check_outcome.reset();
        for row in rows {
            self.check_outcome.with_label_values(&[row.check.as_str()]).set(row.outcome.rank().into());
        }
        self.check_interval.reset();
        for monitor in monitors {
            self.check_interval.with_label_values(&[monitor.name.as_str()]).set(interval_seconds(monitor));
        }
        self.gpu_info.reset();
        for gpu in &inventory.gpus {
            let labels = [
                gpu.pci_address.as_str(),
                gpu.uuid.as_deref().unwrap_or_default(),
                gpu.serial.as_deref().unwrap_or_default(),
                gpu.model.as_deref().unwrap_or_default(),
            ];
            self.gpu_info.with_label_values(&labels).set(1);
        }
    }

    /// The text that Prometheus scrapes.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot encode metrics");
        }
        let mut measured = String::new();
        self.gpus.write(&mut measured);
        text.extend_from_slice(measured.as_bytes());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{Outcome, Severity};

    #[test]
    fn what_stands_is_shown_and_what_went_is_not() {
        let metrics = Metrics::new().unwrap();
        let finding =
            Finding { check: "xid".into(), outcome: Outcome::Fail, severity: Severity::Reboot, ..Finding::default() };
        metrics.show([&finding].into_iter(), &[], &[], &Inventory::default());
        let shown = String::from_utf8(metrics.text()).unwrap();
        assert!(shown.contains(r#"gpu_health_findings{check="xid",outcome="Fail",severity="Reboot"} 1"#), "{shown}");
        metrics.show(std::iter::empty(), &[], &[], &Inventory::default());
        assert!(!String::from_utf8(metrics.text()).unwrap().contains("gpu_health_findings{"));
    }
}
