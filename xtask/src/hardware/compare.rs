//! Field by field: what the agent reads, and what nvidia-smi prints.

use super::fields::{FIELDS, Field, Moves, Ours, Value};
use super::smi::SmiGpu;
use node_agent::readings::Sample;

/// How the two sides of one field stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stands {
    /// The same.
    Equal,
    /// Not the same, within what changes between two readings.
    Moved,
    /// Neither side has it.
    Absent,
    /// Only we have it.
    OnlyOurs,
    /// Only nvidia-smi has it.
    OnlySmi,
    /// Not the same.
    Different,
}

impl Stands {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Moved => "moved",
            Self::Absent => "absent",
            Self::OnlyOurs => "only ours",
            Self::OnlySmi => "only nvidia-smi",
            Self::Different => "DIFFERENT",
        }
    }
}

/// One field of one GPU.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) gpu: String,
    pub(super) field: &'static str,
    pub(super) ours: String,
    pub(super) smi: String,
    pub(super) stands: Stands,
}

/// Every field of every GPU that either side shows. GPUs are joined by their PCI address.
pub(super) fn compare(sample: &Sample, smi: &[SmiGpu]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut joined = Vec::new();
    for gpu in &sample.view.gpus {
        let Some(address) = gpu.pci.as_deref() else { continue };
        let theirs = smi.iter().find(|other| other.pci().as_deref() == Some(address));
        let Some(readings) = sample.gpus.iter().find(|one| one.pci == address) else { continue };
        joined.push(address);
        let ours = Ours { driver: sample.view.driver.as_deref(), gpu, readings };
        match theirs {
            Some(theirs) => rows.extend(FIELDS.iter().map(|field| row(address, field, &ours, theirs))),
            None => rows.push(missing(address, Stands::OnlyOurs)),
        }
    }
    for theirs in smi {
        let address = theirs.pci().unwrap_or_else(|| "without an address".to_owned());
        if !joined.contains(&address.as_str()) {
            rows.push(missing(&address, Stands::OnlySmi));
        }
    }
    rows
}

fn missing(address: &str, stands: Stands) -> Row {
    let word = |there: bool| if there { "shown" } else { "-" }.to_owned();
    Row {
        gpu: address.to_owned(),
        field: "the GPU itself",
        ours: word(stands == Stands::OnlyOurs),
        smi: word(stands == Stands::OnlySmi),
        stands,
    }
}

fn row(address: &str, field: &Field, ours: &Ours<'_>, theirs: &SmiGpu) -> Row {
    let (ours, smi) = ((field.ours)(ours), (field.smi)(theirs));
    let stands = match (&ours, &smi) {
        (None, None) => Stands::Absent,
        (Some(_), None) => Stands::OnlyOurs,
        (None, Some(_)) => Stands::OnlySmi,
        (Some(one), Some(other)) if one == other => Stands::Equal,
        (Some(one), Some(other)) if is_near(one, other, field.moves) => Stands::Moved,
        (Some(_), Some(_)) => Stands::Different,
    };
    Row { gpu: address.to_owned(), field: field.name, ours: shown(ours.as_ref()), smi: shown(smi.as_ref()), stands }
}

fn is_near(one: &Value, other: &Value, moves: Moves) -> bool {
    match (moves, one, other) {
        (Moves::Freely, ..) => true,
        (Moves::By(limit), Value::Number(one), Value::Number(other)) => (one - other).abs() <= limit,
        (Moves::No | Moves::By(_), ..) => false,
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Flag(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
    }
}

/// How many rows stand how, in the order of the table's words.
pub(super) fn tally(rows: &[Row]) -> Vec<(Stands, usize)> {
    let all = [Stands::Equal, Stands::Moved, Stands::Absent, Stands::OnlyOurs, Stands::OnlySmi, Stands::Different];
    all.into_iter().map(|stands| (stands, rows.iter().filter(|row| row.stands == stands).count())).collect()
}

#[cfg(test)]
mod tests;
