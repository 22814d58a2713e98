//! The table for people: the machine, the GPUs, the checks, and what to do.

use super::outcome::{Looked, Verdict};
use super::paint::Paint;
use crds::node_health::{CheckRow, Finding, Gpu};
use crds::{Outcome, Severity};
use std::fmt::Write as _;

/// Columns to which a message is folded.
const WIDTH: usize = 100;

/// The whole text.
pub(super) fn of(looked: &Looked, paint: Paint) -> String {
    let mut text = heading(looked, paint);
    if !looked.inventory.gpus.is_empty() {
        text.push('\n');
        text.push_str(&gpus(looked, paint));
    }
    text.push('\n');
    text.push_str(&checks(looked, paint));
    if !looked.findings.is_empty() {
        text.push('\n');
        text.push_str(&findings(looked, paint));
    }
    text.push('\n');
    text.push_str(&conclusion(looked, paint));
    text
}

fn heading(looked: &Looked, paint: Paint) -> String {
    let inventory = &looked.inventory;
    let mut parts = Vec::new();
    let mut models: Vec<(&str, usize)> = Vec::new();
    for gpu in &inventory.gpus {
        let model = gpu.model.as_deref().unwrap_or("accelerator of unknown model");
        match models.iter_mut().find(|(known, _)| *known == model) {
            Some((_, count)) => *count += 1,
            None => models.push((model, 1)),
        }
    }
    parts.extend(models.iter().map(|(model, count)| format!("{count} x {model}")));
    parts.extend(inventory.driver.as_ref().map(|driver| format!("driver {driver}")));
    parts.extend(looked.profile.as_ref().map(|profile| format!("profile {profile}")));
    parts
        .push(looked.kernel_log.as_ref().map_or_else(|| "no kernel log".to_owned(), |log| format!("kernel log {log}")));
    format!("{}: {}\n", paint.bold(&looked.node), parts.join(", "))
}

fn gpus(looked: &Looked, paint: Paint) -> String {
    let rows: Vec<[String; 5]> = looked
        .inventory
        .gpus
        .iter()
        .map(|gpu| {
            let worst = looked.findings.iter().find(|finding| is_about(finding, gpu));
            let (health, why) = match worst {
                Some(finding) => {
                    (word(&finding.outcome, &finding.severity), format!("{} {}", finding.check, finding.reason))
                }
                None if is_judged(looked, gpu) => ("ok".to_owned(), String::new()),
                None => ("?".to_owned(), "not judged".to_owned()),
            };
            let index = gpu.index.map_or_else(|| "-".to_owned(), |index| index.to_string());
            [index, gpu.pci_address.to_string(), gpu.serial.as_deref().unwrap_or("-").to_owned(), health, why]
        })
        .collect();
    columns(["GPU", "ADDRESS", "SERIAL", "HEALTH", "WHY"], &rows, |row, cell, text| {
        let gpu = looked.inventory.gpus.get(row);
        let worst = looked.findings.iter().find(|finding| gpu.is_some_and(|gpu| is_about(finding, gpu)));
        let unjudged = gpu.is_some_and(|gpu| !is_judged(looked, gpu));
        let well = if unjudged { Outcome::Inconclusive } else { Outcome::Pass };
        let outcome = worst.map_or(well, |finding| finding.outcome.clone());
        if cell == 3 { paint.outcome(&outcome, text) } else { text.to_owned() }
    })
}

/// Whether any check could judge the GPU.
fn is_judged(looked: &Looked, gpu: &Gpu) -> bool {
    looked.rows.iter().any(|row| row.covers(&gpu.pci_address))
}

/// A finding of the GPU, or of one of its links.
fn is_about(finding: &Finding, gpu: &Gpu) -> bool {
    finding.target.split('/').next() == Some(gpu.pci_address.as_str())
}

