//! Colours of the table (ECMA-48), or none.

use super::args::Color;
use crds::Outcome;

/// Colours words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    pub(super) fn new(color: Color, terminal: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && wanted,
        };
        Self { on }
    }

    /// Green, yellow, red or grey, as the outcome is.
    pub(super) fn outcome(self, outcome: &Outcome, text: &str) -> String {
        let code = match outcome {
            Outcome::Pass => "32",
            Outcome::Warn => "33",
            Outcome::Fail => "1;31",
            Outcome::Skipped | Outcome::Inconclusive | Outcome::Unrecognized(_) => "90",
        };
        self.with(code, text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
