//! Where the machine is read: the flags that `run` and `check` share.

use crate::dispatch::Places;
use std::path::PathBuf;

// No doc comment: clap would take it for the description of the command.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PlaceArgs {
    /// Where /proc is mounted.
    #[arg(long, default_value = "/proc")]
    pub(crate) proc_root: PathBuf,
    /// Where /sys is mounted.
    #[arg(long, default_value = "/sys")]
    pub(crate) sysfs_root: PathBuf,
    /// Where /dev is mounted.
    #[arg(long, default_value = "/dev")]
    pub(crate) dev_root: PathBuf,
    /// Name or path of the NVIDIA management library.
    #[arg(long, default_value = "libnvidia-ml.so.1")]
    nvml_library: PathBuf,
    /// A call into the library that has not returned after this many milliseconds counts as hung.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    call_deadline_ms: u64,
    /// The same for the start of the library, which may take half a minute on a healthy node.
    #[arg(long, default_value_t = 120_000, value_parser = clap::value_parser!(u64).range(100..=120_000))]
    init_deadline_ms: u64,
}

impl PlaceArgs {
    /// These places, without custom checks and with the iperf3 of the PATH.
    pub(crate) fn places(self) -> Places {
        Places {
            sysfs_root: self.sysfs_root,
            proc_root: self.proc_root,
            dev_root: self.dev_root,
            nvml_library: self.nvml_library,
            call_deadline_ms: self.call_deadline_ms,
            init_deadline_ms: self.init_deadline_ms,
            custom_directory: None,
            custom_same_user: false,
            iperf3: "iperf3".into(),
        }
    }
}
