//! Parses `nvidia-smi -q -x`: one element per GPU, values as text with units, `N/A` for missing values.

use std::collections::BTreeMap;

/// The values of each GPU by path below `<gpu>`, such as `ecc_errors/volatile/dram_uncorrectable`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SmiGpu {
    values: BTreeMap<String, String>,
}

/// Why the document cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SmiError {
    #[error("not the XML that nvidia-smi -q -x prints: {0}")]
    NotXml(#[source] roxmltree::Error),
    #[error("the root element is {0}, not nvidia_smi_log")]
    OtherRoot(String),
}

/// Parses the document.
pub(super) fn read(text: &str) -> Result<Vec<SmiGpu>, SmiError> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
    let document = roxmltree::Document::parse_with_options(text, options).map_err(SmiError::NotXml)?;
    let root = document.root_element();
    if !root.has_tag_name("nvidia_smi_log") {
        return Err(SmiError::OtherRoot(root.tag_name().name().to_owned()));
    }
    let driver = child_text(root, "driver_version");
    let gpus = root.children().filter(|node| node.has_tag_name("gpu"));
    Ok(gpus
        .map(|gpu| {
            let mut values = BTreeMap::new();
            collect(gpu, "", &mut values);
            values.extend(driver.clone().map(|driver| ("driver_version".to_owned(), driver)));
            SmiGpu { values }
        })
        .collect())
}

fn child_text(node: roxmltree::Node<'_, '_>, name: &str) -> Option<String> {
    node.children().find(|child| child.has_tag_name(name))?.text().map(|text| text.trim().to_owned())
}

/// Skips MIG devices, which repeat the element names of their GPU. The first of several equal paths is used.
fn collect(node: roxmltree::Node<'_, '_>, path: &str, values: &mut BTreeMap<String, String>) {
    for child in node.children().filter(roxmltree::Node::is_element) {
        let name = child.tag_name().name();
        if matches!(name, "mig_devices" | "processes" | "supported_clocks") {
            continue;
        }
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if child.children().any(|below| below.is_element()) {
            collect(child, &path, values);
        } else if let Some(text) = child.text() {
            values.entry(path).or_insert_with(|| text.trim().to_owned());
        }
    }
}

impl SmiGpu {
    /// The text at the first of these paths that has a value. `N/A` and similar texts count as no value.
    pub(super) fn text(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().filter_map(|path| self.values.get(*path)).map(String::as_str).find(|text| !is_absent(text))
    }

    /// The PCI address in the form of sysfs.
    pub(super) fn pci(&self) -> Option<String> {
        let said = self.text(&["pci/pci_bus_id"])?;
        Some(said.parse::<node_agent::pci::PciAddress>().map_or_else(|_| said.to_owned(), |pci| pci.to_string()))
    }

    /// The number before the unit: `67.03 W`, `16x`, `512 bank(s)`.
    pub(super) fn number(&self, paths: &[&str]) -> Option<f64> {
        let text = self.text(paths)?;
        let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '-')).unwrap_or(text.len());
        text[..end].parse().ok()
    }

    /// `Yes`, `Enabled`, `Active` and `1` are true; their opposites are false.
    pub(super) fn flag(&self, paths: &[&str]) -> Option<bool> {
        match self.text(paths)? {
            "Yes" | "Enabled" | "Active" | "1" => Some(true),
            "No" | "Disabled" | "Not Active" | "0" => Some(false),
            _ => None,
        }
    }
}

fn is_absent(text: &str) -> bool {
    text.is_empty()
        || matches!(text, "N/A" | "[N/A]" | "[Not Supported]")
        || text.starts_with("Requested functionality has been deprecated")
        || text.starts_with("Unknown Error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_path_and_units_are_cut() {
        let gpus = read(include_str!("testdata/a100-sxm4-mig.xml")).unwrap();
        assert_eq!(gpus.len(), 1);
        assert_eq!(gpus[0].number(&["gpu_power_readings/power_draw"]), Some(67.03));
        assert_eq!(gpus[0].number(&["pci/pci_gpu_link_info/link_widths/current_link_width"]), Some(16.0));
        assert_eq!(gpus[0].number(&["fb_memory_usage/total"]), Some(81_920.0), "the GPU's, not a MIG device's");
        assert_eq!(gpus[0].text(&["remapped_rows"]), None);
        assert_eq!(gpus[0].flag(&["mig_mode/current_mig"]), Some(true));
    }

    #[test]
    fn a_document_that_is_not_from_nvidia_smi_is_rejected_with_its_root_element() {
        assert!(read("NVIDIA-SMI has failed").unwrap_err().to_string().contains("not the XML"));
        assert!(read("<html/>").unwrap_err().to_string().contains("html"));
    }
}
