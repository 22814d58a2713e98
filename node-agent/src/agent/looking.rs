//! What the agent measures by itself: the tree, the driver by the sampler, and what of both becomes the inventory.

use super::event::Measured;
use super::sampler::{self, Heard};
use super::{State, Turn, log, tree, with_ground};
use crate::judge::inventory::{self, Hardware};
use crate::readings::{Said, Sample};
use crate::time::Now;

/// Measures what is due. Under maintenance nothing of ours touches the driver; afterwards everything begins anew.
pub(super) fn look(state: &mut State, turn: &mut Turn<'_>) {
    let monitors = state.expectation().monitors();
    let in_boot_grace = state.expectation().boot_grace_ends().is_some_and(|end| turn.now.wall() < end);
    if state.was_in_boot_grace && !in_boot_grace {
        // What was read while the node came up tells nothing of the time after it.
        state.sampler.read_again();
        state.tree.read_again();
    }
    state.was_in_boot_grace = in_boot_grace;
    state.tree.look(tree::interval_ms(&monitors), turn);
    let released = state.in_maintenance();
    let trouble = state.readings.trouble.clone();
    if released {
        state.sampler.release(turn);
        turn.probes.stop_all_that_may_hold_the_driver(turn.effects);
    } else {
        if state.was_released {
            state.readings.forget_driver();
            state.memory.begin_anew();
            state.sampler.begin_anew(turn.now.mono_ms);
        }
        state.sampler.look(&sampler::plan(&monitors), &mut state.readings, turn);
    }
    if state.was_released != released || state.readings.trouble != trouble {
        see(state);
    }
    state.was_released = released;
}

/// Takes a line of the sampler.
pub(super) fn hear(state: &mut State, probe: u64, said: Said, turn: &mut Turn<'_>) {
    match state.sampler.said(probe, said, &mut state.readings, turn) {
        Heard::Nothing => {}
        Heard::Sample(sample) => take_sample(state, &sample, turn.now),
        Heard::Event(event) => {
            let since = turn.now.mono_ms;
            for section in sampler::concerned(&event) {
                state.sampler.want(section, since);
            }
            log::take_event(state, &event, turn.now);
        }
    }
    see(state);
}

/// Until the agent's own last report was read nothing is remembered: it holds the counters from which to go on.
fn take_sample(state: &mut State, sample: &Sample, now: Now) {
    state.readings.take(sample, now.mono_ms);
    if state.carried {
        state.memory.note_sample(sample, now);
    }
    state.sample_read_at.get_or_insert(now.mono_ms);
}

/// Takes the end of a probe.
pub(super) fn take_measurement(state: &mut State, id: u64, measured: Measured, duration_ms: u64, turn: &mut Turn<'_>) {
    let (now, released) = (turn.now, state.in_maintenance());
    if state.sampler.ended(id, &measured, released, &mut state.readings, now.mono_ms) {
        see(state);
        return;
    }
    let mut measured = match state.tree.ended(id, measured, &mut state.readings, now.mono_ms) {
        Ok(report) => {
            if let Some(report) = report {
                if state.carried {
                    state.memory.note_tree(&report, now);
                }
                state.readings.tree = Some((*report, now.mono_ms));
            }
            see(state);
            return;
        }
        Err(measured) => Some(measured),
    };
    with_ground(state, turn, |works, ground| {
        for work in works {
            let Some(still) = measured.take() else { break };
            measured = work.probe_finished(id, still, duration_ms, ground);
        }
    });
}

/// Brings hardware and inventory up to date. What was seen last is shown while nothing can be seen.
fn see(state: &mut State) {
    let hardware = Hardware::of(&state.readings);
    if hardware == state.hardware {
        return;
    }
    if let Hardware::Seen(report) = &hardware
        && (state.readings.trouble.is_none() || state.inventory.gpus.is_empty())
    {
        let mut inventory = inventory::as_reported(report);
        inventory::named_as_before(&mut inventory, &state.inventory);
        state.inventory = inventory;
    }
    state.hardware = hardware;
}
