//! Errors on stderr, for processes that have no log.

use std::io::Write;

/// Prints an error and all its causes on one line of stderr.
pub(crate) fn complain(error: &dyn std::error::Error) {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    // A closed stderr cannot be reported anywhere.
    let _ = writeln!(std::io::stderr(), "gpu-health-agent: {line}");
}
