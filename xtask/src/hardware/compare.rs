//! Compares the agent's readings with the output of nvidia-smi, field by field.

use super::fields::{FIELDS, Field, Moves, Ours, Value};
use super::smi::SmiGpu;
use node_agent::readings::Sample;

/// Result of comparing one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Agreement {
    /// Equal.
    Equal,
    /// Different, but within the range that the field changes between two readings.
    Moved,
    /// Neither side has the field.
    Absent,
    /// Only the agent has the field.
    OnlyAgent,
    /// Only nvidia-smi has the field.
    OnlySmi,
    /// Different.
    Different,
}

impl Agreement {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Moved => "moved",
            Self::Absent => "absent",
            Self::OnlyAgent => "only agent",
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
    pub(super) agreement: Agreement,
}

/// All fields of all GPUs that either side has. GPUs are matched by PCI address.
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
            None => rows.push(missing(address, Agreement::OnlyAgent)),
        }
    }
    for theirs in smi {
        let address = theirs.pci().unwrap_or_else(|| "no PCI address".to_owned());
        if !joined.contains(&address.as_str()) {
            rows.push(missing(&address, Agreement::OnlySmi));
        }
    }
    rows
}

fn missing(address: &str, agreement: Agreement) -> Row {
    let word = |there: bool| if there { "present" } else { "-" }.to_owned();
    Row {
        gpu: address.to_owned(),
        field: "the GPU itself",
        ours: word(agreement == Agreement::OnlyAgent),
        smi: word(agreement == Agreement::OnlySmi),
        agreement,
    }
}

fn row(address: &str, field: &Field, ours: &Ours<'_>, theirs: &SmiGpu) -> Row {
    let (ours, smi) = ((field.ours)(ours), (field.smi)(theirs));
    let agreement = match (&ours, &smi) {
        (None, None) => Agreement::Absent,
        (Some(_), None) => Agreement::OnlyAgent,
        (None, Some(_)) => Agreement::OnlySmi,
        (Some(one), Some(other)) if one == other => Agreement::Equal,
        (Some(one), Some(other)) if is_near(one, other, field.moves) => Agreement::Moved,
        (Some(_), Some(_)) => Agreement::Different,
    };
    Row { gpu: address.to_owned(), field: field.name, ours: shown(ours.as_ref()), smi: shown(smi.as_ref()), agreement }
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

/// The number of rows by result.
pub(super) fn tally(rows: &[Row]) -> Vec<(Agreement, usize)> {
    let all = [
        Agreement::Equal,
        Agreement::Moved,
        Agreement::Absent,
        Agreement::OnlyAgent,
        Agreement::OnlySmi,
        Agreement::Different,
    ];
    all.into_iter().map(|agreement| (agreement, rows.iter().filter(|row| row.agreement == agreement).count())).collect()
}

#[cfg(test)]
mod tests;
