//! `cargo xtask coverage`: line coverage per crate, by cargo-tarpaulin (which needs no component of rustup).

use crate::Outcome;
use crate::cargo::cargo;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The crates that are measured, and the files of each that are written by a program.
const CRATES: &[&str] = &["crds", "operator", "node-agent", "tests", "xtask"];
const GENERATED: &[&str] = &["tests/fake-nvml/*"];
/// What we want of each crate, in percent of the lines.
const GOAL_PERCENT: f64 = 80.0;

#[derive(Deserialize)]
struct Report {
    files: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    path: Vec<String>,
    covered: u64,
    coverable: u64,
}

/// Measures all tests, those on a cluster included; prints one line per crate and the figures as one JSON line.
pub(crate) fn run() -> Outcome {
    let tarpaulin = cargo().args(["tarpaulin", "--version"]).output();
    if !tarpaulin.is_ok_and(|output| output.status.success()) {
        return Err("cargo-tarpaulin is not installed: `cargo install cargo-tarpaulin`, then try again".into());
    }
    let out = tempfile::tempdir()?;
    let mut command = cargo();
    command.args(["tarpaulin", "--workspace", "--engine", "llvm", "--follow-exec", "--skip-clean", "--out", "Json"]);
    command.args(["--timeout", "900", "--output-dir"]).arg(out.path());
    for pattern in GENERATED {
        command.args(["--exclude-files", pattern]);
    }
    if !command.status()?.success() {
        return Err("cargo tarpaulin failed; its output is above".into());
    }
    let report: Report = serde_json::from_slice(&std::fs::read(out.path().join("tarpaulin-report.json"))?)?;
    let figures = per_crate(&report, &root());
    for (name, percent) in &figures {
        let word = if *percent < GOAL_PERCENT { "below the goal of 80 %" } else { "" };
        println!("{name:<12} {percent:5.1} % {word}");
    }
    println!("{}", serde_json::json!({"coverage": figures}));
    Ok(ExitCode::SUCCESS)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).to_owned()
}

fn per_crate(report: &Report, root: &Path) -> BTreeMap<&'static str, f64> {
    let mut lines: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for file in &report.files {
        let path: PathBuf = file.path.iter().collect();
        let inside = path.strip_prefix(root).unwrap_or(&path);
        let home = CRATES.iter().find(|name| inside.starts_with(Path::new(name).join("src")));
        if let Some(name) = home {
            let sum = lines.entry(name).or_default();
            *sum = (sum.0 + file.covered, sum.1 + file.coverable);
        }
    }
    let percent = |covered: u64, all: u64| u32::try_from(covered * 1000 / all.max(1)).unwrap_or(u32::MAX);
    lines.into_iter().map(|(name, (covered, all))| (name, f64::from(percent(covered, all)) / 10.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Report, Source, per_crate};
    use std::path::Path;

    #[test]
    fn lines_are_added_up_by_crate_and_tests_do_not_count() {
        let file = |path: &[&str], covered, coverable| Source {
            path: path.iter().map(|p| (*p).to_owned()).collect(),
            covered,
            coverable,
        };
        let report = Report {
            files: vec![
                file(&["/", "r", "crds", "src", "a.rs"], 9, 10),
                file(&["/", "r", "crds", "src", "b.rs"], 0, 10),
                file(&["/", "r", "crds", "tests", "c.rs"], 0, 1000),
            ],
        };
        let figures = per_crate(&report, Path::new("/r"));
        assert_eq!(figures.into_iter().collect::<Vec<_>>(), [("crds", 45.0)]);
    }
}
