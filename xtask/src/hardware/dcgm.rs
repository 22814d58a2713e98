//! `dcgmi dmon`: DCGM's readings of the same counters, if DCGM is installed.

use node_agent::readings::Sample;
use std::collections::BTreeMap;

/// A field of DCGM (dcgm_fields.h) and the agent's counterpart.
struct DcgmField {
    id: u32,
    name: &'static str,
    ours: fn(&node_agent::readings::sample::GpuReadings) -> Option<u64>,
}

/// Fields whose value does not change without a fault.
static FIELDS: &[DcgmField] = &[
    DcgmField { id: 202, name: "PCIe replays", ours: |g| g.pcie.as_ref()?.replays },
    DcgmField { id: 310, name: "ECC volatile corrected", ours: |g| g.ecc.as_ref()?.volatile_corrected },
    DcgmField { id: 311, name: "ECC volatile uncorrected", ours: |g| g.ecc.as_ref()?.volatile_uncorrected },
    DcgmField { id: 393, name: "rows remapped, uncorrectable", ours: |g| g.row_remap.as_ref()?.uncorrectable },
    DcgmField { id: 394, name: "rows remapped, correctable", ours: |g| g.row_remap.as_ref()?.correctable },
];

/// The arguments of dcgmi for reading all fields once.
pub(super) fn arguments() -> Vec<String> {
    let ids: Vec<String> = FIELDS.iter().map(|field| field.id.to_string()).collect();
    ["dmon", "-c", "1", "-e", &ids.join(",")].map(str::to_owned).to_vec()
}

/// Parses rows of the form `GPU 0    0    0 …`, by GPU index. Lines that begin with `#` and the line with units are headings.
pub(super) fn read(text: &str) -> BTreeMap<u32, Vec<Option<u64>>> {
    let mut gpus = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("GPU") {
            continue;
        }
        let Some(index) = words.next().and_then(|word| word.parse().ok()) else { continue };
        gpus.insert(index, words.map(|word| word.parse().ok()).collect());
    }
    gpus
}

/// Lines of the table: GPU index, field, the agent's value, DCGM's value, and whether they agree.
pub(super) fn compare(
    sample: &Sample,
    dcgm: &BTreeMap<u32, Vec<Option<u64>>>,
) -> Vec<(u32, &'static str, String, String, bool)> {
    let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let mut lines = Vec::new();
    for gpu in &sample.view.gpus {
        let readings = sample.gpus.iter().find(|one| Some(one.pci.as_str()) == gpu.pci.as_deref());
        let (Some(readings), Some(theirs)) = (readings, dcgm.get(&gpu.index)) else { continue };
        for (at, field) in FIELDS.iter().enumerate() {
            let (ours, theirs) = ((field.ours)(readings), theirs.get(at).copied().flatten());
            lines.push((gpu.index, field.name, shown(ours), shown(theirs), ours == theirs));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_dmon_are_read_and_headings_are_not() {
        let text = "#Entity   PCIRP  ESVTL\nID\nGPU 0     0      3\nGPU 11    N/A    0\n";
        let read = read(text);
        assert_eq!(read[&0], [Some(0), Some(3)]);
        assert_eq!(read[&11], [None, Some(0)]);
        assert_eq!(read.len(), 2);
    }
}
