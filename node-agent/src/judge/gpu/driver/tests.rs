use super::*;
use crate::judge::samples::Origin::{Derived, Invented, Recorded};
use crate::judge::samples::Shows::{Fires, Lifts, NearMiss};
use crate::judge::samples::{GPU, Scene, Table, address, h200, sample, t4};
use crate::readings::TreeReport;
use crate::readings::inventory::{Accelerator, ConfigSpace};
use crds::node_hardware_profile::ExpectedGpus;
use crds::node_health::Maintenance;
use crds::{Outcome, Time};

const NVML: &str = "nvml.h, the return code on the H200 capture";
const REAL_RESET: &str = "published as `NVML: GPU requires reset` by jobs on one node; on the H200 capture";
const HANG: &str = "NVSentinel 1574, 1748: calls that do not come back";

/// A call about the first GPU fails.
fn error(kind: &str, call: &str) -> Scene {
    Scene::of(h200(8)).later(60, |sample| {
        sample.view.errors =
            vec![NvmlError { index: Some(0), pci: Some(GPU.to_owned()), call: call.to_owned(), kind: kind.to_owned() }];
    })
}

fn well_after(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge).later(60, |sample| sample.view.errors.clear())
}

/// The library refuses as a whole, on a node whose sysfs shows GPUs with this kernel driver.
fn refused(status: &str, kernel_driver: Option<&str>) -> Scene {
    let gpu = |index| Accelerator {
        address: address(index),
        vendor: Vendor::Nvidia,
        device: 0x2335,
        class: 0x0302,
        numa_node: None,
        driver: kernel_driver.map(str::to_owned),
        slot: None,
        config_space: ConfigSpace::Answers,
    };
    let tree = TreeReport { pci: (0..8).map(gpu).collect(), ..TreeReport::default() };
    Scene::of(h200(8)).tree(tree).later(60, |sample| {
        sample.view = NvmlView {
            status: status.to_owned(),
            message: Some("the library says no".to_owned()),
            driver: None,
            count: None,
            gpus: Vec::new(),
            errors: Vec::new(),
        };
        sample.gpus.clear();
    })
}

/// Library and kernel module have these versions, and init says that they differ.
fn mismatched(library: &str, module: Option<&str>) -> Scene {
    let mut scene = refused("LibRmVersionMismatch", Some("nvidia"));
    scene.readings.library_version = Some(library.to_owned());
    if let Some((tree, _)) = &mut scene.readings.tree {
        tree.module_version = module.map(str::to_owned);
    }
    scene
}

fn answers_again(scene: Scene) -> Scene {
    scene.settled(&PAGE, judge).later(60, |sample| *sample = h200(8))
}

fn slowest(milliseconds: u64) -> Scene {
    Scene::of(h200(8))
        .later(60, |sample| sample.slowest = Some(("nvmlDeviceGetTotalEccErrors".to_owned(), milliseconds)))
}

fn at_least(version: &str) -> Scene {
    Scene::of(h200(8)).expecting(ExpectedGpus { driver_at_least: Some(version.to_owned()), ..ExpectedGpus::default() })
}

fn twins() -> Scene {
    Scene::of(h200(8)).later(60, |sample| {
        let first = sample.view.gpus[0].uuid.clone();
        sample.view.gpus[1].uuid = first;
    })
}

fn hung(why: &str) -> Scene {
    Scene::of(h200(8)).trouble(why, Some("nvmlDeviceGetTotalEccErrors"), Some(GPU))
}

