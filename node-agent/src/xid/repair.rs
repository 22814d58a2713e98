//! What the text of an Xid 64 says about a repair of memory that failed.
//!
//! Source of the texts: open-gpu-kernel-modules 615.71.09, `events/gpu/ras` (the formats of INFOROM_DRAM_RETIREMENT_FAILURE);
//! which of them ask for a reset, and which for another board: gpud's handling of Xid 64, AWS pull request 1190 (64:
//! ISOLATE). A text without a row, such as an internal error, says nothing about spares: the row of Xid 64 decides.

use crds::Severity;

/// One text, and what it means.
#[derive(Debug, PartialEq, Eq)]
pub struct RepairText {
    /// How the text begins after the address, or after `DRAM Retirement failed due to `.
    pub says: &'static str,
    /// Our severity.
    pub severity: Severity,
    /// Our reason.
    pub reason: &'static str,
    /// What it means.
    pub means: &'static str,
}

const fn text(says: &'static str, severity: Severity, reason: &'static str, means: &'static str) -> RepairText {
    RepairText { says, severity, reason, means }
}

/// Another repair is pending, and a reset makes room.
pub const PENDING: &str = "RowRemapPending";

/// Every text that decides.
#[rustfmt::skip]
pub static TEXTS: &[RepairText] = &[
    text("Attempting to remap a row that is already pending remapping", Severity::Reset, PENDING, "the row is marked already, a reset activates it"),
    text("pending row remap", Severity::Reset, PENDING, "another row remapping has to be activated first"),
    text("pending bank remap", Severity::Reset, PENDING, "a bank remapping has to be activated first"),
    text("pending LTS swap", Severity::Reset, PENDING, "a swap of L2 slices has to be activated first"),
    text("Row Remapping table is full", Severity::Isolate, "RowRemapTableFull", "the table of remapped rows is full"),
    text("All reserved rows for bank are remapped", Severity::Isolate, "RowRemapBankFull", "the bank has no spare row left"),
    text("full inforom object", Severity::Isolate, "RowRemapInfoRomFull", "the InfoROM has no room for another repair"),
    text("HW limit reached", Severity::Isolate, "RowRemapLimitReached", "the hardware takes no further repair"),
    text("no spare for retirement", Severity::Isolate, "RowRemapNoSpare", "there is no spare left"),
];

/// The row of a text of Xid 64, from its beginning. None if it has none.
pub(super) fn read(text: &str) -> Option<&'static RepairText> {
    let remapper = text.strip_prefix("Row Remapper Error: (").or_else(|| text.strip_prefix("Row Remapper: ("));
    let said = match remapper {
        Some(rest) => rest.split_once(") - ")?.1,
        None => text.strip_prefix("DRAM Retirement failed due to ")?,
    };
    TEXTS.iter().find(|row| said.starts_with(row.says))
}
