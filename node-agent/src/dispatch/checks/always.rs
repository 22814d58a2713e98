//! `pcieBandwidth`, answered by a probe that always succeeds.

use super::by_probe::{ByProbe, Evidence};
use crate::dispatch::places::Places;
use crate::dispatch::verdict::Verdict;
use crate::judge::Findings;
use crate::probe::tools::always::{TrueParameters, TrueReport};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::{CheckSpec, Outcome, Severity, reason};

/// The check.
pub(super) struct Always;

impl ByProbe for Always {
    const CHECK: Check = Check::PcieBandwidth;

    type Probe = TrueParameters;

    fn deadline_ms(_spec: &CheckSpec) -> u64 {
        10_000
    }

    fn parameters(_spec: &CheckSpec, _ms: u64, _places: &Places) -> Result<TrueParameters, (&'static str, String)> {
        Ok(TrueParameters {})
    }

    fn judge(report: TrueReport, _evidence: &Evidence<'_>, _findings: &mut Findings) -> Verdict {
        let outcome = if report.is_true { Outcome::Pass } else { Outcome::Fail };
        let severity = if report.is_true { Severity::None } else { Severity::Monitor };
        let reason = Some(reason::PASSED.to_owned());
        Verdict { outcome, severity, reason, ..Verdict::default() }.of_each([TARGET_NODE.to_owned()])
    }
}
