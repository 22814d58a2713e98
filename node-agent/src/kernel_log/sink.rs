//! What the readers deliver, and the sink that collects it.

use super::record::KernelRecord;
use super::resume::Resume;
use super::told::Boundaries;

/// A batch is delivered once it has this many items; the last read may exceed that.
const BATCH_FULL: usize = 256;

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A record of any facility; see [`KernelRecord::is_kernel`].
    Record(KernelRecord),
    /// Records were overwritten before they could be read.
    Overrun {
        /// The number of records, if known.
        lost: Option<u64>,
    },
    /// The file was replaced or truncated; the items that follow are from the start of the new one.
    Rotated,
}

/// Whether a reader has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more to read.
    More,
    /// Nothing is left to read: wait.
    Drained,
}

/// Collects the records of a reader and drops those delivered before.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) items: Vec<Item>,
    pub(super) resume: &'a mut Resume,
    pub(super) boundaries: &'a mut Boundaries,
}

impl Sink<'_> {
    pub(super) fn record(&mut self, mut record: KernelRecord) {
        self.boundaries.mark(&mut record);
        if self.resume.is_new(&record) {
            self.items.push(Item::Record(record));
        }
    }

    pub(super) fn overrun(&mut self, lost: Option<u64>) {
        self.boundaries.forget();
        self.items.push(Item::Overrun { lost });
    }

    pub(super) fn rotated(&mut self) {
        self.resume.start_over();
        self.boundaries.forget();
        self.items.push(Item::Rotated);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.items.len() >= BATCH_FULL
    }
}
