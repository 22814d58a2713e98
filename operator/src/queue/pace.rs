//! How many writes are under way at once.

use super::rank::URGENT;

/// The most ordinary writes under way at once. An API server answers a write within some milliseconds, so these are hundreds
/// a second (measured on two cores: up to 370). With more of them each answer takes longer, that to a taint included.
const ORDINARY_AT_ONCE: usize = 4;
/// The same while a claim or a taint waits or is under way. Not none: these may come one after the other for minutes, and
/// one that gets no answer must not stop everything else.
const BESIDE_URGENT: usize = 1;
/// The most claims and taints under way at once, whatever else is. At 32 writes the API server's priority level
/// `workload-low` begins to queue requests.
const URGENT_AT_ONCE: usize = 24;

/// The most steps of one ordinary rank that the queue holds. That is more than are written between two decisions in a wave
/// (one a second), and each takes some KiB: those of 10,000 nodes would take as much memory as the nodes themselves.
pub(super) const MOST_HELD: usize = 2_000;

/// The writes under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    urgent: usize,
    ordinary: usize,
}

impl UnderWay {
    /// Whether one more write of this rank may be sent.
    pub(super) fn has_room(&self, rank: u8, urgent_waits: bool) -> bool {
        if rank == URGENT {
            return self.urgent < URGENT_AT_ONCE;
        }
        let most = if urgent_waits || self.urgent > 0 { BESIDE_URGENT } else { ORDINARY_AT_ONCE };
        self.ordinary < most
    }

    /// A write of this rank is sent.
    pub(super) fn began(&mut self, rank: u8) {
        *self.count(rank) += 1;
    }

    /// A write of this rank was answered.
    pub(super) fn ended(&mut self, rank: u8) {
        *self.count(rank) -= 1;
    }

    fn count(&mut self, rank: u8) -> &mut usize {
        if rank == URGENT { &mut self.urgent } else { &mut self.ordinary }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rank::WORDS, *};

    /// How many writes of this rank begin until there is no room.
    fn begin(under_way: &mut UnderWay, rank: u8) -> usize {
        let before = *under_way.count(rank);
        while under_way.has_room(rank, false) {
            under_way.began(rank);
        }
        *under_way.count(rank) - before
    }

    #[test]
    fn ordinary_writes_leave_room_for_urgent_ones_and_make_way_while_there_are_some() {
        let mut under_way = UnderWay::default();
        assert_eq!(begin(&mut under_way, WORDS), ORDINARY_AT_ONCE);
        assert_eq!(begin(&mut under_way, URGENT), URGENT_AT_ONCE);
        for _ in 0..ORDINARY_AT_ONCE {
            under_way.ended(WORDS);
        }
        assert_eq!(begin(&mut under_way, WORDS), BESIDE_URGENT, "something else goes on");
        while under_way.urgent > 0 {
            under_way.ended(URGENT);
        }
        assert!(!under_way.has_room(WORDS, true), "one that waits counts as one under way");
        assert_eq!(begin(&mut under_way, WORDS), ORDINARY_AT_ONCE - BESIDE_URGENT);
    }
}
