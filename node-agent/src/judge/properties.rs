//! Findings over time: absence lifts none, and no finding flaps at a threshold.

use super::core::{Found, Judged, Memory, Readings};
use super::gpu::thermal;
use super::registry::tables;
use super::samples::Shows::Fires;
use super::samples::{GPU, Scene, a100_mig};
use crate::readings::TreeReport;
use crate::readings::inventory::NvmlView;
use crate::readings::sample::{DeviceAccess, GpuReadings};
use crds::names::TARGET_NODE;
use crds::node_health::{Finding, Maintenance};
use crds::{Outcome, Time, reason};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// A way for readings to be missing.
#[derive(Clone, Debug)]
enum Absence {
    /// The sampler hangs, crashes, or cannot be reached.
    Trouble(usize),
    Maintenance,
    /// Nothing is read for this many seconds.
    Overdue(u32),
    /// The driver answers, but reports no reading of any GPU.
    Untold,
    /// The first GPU is gone, or all are.
    Gone {
        all: bool,
    },
    /// The library answers with an error.
    Error {
        refused: bool,
    },
    /// An agent that has just started and has read nothing.
    NothingRead,
    /// sysfs cannot be read, or shows nothing.
    Tree {
        failed: bool,
    },
}

fn absence() -> impl Strategy<Value = Absence> {
    prop_oneof![
        (0_usize..5).prop_map(Absence::Trouble),
        Just(Absence::Maintenance),
        (211_u32..10_000_000).prop_map(Absence::Overdue),
        Just(Absence::Untold),
        any::<bool>().prop_map(|all| Absence::Gone { all }),
        any::<bool>().prop_map(|refused| Absence::Error { refused }),
        Just(Absence::NothingRead),
        any::<bool>().prop_map(|failed| Absence::Tree { failed }),
    ]
}

impl Absence {
    /// `answers`: a library that does not answer says nothing about missing GPUs; an answer would lift such a finding.
    fn befall(&self, mut scene: Scene, answers: bool) -> Scene {
        match self {
            Self::Untold | Self::Gone { .. } | Self::Error { .. } if !answers => scene,
            Self::Trouble(which) => {
                const WHY: [&str; 5] = [
                    reason::CALL_UNANSWERED,
                    reason::CALL_HUNG,
                    reason::CHILD_UNKILLABLE,
                    reason::SAMPLER_CRASHED,
                    reason::RUNNER_GONE,
                ];
                scene.trouble(WHY[*which], None, None)
            }
            Self::Maintenance => {
                let since = scene.now.wall();
                scene.spec.maintenance = Some(Maintenance { reason: "driver".to_owned(), since, until: None });
                scene
            }
            Self::Overdue(seconds) => {
                scene.now.unix_ms += i64::from(*seconds) * 1000;
                scene.now.mono_ms += u64::from(*seconds) * 1000;
                scene
            }
            // Anything that is read again may lift a finding; here nothing is read.
            Self::Untold => scene.later(60, |sample| sample.gpus.iter_mut().for_each(forget)),
            Self::Gone { all } => scene.later(60, |sample| {
                sample.gpus.retain(|gpu| !all && gpu.pci != GPU);
                sample.gpus.iter_mut().for_each(forget);
                sample.view.gpus.retain(|gpu| !all && gpu.pci.as_deref() != Some(GPU));
            }),
            Self::Error { refused } => scene.later(60, |sample| {
                sample.view.status = "Unknown".to_owned();
                sample.view.gpus.clear();
                sample.gpus.clear();
                sample.device_access = refused.then_some(DeviceAccess::Refused);
            }),
            Self::NothingRead => {
                scene.readings = Readings::default();
                scene.memory = Memory::default();
                scene
            }
            Self::Tree { failed } => {
                if *failed {
                    scene.readings.tree_failed = Some((reason::TOOL_ERROR.to_owned(), "sysfs is not there".to_owned()));
                    scene
                } else {
                    let unreadable = "sys/class/infiniband: permission denied".to_owned();
                    scene.tree(TreeReport {
                        errors: vec![unreadable.clone()],
                        pci_errors: vec![unreadable],
                        ..TreeReport::default()
                    })
                }
            }
        }
    }
}

fn forget(gpu: &mut GpuReadings) {
    *gpu = GpuReadings { pci: gpu.pci.clone(), ..GpuReadings::default() };
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    )
}

fn rank(finding: &Finding) -> (u8, u8) {
    (finding.outcome.rank(), finding.severity.rank())
}

