//! The uptime of a GPU as the proof of a reset.

use super::*;
use crate::judge::core::Found;
use crate::judge::samples::{GPU, h200};
use crate::readings::Sample;
use crds::{Outcome, Severity};

/// When the agent was started, in seconds since 1970 and in milliseconds of the monotonic clock.
const START: i64 = 1_800_000_000;
const MONO: u64 = 1_000_000;

fn now(seconds: u64) -> Now {
    let mono_ms = MONO + seconds * 1000;
    Now { unix_ms: (START + i64::try_from(seconds).unwrap()) * 1000, mono_ms }
}

/// A healthy H200 of a driver that has an uptime and a recovery action.
fn up_for(seconds: u64, change: impl FnOnce(&mut GpuReadings)) -> Sample {
    let mut sample = h200(1);
    let gpu = &mut sample.gpus[0];
    gpu.driver.as_mut().unwrap().uptime_seconds = Some(seconds);
    change(gpu);
    sample
}

/// A fault, so many seconds after the start.
fn fault(severity: Severity, at: i64) -> Findings {
    let mut findings = Findings::default();
    let found = Found {
        target: GPU.to_owned(),
        outcome: Outcome::Fail,
        severity,
        reason: "GspTimeout".to_owned(),
        message: "Xid 119".to_owned(),
        evidence: None,
    };
    findings.put(found.as_finding(Check::Xid.name(), Time::from_unix(START + at)));
    findings
}

/// Whether a fault at 100 s is lifted by these samples: when they were taken, and what they show.
fn is_lifted(severity: Severity, samples: Vec<(u64, Sample)>) -> bool {
    let (mut findings, mut readings) = (fault(severity, 100), Readings::default());
    for (seconds, sample) in samples {
        readings.take(&sample, now(seconds).mono_ms);
        lift_by_reset(&mut findings, &readings, None, now(seconds));
    }
    findings.iter().count() == 0
}

#[test]
fn an_uptime_shorter_than_the_time_since_the_finding_lifts_what_a_reset_cures() {
    let reset = || vec![(50, up_for(5_000, |_| {})), (200, up_for(60, |_| {}))];
    assert!(is_lifted(Severity::Reset, reset()) && is_lifted(Severity::Reboot, reset()));
    assert!(!is_lifted(Severity::Isolate, reset()));
    // Also where the agent was started after the reset.
    assert!(is_lifted(Severity::Reset, vec![(200, up_for(60, |_| {}))]));
    // And where the other sections are read later than the uptime.
    let errors = |gpu: &mut GpuReadings| gpu.ecc.as_mut().unwrap().volatile_uncorrected = Some(2);
    assert!(is_lifted(Severity::Reset, vec![(200, up_for(60, errors)), (260, up_for(120, |_| {}))]));
}

#[test]
fn an_uptime_that_began_before_the_finding_lifts_nothing() {
    assert!(!is_lifted(Severity::Reset, vec![(50, up_for(5_000, |_| {})), (200, up_for(5_150, |_| {}))]));
    assert!(!is_lifted(Severity::Reset, vec![(200, up_for(150, |_| {}))]));
    // Within what whole seconds of two clocks may differ.
    assert!(!is_lifted(Severity::Reset, vec![(200, up_for(97, |_| {}))]));
}

#[test]
fn an_uptime_lifts_nothing_while_the_driver_asks_for_more_or_reads_errors() {
    let changes: [fn(&mut GpuReadings); 4] = [
        |gpu| gpu.recovery_action.as_mut().unwrap().action = Some(1),
        |gpu| gpu.recovery_action = None,
        |gpu| gpu.ecc.as_mut().unwrap().volatile_uncorrected = Some(1),
        // The driver initialises such a GPU again for each first program that opens it.
        |gpu| gpu.driver.as_mut().unwrap().persistence = Some(false),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(!is_lifted(Severity::Reset, vec![(200, up_for(60, change))]), "{number}");
    }
}

#[test]
fn a_clock_that_is_set_forward_lifts_nothing() {
    let (mut findings, mut readings) = (fault(Severity::Reset, 100), Readings::default());
    for minute in 0..60 {
        let seconds = 110 + minute * 60;
        readings.take(&up_for(seconds, |_| {}), now(seconds).mono_ms);
        // Long after the uptime was first read it is a day later.
        let jump = if seconds > 1_110 { 86_400_000 } else { 0 };
        let set = Now { unix_ms: now(seconds).unix_ms + jump, ..now(seconds) };
        lift_by_reset(&mut findings, &readings, None, set);
    }
    assert_eq!(findings.iter().count(), 1);
}
