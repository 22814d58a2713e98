//! The spec for a single run: which monitors, and the expected hardware.

use crds::node_hardware_profile::NodeHardwareProfileSpec;
use crds::node_health::{Expected, Monitor, NodeHealthSpec};
use crds::{Check, NodeHardwareProfile};
use std::path::PathBuf;

/// An invalid command line or profile.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A flag.
    #[error("{flag}: {problem}; {remedy}")]
    Argument {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// What to write instead.
        remedy: String,
    },
    /// The profile cannot be read.
    #[error("--profile {}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a profile.
    #[error("--profile {}: not a NodeHardwareProfile in YAML or JSON; see examples/profile-h100.yaml", path.display())]
    Profile {
        /// The file.
        path: PathBuf,
        /// Why: names the field.
        #[source]
        source: serde_yaml::Error,
    },
}

impl OrderError {
    pub(super) fn argument(flag: &'static str, problem: String, remedy: &str) -> Self {
        Self::Argument { flag, problem, remedy: remedy.to_owned() }
    }
}

/// Every check that this version runs as a monitor of an agent.
pub(super) fn monitors() -> impl Iterator<Item = Check> {
    Check::ALL.iter().copied().filter(|check| check.is_monitor() && check.is_built() && *check != Check::Drift)
}

/// The monitor of this name.
pub(super) fn monitor(name: &str) -> Result<Check, OrderError> {
    monitors().find(|check| check.name() == name).ok_or_else(|| {
        let names: Vec<&str> = monitors().map(Check::name).collect();
        OrderError::argument(
            "--checks",
            format!("there is no check {name}"),
            &format!("choose from {}", names.join(", ")),
        )
    })
}

/// The spec of a NodeHealth with these monitors (all if none is named). No boot grace: the user wants an answer now.
pub(super) fn spec(checks: &[Check]) -> NodeHealthSpec {
    let mut named: Vec<Check> = if checks.is_empty() { monitors().collect() } else { checks.to_vec() };
    // The inventory is needed to name what was judged; its row is shown only if it was asked for.
    if !named.contains(&Check::Inventory) {
        named.push(Check::Inventory);
    }
    let monitors = named.iter().map(|check| Monitor { name: check.name().to_owned(), interval_seconds: None });
    NodeHealthSpec { monitors: monitors.collect(), boot_grace_seconds: Some(0), ..NodeHealthSpec::default() }
}

/// The spec with what this profile declares.
pub(super) fn with_profile(spec: NodeHealthSpec, profile: &NodeHardwareProfile) -> NodeHealthSpec {
    let NodeHardwareProfileSpec { priority: _, match_: _, gpus, network, nvlink_domain_label: _, floors } =
        profile.spec.clone();
    let expected = Expected { generation: 0, gpus, network, floors };
    NodeHealthSpec { profile: profile.metadata.name.clone(), expected: Some(expected.into()), ..spec }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_there_is_not_is_named_with_those_that_there_are() {
        let error = monitor("astrology").unwrap_err().to_string();
        assert!(error.contains("--checks") && error.contains("astrology") && error.contains("xid"), "{error}");
    }

    #[test]
    fn without_a_profile_nothing_is_expected() {
        let spec = spec(&[Check::Xid]);
        assert_eq!(spec.expected, None);
        assert_eq!(spec.monitors.iter().map(|monitor| monitor.name.as_str()).collect::<Vec<_>>(), ["xid", "inventory"]);
    }

    #[test]
    fn a_profile_that_is_none_is_refused_by_file_and_field() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yaml");
        std::fs::write(&file, "apiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHardwareProfile\nmetadata: {name: x}\nspec: {match: {instanceTypes: [x]}, gpus: {count: many}}\n").unwrap();
        let error = crate::check::profiles::Profiles::read(&file).unwrap_err();
        let said = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(said.contains("p.yaml") && said.contains("count"), "{said}");
    }
}
