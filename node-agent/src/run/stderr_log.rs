//! Log lines on stderr.

/// Logs our own lines from this level on. Other crates are heard from warnings on: at debug the HTTP stack alone would
/// drown everything else.
pub(crate) fn log_to_stderr(level: tracing::Level) {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};
    let levels = Targets::new().with_default(tracing::Level::WARN.min(level)).with_target("node_agent", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    // A second subscriber can only come from a program that embeds this one and has its own.
    let _ = tracing_subscriber::registry().with(levels).with(lines).try_init();
}
