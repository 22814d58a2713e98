//! Samples of what nodes show: for each rule of a check at least one that fires, one near miss that must not fire, and
//! one that lifts. Each names its source, and whether its values were recorded on hardware, derived from a recording,
//! or invented. No rule with severity Reset or above rests on invented samples alone.

mod hardware;
mod scene;

pub(crate) use hardware::{a100_mig, h200, t4, v100};
pub(crate) use scene::{GPU, Scene, address};

use super::core::{Ground, Judged, Page};
use Origin::{Derived, Invented, Recorded};
use Shows::{Fires, Lifts, NearMiss};

/// Where the values of a sample come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Printed by hardware, and published.
    Recorded,
    /// A recording or a documented value, with the change that a source describes.
    Derived,
    /// Invented, to test a threshold.
    Invented,
}

/// What a sample shows about its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// The rule fires at the last moment of the sample.
    Fires,
    /// The rule almost fires, and must not.
    NearMiss,
    /// A finding of the rule stands before the last moment and is lifted at it.
    Lifts,
}

/// One sample.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The reason of the rule.
    pub(crate) rule: &'static str,
    pub(crate) shows: Shows,
    pub(crate) origin: Origin,
    pub(crate) source: &'static str,
    pub(crate) scene: fn() -> Scene,
}

pub(crate) const fn sample(
    rule: &'static str,
    shows: Shows,
    origin: Origin,
    source: &'static str,
    scene: fn() -> Scene,
) -> Sample {
    Sample { rule, shows, origin, source, scene }
}

/// The judge of a check.
pub(crate) type Judge = fn(&Ground<'_>) -> Judged;

/// The samples of one check.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) page: &'static Page,
    pub(crate) judge: Judge,
    pub(crate) samples: &'static [Sample],
}

impl Table {
    /// Tests the judge with every sample, and checks that every rule has samples. Prints how many there are of each
    /// origin.
    pub(crate) fn prove(&self) {
        for sample in self.samples {
            self.prove_one(sample);
        }
        for rule in self.page.rules {
            for shows in [Fires, NearMiss, Lifts] {
                assert!(
                    self.samples.iter().any(|sample| sample.rule == rule.reason && sample.shows == shows),
                    "{} has no sample that shows {shows:?}",
                    rule.reason
                );
            }
            let rests_on = self.samples.iter().filter(|s| s.rule == rule.reason && s.shows == Fires);
            let best = rests_on.map(|sample| sample.origin).min();
            assert!(
                !rule.severity.condemns() || best < Some(Invented),
                "{} condemns and rests on invented samples alone",
                rule.reason
            );
        }
        println!("{}", self.line());
    }

    fn prove_one(&self, sample: &Sample) {
        let Sample { rule, shows, origin: _, source, scene } = sample;
        let row = self.page.rules.iter().find(|row| row.reason == *rule);
        let row = row.unwrap_or_else(|| panic!("{rule} is in no row"));
        let scene = scene();
        let judged = scene.judge(self.judge);
        let fired = judged.found.iter().find(|found| found.reason == *rule);
        match (shows, fired) {
            (Fires, Some(found)) => {
                assert_eq!((&found.outcome, &found.severity), (&row.outcome, &row.severity), "{rule} [{source}]");
                assert!(found.message.len() <= 256, "{rule}: {} bytes: {}", found.message.len(), found.message);
                assert!(!found.message.is_empty(), "{rule} without a sentence");
            }
            (Fires, None) => panic!("{rule} does not fire [{source}]: {judged:?}"),
            (NearMiss | Lifts, Some(found)) => panic!("{rule} fires [{source}]: {found:?}"),
            (NearMiss, None) => {}
            (Lifts, None) => {
                let check = self.page.check.name();
                let stood = scene.findings.of(check).filter(|finding| finding.reason == *rule).count();
                assert!(stood > 0, "{rule} [{source}]: nothing stood before");
                let mut after = scene.findings.clone();
                after.settle(check, &judged, &scene.boards(), scene.now.wall());
                let left: Vec<_> = after.of(check).filter(|finding| finding.reason == *rule).collect();
                assert!(left.is_empty(), "{rule} [{source}] stands still: {left:?}");
            }
        }
    }

    pub(crate) fn count(&self, origin: Origin) -> usize {
        self.samples.iter().filter(|sample| sample.origin == origin).count()
    }

    /// `ecc: 3 recorded, 8 derived, 2 invented`.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}: {} recorded, {} derived, {} invented",
            self.page.check.name(),
            self.count(Recorded),
            self.count(Derived),
            self.count(Invented)
        )
    }
}
