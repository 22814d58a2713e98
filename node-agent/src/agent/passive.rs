//! A passive check of a run: readings that begin after it, judged as its monitor judges.

use super::work::Ground;
use super::{results, results::Verdict, sampler, tree};
use crate::judge::{self, Measurements, interval_of, registry};
use crds::check::Check;
use crds::reason;

/// The longest that a run waits for a reading, in milliseconds. A hang is told after 10 s, and a sampler that hangs is
/// started again several times within this time.
pub const READING_MS: u64 = 120_000;
/// How many intervals a reading may take. A run reads for itself, so that it needs no verdict of being overdue.
const PATIENCE: i64 = 10;

/// Why the check cannot be asked for at the moment.
pub(super) fn pause(check: Check, ground: &Ground<'_>) -> Option<&'static str> {
    let pause = ground.expected.pause(ground.now)?;
    // In the boot grace each judge knows by itself whether it is silent.
    let by_driver = !sampler::sections_of(check).is_empty();
    (pause == reason::MAINTENANCE && by_driver).then_some(pause)
}

/// Asks for what is missing; the verdict once all was read since, or once nobody will read it any more.
pub(super) fn advance(check: Check, since: u64, is_late: bool, ground: &mut Ground<'_>) -> Option<Verdict> {
    if let Some(pause) = pause(check, ground) {
        return Some(Verdict::skipped(pause));
    }
    let missing: Vec<_> = sampler::sections_of(check)
        .iter()
        .filter(|section| !ground.senses.sampler.has_read(**section, since))
        .collect();
    let lacks_tree = tree::is_read_by(check) && !ground.senses.tree.was_read(since);
    if missing.is_empty() && !lacks_tree {
        return Some(verdict(check, ground));
    }
    let until = since.saturating_add(READING_MS);
    if is_late || ground.now.mono_ms >= until {
        return Some(nothing_read(check, is_late, ground));
    }
    for section in missing {
        ground.senses.sampler.want(*section, since);
    }
    if lacks_tree {
        ground.senses.tree.want(since);
    }
    *ground.senses.wanted = true;
    ground.wake_at(until);
    None
}

fn verdict(check: Check, ground: &Ground<'_>) -> Verdict {
    let senses = &ground.senses;
    let measured = Measurements {
        hardware: senses.hardware,
        kernel_log: senses.log,
        readings: senses.readings,
        memory: senses.memory,
        gpus: &senses.inventory.gpus,
    };
    let Some(monitor) = registry::of(check) else { return results::not_implemented(check) };
    let interval = interval_of(&registry::wanted(&ground.expected), check).saturating_mul(PATIENCE);
    let judged = judge::judge_one(monitor, interval, &ground.expected, &measured, ground.findings, ground.now);
    results::of_judged(check, judged, ground.findings, &senses.inventory.gpus, ground.now)
}

fn nothing_read(check: Check, is_late: bool, ground: &Ground<'_>) -> Verdict {
    let readings = ground.senses.readings;
    if let Some(trouble) = readings.trouble.as_ref().filter(|_| !sampler::sections_of(check).is_empty()) {
        return Verdict::unknown(&trouble.reason, trouble.message.clone());
    }
    if let Some((reason, message)) = readings.tree_failed.as_ref().filter(|_| tree::is_read_by(check)) {
        return Verdict::unknown(reason, message.clone());
    }
    if is_late {
        let why = "the deadline of the work order passed before anything was read";
        return Verdict::unknown(reason::DEADLINE_EXCEEDED, why.to_owned());
    }
    Verdict::unknown(reason::OVERDUE, format!("nothing was read within {} s", READING_MS / 1000))
}