#[rustfmt::skip]
pub(crate) static TABLE: Table = Table {
    page: &PAGE,
    judge,
    samples: &[
        sample(reason::GPU_LOST, Fires, Derived, NVML, || error("GpuLost", "DeviceGetTemperature")),
        sample(reason::GPU_LOST, NearMiss, Derived, NVML, || error("NotSupported", "DeviceGetTemperature")),
        sample(reason::GPU_LOST, Lifts, Derived, NVML, || well_after(error("GpuLost", "DeviceGetTemperature"))),
        sample(reason::RESET_REQUIRED, Fires, Recorded, REAL_RESET, || error("ResetRequired", "DeviceGetMemoryInfo")),
        sample(reason::RESET_REQUIRED, NearMiss, Derived, NVML, || error("InUse", "DeviceGetMemoryInfo")),
        sample(reason::RESET_REQUIRED, Lifts, Derived, REAL_RESET, || well_after(error("ResetRequired", "DeviceGetMemoryInfo"))),
        sample(reason::LIB_RM_VERSION_MISMATCH, Fires, Recorded, "`Failed to initialize NVML: Driver/library version mismatch`, as nvidia-smi prints after a package update", || mismatched("13.595.45.04", Some("590.48.01"))),
        sample(reason::LIB_RM_VERSION_MISMATCH, NearMiss, Derived, "nvml.h: 12, the library is not there", || refused("LibraryNotFound", Some("nvidia"))),
        sample(reason::LIB_RM_VERSION_MISMATCH, NearMiss, Derived, "the module was upgraded under the agent", || mismatched("13.590.48.01", Some("595.45.04"))),
        sample(reason::LIB_RM_VERSION_MISMATCH, NearMiss, Derived, "the module's version is not known", || mismatched("13.590.48.01", None)),
        sample(reason::LIB_RM_VERSION_MISMATCH, Lifts, Derived, NVML, || answers_again(mismatched("13.595.45.04", Some("590.48.01")))),
        sample(reason::DRIVER_NOT_LOADED, Fires, Derived, "nvml.h: 9, and no driver bound on PCI", || refused("DriverNotLoaded", None)),
        sample(reason::DRIVER_NOT_LOADED, NearMiss, Derived, "the container has no device nodes: sysfs shows the module at work", || refused("DriverNotLoaded", Some("nvidia"))),
        sample(reason::DRIVER_NOT_LOADED, NearMiss, Derived, "GPUs that are passed to virtual machines", || refused("DriverNotLoaded", Some("vfio-pci"))),
        sample(reason::DRIVER_NOT_LOADED, Lifts, Derived, NVML, || answers_again(refused("DriverNotLoaded", None))),
        sample(reason::CALL_HUNG, Fires, Derived, HANG, || hung(reason::CALL_HUNG)),
        sample(reason::CALL_HUNG, NearMiss, Derived, "one hang that did not repeat", || hung(reason::CALL_UNANSWERED)),
        sample(reason::CALL_HUNG, NearMiss, Derived, "a sampler that crashed", || hung(reason::SAMPLER_CRASHED)),
        sample(reason::CALL_HUNG, NearMiss, Derived, "a runner that is gone", || hung(reason::RUNNER_GONE)),
        sample(reason::CALL_HUNG, Lifts, Derived, HANG, || hung(reason::CALL_HUNG).settled(&PAGE, judge).later(60, |_| {})),
        sample(reason::CHILD_UNKILLABLE, Fires, Derived, "a frozen process survives SIGKILL (v1 freezer)", || hung(reason::CHILD_UNKILLABLE)),
        sample(reason::CHILD_UNKILLABLE, NearMiss, Derived, HANG, || hung(reason::CALL_HUNG)),
        sample(reason::CHILD_UNKILLABLE, Lifts, Derived, HANG, || hung(reason::CHILD_UNKILLABLE).settled(&PAGE, judge).later(60, |_| {})),
        sample(reason::CORRUPTED_INFOROM, Fires, Recorded, "`WARNING: infoROM is corrupted at gpu 0000:67:00.0` beside a running job", || error("CorruptedInforom", "DeviceGetInforomVersion")),
        sample(reason::CORRUPTED_INFOROM, NearMiss, Derived, NVML, || error("NoData", "DeviceGetInforomVersion")),
        sample(reason::CORRUPTED_INFOROM, Lifts, Derived, NVML, || well_after(error("CorruptedInforom", "DeviceGetInforomVersion"))),
        sample(reason::DRIVER_ERROR, Fires, Derived, NVML, || error("Unknown", "DeviceGetPowerUsage")),
        sample(reason::DRIVER_ERROR, Fires, Derived, NVML, || error("IrqIssue", "DeviceGetHandleByIndex")),
        sample(reason::DRIVER_ERROR, NearMiss, Derived, NVML, || error("NoPermission", "DeviceGetPowerUsage")),
        sample(reason::DRIVER_ERROR, Lifts, Derived, NVML, || well_after(error("Unknown", "DeviceGetPowerUsage"))),
        sample(reason::CALL_SLOW, Fires, Derived, "NVSentinel 1748: 45 s under an error storm", || slowest(45_000)),
        sample(reason::CALL_SLOW, NearMiss, Invented, "at the limit", || slowest(5_000)),
        sample(reason::CALL_SLOW, Lifts, Invented, "fast again", || slowest(45_000).settled(&PAGE, judge).later(60, |sample| sample.slowest = Some(("nvmlDeviceGetUUID".to_owned(), 3)))),
        sample(reason::PERSISTENCE_OFF, Fires, Recorded, "telegraf tesla-t4.xml: persistence mode Disabled", || Scene::of(t4(1))),
        sample(reason::PERSISTENCE_OFF, NearMiss, Recorded, "nvidia_gpu_exporter capture, H200: Persistence Mode : Enabled", || Scene::of(h200(8))),
        sample(reason::PERSISTENCE_OFF, Lifts, Derived, "the T4 with persistence mode on", || {
            Scene::of(t4(1)).settled(&PAGE, judge).then(|gpu| gpu.driver.as_mut().unwrap().persistence = Some(true))
        }),
        sample(reason::DRIVER_TOO_OLD, Fires, Derived, "driver 590.48.01 of the H200 capture", || at_least("590.48.2")),
        sample(reason::DRIVER_TOO_OLD, NearMiss, Derived, "driver 590.48.01 of the H200 capture", || at_least("590.48.1")),
        sample(reason::DRIVER_TOO_OLD, Lifts, Derived, "driver 590.48.01 of the H200 capture", || at_least("535").standing(&PAGE, reason::DRIVER_TOO_OLD, TARGET_NODE)),
        sample(reason::UUID_REPEATED, Fires, Invented, "two boards with one UUID", twins),
        sample(reason::UUID_REPEATED, NearMiss, Recorded, "telegraf tesla-t4.xml: one GPU, one UUID", || Scene::of(t4(1))),
        sample(reason::UUID_REPEATED, Lifts, Invented, "its own again", || twins().settled(&PAGE, judge).later(60, |sample| *sample = h200(8))),
    ],
};

