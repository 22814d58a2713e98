//! The baselines that hold no counters: how far the kernel log was read, and what it named.

use crds::node_health::Baseline;

/// Target of the baseline that stores the position in the kernel log.
pub(super) const KERNEL_LOG: &str = "kernelLog";
/// Target of the baseline that stores the switches named in the log.
pub(super) const SWITCHES: &str = "nvswitch";

/// Whether the baseline is one of these.
pub(super) fn is_position(baseline: &Baseline) -> bool {
    [KERNEL_LOG, SWITCHES].contains(&baseline.target.as_str())
}
