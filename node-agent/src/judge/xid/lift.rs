//! What the driver says when a fault is over, and the signs of a reset where it says nothing.
//!
//! From R565 on, the driver reports the end of a recovery by Xid 154 and by field 230. Older drivers report nothing, and a
//! finding would stay until the next boot; and a driver that names no recovery for a fault reports no end of it either.
//! What else a reset leaves behind is a table.

use super::doubt::is_in_doubt;
use super::fold::is_cured;
use crate::judge::core::{Findings, Readings};
use crate::readings::sample::{GpuReadings, Section};
use crate::time::Now;
use crate::xid::recovery;
use crds::Time;
use crds::check::Check;

#[cfg(test)]
mod tests;

/// A sign that the GPU was initialised anew.
#[derive(Debug)]
pub struct Sign {
    /// What is seen.
    pub seen: &'static str,
    shows: Shows,
    /// How many signs it is worth; [`ENOUGH`] are needed.
    pub weight: u32,
    /// Where it says that it begins at zero.
    pub source: &'static str,
}

/// How a sign is read. Both begin at zero when the driver initialises the GPU.
#[derive(Clone, Copy, Debug)]
enum Shows {
    /// A count that is back at zero.
    Count(fn(&GpuReadings) -> Option<u64>),
    /// The seconds since then, which say when it was ([`Readings::initialised`]).
    Seconds,
}

/// Signs that prove a reset together. A single counter may be misread once.
const ENOUGH: u32 = 2;

const VOLATILE: &str = "nvml.h, nvmlEccCounterType_t: volatile counts are reset each time the driver loads";
const SINCE_LOAD: &str = "nvml.h: counted since the driver initialised the GPU";

/// What else a reset is seen by.
pub static SIGNS: &[Sign] = &[
    Sign {
        seen: "volatile uncorrected ECC errors back at zero",
        shows: Shows::Count(|gpu| gpu.ecc.as_ref()?.volatile_uncorrected),
        weight: 2,
        source: VOLATILE,
    },
    Sign {
        seen: "volatile corrected ECC errors back at zero",
        shows: Shows::Count(|gpu| gpu.ecc.as_ref()?.volatile_corrected),
        weight: 1,
        source: VOLATILE,
    },
    Sign {
        seen: "PCIe replays back at zero",
        shows: Shows::Count(|gpu| gpu.pcie.as_ref()?.replays),
        weight: 1,
        source: SINCE_LOAD,
    },
    Sign {
        seen: "time in software thermal slowdown back at zero",
        shows: Shows::Count(|gpu| gpu.clocks.as_ref()?.sw_thermal_ns),
        weight: 1,
        source: SINCE_LOAD,
    },
    Sign {
        seen: "time in hardware thermal slowdown back at zero",
        shows: Shows::Count(|gpu| gpu.clocks.as_ref()?.hw_thermal_ns),
        weight: 1,
        source: SINCE_LOAD,
    },
    Sign {
        seen: "time in power brake slowdown back at zero",
        shows: Shows::Count(|gpu| gpu.clocks.as_ref()?.power_brake_ns),
        weight: 1,
        source: SINCE_LOAD,
    },
    Sign {
        seen: "GPU uptime shorter than the time since the finding, in persistence mode",
        shows: Shows::Seconds,
        weight: ENOUGH,
        source: "nvml.h 13.5.37, nvmlDeviceGetGpuUptime_v1 (R620): zero again after a reboot, a reload of the driver and a reset of the GPU",
    },
];

/// Uptime and the times of the log are whole seconds of two clocks: our judgement.
const SLACK_SECONDS: i64 = 5;

/// How long the beginning of an uptime counts after it was read: until every section was read once more. Later the clock may
/// have been set since the finding, and the two times can no longer be compared.
const FRESH_MS: u64 = 900_000;

/// The sections that hold the counters of [`SIGNS`].
const SECTIONS: [Section; 3] = [Section::Ecc, Section::Pcie, Section::Clocks];