fn word(outcome: &Outcome, severity: &Severity) -> String {
    match outcome {
        Outcome::Fail => severity.label().to_uppercase(),
        other => other.as_str().to_lowercase(),
    }
}

fn checks(looked: &Looked, paint: Paint) -> String {
    let rows: Vec<[String; 4]> = looked
        .rows
        .iter()
        .map(|row| {
            let covered = covered(row);
            let why = match (&row.reason, &row.message) {
                (Some(reason), Some(message)) => format!("{reason}: {message}"),
                (Some(reason), None) if row.outcome != Outcome::Pass => reason.clone(),
                _ => String::new(),
            };
            [row.check.clone(), row.outcome.as_str().to_owned(), covered, cut(&why)]
        })
        .collect();
    columns(["CHECK", "OUTCOME", "COVERED", "WHY"], &rows, |row, cell, text| {
        let outcome = looked.rows.get(row).map(|row| row.outcome.clone()).unwrap_or_default();
        if cell == 1 { paint.outcome(&outcome, text) } else { text.to_owned() }
    })
}

fn covered(row: &CheckRow) -> String {
    let gpus = row.covered.iter().filter(|target| target.contains(':') && !target.contains("/link")).count();
    let others = row.covered.iter().filter(|target| !target.contains(':') && *target != "node").count();
    let mut parts = Vec::new();
    if gpus > 0 {
        parts.push(format!("{gpus} GPU{}", if gpus == 1 { "" } else { "s" }));
    }
    if others > 0 {
        parts.push(format!("{others} port{}", if others == 1 { "" } else { "s" }));
    }
    if parts.is_empty() && row.covered.iter().any(|target| target == "node") {
        parts.push("node".to_owned());
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH { text.to_owned() } else { text.chars().take(WIDTH - 1).chain(['…']).collect() }
}

fn findings(looked: &Looked, paint: Paint) -> String {
    let mut text = String::new();
    for finding in &looked.findings {
        let gpu = looked.inventory.gpus.iter().find(|gpu| is_about(finding, gpu));
        let name = gpu.and_then(|gpu| gpu.index).map(|index| format!("GPU{index} ")).unwrap_or_default();
        // Most messages say by themselves which part they are about.
        let place = if finding.message.contains(&finding.target) {
            String::new()
        } else {
            format!("{name}{}: ", finding.target)
        };
        let label = word(&finding.outcome, &finding.severity);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} {place}{} [{} {}]",
            paint.outcome(&finding.outcome, &label),
            finding.message,
            finding.check,
            finding.reason
        );
        if let Some(evidence) =
            finding.evidence.as_ref().filter(|evidence| !finding.message.contains(evidence.as_str()))
        {
            let _ = writeln!(text, "    {evidence}");
        }
    }
    text
}

fn conclusion(looked: &Looked, paint: Paint) -> String {
    let verdict = looked.verdict();
    let (outcome, sentence) = match verdict {
        Verdict::Healthy => (Outcome::Pass, "Healthy: everything that was asked for was judged, and nothing failed.".to_owned()),
        Verdict::Failed => (Outcome::Fail, format!("Failed: {}", cure(&looked.severity()))),
        Verdict::Inconclusive => (
            Outcome::Inconclusive,
            "Not judged: nothing failed, but not everything was judged. Checks that are Inconclusive say why above.".to_owned(),
        ),
        Verdict::NoAccelerator => (
            Outcome::Inconclusive,
            "No accelerator: neither PCI nor the driver shows one, so there is nothing to judge. For files of another machine name --sysfs-root, --proc-root, --nvml-library and --kernel-log.".to_owned(),
        ),
    };
    let gaps = looked.unjudged.iter().map(|gap| format!("Not judged: {gap}"));
    gaps.chain([paint.outcome(&outcome, &sentence), String::new()]).collect::<Vec<_>>().join("\n")
}

