use super::*;
use crate::judge::samples::Origin::{Derived, Invented};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, h200, sample, t4};

const OGK: &str = "open-gpu-kernel-modules 595.45.04 gpu.c, values of the recovery action, on the H200 capture";
const NVML: &str = "newest nvml.h, values 6 and 7, on the H200 capture";

fn action(value: u32) -> Scene {
    Scene::of(h200(8)).then(|gpu| gpu.recovery_action.as_mut().unwrap().action = Some(value))
}

fn none_after(reason: &str) -> Scene {
    Scene::of(h200(8)).standing(&PAGE, reason, GPU).then(|_| {})
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample("RecoveryGpuReset", Fires, Derived, OGK, || action(1)),
        sample("RecoveryGpuReset", NearMiss, Derived, "H200 capture 590.48.01: GPU Recovery Action : None", || action(0)),
        sample("RecoveryGpuReset", Lifts, Derived, OGK, || none_after("RecoveryGpuReset")),
        sample("RecoveryNodeReboot", Fires, Derived, OGK, || action(2)),
        sample("RecoveryNodeReboot", NearMiss, Derived, "T4 capture: no such field", || Scene::of(t4(1))),
        sample("RecoveryNodeReboot", Lifts, Derived, OGK, || none_after("RecoveryNodeReboot")),
        sample("RecoveryDrainPeers", Fires, Derived, OGK, || action(3)),
        sample("RecoveryDrainPeers", NearMiss, Derived, OGK, || action(4)),
        sample("RecoveryDrainPeers", Lifts, Derived, OGK, || none_after("RecoveryDrainPeers")),
        sample("RecoveryDrainAndReset", Fires, Derived, OGK, || action(4)),
        sample("RecoveryDrainAndReset", NearMiss, Derived, OGK, || action(1)),
        sample("RecoveryDrainAndReset", Lifts, Derived, OGK, || none_after("RecoveryDrainAndReset")),
        sample("RecoveryImexDomain", Fires, Derived, OGK, || action(5)),
        sample("RecoveryImexDomain", NearMiss, Derived, OGK, || action(0)),
        sample("RecoveryImexDomain", Lifts, Derived, OGK, || none_after("RecoveryImexDomain")),
        sample("RecoveryBusReset", Fires, Derived, NVML, || action(6)),
        sample("RecoveryBusReset", NearMiss, Invented, "a value that no source names", || action(8)),
        sample("RecoveryBusReset", Lifts, Derived, NVML, || none_after("RecoveryBusReset")),
        sample("RecoverySystemReboot", Fires, Derived, NVML, || action(7)),
        sample("RecoverySystemReboot", NearMiss, Invented, "a value that no source names", || action(u32::MAX)),
        sample("RecoverySystemReboot", Lifts, Derived, NVML, || none_after("RecoverySystemReboot")),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn its_rows_are_the_table_of_xid_154() {
    let verdict =
        |severity: &Severity| (if severity.condemns() { Outcome::Fail } else { Outcome::Warn }, severity.clone());
    let wanted: Vec<_> = recovery::ACTIONS
        .iter()
        .filter(|action| action.value != recovery::NONE)
        .map(|action| (action.reason, verdict(&action.severity)))
        .collect();
    let ours: Vec<_> = RULES.iter().map(|rule| (rule.reason, (rule.outcome.clone(), rule.severity.clone()))).collect();
    assert_eq!(ours, wanted);
}

#[test]
fn a_gpu_without_the_field_or_with_an_unknown_value_is_not_covered() {
    assert_eq!(Scene::of(t4(1)).judge(judge).outcome, Outcome::Skipped);
    let odd = action(99).judge(judge);
    assert_eq!((odd.outcome, odd.covered.len(), odd.found.len()), (Outcome::Pass, 7, 0));
}
