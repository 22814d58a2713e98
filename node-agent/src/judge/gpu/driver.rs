//! `driver`: whether the driver answers, which GPUs it reports as faulty, and which calls are slow.
//!
//! ```text
//!  maintenance, boot grace ─▶ Skipped
//!  a call hangs            ─▶ a finding, on the GPU where it is known
//!  no library, no device   ─▶ Inconclusive: a crash, a lost device node or a missing library is no fault of a GPU
//!  the library refuses     ─▶ a finding on the node
//!  the library answers     ─▶ each GPU by its errors and modes, the node by versions and times
//! ```

use crate::judge::core::ground::UPGRADE_WAITS;
use crate::judge::core::readings::{Readings, Trouble};
use crate::judge::core::tally::{Answer, Tally, gpu_name};
use crate::judge::core::{Ground, Judged, Page, rule};
use crate::readings::inventory::{NvmlError, NvmlGpu, NvmlView, Vendor};
use crate::readings::mismatch::Mismatch;
use crate::readings::return_codes::{Means, at_init};
use crate::readings::sample::{DeviceAccess, Section};
use crds::check::Check;
use crds::names::TARGET_NODE;
use crds::reason;
use std::collections::{BTreeMap, BTreeSet};

mod rows;
#[cfg(test)]
pub(in crate::judge) mod tests;

pub use rows::RULES;

/// A call that takes longer is slow, in milliseconds. Our estimate: calls take microseconds to tens of milliseconds.
const SLOW_MS: u64 = 5_000;

/// The reasons of failed calls about a GPU.
const OF_ERRORS: [&str; 4] =
    [reason::GPU_LOST, reason::RESET_REQUIRED, reason::CORRUPTED_INFOROM, reason::DRIVER_ERROR];

/// The reason of a failed call; `None` if it says nothing about the GPU.
const fn reason_of(means: Means) -> Option<&'static str> {
    match means {
        Means::Lost => Some(reason::GPU_LOST),
        Means::ResetRequired => Some(reason::RESET_REQUIRED),
        Means::CorruptedInforom => Some(reason::CORRUPTED_INFOROM),
        Means::Trouble => Some(reason::DRIVER_ERROR),
        Means::NotLoaded => Some(reason::DRIVER_NOT_LOADED),
        Means::Mismatch => Some(reason::LIB_RM_VERSION_MISMATCH),
        Means::Absent | Means::Withheld | Means::Hole | Means::Unclear => None,
    }
}

/// Whether a failed call leaves open how its GPU is.
const fn is_open(means: Means) -> bool {
    match means {
        Means::Unclear | Means::Withheld => true,
        Means::Lost
        | Means::ResetRequired
        | Means::CorruptedInforom
        | Means::Trouble
        | Means::NotLoaded
        | Means::Mismatch
        | Means::Absent
        | Means::Hole => false,
    }
}

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::Driver,
    means: "The driver of the GPUs does not answer as it should: it hangs, it has lost a GPU or wants it reset, or its library and kernel module have different versions. Until that is fixed, programs that use a GPU fail.",
    measured: "Every call of the sampler into libnvidia-ml.so.1: its return code, its duration, and whether it returned; nvmlSystemGetDriverVersion, nvmlDeviceGetPersistenceMode, nvmlDeviceGetUUID. Silent under maintenance and for bootGraceSeconds after a boot. A library that cannot be loaded, a sampler that crashed, device nodes that refuse the agent and a library older than the kernel module are Inconclusive: no GPU is at fault. A return code that says nothing about the GPU is Inconclusive too; only 15 (lost) and 16 (reset required) are faults.",
    profile: &["gpus.driverAtLeast"],
    metrics: &["gpu_health_driver_info", "gpu_health_sampler_hung_calls_total", "gpu_health_sampler_seconds"],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    if let Some(pause) = ground.expected.pause(ground.now) {
        return Judged::skipped(pause);
    }
    match &ground.readings.trouble {
        Some(trouble) if HANGS.contains(&trouble.reason.as_str()) => return hung(trouble, ground),
        // A crash or a missing runner may be our own fault.
        Some(_) => {}
        None => {
            if let Some(refused) = ground.readings.view.as_ref().and_then(|view| refused(ground, view)) {
                return refused;
            }
        }
    }
    match ground.answered(Section::Driver) {
        // A GPU that no handle was given for has its error and no reading.
        Ok(view) if !view.errors.is_empty() => answered(ground),
        Ok(_) => ground.driver(Section::Driver).map_or_else(|judged| *judged, |_| answered(ground)),
        Err(judged) => *judged,
    }
}

/// Faults that only the driver can cause.
const HANGS: [&str; 2] = [reason::CALL_HUNG, reason::CHILD_UNKILLABLE];

