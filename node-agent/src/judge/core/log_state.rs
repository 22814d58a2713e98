//! How the kernel log is being read.

use crds::Time;

/// How the kernel log is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLog {
    /// The source, once one is open.
    pub source: Option<String>,
    /// Why the log cannot be read now.
    pub unreadable: Option<String>,
    /// When records were last lost, by the monotonic clock in milliseconds.
    pub overrun_at: Option<u64>,
    /// When the driver's kernel module was last loaded on this boot, as the log says.
    pub driver_loaded_at: Option<Time>,
    /// Targets other than GPUs that the log has named (NVSwitches).
    pub switches: Vec<String>,
    /// The GPUs known before the first inventory of this process.
    pub known_gpus: Vec<String>,
}

impl KernelLog {
    /// When the last loss of records stops counting, by the monotonic clock in milliseconds: one interval after it.
    /// Whatever was lost has shown itself to other checks by then, or will again.
    pub fn overrun_ends(&self, interval_seconds: i64) -> Option<u64> {
        let interval_ms = u64::try_from(interval_seconds).unwrap_or(0).saturating_mul(1000);
        self.overrun_at.map(|at| at.saturating_add(interval_ms))
    }
}
