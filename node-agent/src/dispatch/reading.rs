//! Readings that were begun after a moment: what the checks of a run wait for.

use super::checks::Fresh;
use super::context::Context;
use crate::readings::Section;

/// The longest that a check waits for its readings, in milliseconds. A hang is reported after 10 s, and a sampler that hangs
/// is restarted several times within this time.
pub const READING_MS: u64 = 120_000;

/// Whether all of it was read since then. Asks for what was not.
pub(super) fn is_read(wanted: Fresh, since: u64, context: &mut Context<'_>) -> bool {
    let senses = &mut *context.senses;
    let missing: Vec<Section> =
        wanted.driver.iter().copied().filter(|section| !senses.sampling.has_read(*section, since)).collect();
    let lacks_tree = wanted.tree && !senses.tree.was_read(since);
    for section in &missing {
        senses.sampling.want(*section, since);
    }
    if lacks_tree {
        senses.tree.want(since);
    }
    let is_read = missing.is_empty() && !lacks_tree;
    context.looks_again |= !is_read;
    is_read
}