fn hung(trouble: &Trouble, ground: &Ground<'_>) -> Judged {
    let Trouble { reason: why, message, call, pci, since } = trouble;
    let target = pci.as_deref().unwrap_or(TARGET_NODE);
    let call = call.as_deref().unwrap_or("a call of the driver's library");
    let about = pci.as_deref().map_or_else(|| "the node's driver".to_owned(), |pci| gpu_name(ground.gpus, pci));
    let seconds = ground.now.mono_ms.saturating_sub(*since) / 1000;
    let said = if why == reason::CHILD_UNKILLABLE {
        format!("{about}: {call} is stuck in the kernel, and the process that made it cannot be killed")
    } else {
        format!("{about}: {call} has not returned")
    };
    let found = rule::found(RULES, why, target, said, format!("{message}; for {seconds} s"));
    // Findings on other targets cannot be judged while the driver hangs.
    rule::judged(vec![target.to_owned()], vec![found])
}

/// The library answers with a refusal as a whole, so nothing is known about any GPU.
fn refused(ground: &Ground<'_>, view: &NvmlView) -> Option<Judged> {
    let status = view.status.as_str();
    let lost_access = ground.readings.device_access == Some(DeviceAccess::Refused);
    if status == NvmlView::OK || lost_access {
        return None;
    }
    let nvidia: Option<Vec<_>> =
        ground.readings.tree().map(|tree| tree.pci.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia).collect());
    let why = reason_of(at_init(status))?;
    if why == reason::DRIVER_NOT_LOADED {
        let nvidia = nvidia.as_ref().filter(|gpus| !gpus.is_empty())?;
        // The module is loaded but the library cannot see it from here, or the GPUs are bound to another driver.
        if nvidia.iter().any(|gpu| gpu.driver.is_some()) {
            return None;
        }
    }
    let library = ground.readings.library_version.as_deref().unwrap_or("-");
    let said = view.message.as_deref().unwrap_or(status);
    let message = match why {
        reason::LIB_RM_VERSION_MISMATCH => match ground.mismatch() {
            Mismatch::ModuleOlder => UPGRADE_WAITS.to_owned(),
            // Our library is behind, or it is not known which is: nothing about the node.
            Mismatch::LibraryOlder { .. } | Mismatch::Unknown => return None,
        },
        reason::DRIVER_NOT_LOADED => {
            let count = nvidia.map_or(0, |gpus| gpus.len());
            format!("PCI shows {count} NVIDIA GPUs, but their kernel module is not loaded")
        }
        _ => format!("the driver's library does not answer: {said}"),
    };
    let module = ground.readings.tree().and_then(|tree| tree.module_version.as_deref()).unwrap_or("-");
    let evidence = format!("nvmlInit: {status} ({said}), library {library}, module {module}");
    Some(rule::judged(vec![TARGET_NODE.to_owned()], vec![rule::found(RULES, why, TARGET_NODE, message, evidence)]))
}

fn answered(ground: &Ground<'_>) -> Judged {
    let Readings { view: Some(view), gpus, taken, .. } = ground.readings else {
        return Judged::unknown(reason::NEVER_JUDGED, "nothing has been measured yet".to_owned());
    };
    // A sample of other sections makes other calls: it can add errors, but their absence from it lifts nothing.
    let is_whole = taken.get(&Section::Driver) == taken.values().max();
    let errors = errors_by_target(view);
    let repeated = repeated_uuids(view);
    let mut tally = Tally::new(&PAGE, ground);
    let mut left_open = Vec::new();
    let named: BTreeSet<&str> = gpus.keys().map(String::as_str).chain(errors.keys().map(String::as_str)).collect();
    for pci in named.into_iter().filter(|target| *target != TARGET_NODE) {
        let name = tally.name(pci);
        let open = errors.get(pci).and_then(|errors| errors.iter().find(|error| is_open(error.means())));
        let mut answers = error_answers(errors.get(pci), &name, is_whole && open.is_none());
        let mode = gpus.get(pci).and_then(|gpu| gpu.driver.as_ref());
        answers.push((
            reason::PERSISTENCE_OFF,
            Answer::when(mode.and_then(|mode| mode.persistence).map(|on| !on), || {
                (format!("{name}: persistence mode is off"), "persistence mode: off".to_owned())
            }),
        ));
        let uuid = gpus.contains_key(pci).then(|| repeated.get(pci));
        answers.push((
            reason::UUID_REPEATED,
            Answer::when(uuid.map(|uuid| uuid.is_some()), || {
                let uuid = uuid.flatten().copied().unwrap_or_default();
                (format!("{name}: another GPU of the node answers with the same UUID"), uuid.to_owned())
            }),
        ));
        // The library answers, so the hang is over.
        answers.extend(HANGS.map(|why| (why, Answer::Well)));
        if let Some(error) = open {
            // Whatever else is well with it, how the GPU is remains open.
            answers.retain(|(_, answer)| matches!(answer, Answer::Wrong { .. }));
            answers.push((reason::DRIVER_ERROR, Answer::Unknown));
            left_open.push(format!("{name} was not judged: {}", error.in_words()));
        }
        tally.ask(pci, answers);
    }
    let open = errors.get(TARGET_NODE).and_then(|errors| errors.iter().find(|error| is_open(error.means())));
    left_open.extend(open.map(|error| format!("a GPU was not judged: {}", error.in_words())));
    let mut answers = error_answers(errors.get(TARGET_NODE), "the node's driver", is_whole && open.is_none());
    answers.push((reason::CALL_SLOW, slow(ground.readings)));
    answers.push((reason::DRIVER_TOO_OLD, too_old(ground, view)));
    let over = [reason::CALL_HUNG, reason::CHILD_UNKILLABLE, reason::DRIVER_NOT_LOADED];
    answers.push((reason::LIB_RM_VERSION_MISMATCH, Answer::Well));
    answers.extend(over.map(|why| (why, Answer::Well)));
    tally.ask(TARGET_NODE, answers);
    with_left_open(tally.judged(), &left_open)
}