#[test]
fn each_row_fires_misses_and_lifts() {
    TABLE.prove();
}

#[test]
fn a_hang_without_a_gpu_is_the_nodes_and_names_the_call() {
    let unknown = Scene::of(h200(8)).trouble(reason::CALL_HUNG, Some("nvmlInit_v2"), None).judge(judge);
    assert_eq!(unknown.found[0].target, TARGET_NODE);
    assert!(unknown.found[0].message.contains("nvmlInit_v2"), "{}", unknown.found[0].message);
    let somebody = hung(reason::CHILD_UNKILLABLE).judge(judge);
    assert_eq!(somebody.found[0].target, GPU);
    assert!(somebody.found[0].message.contains("GPU 0") && somebody.found[0].message.contains("TotalEccErrors"));
}

#[test]
fn a_driver_upgraded_under_the_agent_is_the_agents_affair_and_lifts_nothing() {
    let stale = mismatched("13.590.48.01", Some("595.45.04")).standing(&PAGE, reason::GPU_LOST, GPU);
    let judged = stale.judge(judge);
    assert_eq!((judged.outcome, judged.reason.as_deref()), (Outcome::Inconclusive, Some(reason::AGENT_LIBRARY_STALE)));
    assert!(stale.settled(&PAGE, judge).findings.get("driver", GPU).is_some());
    let unknown = mismatched("13.590.48.01", None).judge(judge);
    assert_eq!(unknown.reason.as_deref(), Some(reason::LIB_RM_VERSION_MISMATCH));
    assert_eq!(unknown.outcome, Outcome::Inconclusive);
}

#[test]
fn lost_device_access_and_a_crash_are_nobodys_fault_and_leave_findings_alone() {
    let mut stripped = refused("Unknown", Some("nvidia")).standing(&PAGE, reason::GPU_LOST, GPU);
    stripped.readings.device_access = Some(DeviceAccess::Refused);
    let judged = stripped.judge(judge);
    assert_eq!(judged.outcome, Outcome::Inconclusive);
    assert_eq!(judged.reason.as_deref(), Some(reason::AGENT_LOST_DEVICE_ACCESS));
    assert!(judged.found.is_empty());
    let crashed =
        Scene::of(h200(8)).standing(&PAGE, reason::GPU_LOST, GPU).trouble(reason::SAMPLER_CRASHED, None, None);
    assert_eq!(crashed.judge(judge).outcome, Outcome::Inconclusive);
    assert!(crashed.settled(&PAGE, judge).findings.get("driver", GPU).is_some());
}

#[test]
fn maintenance_and_boot_grace_are_skipped_even_while_a_call_hangs() {
    let mut kept = hung(reason::CALL_HUNG);
    kept.spec.maintenance = Some(Maintenance::default());
    assert_eq!(kept.judge(judge).reason.as_deref(), Some(reason::MAINTENANCE));
    let mut booting = hung(reason::CALL_HUNG);
    booting.booted_at = Some(Time::from_unix(booting.now.wall().unix() - 60));
    assert_eq!(booting.judge(judge).reason.as_deref(), Some(reason::BOOT_GRACE));
}

#[test]
fn a_gpu_that_is_no_longer_shown_stays_lost() {
    let lost = error("GpuLost", "DeviceGetTemperature").settled(&PAGE, judge);
    let gone = lost.later(60, |sample| {
        sample.view.errors.clear();
        sample.view.gpus.remove(0);
        sample.gpus.remove(0);
    });
    assert!(gone.settled(&PAGE, judge).findings.get("driver", GPU).is_some());
}

#[test]
fn a_sample_of_other_sections_takes_no_error_back() {
    let sick = error("Unknown", "DeviceGetPowerUsage").settled(&PAGE, judge);
    let other = sick.later(10, |sample| {
        sample.view.errors.clear();
        sample.sections = vec![Section::Clocks];
    });
    assert!(other.settled(&PAGE, judge).findings.get("driver", GPU).is_some());
}
