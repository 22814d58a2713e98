//! Where the machine is read and which programs are run: the flags that the runner decides by. A client of the runner
//! names a probe and what to measure; it names no path and no user.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

// No doc comments on these three: clap would take them for the description of the command.
#[allow(missing_docs, reason = "clap would show it as the description of the command")]
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Places {
    /// Where the machine is read.
    #[command(flatten)]
    pub machine: Machine,
    /// The programs that probes run.
    #[command(flatten)]
    pub tools: Tools,
}

#[allow(missing_docs, reason = "as above")]
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Machine {
    /// Where /proc is mounted.
    #[arg(long, default_value = "/proc")]
    pub proc_root: PathBuf,
    /// Where /sys is mounted.
    #[arg(long, default_value = "/sys")]
    pub sysfs_root: PathBuf,
    /// Where /dev is mounted.
    #[arg(long, default_value = "/dev")]
    pub dev_root: PathBuf,
    /// Name or path of the NVIDIA management library.
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    pub nvml_library: PathBuf,
    /// A call into the library that has not returned after this many milliseconds counts as hung.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub call_deadline_ms: u64,
    /// The same for the start of the library, which may take half a minute on a healthy node.
    #[arg(long, default_value_t = 120_000, value_parser = clap::value_parser!(u64).range(100..=120_000))]
    pub init_deadline_ms: u64,
}

#[allow(missing_docs, reason = "as above")]
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Tools {
    /// Directory of the custom checks. No program outside of it is run.
    #[arg(long)]
    pub custom_directory: Option<PathBuf>,
    /// Run custom checks with the runner's own uid instead of 65534.
    #[arg(long)]
    pub custom_same_user: bool,
    /// Name or path of iperf3.
    #[arg(long, default_value = "iperf3")]
    pub iperf3: PathBuf,
}

impl Default for Tools {
    /// No custom checks, and the iperf3 of the PATH.
    fn default() -> Self {
        Self { custom_directory: None, custom_same_user: false, iperf3: "iperf3".into() }
    }
}

impl Places {
    /// These places as flags, for a runner that is started as a child.
    pub fn flags(&self) -> Vec<OsString> {
        let Machine { proc_root, sysfs_root, dev_root, nvml_library, call_deadline_ms, init_deadline_ms } =
            &self.machine;
        let Tools { custom_directory, custom_same_user, iperf3 } = &self.tools;
        let (deadline, of_init) = (call_deadline_ms.to_string(), init_deadline_ms.to_string());
        let mut flags = vec![
            flag("--proc-root", proc_root),
            flag("--sysfs-root", sysfs_root),
            flag("--dev-root", dev_root),
            flag("--nvml-library", nvml_library),
            flag("--call-deadline-ms", &deadline),
            flag("--init-deadline-ms", &of_init),
            flag("--iperf3", iperf3),
        ];
        flags.extend(custom_directory.as_ref().map(|directory| flag("--custom-directory", directory)));
        flags.extend(custom_same_user.then(|| "--custom-same-user".into()));
        flags
    }
}

fn flag(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(value);
    flag
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::probe::start::any_path;
    use clap::Parser;
    use proptest::prelude::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        places: Places,
    }

    /// Any places that the command line accepts.
    pub(in crate::probe) fn any_places() -> impl Strategy<Value = Places> {
        let deadlines = (100..=600_000_u64, 100..=120_000_u64);
        let machine = (any_path(), any_path(), any_path(), any_path(), deadlines);
        let tools = (proptest::option::of(any_path()), any::<bool>(), any_path());
        (machine, tools).prop_map(
            |((proc_root, sysfs_root, dev_root, nvml_library, (call_deadline_ms, init_deadline_ms)), tools)| Places {
                machine: Machine { proc_root, sysfs_root, dev_root, nvml_library, call_deadline_ms, init_deadline_ms },
                tools: Tools { custom_directory: tools.0, custom_same_user: tools.1, iperf3: tools.2 },
            },
        )
    }

    proptest! {
        #[test]
        fn a_child_runner_reads_the_places_of_its_reporter(places in any_places()) {
            let line = std::iter::once(OsString::from("runner")).chain(places.flags());
            prop_assert_eq!(Line::try_parse_from(line).unwrap().places, places);
        }
    }
}
