//! Logs: one line each, to standard error.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Begins to log. Libraries are heard from `warn` on only; kube's watcher reports every retry that we report ourselves.
pub fn begin(level: LevelFilter) {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("operator", level)
        .with_target("kube_runtime::watcher", LevelFilter::OFF)
        .with_target("kube_client", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
