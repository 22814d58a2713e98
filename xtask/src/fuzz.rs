//! `cargo xtask fuzz`: coverage-guided fuzzing of everything that the agent reads (`tests/fuzz`), on the stable toolchain.
//!
//! The committed corpora are seeds and stay as they are; what a run finds of interest is kept below `target`, for the next
//! one to begin with.

use crate::Outcome;
use crate::cargo::cargo;
use clap::Args;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};

/// What is fuzzed, and for how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// Seconds for each target
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Only this target
    #[arg(long, value_parser = TARGETS)]
    target: Option<String>,
}

/// What can be fuzzed: the binaries of `tests/fuzz`.
const TARGETS: [&str; 4] = ["kernel_log", "nvml_strings", "sysfs", "runner_protocol"];
/// The longest input, in bytes: several records of the kernel.
const MAX_LEN: u32 = 16_384;
/// An input that takes longer than this has hung, in seconds.
const HANGS_AFTER: u32 = 10;
/// Whoever needs more memory than this grows without bound, in MiB.
const MEMORY: u32 = 1_024;

/// Runs the targets one after the other; the first input that breaks one ends it, and its file is named.
pub(crate) fn run(wanted: &Wanted) -> Outcome {
    install()?;
    let targets = TARGETS.iter().filter(|target| wanted.target.as_deref().is_none_or(|only| only == **target));
    let mut failed = 0;
    for target in targets {
        let (well, executed) = fuzz(target, wanted.seconds)?;
        println!(
            "fuzz {target}: {executed} inputs in {} s, {}",
            wanted.seconds,
            if well { "none breaks it" } else { "BROKEN" }
        );
        failed += u8::from(!well);
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// cargo-fuzz is a program of its own; it is installed by name where it is missing.
fn install() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let there = cargo().args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    println!("installing cargo-fuzz");
    let installed = cargo().args(["install", "--locked", "--quiet", "cargo-fuzz"]).status()?;
    if installed.success() { Ok(()) } else { Err("cargo install cargo-fuzz failed; its output is above".into()) }
}

fn fuzz(target: &str, seconds: u32) -> Result<(bool, u64), Box<dyn std::error::Error + Send + Sync>> {
    let found = Path::new("target/fuzz-corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let mut command = cargo();
    command
        .args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir", "tests/fuzz", "--target-dir", "target/fuzz", target])
        .arg(std::path::absolute(&found)?)
        .arg(std::path::absolute(Path::new("tests/fuzz/corpus").join(target))?)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LEN}"))
        .arg(format!("-timeout={HANGS_AFTER}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg("-print_final_stats=1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut executed = 0;
    let mut tail = std::collections::VecDeque::new();
    for line in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executed = number.trim().parse().unwrap_or(0);
        }
        tail.push_back(line);
        if tail.len() > 40 {
            tail.pop_front();
        }
    }
    let well = child.wait()?.success();
    if !well {
        for line in tail {
            println!("{line}");
        }
    }
    Ok((well, executed))
}
