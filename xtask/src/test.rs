//! `cargo xtask test`: everything that must hold, stage by stage, with the minutes of each.

use crate::cargo::as_from_a_shell;
use crate::install::{self, GCC, GXX, IPERF3, install};
use std::{
    io::{BufRead, BufReader, IsTerminal as _},
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

/// Exit status when everything that ran has passed, but something could not run.
const SOMETHING_LEFT_OUT: u8 = 3;

/// What the tests need of the system.
const PROGRAMS: &[install::Program] = &[IPERF3, GCC, GXX];

/// One stage. Tests are counted from the closing lines of cargo.
struct Stage {
    name: &'static str,
    /// Minutes that it may take from a clean clone on 2 cores, with the control plane in its cache. More is a warning and no
    /// failure: machines are noisy.
    budget: u32,
    program: &'static str,
    args: &'static [&'static str],
}

/// In this order: what is cheap and fails often comes first.
const STAGES: &[Stage] = &[
    Stage { name: "format", budget: 1, program: "cargo", args: &["fmt", "--all", "--check"] },
    Stage {
        name: "lints",
        budget: 4,
        program: "cargo",
        args: &["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"],
    },
    Stage { name: "build", budget: 4, program: "cargo", args: &["build", "--workspace", "--locked"] },
    Stage { name: "generated files", budget: 1, program: "cargo", args: &["xtask", "codegen", "--check"] },
    Stage {
        name: "unit and property tests",
        budget: 11,
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
    Stage { name: "fuzzing", budget: 5, program: "cargo", args: &["xtask", "fuzz", "--seconds", "30"] },
    Stage { name: "control plane", budget: 1, program: "cargo", args: &["xtask", "cluster", "build"] },
    Stage {
        name: "tests on a cluster",
        budget: 18,
        program: "cargo",
        args: &["test", "--package", "gpu-health-tests", "--locked", "--no-fail-fast", "--", "--show-output"],
    },
];

/// How a stage went.
struct Ran {
    name: &'static str,
    budget: Duration,
    took: Duration,
    passed: bool,
}

impl Ran {
    /// One line of the summary.
    fn line(&self) -> String {
        let Self { name, budget, took, passed } = self;
        let verdict = if *passed { "passed" } else { "FAILED" };
        format!("{name:<26} {verdict}  {:5.1} min  of {:2.0}", minutes(*took), minutes(*budget))
    }

    /// The warning about a stage that took too long.
    fn warning(&self) -> Option<String> {
        let Self { name, budget, took, .. } = self;
        (took > budget).then(|| {
            format!("warning: {name} took {:.1} min, over its budget of {:.0} min", minutes(*took), minutes(*budget))
        })
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

/// What has been counted so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    left_out: Vec<String>,
    stages: Vec<Ran>,
}

impl Tally {
    fn leave_out(&mut self, what: String) {
        // Several tests may say the same.
        if !self.left_out.contains(&what) {
            self.left_out.push(what);
        }
    }
}

/// Runs every stage. Exit status 0: all passed; 1: something failed; 3: something was left out (it says what).
pub(crate) fn run(no_install: bool) -> ExitCode {
    let mut tally = Tally::default();
    if let Err(missing) = install(PROGRAMS, no_install, announce) {
        tally.leave_out(format!("tests that use {missing}"));
    }
    for stage in STAGES {
        announce(stage.name);
        let began = Instant::now();
        let passed = run_stage(stage, &mut tally);
        let budget = Duration::from_secs(60 * u64::from(stage.budget));
        let ran = Ran { name: stage.name, budget, took: began.elapsed(), passed };
        println!("{}", ran.line());
        tally.stages.push(ran);
        // Nothing that is built on a broken build can tell more.
        if !passed && stage.name == "build" {
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
        tally.leave_out(why.to_owned());
    }
}

fn close(tally: &Tally) -> ExitCode {
    announce("summary");
    for ran in &tally.stages {
        println!("{}", ran.line());
    }
    let total: Duration = tally.stages.iter().map(|ran| ran.took).sum();
    let budget: Duration = tally.stages.iter().map(|ran| ran.budget).sum();
    println!("{:<26}         {:5.1} min  of {:2.0}", "all", minutes(total), minutes(budget));
    for warning in tally.stages.iter().filter_map(Ran::warning) {
        println!("{warning}");
    }
    for what in &tally.left_out {
        println!("did not run: {what}");
    }
    let stages_failed = tally.stages.iter().filter(|ran| !ran.passed).count() as u64;
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
    use super::{Duration, Ran, STAGES, Tally, count};

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
    fn a_test_that_says_why_it_did_not_run_is_listed_once() {
        let mut tally = Tally::default();
        count("not run here: iperf3 is not installed", &mut tally);
        count("not run here: iperf3 is not installed", &mut tally);
        assert_eq!(tally.left_out, ["iperf3 is not installed"]);
    }

    #[test]
    fn all_stages_together_may_take_45_minutes() {
        assert_eq!(STAGES.iter().map(|stage| stage.budget).sum::<u32>(), 45);
    }

    #[test]
    fn a_stage_over_its_budget_is_named_with_both_figures() {
        let mut ran =
            Ran { name: "lints", budget: Duration::from_secs(240), took: Duration::from_secs(240), passed: true };
        assert_eq!(ran.line(), "lints                      passed    4.0 min  of  4");
        assert_eq!(ran.warning(), None);
        ran.took += Duration::from_secs(90);
        assert_eq!(ran.warning().unwrap(), "warning: lints took 5.5 min, over its budget of 4 min");
    }
}