/// Says what was not judged. If no GPU was, neither was the node.
fn with_left_open(judged: Judged, left_open: &[String]) -> Judged {
    if left_open.is_empty() {
        return judged;
    }
    let message = left_open.join("; ");
    if judged.covered.iter().all(|target| target == TARGET_NODE) {
        return Judged { found: judged.found, ..Judged::unknown(reason::CODE_UNCLEAR, message) };
    }
    Judged { message: Some(message), ..judged }
}

/// The telling errors of the last sample, by the GPU's target; those about none that is known, under `node`.
fn errors_by_target(view: &NvmlView) -> BTreeMap<String, Vec<&NvmlError>> {
    let mut by_target: BTreeMap<String, Vec<&NvmlError>> = BTreeMap::new();
    let tells = |error: &&NvmlError| reason_of(error.means()).is_some() || is_open(error.means());
    for error in view.errors.iter().filter(tells) {
        let by_index = || view.gpus.iter().find(|gpu| Some(gpu.index) == error.index).map(NvmlGpu::target);
        let target = error.address().or_else(by_index).unwrap_or_else(|| TARGET_NODE.to_owned());
        by_target.entry(target).or_default().push(error);
    }
    by_target
}

fn error_answers(errors: Option<&Vec<&NvmlError>>, name: &str, is_whole: bool) -> Vec<(&'static str, Answer)> {
    let silence = if is_whole { Answer::Well } else { Answer::Unknown };
    OF_ERRORS
        .into_iter()
        .map(|reason| {
            let first = errors.into_iter().flatten().find(|error| reason_of(error.means()) == Some(reason));
            let answer = first.map_or_else(
                || silence.clone(),
                |error| Answer::Wrong {
                    message: format!("{name}: the driver answers {} to nvml{}", error.kind, error.call),
                    evidence: format!(
                        "nvml{}: {}, index {}",
                        error.call,
                        error.kind,
                        crate::judge::core::tally::shown(error.index)
                    ),
                },
            );
            (reason, answer)
        })
        .collect()
}

/// UUIDs reported by more than one GPU, by the PCI address of each.
fn repeated_uuids(view: &NvmlView) -> BTreeMap<&str, &str> {
    let named: Vec<(&str, &str)> =
        view.gpus.iter().filter_map(|gpu| Some((gpu.pci.as_deref()?, gpu.uuid.as_deref()?))).collect();
    let is_repeated = |uuid: &str| named.iter().filter(|(_, other)| *other == uuid).count() > 1;
    named.iter().copied().filter(|(_, uuid)| is_repeated(uuid)).collect()
}

fn slow(readings: &Readings) -> Answer {
    let slowest = readings.slowest.as_ref();
    Answer::when(slowest.map(|(_, took)| *took > SLOW_MS), || {
        let (call, took) = slowest.cloned().unwrap_or_default();
        let message = format!("the driver took {took} ms for {call}; {SLOW_MS} ms are allowed");
        (message, format!("{call}: {took} ms"))
    })
}

fn too_old(ground: &Ground<'_>, view: &NvmlView) -> Answer {
    let Some(least) =
        ground.expected.spec.and_then(|spec| spec.expected.as_ref()?.gpus.as_ref()?.driver_at_least.as_deref())
    else {
        return Answer::Well;
    };
    let driver = view.driver.as_deref();
    let older = driver.and_then(version).zip(version(least)).map(|(driver, least)| driver < least);
    Answer::when(older, || {
        let driver = driver.unwrap_or_default();
        (format!("the driver is {driver}; the profile asks for {least} or newer"), format!("driver {driver}"))
    })
}

/// `570.86.15` as numbers; `None` for anything else.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}
