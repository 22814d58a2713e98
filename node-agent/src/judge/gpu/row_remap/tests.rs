use super::*;
use crate::judge::samples::Origin::{Derived, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, a100_mig, h200, sample, t4, v100};
use crate::readings::sample::BankRemaps;
use crds::{Outcome, Severity};

const GPUD: &str = "gpud pull request 80: nvidia-smi -q, Remapped Rows, Uncorrectable Error : 4, Pending : Yes";
const H200: &str = "nvidia_gpu_exporter capture, H200 590.48.01: pending No, failure No, 3072 banks Max";
const T4: &str = "telegraf tesla-t4.xml: retired pages 0, 0, pending No";
const AWS: &str = "AWS gpu-cluster-healthcheck check 0, retired_pages, on the V100 of the samples";

fn remap(scene: Scene, change: impl FnOnce(&mut RemapReading)) -> Scene {
    scene.then(|gpu| change(gpu.row_remap.as_mut().unwrap()))
}

fn pending() -> Scene {
    remap(Scene::of(h200(8)), |remap| (remap.uncorrectable, remap.pending) = (Some(4), Some(true)))
}

fn volta(double: u64, single: u64, waits: bool) -> Scene {
    remap(Scene::of(v100(4)), |remap| {
        (remap.retired_double_bit, remap.retired_single_bit) = (Some(double), Some(single));
        remap.retirement_pending = Some(waits);
    })
}

const BANKS: &str = "nvml.h 13.5.37, nvmlEccBankRemapperStatus_v1_t, on the H200 of the samples";
const REPAIRS: &str =
    "nvml.h 13.5.37, nvmlRepairStatus_v1_t: channel or TPC repair pending, on the H200 of the samples";
const FLAG: &str = "nvml.h 13.5.37, nvmlUnrepairableMemoryStatus_v1_t, on the H200 of the samples";

/// What a newer driver adds, healthy but for this.
fn newer(scene: Scene, change: impl FnOnce(&mut RemapReading)) -> Scene {
    remap(scene, |remap| {
        let (active, inactive) = (Some(0), Some(0));
        let groups = (Some(64), Some(0));
        remap.bank_remaps = Some(BankRemaps {
            active,
            inactive,
            pending: Some(false),
            groups_full: groups.0,
            groups_without: groups.1,
        });
        (remap.channel_repair_pending, remap.tpc_repair_pending) = (Some(false), Some(false));
        remap.unrepairable = Some(false);
        change(remap);
    })
}

fn banks(change: impl FnOnce(&mut BankRemaps)) -> Scene {
    newer(Scene::of(h200(8)), |remap| change(remap.bank_remaps.as_mut().unwrap()))
}

/// As after a reset.
fn repaired(scene: Scene) -> Scene {
    newer(scene.settled(&PAGE, judge), |_| {})
}

