//! Restores what the probe of a check may have changed: a probe of its own, tried again until it succeeds.

use super::checks::ProbeCheck;
use super::context::Context;
use super::lending::{HELD, Lending};
use super::probe::{Measured, Probe};

/// The time limit of one attempt, in milliseconds.
const DEADLINE_MS: u64 = 60_000;
/// The pause between two attempts, in milliseconds.
const PAUSE_MS: u64 = 10_000;
/// After so many failed attempts the check says what was not restored.
const ATTEMPTS: u32 = 30;

/// One restoring probe, until it has succeeded or failed for good.
#[derive(Clone, Debug)]
pub(super) struct Restore {
    row: &'static ProbeCheck,
    running: Option<u64>,
    failed: u32,
    /// When the next attempt is due.
    due: u64,
    end: Option<Result<(), String>>,
}

impl Restore {
    pub(super) const fn of(row: &'static ProbeCheck, now_ms: u64) -> Self {
        Self { row, running: None, failed: 0, due: now_ms, end: None }
    }

    /// Whether no other child of ours may have the driver's library loaded now.
    pub(super) const fn needs_driver_released(&self) -> bool {
        self.row.releases_driver
    }

    /// Starts an attempt that is due. Returns the result once there is one: a failure with its message.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Option<Result<(), String>> {
        // Under maintenance the driver may be unloaded at any moment, and its settings go with it.
        if self.end.is_none() && self.running.is_none() && !context.in_maintenance() {
            self.attempt(context);
        }
        self.end.clone()
    }

    fn attempt(&mut self, context: &mut Context<'_>) {
        if context.now.mono_ms < self.due {
            context.wake_at(self.due);
            return;
        }
        match Lending::of(self.row, self.due, context) {
            Lending::Free => {
                let probe = Probe::Restore { probe: self.row.probe, check: self.row.check };
                self.running = Some(context.start(probe, DEADLINE_MS));
            }
            Lending::Soon => {}
            Lending::Held => self.fail(HELD, context.now.mono_ms),
        }
    }

    pub(super) const fn probe_id(&self) -> Option<u64> {
        self.running
    }

    /// The attempt has ended.
    pub(super) fn ended(&mut self, measured: &Measured, now_ms: u64) {
        self.running = None;
        match measured {
            Measured::Report(_) => self.end = Some(Ok(())),
            Measured::Unknown { message, .. } => self.fail(message, now_ms),
            Measured::Tree(_) | Measured::Iperf(_) => {
                self.fail("the probe returned the report of another probe", now_ms);
            }
        }
    }

    fn fail(&mut self, message: &str, now_ms: u64) {
        self.failed += 1;
        self.due = now_ms.saturating_add(PAUSE_MS);
        if self.failed >= ATTEMPTS {
            let why = format!("what the check changed was not restored in {ATTEMPTS} attempts: {message}");
            self.end = Some(Err(why));
        }
    }
}
