//! The operator's metrics, about itself and about the fleet, in the text format of Prometheus.

use crate::{key::Kind, stores::Stores, world::World};
use crds::{Activity, State, node_health::Decision, reason};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Buckets of durations, in seconds. The goal from report to taint is milliseconds; a decision about 4,000 nodes takes tens
/// of milliseconds.
const SECONDS: &[f64] = &[0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// All metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Duration of decisions, in seconds.
    pub decide_seconds: Histogram,
    /// Steps in the last plan.
    pub plan_steps: IntGauge,
    /// Steps dropped because their object was busy or in backoff.
    pub steps_dropped: IntCounter,
    /// Steps that are waiting or running.
    pub steps_open: IntGauge,
    /// Decisions, by cause.
    pub wakes: IntCounterVec,
    /// Writes, by kind of write and result.
    pub writes: IntCounterVec,
    /// Fields left out because the definition on the cluster lacks them, by kind of write.
    pub fields_left_out: IntCounterVec,
    /// Duration of writes, in seconds.
    pub write_seconds: Histogram,
    /// Writes refused because the object had changed.
    pub conflicts: IntCounter,
    /// Our own writes that no watch has shown yet.
    pub overlay_entries: IntGauge,
    /// Objects, and kinds of write to an object, in backoff after an error.
    pub objects_in_backoff: IntGauge,
    /// Events, by result.
    pub events: IntCounterVec,
    /// Watches that failed and were restarted, by kind.
    pub watch_breaks: IntCounterVec,
    malformed: IntGaugeVec,
    nodes: IntGaugeVec,
    drills: IntGauge,
    drifting: IntGauge,
    maintenance: IntGauge,
    overruns: IntGauge,
    claims: IntGaugeVec,
    limit: IntGaugeVec,
}

