//! `cargo xtask hardware`: what only a machine with real hardware can tell.
//!
//! `nvml` reads everything that the agent's sampler reads, reads `nvidia-smi -q -x` beside it, and prints field by field
//! what is equal, different and absent; then how long each call took, which is what the simulated library takes for
//! its `"timing": "real"`.

mod compare;
mod dcgm;
mod fields;
mod smi;

use crate::Outcome;
use crate::cargo::cargo;
use clap::{Args, Subcommand};
use compare::{Row, Stands};
use gpu_health_tests::product::seen::is_installed;
use node_agent::readings::sample::{CallTime, Sample, Section};
use node_agent::readings::talk::{Ask, Said};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

/// Exit status where there is no hardware to measure.
const NOTHING_TO_MEASURE: u8 = 2;
/// Exit status where the two sides differ.
const THEY_DIFFER: u8 = 1;

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Hardware {
    /// Our readings of the driver's library against nvidia-smi, and the time that each call takes
    Nvml(Nvml),
}

/// What it is measured with.
#[derive(Debug, Clone, Args)]
pub(crate) struct Nvml {
    /// Name or path of the driver's management library
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    library: PathBuf,
    /// Name or path of nvidia-smi
    #[arg(long, default_value = "nvidia-smi")]
    smi: PathBuf,
    /// Take what `nvidia-smi -q -x` printed from this file instead
    #[arg(long)]
    smi_xml: Option<PathBuf>,
    /// How often everything is read for the times
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Write the tables as Markdown to this file, too
    #[arg(long)]
    save: Option<PathBuf>,
}

/// Measures and prints. Exit status 0: they agree; 1: something is different; 2: there is nothing to measure.
pub(crate) fn run(hardware: &Hardware) -> Outcome {
    let Hardware::Nvml(wanted) = hardware;
    let samples = sample(wanted)?;
    let Some(sample) = samples.first() else { return Err("the sampler gave no sample".into()) };
    if sample.view.status != "Ok" || sample.gpus.is_empty() {
        let said = sample.view.message.as_deref().unwrap_or("it shows no GPU");
        eprintln!("nothing to measure: {} says {}: {said}", wanted.library.display(), sample.view.status);
        eprintln!("run this on a machine with an NVIDIA GPU and its driver, or name the library with --library");
        return Ok(ExitCode::from(NOTHING_TO_MEASURE));
    }
    let xml = match &wanted.smi_xml {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| format!("--smi-xml {}: {error}", file.display()))?
        }
        None => printed(Command::new(&wanted.smi).args(["-q", "-x"])).map_err(|error| {
            format!("{}: {error}; name it with --smi, or its output with --smi-xml", wanted.smi.display())
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
    let differ = rows.iter().any(|row| matches!(row.stands, Stands::Different | Stands::OnlySmi));
    Ok(if differ { ExitCode::from(THEY_DIFFER) } else { ExitCode::SUCCESS })
}

/// Asks a real sampler for everything, `rounds` times.
fn sample(wanted: &Nvml) -> Result<Vec<Sample>, Box<dyn std::error::Error + Send + Sync>> {
    let built = cargo().args(["build", "--quiet", "--locked", "--package", "node-agent"]).status()?;
    if !built.success() {
        return Err("the agent does not build".into());
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
        serde_json::to_writer(&mut ask, &Ask { id, sections: Section::ALL.to_vec(), timings: true })?;
        ask.write_all(b"\n")?;
        loop {
            let line = lines.next().ok_or("the sampler ended in the middle")??;
            match serde_json::from_str(&line)? {
                Said::Sample { sample, .. } => {
                    samples.push(*sample);
                    break;
                }
                Said::Hung(hung) => eprintln!("{} has not come back for {} ms", hung.call, hung.for_ms),
                Said::Event(event) => eprintln!("the driver tells an event: {event:?}"),
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
        return Err(std::io::Error::other(format!("it ended with {}", output.status)));
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
    let _ = writeln!(text, "\n## Our readings against nvidia-smi\n");
    let counts: Vec<String> =
        compare::tally(rows).iter().map(|(stands, count)| format!("{count} {}", stands.word())).collect();
    let _ = writeln!(text, "{}\n", counts.join(", "));
    let _ = writeln!(text, "| GPU | field | ours | nvidia-smi | stands |\n|---|---|---|---|---|");
    for row in rows {
        let Row { gpu, field, ours, smi, stands } = row;
        let _ = writeln!(text, "| {gpu} | {field} | {ours} | {smi} | {} |", stands.word());
    }
}

fn beside_dcgm(text: &mut String, sample: &Sample) {
    if !is_installed("dcgmi") {
        let _ = writeln!(text, "\ndcgmi is not installed: not compared.");
        return;
    }
    match printed(Command::new("dcgmi").args(dcgm::arguments())) {
        Ok(said) => {
            let _ = writeln!(
                text,
                "\n## Our readings against dcgmi\n\n| GPU | field | ours | dcgmi | stands |\n|---|---|---|---|---|"
            );
            for (gpu, field, ours, theirs, equal) in dcgm::compare(sample, &dcgm::read(&said)) {
                let word = if equal { "equal" } else { "DIFFERENT" };
                let _ = writeln!(text, "| {gpu} | {field} | {ours} | {theirs} | {word} |");
            }
        }
        Err(error) => {
            let _ = writeln!(text, "\ndcgmi dmon could not be compared: {error}");
        }
    }
}

/// The first round loads the library; its times are told apart.
fn times(text: &mut String, samples: &[Sample]) {
    let _ = writeln!(
        text,
        "\n## Times of the calls, in microseconds\n\n| call | calls | mean | longest | longest of the first round |\n|---|---|---|---|---|"
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
