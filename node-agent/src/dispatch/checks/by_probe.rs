//! What the row of a check says: which probe, with which parameters, what happens around it, and how its report becomes a
//! verdict.

use crate::dispatch::probe::Measured;
use crate::dispatch::verdict::Verdict;
use crate::judge::{Findings, Readings};
use crate::probe::{Probe, registry};
use crate::readings::Section;
use crate::runner::protocol::ProbeSpec;
use crate::time::Now;
use crds::check::{Check, Class};
use crds::{CheckSpec, reason};
use serde_json::Value;

/// A check that one probe answers.
pub(super) trait ByProbe: 'static {
    /// The check.
    const CHECK: Check;
    /// What is read before the probe and again after it, for a comparison of counters.
    const BEFORE_AND_AFTER: Fresh = Fresh::NOTHING;
    /// Whether no other process of ours may have the driver's library open while the probe runs. The monitors that read
    /// the driver are suspended for that time.
    const RELEASES_DRIVER: bool = false;
    /// For a probe that changes something on the node: the same probe with the parameters that restore it. They do no harm
    /// when nothing was changed, when they run more than once, or after a crash of everything that ran, so they depend on no
    /// parameter of the check.
    const RESTORE: Option<fn() -> Asked<Self>> = None;

    /// The probe.
    type Probe: Probe;

    /// The class of the check with these parameters.
    fn class(_spec: &CheckSpec) -> Class {
        Self::CHECK.class()
    }

    /// The time limit of the probe, in milliseconds.
    fn deadline_ms(spec: &CheckSpec) -> u64;

    /// What is asked of the probe.
    fn parameters(spec: &CheckSpec, deadline_ms: u64) -> Asked<Self>;

    /// Judges the report. May add findings of its check, and remove those that this report disproves.
    fn judge(report: <Self::Probe as Probe>::Report, evidence: &Evidence<'_>, findings: &mut Findings) -> Verdict;
}

/// What a client asks of the probe of this check.
pub(super) type Asked<C> = <<C as ByProbe>::Probe as Probe>::Asked;

/// What a check is judged by, besides the report of its probe.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatch) struct Evidence<'a> {
    pub(in crate::dispatch) spec: &'a CheckSpec,
    /// [`ByProbe::BEFORE_AND_AFTER`]; `None` where it could not be read.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the checks that compare counters come with the GPU's own tests")
    )]
    pub(in crate::dispatch) before: Option<&'a Readings>,
    #[cfg_attr(not(test), expect(dead_code, reason = "as above"))]
    pub(in crate::dispatch) after: Option<&'a Readings>,
    pub(in crate::dispatch) now: Now,
}

/// Readings that are taken for one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dispatch) struct Fresh {
    /// Sections of the driver's sample.
    pub(in crate::dispatch) driver: &'static [Section],
    /// The device tree in sysfs.
    pub(in crate::dispatch) tree: bool,
}

impl Fresh {
    /// Nothing.
    pub(in crate::dispatch) const NOTHING: Self = Self { driver: &[], tree: false };
}

/// The row of a check that one probe answers.
#[derive(Debug)]
pub(crate) struct ProbeCheck {
    pub(crate) check: Check,
    /// The name of the probe.
    pub(in crate::dispatch) probe: &'static str,
    pub(in crate::dispatch) class: fn(&CheckSpec) -> Class,
    pub(in crate::dispatch) before_and_after: Fresh,
    pub(in crate::dispatch) releases_driver: bool,
    pub(in crate::dispatch) restores: bool,
    pub(in crate::dispatch) deadline_ms: fn(&CheckSpec) -> u64,
    request: Request,
    restore: fn() -> Result<ProbeSpec, Measured>,
    judge: fn(Value, &Evidence<'_>, &mut Findings) -> Verdict,
}

type Request = fn(&CheckSpec, u64) -> Result<ProbeSpec, Measured>;

pub(super) const fn row<C: ByProbe>() -> ProbeCheck {
    ProbeCheck {
        check: C::CHECK,
        probe: C::Probe::NAME,
        class: C::class,
        before_and_after: C::BEFORE_AND_AFTER,
        releases_driver: C::RELEASES_DRIVER,
        restores: C::RESTORE.is_some(),
        deadline_ms: C::deadline_ms,
        request: request::<C>,
        restore: restore::<C>,
        judge: judge::<C>,
    }
}

impl ProbeCheck {
    /// The row of a check.
    pub(crate) fn of(check: Check, table: &'static [Self]) -> Option<&'static Self> {
        table.iter().find(|row| row.check == check)
    }

    /// The probe and its parameters.
    pub(in crate::dispatch) fn request(&self, spec: &CheckSpec, deadline_ms: u64) -> Result<ProbeSpec, Measured> {
        (self.request)(spec, deadline_ms)
    }

    /// The probe that restores.
    pub(in crate::dispatch) fn restore(&self) -> Result<ProbeSpec, Measured> {
        (self.restore)()
    }

    /// The verdict from the report of the probe.
    pub(in crate::dispatch) fn judge(
        &self,
        report: Value,
        evidence: &Evidence<'_>,
        findings: &mut Findings,
    ) -> Verdict {
        (self.judge)(report, evidence, findings)
    }
}

fn request<C: ByProbe>(spec: &CheckSpec, deadline_ms: u64) -> Result<ProbeSpec, Measured> {
    registry::spec::<C::Probe>(&C::parameters(spec, deadline_ms))
        .map_err(|why| Measured::unknown(reason::TOOL_ERROR, why))
}

fn restore<C: ByProbe>() -> Result<ProbeSpec, Measured> {
    let nothing = || Measured::unknown(reason::NOT_IMPLEMENTED, format!("{} restores nothing", C::CHECK.name()));
    let restoring = C::RESTORE.ok_or_else(nothing)?;
    registry::spec::<C::Probe>(&restoring()).map_err(|why| Measured::unknown(reason::TOOL_ERROR, why))
}

fn judge<C: ByProbe>(report: Value, evidence: &Evidence<'_>, findings: &mut Findings) -> Verdict {
    match serde_json::from_value(report) {
        Ok(report) => C::judge(report, evidence, findings),
        Err(error) => Verdict::unknown(reason::UNKNOWN_OUTPUT, error.to_string()),
    }
}
