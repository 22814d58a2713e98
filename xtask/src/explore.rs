//! `cargo xtask explore`: every property test for a time of its own, each run with other seeds. The tests of
//! `cargo xtask test` give a property seconds; this gives it minutes or hours.

use crate::Outcome;
use crate::cargo::cargo;
use clap::Args;
use std::process::ExitCode;

/// For how long, and which.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// Seconds for each property (and for the corpus of healthy nodes)
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Read by the crate `explore` (`tests/explore`), which xtask does without: it would bring proptest into every build.
const SECONDS: &str = "PROPERTY_SECONDS";
/// Where the properties are: the package and its test targets.
const PROPERTIES: &[(&str, &[&str])] =
    &[("operator", &["--lib"]), ("node-agent", &["--lib", "--test", "healthy_corpus"])];

pub(crate) fn run(wanted: &Wanted) -> Outcome {
    let mut passed = true;
    for (package, targets) in PROPERTIES {
        let mut test = cargo();
        test.args(["test", "--package", package]).args(*targets).args(["--no-fail-fast", "--", "--show-output"]);
        test.args(&wanted.filter).env(SECONDS, wanted.seconds.to_string());
        passed &= test.status()?.success();
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
