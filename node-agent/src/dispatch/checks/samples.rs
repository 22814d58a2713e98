//! Checks that exist in tests only: one for each step that a row can ask for.

use super::by_probe::{ByProbe, Evidence, Fresh, ProbeCheck, row};
use crate::dispatch::verdict::Verdict;
use crate::judge::{Findings, Readings};
use crate::probe::programs::{CustomAsked, CustomParameters};
use crate::readings::Section;
use crate::readings::program::CustomReport;
use crds::check::{Check, Class};
use crds::{CheckSpec, Outcome, reason};

/// The product's checks, and those of this file.
pub(crate) static SAMPLES: &[ProbeCheck] =
    &[row::<super::custom::Program>(), row::<Copies>(), row::<Memory>(), row::<Burn>()];

/// Light.
struct Copies;
/// Exclusive, with counters.
struct Memory;
/// Exclusive; needs the driver released, and changes something.
struct Burn;

fn parameters(program: &str) -> CustomAsked {
    CustomAsked { program: program.to_owned(), env: Vec::new(), deadline_ms: 1_000, args: Vec::new() }
}

/// Passes, and says how many ECC errors were counted during the probe.
fn judged(report: &CustomReport, evidence: &Evidence<'_>) -> Verdict {
    let errors = |readings: Option<&Readings>| {
        let counted = |readings: &Readings| -> Option<u64> {
            readings.gpus.values().map(|gpu| gpu.ecc.as_ref()?.volatile_uncorrected).sum()
        };
        readings.and_then(counted)
    };
    let rise = errors(evidence.after).zip(errors(evidence.before)).map(|(after, before)| after - before);
    Verdict {
        outcome: Outcome::Pass,
        reason: Some(reason::PASSED.to_owned()),
        message: Some(format!("{}: {rise:?} errors", report.program)),
        ..Verdict::default()
    }
}

macro_rules! sample {
    ($sample:ident $check:ident { $($items:tt)* }) => {
        impl ByProbe for $sample {
            const CHECK: Check = Check::$check;
            $($items)*

            type Probe = CustomParameters;

            fn deadline_ms(_spec: &CheckSpec) -> u64 {
                60_000
            }

            fn parameters(_spec: &CheckSpec, _ms: u64) -> CustomAsked {
                parameters("measure")
            }

            fn judge(report: CustomReport, evidence: &Evidence<'_>, _findings: &mut Findings) -> Verdict {
                judged(&report, evidence)
            }
        }
    };
}

sample!(Copies PcieBandwidth {});
sample!(Memory GpuMemory {
    const BEFORE_AND_AFTER: Fresh = Fresh { driver: &[Section::Ecc, Section::RowRemap], tree: true };
});
sample!(Burn Stress {
    const BEFORE_AND_AFTER: Fresh = Fresh { driver: &[Section::Ecc], tree: false };
    const RELEASES_DRIVER: bool = true;
    const RESTORE: Option<fn() -> CustomAsked> = Some(|| parameters("restore"));
});

#[test]
fn the_class_of_a_sample_is_that_of_its_check() {
    let classes: Vec<Class> = SAMPLES.iter().map(|row| (row.class)(&CheckSpec::default())).collect();
    assert_eq!(classes, [Class::Declared, Class::Light, Class::Exclusive, Class::Exclusive]);
}