fn healthy(reason: &str) -> Scene {
    Scene::of(h200(8)).standing(&PAGE, reason, GPU)
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample(reason::REMAP_PENDING, Fires, Recorded, GPUD, pending),
        sample(reason::REMAP_PENDING, NearMiss, Recorded, H200, || Scene::of(h200(8))),
        sample(reason::REMAP_PENDING, NearMiss, Derived, "the same board after its reset: 4 rows remapped, none pending", || {
            remap(Scene::of(h200(8)), |remap| remap.uncorrectable = Some(4))
        }),
        sample(reason::REMAP_PENDING, NearMiss, Recorded, "telegraf a100-sxm4-v12.xml: MIG on, remapped rows N/A", || Scene::of(a100_mig(4))),
        sample(reason::REMAP_PENDING, Lifts, Recorded, GPUD, || {
            remap(pending().settled(&PAGE, judge), |remap| remap.pending = Some(false))
        }),
        sample(reason::REMAP_FAILED, Fires, Derived, "H200 capture with 8 rows of one bank remapped and the failure that NVIDIA's RMA policy then describes", || {
            remap(Scene::of(h200(8)), |remap| (remap.uncorrectable, remap.failure) = (Some(8), Some(true)))
        }),
        sample(reason::REMAP_FAILED, NearMiss, Derived, "gpud pull request 219: 8 uncorrectable remaps are no failure", || {
            remap(Scene::of(h200(8)), |remap| remap.uncorrectable = Some(8))
        }),
        sample(reason::REMAP_FAILED, NearMiss, Derived, "Azure's limit of 512 remapped rows: the flag decides", || {
            remap(Scene::of(h200(8)), |remap| remap.uncorrectable = Some(513))
        }),
        sample(reason::REMAP_FAILED, Lifts, Recorded, H200, || healthy(reason::REMAP_FAILED)),
        sample(reason::NO_SPARE_ROWS, Fires, Derived, "H200 capture with one of its 3072 banks used up", || {
            remap(Scene::of(h200(8)), |remap| {
                let banks = remap.banks.as_mut().unwrap();
                (banks.max, banks.none) = (3071, 1);
            })
        }),
        sample(reason::NO_SPARE_ROWS, NearMiss, Derived, "H200 capture with one bank low", || {
            remap(Scene::of(h200(8)), |remap| {
                let banks = remap.banks.as_mut().unwrap();
                (banks.max, banks.low) = (3071, 1);
            })
        }),
        sample(reason::NO_SPARE_ROWS, Lifts, Recorded, H200, || healthy(reason::NO_SPARE_ROWS)),
        sample(reason::BANK_REMAP_PENDING, Fires, Derived, BANKS, || banks(|banks| (banks.inactive, banks.pending) = (Some(1), Some(true)))),
        sample(reason::BANK_REMAP_PENDING, NearMiss, Derived, BANKS, || banks(|banks| banks.active = Some(1))),
        sample(reason::BANK_REMAP_PENDING, NearMiss, Recorded, H200, || Scene::of(h200(8))),
        sample(reason::BANK_REMAP_PENDING, Lifts, Derived, BANKS, || repaired(banks(|banks| banks.pending = Some(true)))),
        sample(reason::REPAIR_PENDING, Fires, Derived, REPAIRS, || newer(Scene::of(h200(8)), |remap| remap.channel_repair_pending = Some(true))),
        sample(reason::REPAIR_PENDING, Fires, Derived, REPAIRS, || newer(Scene::of(h200(8)), |remap| (remap.channel_repair_pending, remap.tpc_repair_pending) = (None, Some(true)))),
        sample(reason::REPAIR_PENDING, NearMiss, Derived, REPAIRS, || newer(Scene::of(h200(8)), |_| {})),
        sample(reason::REPAIR_PENDING, Lifts, Derived, REPAIRS, || repaired(newer(Scene::of(h200(8)), |remap| remap.tpc_repair_pending = Some(true)))),
        sample(reason::UNREPAIRABLE_MEMORY, Fires, Derived, FLAG, || newer(Scene::of(h200(8)), |remap| remap.unrepairable = Some(true))),
        sample(reason::UNREPAIRABLE_MEMORY, NearMiss, Derived, FLAG, || newer(Scene::of(h200(8)), |_| {})),
        sample(reason::UNREPAIRABLE_MEMORY, Lifts, Derived, FLAG, || repaired(newer(Scene::of(h200(8)), |remap| remap.unrepairable = Some(true)))),
        sample(reason::NO_SPARE_BANKS, Fires, Derived, BANKS, || banks(|banks| (banks.groups_full, banks.groups_without) = (Some(63), Some(1)))),
        sample(reason::NO_SPARE_BANKS, NearMiss, Derived, BANKS, || banks(|banks| banks.groups_full = Some(63))),
        sample(reason::NO_SPARE_BANKS, Lifts, Derived, BANKS, || repaired(banks(|banks| banks.groups_without = Some(1)))),
        sample(reason::RETIREMENT_PENDING, Fires, Derived, AWS, || volta(0, 2, true)),
        sample(reason::RETIREMENT_PENDING, NearMiss, Recorded, T4, || Scene::of(t4(1))),
        sample(reason::RETIREMENT_PENDING, Lifts, Derived, AWS, || volta(0, 2, false).standing(&PAGE, reason::RETIREMENT_PENDING, GPU)),
        sample(reason::PAGES_RETIRED_DOUBLE_BIT, Fires, Derived, AWS, || volta(1, 0, false)),
        sample(reason::PAGES_RETIRED_DOUBLE_BIT, NearMiss, Recorded, T4, || Scene::of(t4(1))),
        sample(reason::PAGES_RETIRED_DOUBLE_BIT, Lifts, Derived, AWS, || volta(0, 0, false).standing(&PAGE, reason::PAGES_RETIRED_DOUBLE_BIT, GPU)),
        sample(reason::PAGES_RETIRED_SINGLE_BIT, Fires, Derived, AWS, || volta(0, 61, false)),
        sample(reason::PAGES_RETIRED_SINGLE_BIT, NearMiss, Derived, AWS, || volta(0, 60, false)),
        sample(reason::PAGES_RETIRED_SINGLE_BIT, Lifts, Derived, AWS, || volta(0, 0, false).standing(&PAGE, reason::PAGES_RETIRED_SINGLE_BIT, GPU)),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn mig_is_not_covered_and_what_stood_before_it_stays() {
    let migged = Scene::of(a100_mig(4)).standing(&PAGE, reason::REMAP_PENDING, GPU);
    let judged = migged.judge(judge);
    assert_eq!((judged.outcome, judged.covered.len()), (Outcome::Skipped, 0));
    assert!(migged.settled(&PAGE, judge).findings.get("rowRemap", GPU).is_some());
}

#[test]
fn a_failure_outweighs_a_remapping_that_waits() {
    let both = remap(pending(), |remap| remap.failure = Some(true));
    assert_eq!(both.found(judge), [(GPU.to_owned(), reason::REMAP_FAILED.to_owned())]);
}

#[test]
fn the_ecc_rows_of_aws_get_their_verdicts() {
    let verdict = |scene: Scene| scene.judge(judge).found.first().map(|found| found.severity.clone());
    assert_eq!(verdict(volta(1, 0, false)), Some(Severity::Isolate));
    assert_eq!(verdict(volta(0, 0, true)), Some(Severity::Reboot));
    assert_eq!(verdict(volta(0, 61, false)), Some(Severity::Monitor));
    assert_eq!(verdict(volta(0, 60, false)), None);
}

#[test]
fn a_reading_that_is_missing_heals_nothing_and_hides_nothing() {
    let failed =
        Scene::of(h200(8)).then(|gpu| gpu.row_remap.as_mut().unwrap().failure = Some(true)).settled(&PAGE, judge);
    let silent = failed.then(|gpu| {
        let remap = gpu.row_remap.as_mut().unwrap();
        (remap.failure, remap.pending) = (None, Some(true));
    });
    let judged = silent.judge(judge);
    assert!(!judged.covered.contains(&GPU.to_owned()));
    let stands = silent.settled(&PAGE, judge);
    assert_eq!(stands.findings.get("rowRemap", GPU).map(|f| f.reason.as_str()), Some(reason::REMAP_FAILED));
}

#[test]
fn a_message_names_index_address_and_serial() {
    let pending = Scene::of(h200(8)).then(|gpu| gpu.row_remap.as_mut().unwrap().pending = Some(true));
    let message = pending.judge(judge).found.remove(0).message;
    assert!(message.starts_with("GPU 0 (0000:18:00.0, serial 1650522000000)"), "{message}");
}

#[test]
fn a_repair_that_can_no_longer_be_read_stands() {
    let pending = newer(Scene::of(h200(8)), |remap| remap.channel_repair_pending = Some(true)).settled(&PAGE, judge);
    let silent = remap(pending, |remap| remap.channel_repair_pending = None).settled(&PAGE, judge);
    assert_eq!(silent.findings.get("rowRemap", GPU).map(|f| f.reason.as_str()), Some(reason::REPAIR_PENDING));
}