fn cure(severity: &Severity) -> &'static str {
    match severity {
        Severity::Reset => "drain the node and reset the GPU.",
        Severity::Reboot => "drain the node and reboot it.",
        Severity::Isolate => "drain the node and have the part replaced.",
        Severity::None | Severity::Monitor | Severity::Unrecognized(_) => "nothing to cure yet; keep an eye on it.",
    }
}

/// Left-aligned columns, each as wide as its widest cell; the last is not padded. `dress` paints a padded cell.
fn columns<const N: usize>(
    heads: [&str; N],
    rows: &[[String; N]],
    dress: impl Fn(usize, usize, &str) -> String,
) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or(0)
    };
    let mut text = String::new();
    let mut line = |cells: [String; N]| {
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    };
    line(std::array::from_fn(|column| format!("{:<1$}", heads[column], width(column))));
    for (at, row) in rows.iter().enumerate() {
        line(std::array::from_fn(|column| {
            let padded =
                if column + 1 == N { row[column].clone() } else { format!("{:<1$}", row[column], width(column)) };
            dress(at, column, &padded)
        }));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Color;
    use crds::node_health::Inventory;

    fn looked() -> Looked {
        let gpu = |index: i64| Gpu {
            pci_address: format!("0000:{:02x}:00.0", 0x18 + index * 0x11).into(),
            index: Some(index),
            serial: Some(format!("SIM000000000{}", index + 1).into()),
            model: Some("NVIDIA H100 80GB HBM3".into()),
            ..Gpu::default()
        };
        let gpus: Vec<Gpu> = (0..3).map(gpu).collect();
        let all: Vec<String> = gpus.iter().map(|gpu| gpu.pci_address.to_string()).collect();
        Looked {
            node: "host-1".into(),
            profile: None,
            kernel_log: Some("kmsg:/dev/kmsg".into()),
            inventory: Inventory { driver: Some("570.86.15".into()), gpus, ..Inventory::default() },
            rows: vec![
                CheckRow {
                    check: "rowRemap".into(),
                    outcome: Outcome::Fail,
                    covered: all.into(),
                    reason: Some("RemapPending".into()),
                    ..CheckRow::default()
                },
                CheckRow {
                    check: "efa".into(),
                    outcome: Outcome::Skipped,
                    reason: Some("NoDevice".into()),
                    ..CheckRow::default()
                },
            ],
            findings: vec![Finding {
                check: "rowRemap".into(),
                target: "0000:29:00.0".into(),
                outcome: Outcome::Fail,
                severity: Severity::Reset,
                reason: "RemapPending".into(),
                message: "a row remapping waits for a reset".into(),
                ..Finding::default()
            }],
            unjudged: Vec::new(),
        }
    }

    #[test]
    fn the_bad_gpu_its_reason_and_the_cure_can_be_read_at_a_glance() {
        let text = of(&looked(), Paint::new(Color::Never, false));
        assert_eq!(
            text,
            "host-1: 3 x NVIDIA H100 80GB HBM3, driver 570.86.15, kernel log kmsg:/dev/kmsg\n\n\
             GPU  ADDRESS       SERIAL         HEALTH  WHY\n\
             0    0000:18:00.0  SIM0000000001  ok\n\
             1    0000:29:00.0  SIM0000000002  RESET   rowRemap RemapPending\n\
             2    0000:3a:00.0  SIM0000000003  ok\n\n\
             CHECK     OUTCOME  COVERED  WHY\n\
             rowRemap  Fail     3 GPUs   RemapPending\n\
             efa       Skipped  -        NoDevice\n\n\
             RESET GPU1 0000:29:00.0: a row remapping waits for a reset [rowRemap RemapPending]\n\n\
             Failed: drain the node and reset the GPU.\n"
        );
    }

    #[test]
    fn colours_are_there_only_when_wanted() {
        assert!(!of(&looked(), Paint::new(Color::Never, true)).contains('\x1b'));
        assert!(of(&looked(), Paint::new(Color::Always, false)).contains("\x1b[1;31m"));
    }
}
