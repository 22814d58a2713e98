//! `cargo xtask fuzz`: coverage-guided fuzzing of everything that the agent reads (`tests/fuzz`), on the stable toolchain.
//!
//! All targets are built at once, as instrumented programs below `target/fuzz`; each is libFuzzer with one of our readers.
//! The committed corpora are seeds and stay as they are; what a run finds of interest is kept below `target`, for the next
//! one to begin with.

use crate::Outcome;
use crate::cargo::cargo;
use clap::Args;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

type Error = Box<dyn std::error::Error + Send + Sync>;

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
/// The instrumentation that libFuzzer reads its coverage from (LLVM, SanitizerCoverage), as cargo-fuzz asks for it. Its
/// `-Clink-dead-code` is left out: it costs minutes and finds nothing.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0";
/// Where the build and what it finds is kept.
const BUILD_FOLDER: &str = "target/fuzz";
/// Where an input that breaks a target is written to.
const ARTIFACTS: &str = "tests/fuzz/artifacts";
/// The longest input, in bytes: several records of the kernel.
const MAX_LEN: u32 = 16_384;
/// An input that takes longer than this has hung, in seconds.
const HANGS_AFTER: u32 = 10;
/// A target that needs more memory than this grows without bound, in MiB.
const MEMORY: u32 = 1_024;
/// Lines of libFuzzer's output that are shown when a target breaks.
const SHOWN_LINES: usize = 40;

/// What came of one target.
struct Fuzzed {
    passed: bool,
    inputs: u64,
    tail: VecDeque<String>,
}

/// Builds the targets and runs them, as many at a time as there are cores.
pub(crate) fn run(wanted: &Wanted) -> Outcome {
    let programs = build()?;
    let chosen = |target: &&&str| wanted.target.as_deref().is_none_or(|only| only == **target);
    let targets: Vec<&str> = TARGETS.iter().filter(chosen).copied().collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..cores.min(targets.len()) {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let fuzzed = fuzz(&programs, target, wanted.seconds);
                    all.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*target, fuzzed));
                }
            });
        }
    });
    let mut passed = true;
    for (target, fuzzed) in all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        let fuzzed = fuzzed?;
        passed &= fuzzed.passed;
        let verdict = if fuzzed.passed { "none breaks it" } else { "BROKEN" };
        println!("fuzz {target}: {} inputs in {} s, {verdict}", fuzzed.inputs, wanted.seconds);
        if !fuzzed.passed {
            fuzzed.tail.iter().for_each(|line| println!("{line}"));
        }
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds all targets in one go; gives the folder of the programs.
fn build() -> Result<PathBuf, Error> {
    let host = host()?;
    let mut build = cargo();
    build.args(["build", "--manifest-path", "tests/fuzz/Cargo.toml", "--target-dir", BUILD_FOLDER, "--target", &host]);
    // With --target the flags reach the targets alone, and neither build scripts nor procedural macros.
    let status = build.env("RUSTFLAGS", INSTRUMENTED).stdin(Stdio::null()).status()?;
    if !status.success() {
        return Err("the fuzz targets could not be built; the output of cargo is above".into());
    }
    Ok(Path::new(BUILD_FOLDER).join(host).join("debug"))
}

/// The target triple of this machine.
fn host() -> Result<String, Error> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "`rustc -vV` does not name its host".into())
}

fn fuzz(programs: &Path, target: &str, seconds: u32) -> Result<Fuzzed, Error> {
    let found = Path::new("target/fuzz-corpus").join(target);
    let artifacts = Path::new(ARTIFACTS).join(target);
    for folder in [&found, &artifacts] {
        std::fs::create_dir_all(folder)?;
    }
    let mut command = Command::new(programs.join(target));
    command.arg(&found).arg(Path::new("tests/fuzz/corpus").join(target));
    command
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_LEN}"))
        .arg(format!("-timeout={HANGS_AFTER}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg("-print_final_stats=1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (mut inputs, mut tail) = (0, VecDeque::new());
    for line in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            inputs = number.trim().parse().unwrap_or(0);
        }
        tail.push_back(line);
        if tail.len() > SHOWN_LINES {
            tail.pop_front();
        }
    }
    Ok(Fuzzed { passed: child.wait()?.success(), inputs, tail })
}
