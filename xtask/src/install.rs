//! Programs of the system that tests and demo use, installed by apt-get where they are missing.

use gpu_health_tests::product::seen::is_installed;
use std::process::{Command, Stdio};

/// A program, and the Debian package that holds it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// Measures bandwidth between nodes.
pub(crate) const IPERF3: Program = Program { name: "iperf3", package: "iperf3" };
/// Compiles the system library that crates bring along.
pub(crate) const GCC: Program = Program { name: "gcc", package: "gcc" };
/// Compiles libFuzzer.
pub(crate) const GXX: Program = Program { name: "g++", package: "g++" };

/// Programs that are missing, and why they could not be installed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: not installed, and {why}", packages.join(", "))]
pub(crate) struct Missing {
    packages: Vec<&'static str>,
    why: &'static str,
}

/// Installs what is missing of `programs`, after telling `announce`; `leave_alone` only finds out what is missing.
pub(crate) fn install(programs: &[Program], leave_alone: bool, announce: impl Fn(&str)) -> Result<(), Missing> {
    let missing = programs.iter().filter(|program| !is_installed(program.name));
    let packages: Vec<_> = missing.map(|program| program.package).collect();
    let because = |why| Err(Missing { packages: packages.clone(), why });
    if packages.is_empty() {
        return Ok(());
    }
    if leave_alone {
        return because("--no-install was given");
    }
    if !rustix::process::geteuid().is_root() || !is_installed("apt-get") {
        return because("only root can install them, with apt-get");
    }
    announce(&format!("installing {} with apt-get", packages.join(", ")));
    let install = ["install", "--yes", "--no-install-recommends"];
    if apt_get(&["update"]) && apt_get(&[&install[..], &packages].concat()) {
        return Ok(());
    }
    because("apt-get failed; its messages are above")
}

fn apt_get(args: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_left_alone_and_what_is_missing_is_named_with_the_reason() {
        let announced = |what: &str| panic!("{what}");
        let shell = Program { name: "sh", package: "dash" };
        assert_eq!(install(&[shell], false, announced), Ok(()));
        let absent = || Program { name: "no-such-program", package: "no-such-package" };
        let missing = install(&[absent()], true, announced).unwrap_err();
        assert_eq!(missing.to_string(), "no-such-package: not installed, and --no-install was given");
    }
}
