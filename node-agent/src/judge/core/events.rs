//! Findings that come from events of the kernel log: how long they stay. No reading takes them back by itself.

use super::found::Findings;
use crate::time::Now;
use crds::Time;
use crds::check::Check;
use crds::node_health::Finding;

/// How long a finding at Monitor stays after the last sighting, in seconds (table of checks, `xid`).
pub const MONITOR_SECONDS: i64 = 3_600;

/// The checks whose findings are events.
const CHECKS: [Check; 2] = [Check::Xid, Check::KernelLog];

fn is_event(finding: &Finding) -> bool {
    CHECKS.iter().any(|check| check.name() == finding.check)
}

/// Whether the finding only waits for its end. One at Reset or above is latched.
pub(in crate::judge) fn expires(finding: &Finding) -> bool {
    is_event(finding) && !finding.severity.condemns()
}

/// Drops Monitor findings that have expired.
pub fn expire(findings: &mut Findings, now: Now) {
    findings.retain(|finding| !expires(finding) || now.wall() < finding.last_seen.plus(MONITOR_SECONDS));
}

/// When the next Monitor finding expires, by the node's clock.
pub fn next_expiry(findings: &Findings) -> Option<Time> {
    findings.iter().filter(|finding| expires(finding)).map(|finding| finding.last_seen.plus(MONITOR_SECONDS)).min()
}

/// Drops the latched findings, which a boot ends.
pub fn end_with_boot(findings: &mut Findings) {
    findings.retain(|finding| !is_event(finding) || expires(finding));
}