impl Metrics {
    /// Registers every metric in a registry of its own.
    pub fn register() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("gpu_health_operator".to_owned()), None)?;
        let r = &registry;
        Ok(Self {
            decide_seconds: histogram(r, "decide_seconds", "Duration of decisions")?,
            plan_steps: gauge(r, "plan_steps", "Steps in the last plan")?,
            steps_dropped: counter(
                r,
                "steps_dropped_total",
                "Steps dropped because their object was busy or in backoff; the next decision plans them again",
            )?,
            steps_open: gauge(r, "steps_open", "Steps that are waiting or running")?,
            wakes: counters(r, "wakes_total", "Decisions, by cause", &["cause"])?,
            writes: counters(
                r,
                "writes_total",
                "Writes to the API server, by kind of write and result",
                &["write", "result"],
            )?,
            fields_left_out: counters(
                r,
                "fields_left_out_total",
                "Fields left out of a write because the CustomResourceDefinition on the cluster is older than the operator",
                &["write"],
            )?,
            write_seconds: histogram(r, "write_seconds", "Duration of writes")?,
            conflicts: counter(
                r,
                "conflicts_total",
                "Writes refused because the object had changed since the decision",
            )?,
            overlay_entries: gauge(r, "overlay_entries", "The operator's own writes that no watch has shown yet")?,
            objects_in_backoff: gauge(
                r,
                "objects_in_backoff",
                "Objects, and kinds of write to an object, in backoff after an error",
            )?,
            events: counters(r, "events_total", "Events, by result", &["result"])?,
            watch_breaks: counters(
                r,
                "watch_restarts_total",
                "Watches that failed and were restarted, by kind",
                &["kind"],
            )?,
            malformed: gauges(
                r,
                "malformed_objects",
                "Objects that do not parse and are left alone, by kind",
                &["kind"],
            )?,
            nodes: gauges(r, "nodes", "Nodes with a NodeHealth, by state; drills are ignored", &["state"])?,
            drills: gauge(r, "nodes_in_drill", "Nodes on which a drill is running")?,
            drifting: gauge(
                r,
                "nodes_drifting",
                "Nodes whose driver or VBIOS version differs from most nodes with the same profile",
            )?,
            maintenance: gauge(r, "nodes_in_maintenance", "Nodes under maintenance")?,
            overruns: gauge(
                r,
                "nodes_maintenance_overrun",
                "Nodes without a fault whose maintenance takes longer than expected",
            )?,
            claims: gauges(
                r,
                "policy_budget_claims",
                "Budget claims of a policy, one per node taken out of service",
                &["policy"],
            )?,
            limit: gauges(r, "policy_budget_limit", "The most budget claims that a policy allows now", &["policy"])?,
            registry,
        })
    }

    /// Sets the gauges that describe the cluster.
    pub fn observe(&self, stores: &Stores) {
        self.overlay_entries.set(number(stores.unseen()));
        for (kind, count) in stores.malformed() {
            let gauge = self.malformed.with_label_values(&[kind.as_str()]);
            gauge.set(number(count));
        }
        self.observe_world(stores.world());
    }

    fn observe_world(&self, world: &World) {
        let decisions = || world.node_healths.values().map(|h| h.status.as_ref().and_then(|s| s.decision.as_ref()));
        let states: Vec<State> =
            decisions().map(|d| d.map_or(State::Unknown, Decision::state_without_drills)).collect();
        for state in State::ALL {
            let gauge = self.nodes.with_label_values(&[state.as_str()]);
            gauge.set(number(states.iter().filter(|s| *s == state).count()));
        }
        let count = |is: fn(&Decision) -> bool| number(decisions().flatten().filter(|d| is(d)).count());
        self.drills.set(count(Decision::has_drill));
        self.drifting.set(count(|d| !d.fleet_findings.is_empty()));
        self.maintenance.set(count(|d| d.activity == Activity::Maintenance));
        self.overruns.set(count(|d| d.reason == reason::MAINTENANCE_OVERRUN));
        // A deleted policy must not keep its last values.
        self.claims.reset();
        self.limit.reset();
        for (name, policy) in &world.policies {
            if let Some(status) = &policy.status {
                let claims = self.claims.with_label_values(&[name.as_str()]);
                claims.set(number(status.budget.claims.len()));
                let limit = self.limit.with_label_values(&[name.as_str()]);
                limit.set(status.budget.limit);
            }
        }
    }

    /// Counts a watch that failed.
    pub fn watch_broke(&self, kind: Kind) {
        self.watch_breaks.with_label_values(&[kind.as_str()]).inc();
    }

    /// All metrics in the text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut bytes = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut bytes)?;
        String::from_utf8(bytes).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn histogram(r: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    let options = HistogramOpts::new(name, format!("{help}, in seconds"));
    let metric = Histogram::with_opts(options.buckets(SECONDS.to_vec()))?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(r: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let metric = IntCounter::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::new(name, help)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    r.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::observation::{Observation, Seen};
    use crds::{NodeHealthPolicy, node_health_policy::NodeHealthPolicyStatus};
    use std::sync::Arc;

    #[test]
    fn a_deleted_policy_keeps_no_metrics() {
        let metrics = Metrics::register().unwrap();
        let mut stores = Stores::new(false);
        let mut policy = NodeHealthPolicy::new("p1", serde_json::from_str("{}").unwrap());
        let mut status = NodeHealthPolicyStatus::default();
        status.budget.limit = 3;
        policy.status = Some(status);
        let policy = Arc::new(policy);
        let now = std::time::Instant::now();
        let _ = stores.observe(Observation::Policy(Seen::Applied(policy.clone())), now);
        metrics.observe(&stores);
        let line = "gpu_health_operator_policy_budget_limit{policy=\"p1\"} 3\n";
        assert!(metrics.text().unwrap().contains(line));
        let _ = stores.observe(Observation::Policy(Seen::Deleted(policy)), now);
        metrics.observe(&stores);
        assert!(!metrics.text().unwrap().contains("p1"));
    }
}
