//! cargo, started by a program that cargo itself has started.

use std::process::Command;

/// What `cargo run` tells a program about its own package. Build scripts (ring's, say) ask to be run again when these
/// differ: handed on, they make every build from here undo those from a shell, and the other way round.
const OF_THIS_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// cargo as it would be started from a shell.
pub(crate) fn cargo() -> Command {
    as_from_a_shell("cargo")
}

/// Any program whose children may be cargo.
pub(crate) fn as_from_a_shell(program: &str) -> Command {
    let mut command = Command::new(program);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| OF_THIS_PACKAGE.iter().any(|prefix| name.starts_with(prefix))) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_this_package_is_handed_on() {
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some(), "cargo test tells it");
        let output = as_from_a_shell("env").output().unwrap();
        let handed = String::from_utf8(output.stdout).unwrap();
        assert!(!handed.contains("CARGO_PKG_") && !handed.contains("CARGO_MANIFEST_"), "{handed}");
        assert!(handed.contains("PATH="), "all else stays");
    }
}
