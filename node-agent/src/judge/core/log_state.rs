//! How the kernel log is being read.

/// How the kernel log is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLog {
    /// The source, once one is open.
    pub source: Option<String>,
    /// Why the log cannot be read now.
    pub unreadable: Option<String>,
    /// When records were last lost, by the monotonic clock in milliseconds.
    pub overrun_at: Option<u64>,
    /// Targets other than GPUs that the log has named (NVSwitches).
    pub switches: Vec<String>,
    /// The GPUs known before the first inventory of this process.
    pub known_gpus: Vec<String>,
}
