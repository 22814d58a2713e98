//! `cargo xtask test`: everything that must hold, stage by stage, with the minutes of each.

use crate::cargo::as_from_a_shell;
use gpu_health_tests::product::seen::is_installed;
use std::{
    io::{BufRead, BufReader, IsTerminal as _},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// Exit status when everything that ran has passed, but something could not run.
const SOMETHING_LEFT_OUT: u8 = 3;

/// Programs that the tests use, and the Debian package of each.
const PACKAGES: &[(&str, &str)] = &[("iperf3", "iperf3"), ("gcc", "gcc"), ("g++", "g++")];

/// One stage: a name, a command, and what it is for. Tests of cargo are counted from its closing lines.
struct Stage {
    name: &'static str,
    program: &'static str,
    args: &'static [&'static str],
}

/// In this order: what is cheap and fails often comes first.
const STAGES: &[Stage] = &[
    Stage { name: "format", program: "cargo", args: &["fmt", "--all", "--check"] },
    Stage {
        name: "lints",
        program: "cargo",
        args: &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"],
    },
    Stage { name: "build", program: "cargo", args: &["build", "--workspace", "--locked"] },
    Stage { name: "generated files", program: "cargo", args: &["xtask", "codegen", "--check"] },
    Stage {
        name: "unit and property tests",
        program: "cargo",
        args: &[
            "test",
            "--workspace",
            "--exclude",
            "gpu-health-tests",
            "--locked",
            "--no-fail-fast",
            "--",
            "--show-output",
        ],
    },
    Stage { name: "fuzzing", program: "cargo", args: &["xtask", "fuzz", "--seconds", "30"] },
    Stage { name: "control plane", program: "cargo", args: &["xtask", "cluster", "build"] },
    Stage {
        name: "tests on a cluster",
        program: "cargo",
        args: &["test", "--package", "gpu-health-tests", "--locked", "--no-fail-fast", "--", "--show-output"],
    },
];

/// What has been counted so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    left_out: Vec<String>,
    minutes: Vec<(&'static str, Duration, bool)>,
}

/// Runs every stage. Exit status 0: all passed; 1: something failed; 3: something was left out (it says what).
pub(crate) fn run(no_install: bool) -> ExitCode {
    let mut tally = Tally::default();
    install(no_install, &mut tally);
    for stage in STAGES {
        announce(stage.name);
        let began = Instant::now();
        let well = run_stage(stage, &mut tally);
        tally.minutes.push((stage.name, began.elapsed(), well));
        // Nothing that is built on a broken build can tell more.
        if !well && stage.name == "build" {
            break;
        }
    }
    close(&tally)
}

fn announce(what: &str) {
    let (bold, plain) = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    println!("{bold}==> {what}{plain}");
}

fn install(no_install: bool, tally: &mut Tally) {
    let missing: Vec<_> = PACKAGES.iter().filter(|(program, _)| !is_installed(program)).collect();
    if missing.is_empty() {
        return;
    }
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    let root = rustix::process::geteuid().is_root();
    if no_install || !root || !is_installed("apt-get") {
        let why = if no_install { "--no-install was given" } else { "only root can install them, by apt-get" };
        tally.left_out.push(format!("tests that use {}: not installed, and {why}", packages.join(", ")));
        return;
    }
    announce(&format!("installing {}", packages.join(", ")));
    let apt = |args: &[&str]| {
        let ran =
            Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    if !(apt(&["update"]) && apt(&install)) {
        tally.left_out.push(format!("tests that use {}: apt-get could not install them", packages.join(", ")));
    }
}

fn run_stage(stage: &Stage, tally: &mut Tally) -> bool {
    let child = as_from_a_shell(stage.program).args(stage.args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            println!("{} could not be started: {error}", stage.program);
            return false;
        }
    };
    let output = child.stdout.take().map(BufReader::new);
    for line in output.into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        println!("{line}");
        count(&line, tally);
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Reads cargo's `test result: ok. 3 passed; 0 failed; 1 ignored; …` and our tests' own `not run here: WHY`.
fn count(line: &str, tally: &mut Tally) {
    if let Some(rest) = line.strip_prefix("test result: ") {
        let figure = |word: &str| {
            let before = rest.split(word).next().unwrap_or_default().trim_end();
            before.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
        };
        tally.passed += figure("passed");
        tally.failed += figure("failed");
        tally.ignored += figure("ignored");
    } else if let Some((_, why)) = line.split_once("not run here: ") {
        tally.left_out.push(why.to_owned());
    }
}

fn close(tally: &Tally) -> ExitCode {
    announce("summary");
    for (name, took, well) in &tally.minutes {
        let verdict = if *well { "passed" } else { "FAILED" };
        println!("{name:<26} {verdict}  {:5.1} min", took.as_secs_f64() / 60.0);
    }
    let total: Duration = tally.minutes.iter().map(|(_, took, _)| *took).sum();
    println!("{:<26}         {:5.1} min", "all", total.as_secs_f64() / 60.0);
    for what in &tally.left_out {
        println!("did not run: {what}");
    }
    let stages_failed = tally.minutes.iter().filter(|(_, _, well)| !well).count() as u64;
    // A stage that failed without a failed test (lints, say) counts as one failure.
    let failed = if tally.failed == 0 { stages_failed } else { tally.failed };
    println!("{} passed, {failed} failed, {} skipped", tally.passed, tally.ignored + tally.left_out.len() as u64);
    if failed > 0 || stages_failed > 0 {
        ExitCode::FAILURE
    } else if tally.left_out.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOMETHING_LEFT_OUT)
    }
}

#[cfg(test)]
mod tests {
    use super::{Tally, count};

    #[test]
    fn the_closing_lines_of_cargo_are_added_up() {
        let mut tally = Tally::default();
        count(
            "test result: ok. 14 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            &mut tally,
        );
        count("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out", &mut tally);
        count("test a ... ok", &mut tally);
        assert_eq!((tally.passed, tally.failed, tally.ignored), (16, 3, 1));
    }

    #[test]
    fn a_test_that_says_why_it_did_not_run_is_listed() {
        let mut tally = Tally::default();
        count("not run here: iperf3 is not installed", &mut tally);
        assert_eq!(tally.left_out, ["iperf3 is not installed"]);
    }
}
