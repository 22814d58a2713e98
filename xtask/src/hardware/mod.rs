//! `cargo xtask hardware`: comparisons that need real hardware.
//!
//! `nvml` takes all readings of the agent's sampler, compares them with `nvidia-smi -q -x`, and prints for each field whether
//! the values are equal, different or absent. It also prints how long each call took; the simulated library uses these
//! times for `"timing": "real"`.

mod compare;
mod dcgm;
mod fields;
mod smi;

use crate::Outcome;
use crate::cargo::cargo;
use clap::{Args, Subcommand};
use compare::{Agreement, Row};
use gpu_health_tests::product::seen::is_installed;
use node_agent::readings::sample::{CallTime, Sample, Section};
use node_agent::readings::talk::{Ask, Said};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// Exit status if there is no hardware to measure.
const NOTHING_TO_MEASURE: u8 = 2;
/// Exit status if the two sides differ.
const THEY_DIFFER: u8 = 1;

/// What to measure.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Hardware {
    /// Compare the agent's NVML readings with nvidia-smi, and time each call
    Nvml(Nvml),
}

/// Options of the comparison.
#[derive(Debug, Clone, Args)]
pub(crate) struct Nvml {
    /// Name or path of the driver's management library
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    library: PathBuf,
    /// Name or path of nvidia-smi
    #[arg(long, default_value = "nvidia-smi")]
    smi: PathBuf,
    /// Read the output of `nvidia-smi -q -x` from this file instead of running nvidia-smi
    #[arg(long)]
    smi_xml: Option<PathBuf>,
    /// Number of rounds for timing the calls
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Also write the tables as Markdown to this file
    #[arg(long)]
    save: Option<PathBuf>,
}

/// Measures and prints. Exit status 0: both sides agree; 1: they differ; 2: there is nothing to measure.
pub(crate) fn run(hardware: &Hardware) -> Outcome {
    let Hardware::Nvml(wanted) = hardware;
    let samples = sample(wanted)?;
    let Some(sample) = samples.first() else { return Err("the sampler returned no sample".into()) };
    if sample.view.status != "Ok" || sample.gpus.is_empty() {
        let said = sample.view.message.as_deref().unwrap_or("no GPU");
        eprintln!("nothing to measure: {} returned {}: {said}", wanted.library.display(), sample.view.status);
        eprintln!("run this on a machine with an NVIDIA GPU and driver, or set the path of the library with --library");
        return Ok(ExitCode::from(NOTHING_TO_MEASURE));
    }
    let xml = match &wanted.smi_xml {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| format!("--smi-xml {}: {error}", file.display()))?
        }
        None => printed(Command::new(&wanted.smi).args(["-q", "-x"])).map_err(|error| {
            format!(
                "{}: {error}; set the path of nvidia-smi with --smi, or give its output with --smi-xml",
                wanted.smi.display()
            )
        })?,
    };
    let gpus = smi::read(&xml).map_err(|error| {
        let source = wanted.smi_xml.as_ref().unwrap_or(&wanted.smi);
        format!("{}: {error}", source.display())
    })?;
    let rows = compare::compare(sample, &gpus);
    let mut text = heading(sample);
    table(&mut text, &rows);
    beside_dcgm(&mut text, sample);
    times(&mut text, &samples);
    print!("{text}");
    if let Some(file) = &wanted.save {
        std::fs::write(file, &text).map_err(|error| format!("--save {}: {error}", file.display()))?;
    }
    let differ = rows.iter().any(|row| matches!(row.agreement, Agreement::Different | Agreement::OnlySmi));
    Ok(if differ { ExitCode::from(THEY_DIFFER) } else { ExitCode::SUCCESS })
}

