//! How the story is told: to a terminal with colour, to anything else without.

use std::io::IsTerminal;

/// Writes the story to stdout.
pub(crate) struct Teller {
    colour: bool,
    indent: &'static str,
}

impl Teller {
    /// Colour where stdout is a terminal and `NO_COLOR` is not set (no-color.org).
    pub(crate) fn for_this_terminal() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { colour, indent: "   " }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The heading of a step.
    pub(crate) fn step(&self, number: usize, title: &str) {
        println!("\n{}", self.paint("1", &format!("{number}. {title}")));
    }

    /// A sentence.
    pub(crate) fn note(&self, text: &str) {
        println!("{}{text}", self.indent);
    }

    /// A command and what it printed, as it was.
    pub(crate) fn shell(&self, command: &str, output: &str) {
        println!("{}{}", self.indent, self.paint("36", &format!("$ {command}")));
        for line in output.trim_end().lines() {
            println!("{}{line}", self.indent);
        }
    }

    /// What went wrong, on stderr.
    pub(crate) fn failure(&self, text: &str) {
        eprintln!("\n{}", self.paint("31", text));
    }
}
