//! The paths of tools and trees.

use std::path::PathBuf;

/// The paths of tools and trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Root of the tree that is `/sys` on a node.
    pub sysfs_root: PathBuf,
    /// Root of the tree that is `/proc` on a node.
    pub proc_root: PathBuf,
    /// Root of the tree that is `/dev` on a node.
    pub dev_root: PathBuf,
    /// Name or path of the NVIDIA management library.
    pub nvml_library: PathBuf,
    /// A call into the library that takes longer counts as hung, in milliseconds.
    pub call_deadline_ms: u64,
    /// The same for the start of the library, in milliseconds.
    pub init_deadline_ms: u64,
    /// The directory of the user's own checks, if there is one.
    pub custom_directory: Option<PathBuf>,
    /// Run these checks under the runner's own uid.
    pub custom_same_user: bool,
    /// Name or path of iperf3.
    pub iperf3: PathBuf,
}
