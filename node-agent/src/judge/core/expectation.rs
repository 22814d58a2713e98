//! What the node is expected to be, and how often each monitor runs.

use crate::time::Now;
use crds::check::Check;
use crds::node_hardware_profile::ExpectedGpus;
use crds::node_health::{Monitor, NodeHealthSpec};
use crds::{Time, reason};

/// How often a monitor runs if the spec does not say, in seconds (the default of `spec.monitors.intervalSeconds`).
pub const DEFAULT_INTERVAL_SECONDS: i64 = 60;

/// What the node is expected to be, and whether it is under maintenance.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The spec of the NodeHealth; `None` until it exists.
    pub spec: Option<&'a NodeHealthSpec>,
    /// When the node booted, by its own clock. If unknown, there is no boot grace.
    pub booted_at: Option<Time>,
}

impl Expectation<'_> {
    /// Why driver checks are suspended now, if they are.
    pub fn pause(&self, now: Now) -> Option<&'static str> {
        if self.in_maintenance() {
            return Some(reason::MAINTENANCE);
        }
        self.boot_grace_ends().filter(|end| now.wall() < *end).map(|_| reason::BOOT_GRACE)
    }

    /// What the profile declares about accelerators, and how many there must be; `None` if it gives no number.
    pub fn declared_gpus(&self) -> Option<(&ExpectedGpus, usize)> {
        let gpus = self.spec?.expected.as_ref()?.gpus.as_ref()?;
        Some((gpus, usize::try_from(gpus.count?).ok()?))
    }

    /// Whether the node is under maintenance.
    pub fn in_maintenance(&self) -> bool {
        self.spec.is_some_and(|spec| spec.maintenance.is_some())
    }

    /// When the boot grace ends, by the node's clock.
    pub fn boot_grace_ends(&self) -> Option<Time> {
        let grace = self
            .spec
            .and_then(|spec| spec.boot_grace_seconds)
            .unwrap_or(crds::node_health_policy::DEFAULT_BOOT_GRACE_SECONDS);
        self.booted_at.map(|booted| booted.plus(grace))
    }
}

/// How often this monitor runs, in seconds.
pub fn interval_seconds(monitor: &Monitor) -> i64 {
    monitor.interval_seconds.unwrap_or(DEFAULT_INTERVAL_SECONDS).max(1)
}

/// How often the monitor of this check runs, in seconds; the default if it is not enabled.
pub fn interval_of(monitors: &[Monitor], check: Check) -> i64 {
    let monitor = monitors.iter().find(|monitor| monitor.name == check.name());
    monitor.map_or(DEFAULT_INTERVAL_SECONDS, interval_seconds)
}