/// Lifts the findings that a reset or a reboot cures once the driver's recovery action has returned to None: a finding
/// of another action still stands, and the last reading is None. One that is only a warning, because nothing confirmed
/// an old line, is lifted by None alone. Call before that check is judged.
pub fn lift_by_recovery_action(findings: &mut Findings, readings: &Readings) {
    let none = |target: &str| {
        let reading = readings.gpus.get(target).and_then(|gpu| gpu.recovery_action.as_ref());
        reading.is_some_and(|reading| reading.action == Some(recovery::NONE))
    };
    let was_another = findings.of(Check::RecoveryAction.name()).map(|finding| finding.target.clone());
    let cured: Vec<String> = was_another.filter(|target| none(target)).collect();
    for target in cured {
        findings.retain(|finding| !is_cured(finding, &target));
    }
    findings.retain(|finding| !(is_in_doubt(finding) && is_cured(finding, &finding.target) && none(&finding.target)));
}

/// Lifts the findings that a reset cures where the GPU answers without an uncorrected error, the driver asks for no recovery,
/// and the GPU was initialised after the finding. Its uptime says when that was. Where the driver has no recovery action to
/// report, it is also seen by the load of the kernel module (`loaded`), or by counters that went back to zero.
pub fn lift_by_reset(findings: &mut Findings, readings: &Readings, loaded: Option<Time>, now: Now) {
    if readings.trouble.is_some() {
        return;
    }
    for (target, gpu) in readings.gpus.iter().filter(|(target, gpu)| is_well(target, gpu, readings)) {
        let before = readings.before.get(target);
        let tells = gpu.recovery_action.as_ref().is_some_and(|reading| reading.action.is_some());
        let counted = counters_went_back(before, gpu).then(|| last_read(readings, now)).flatten();
        let older = loaded.into_iter().chain(counted).filter(|_| !tells);
        let Some(reset) = older.chain(initialised(target, readings, now)).max() else { continue };
        findings.retain(|finding| !(is_cured(finding, target) && finding.last_seen.unix() < reset.unix()));
    }
}

/// Whether the driver reads the GPU without a fault, and asks for no recovery, or has none to ask for.
fn is_well(target: &str, gpu: &GpuReadings, readings: &Readings) -> bool {
    let asks =
        gpu.recovery_action.as_ref().is_none_or(|reading| !matches!(reading.action, None | Some(recovery::NONE)));
    let fails = readings
        .view
        .as_ref()
        .is_none_or(|view| view.errors.iter().any(|error| error.pci.as_deref().is_none_or(|pci| pci == target)));
    let has_errors = gpu.ecc.as_ref().and_then(|ecc| ecc.volatile_uncorrected).is_some_and(|count| count > 0);
    !asks && !fails && !has_errors
}

fn counters_went_back(before: Option<&GpuReadings>, gpu: &GpuReadings) -> bool {
    let Some(before) = before else { return false };
    let went_back = |sign: &&Sign| match sign.shows {
        Shows::Count(of) => of(before).zip(of(gpu)).is_some_and(|(before, now)| before > 0 && now == 0),
        Shows::Seconds => false,
    };
    SIGNS.iter().filter(went_back).map(|sign| sign.weight).sum::<u32>() >= ENOUGH
}

/// When the driver initialised the GPU, by the wall clock.
fn initialised(target: &str, readings: &Readings, now: Now) -> Option<Time> {
    let known = readings.initialised.get(target)?;
    let is_fresh = now.mono_ms.saturating_sub(known.read) < FRESH_MS;
    let ago = i64::try_from(now.mono_ms).ok()?.saturating_sub(known.at);
    is_fresh.then(|| Time::from_unix((now.unix_ms.saturating_sub(ago)).div_euclid(1000)).plus(-SLACK_SECONDS))
}

/// When the counters were last read, by the wall clock.
fn last_read(readings: &Readings, now: Now) -> Option<Time> {
    let taken = SECTIONS.iter().filter_map(|section| readings.taken.get(section)).min()?;
    let ago = i64::try_from(now.mono_ms.saturating_sub(*taken)).ok()?;
    Some(Time::from_unix((now.unix_ms - ago).div_euclid(1000)))
}
