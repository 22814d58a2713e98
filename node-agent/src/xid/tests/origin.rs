//! Where a sample comes from.

/// How close a sample is to what a machine printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::xid) enum Origin {
    /// Printed by a driver and published; its source.
    Recorded(&'static str),
    /// A recorded or documented form with other numbers; its source.
    Derived(&'static str),
    /// Invented.
    Invented,
}

/// How many samples there are of each origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::xid) struct Tally {
    pub(in crate::xid) recorded: usize,
    pub(in crate::xid) derived: usize,
    pub(in crate::xid) invented: usize,
}

impl Tally {
    pub(in crate::xid) fn count(&mut self, origin: Origin) {
        match origin {
            Origin::Recorded(source) => {
                assert!(!source.is_empty(), "a recorded sample names its source");
                self.recorded += 1;
            }
            Origin::Derived(form) => {
                assert!(!form.is_empty(), "a derived sample names whose form it has");
                self.derived += 1;
            }
            Origin::Invented => self.invented += 1,
        }
    }

    pub(in crate::xid) const fn all(self) -> usize {
        self.recorded + self.derived + self.invented
    }
}
