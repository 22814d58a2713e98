//! Logging to standard error, one line per record.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging. Libraries log warnings and errors only; kube's watcher and client are off, because we log their failures
/// ourselves.
pub fn begin(level: LevelFilter) {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("operator", level)
        .with_target("kube_runtime::watcher", LevelFilter::OFF)
        .with_target("kube_client", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