/// Runs standing findings through absences, after a sample that fires; `judge_as` may falsify the judge's result.
fn outlives(
    (table, sample): (usize, usize),
    absences: &[Absence],
    judge_as: fn(Judged) -> Judged,
) -> Result<(), TestCaseError> {
    let tables = tables();
    let table = tables[table % tables.len()];
    let fires: Vec<_> = table.samples.iter().filter(|sample| sample.shows == Fires).collect();
    let sample = fires[sample % fires.len()];
    let check = table.page.check.name();
    let mut scene = (sample.scene)().settled(table.page, table.judge);
    let stood: Vec<Finding> =
        scene.findings.of(check).filter(|finding| finding.reason == sample.rule).cloned().collect();
    prop_assert!(!stood.is_empty());
    let answers = scene.readings.trouble.is_none() && scene.sample.view.status == NvmlView::OK;
    // If one GPU is gone, the driver still answers for the others: an outlier beside it may no longer be one.
    let one_gone = absences.iter().any(|absence| matches!(absence, Absence::Gone { all: false }));
    let of_others = |finding: &&Finding| finding.target != TARGET_NODE && !finding.target.starts_with(GPU);
    for absence in absences {
        scene = absence.befall(scene, answers);
        let judged = judge_as(scene.judge(table.judge));
        let boards = scene.boards();
        scene.findings.settle(check, &judged, &boards, scene.now.wall());
        for finding in stood.iter().filter(|finding| !(one_gone && of_others(finding))) {
            let still = scene.findings.get(check, &finding.target).is_some_and(|still| rank(still) >= rank(finding));
            prop_assert!(
                still,
                "{} of {} [{}] is healed by {:?}: {:?}",
                finding.reason,
                check,
                sample.source,
                absence,
                judged
            );
        }
    }
    Ok(())
}

#[test]
fn no_finding_is_healed_by_absence() {
    let story = (0_usize..64, 0_usize..64, prop::collection::vec(absence(), 1..8));
    let outcome =
        runner(10_000).run(&story, |(table, sample, absences)| outlives((table, sample), &absences, |judged| judged));
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_judge_that_takes_silence_for_a_pass_is_noticed() {
    let spoil = |judged: Judged| match judged.outcome {
        Outcome::Inconclusive => {
            Judged { outcome: Outcome::Pass, covered: vec![GPU.to_owned()], complete: true, ..judged }
        }
        _ => judged,
    };
    let story = (0_usize..64, 0_usize..64, prop::collection::vec(absence(), 1..8));
    let outcome = runner(500).run(&story, |(table, sample, absences)| outlives((table, sample), &absences, spoil));
    assert!(matches!(outcome, Err(TestError::Fail(..))));
}

/// The slowdown threshold of the board in these samples, and the margin of the rule.
const LIMIT: i32 = 89;
const MARGIN: i32 = 5;

/// Walks through temperatures and compares the standing findings with the expected ones; `spoil` may falsify the
/// result.
fn walk(celsius: &[i32], spoil: fn(i32, &mut Vec<Found>)) -> Result<(), TestCaseError> {
    let mut scene = Scene::of(a100_mig(1));
    let mut stands_since: Option<Time> = None;
    for now in celsius {
        scene = scene.then(|gpu| gpu.thermal.as_mut().unwrap().gpu_celsius = Some(*now));
        let mut judged = scene.judge(thermal::judge);
        spoil(*now, &mut judged.found);
        scene.findings.settle("thermal", &judged, &scene.boards(), scene.now.wall());
        stands_since = match stands_since {
            Some(since) => (*now > LIMIT - MARGIN).then_some(since),
            None => (*now > LIMIT).then_some(scene.now.wall()),
        };
        let found = scene.findings.get("thermal", GPU).filter(|found| found.reason == reason::ABOVE_SLOWDOWN);
        prop_assert_eq!(found.map(|found| found.since), stands_since, "at {} C", now);
    }
    Ok(())
}

fn near_the_threshold() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(LIMIT - MARGIN - 3..LIMIT + 4, 1..40)
}

#[test]
fn a_temperature_at_its_threshold_does_not_flap() {
    let outcome = runner(10_000).run(&near_the_threshold(), |celsius| walk(&celsius, |_, _| {}));
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_threshold_without_margin_is_noticed() {
    let outcome = runner(500).run(&near_the_threshold(), |celsius| {
        walk(&celsius, |now, found| {
            if now <= LIMIT {
                found.clear();
            }
        })
    });
    assert!(matches!(outcome, Err(TestError::Fail(..))));
}