/// Asks a real sampler for all sections, `rounds` times.
fn sample(wanted: &Nvml) -> Result<Vec<Sample>, Box<dyn std::error::Error + Send + Sync>> {
    let built = cargo().args(["build", "--quiet", "--locked", "--package", "node-agent"]).status()?;
    if !built.success() {
        return Err("building the agent failed".into());
    }
    let agent = gpu_health_tests::product::built(&gpu_health_tests::product::binary_folder(), "gpu-health-agent")?;
    let mut child = Command::new(agent)
        .args(["probe", "sampler"])
        .arg("--nvml-library")
        .arg(&wanted.library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut ask), Some(told)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("the sampler has no pipes".into());
    };
    let mut lines = BufReader::new(told).lines();
    let mut samples = Vec::new();
    for id in 1..=u64::from(wanted.rounds) {
        serde_json::to_writer(&mut ask, &Ask { id, sections: Section::ALL.to_vec(), reload: false, timings: true })?;
        ask.write_all(b"\n")?;
        loop {
            let line = lines.next().ok_or("the sampler ended before it replied")??;
            match serde_json::from_str(&line)? {
                Said::Sample { sample, .. } => {
                    samples.push(*sample);
                    break;
                }
                Said::Hung(hung) => eprintln!("{} has not returned for {} ms", hung.call, hung.for_ms),
                Said::Event(event) => eprintln!("event from the driver: {event:?}"),
            }
        }
    }
    drop(ask);
    child.wait()?;
    Ok(samples)
}

fn printed(command: &mut Command) -> std::io::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(format!("it failed with {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn heading(sample: &Sample) -> String {
    let names: Vec<&str> = sample.view.gpus.iter().filter_map(|gpu| gpu.name.as_deref()).collect();
    let driver = sample.view.driver.as_deref().unwrap_or("unknown");
    let library = sample.library_version.as_deref().unwrap_or("unknown");
    format!("# {} x {}, driver {driver}, NVML {library}\n", names.len(), names.first().unwrap_or(&"unnamed GPU"))
}

fn table(text: &mut String, rows: &[Row]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n## Agent compared with nvidia-smi\n");
    let counts: Vec<String> =
        compare::tally(rows).iter().map(|(agreement, count)| format!("{count} {}", agreement.word())).collect();
    let _ = writeln!(text, "{}\n", counts.join(", "));
    let _ = writeln!(text, "| GPU | field | agent | nvidia-smi | result |\n|---|---|---|---|---|");
    for row in rows {
        let Row { gpu, field, ours, smi, agreement } = row;
        let _ = writeln!(text, "| {gpu} | {field} | {ours} | {smi} | {} |", agreement.word());
    }
}

fn beside_dcgm(text: &mut String, sample: &Sample) {
    if !is_installed("dcgmi") {
        let _ = writeln!(text, "\ndcgmi is not installed: no comparison with DCGM.");
        return;
    }
    match printed(Command::new("dcgmi").args(dcgm::arguments())) {
        Ok(said) => {
            let _ = writeln!(
                text,
                "\n## Agent compared with dcgmi\n\n| GPU | field | agent | dcgmi | result |\n|---|---|---|---|---|"
            );
            for (gpu, field, ours, theirs, equal) in dcgm::compare(sample, &dcgm::read(&said)) {
                let word = if equal { "equal" } else { "DIFFERENT" };
                let _ = writeln!(text, "| {gpu} | {field} | {ours} | {theirs} | {word} |");
            }
        }
        Err(error) => {
            let _ = writeln!(text, "\nno comparison with DCGM: dcgmi dmon: {error}");
        }
    }
}

/// The times of the first round are separate, because it loads the library.
fn times(text: &mut String, samples: &[Sample]) {
    let _ = writeln!(
        text,
        "\n## Duration of the calls, in microseconds\n\n| call | calls | mean | longest | longest in the first round |\n|---|---|---|---|---|"
    );
    let (first, rest) = samples.split_first().map_or((None, samples), |(first, rest)| (Some(first), rest));
    let mut names: Vec<&str> = samples.iter().flat_map(|sample| &sample.calls).map(|time| time.call.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |sample: &Sample| -> Vec<CallTime> {
            sample.calls.iter().filter(|time| time.call == name).cloned().collect()
        };
        let later: Vec<CallTime> = rest.iter().flat_map(of).collect();
        let calls: u64 = later.iter().map(|time| u64::from(time.count)).sum();
        let total: u64 = later.iter().map(|time| time.total_us).sum();
        let longest = later.iter().map(|time| time.longest_us).max();
        let at_first = first.into_iter().flat_map(of).map(|time| time.longest_us).max();
        let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let _ = writeln!(
            text,
            "| {name} | {calls} | {} | {} | {} |",
            shown(total.checked_div(calls)),
            shown(longest),
            shown(at_first)
        );
    }
}
