//! What was already delivered: before this start (the cursor in the report) and since.

use super::KernelRecord;

/// A position in the kernel log of one boot: the last record that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The boot; in another boot the cursor is void.
    pub boot_id: String,
    /// The record's sequence number, if the source has one.
    pub seq: Option<u64>,
    /// The record's time, in microseconds since boot.
    pub usec: u64,
}

/// Decides which records are new to the holder of a cursor.
#[derive(Debug)]
pub(super) struct Resume {
    boot_id: String,
    last: Option<Place>,
    /// Not yet past the position of the cursor.
    catching_up: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    seq: Option<u64>,
    usec: u64,
}

impl Resume {
    pub(super) fn new(boot_id: String, cursor: Option<&Cursor>) -> Self {
        let last = cursor
            .filter(|cursor| cursor.boot_id == boot_id)
            .map(|cursor| Place { seq: cursor.seq, usec: cursor.usec });
        Self { boot_id, last, catching_up: last.is_some() }
    }

    /// Whether to deliver the record. Once one was delivered, everything after it in the source is new, whatever its
    /// numbers: timestamps of two processors may be out of order by microseconds.
    pub(super) fn is_new(&mut self, record: &KernelRecord) -> bool {
        if let Some(last) = self.last.filter(|_| self.catching_up) {
            let seen = match (record.seq, last.seq) {
                (Some(seq), Some(last)) => seq <= last,
                // No times are printed (printk.time=0), so there is nothing to compare: reporting a fault twice is
                // better than never.
                _ => record.usec != 0 && record.usec <= last.usec,
            };
            if seen {
                return false;
            }
        }
        self.catching_up = false;
        self.last = Some(Place { seq: record.seq, usec: record.usec });
        true
    }

    /// The source starts over (rotation): its numbers may too.
    pub(super) const fn start_over(&mut self) {
        self.catching_up = false;
    }

    /// The sequence number after the last one delivered.
    pub(super) fn next_seq(&self) -> Option<u64> {
        self.last?.seq?.checked_add(1)
    }

    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.last.map(|last| Cursor { boot_id: self.boot_id.clone(), seq: last.seq, usec: last.usec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: Option<u64>, usec: u64) -> KernelRecord {
        KernelRecord { facility: 0, level: 4, seq, usec, begins: true, message: String::new() }
    }

    fn cursor(boot_id: &str, seq: Option<u64>, usec: u64) -> Cursor {
        Cursor { boot_id: boot_id.into(), seq, usec }
    }

    #[test]
    fn a_cursor_of_this_boot_hides_what_was_delivered_and_nothing_else() {
        let mut resume = Resume::new("b".into(), Some(&cursor("b", Some(7), 70)));
        assert_eq!([6, 7, 8].map(|seq| resume.is_new(&record(Some(seq), 50))), [false, false, true]);
        assert_eq!(resume.cursor(), Some(cursor("b", Some(8), 50)));
    }

    #[test]
    fn a_cursor_of_another_boot_is_void() {
        let mut resume = Resume::new("b".into(), Some(&cursor("a", Some(7), 70)));
        assert_eq!(resume.cursor(), None);
        assert!(resume.is_new(&record(Some(1), 1)));
    }

    #[test]
    fn times_decide_where_one_side_has_no_sequence_number() {
        let mut resume = Resume::new("b".into(), Some(&cursor("b", Some(7), 70)));
        assert_eq!([69, 70, 71, 70].map(|usec| resume.is_new(&record(None, usec))), [false, false, true, true]);
        let mut without_times = Resume::new("b".into(), Some(&cursor("b", None, 70)));
        assert!(without_times.is_new(&record(None, 0)));
    }
}
