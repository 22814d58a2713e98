//! SXids: what an NVSwitch reports (A100 and H100; the switches of B100 and GB200 report through their own management).
//!
//! Sources: gpud's SXid catalogue; NVIDIA's Fabric Manager User Guide of November 2025, tables 21 to 24, as a public rule
//! table cites it. The line itself says `Fatal` or `Non-fatal`, and it wins (12028 is listed as fatal by gpud and printed as
//! Non-fatal in a real log, imbue-ai/cluster-health). Where a line has no word and the sources disagree, the milder counts.

use std::ops::RangeInclusive;

/// What NVIDIA's guide says to reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Nothing,
    /// The link's mechanics have to be checked.
    Mechanics,
    /// With a shared NVSwitch or vGPU, the VM is started again.
    Machine,
    /// On an access link the GPUs that take part, on a trunk link all GPUs and switches. A line does not say which of the two
    /// its link is.
    Link,
    /// All GPUs and switches.
    Everything,
    /// Boot of the host, or a secondary bus reset.
    Host,
}

impl Scope {
    /// What to do, for people; empty if nothing.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Mechanics => "check the mechanics of the link",
            Self::Machine => "with a shared NVSwitch or vGPU restart the VM; check the fabric manager's partitions",
            Self::Link => "reset the GPUs on this link, or all GPUs and switches if it is a trunk link",
            Self::Everything => "reset all GPUs and switches",
            Self::Host => "reboot the host",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SxidRow {
    /// The codes.
    pub codes: &'static [RangeInclusive<u32>],
    /// Whether gpud lists them as fatal; None if it does not list them.
    pub gpud: Option<bool>,
    /// Whether NVIDIA's guide does.
    pub guide: Option<bool>,
    /// What to reset.
    pub scope: Scope,
    /// Further notes.
    pub note: &'static str,
}

impl SxidRow {
    /// Whether the codes are fatal where the line has no word: only if no source disagrees.
    pub fn is_fatal(&self) -> bool {
        self.gpud.unwrap_or(true) && self.guide.unwrap_or(true)
    }
}

const BOTH_FATAL: (Option<bool>, Option<bool>) = (Some(true), Some(true));
const NEITHER: (Option<bool>, Option<bool>) = (Some(false), Some(false));
const ONLY_GPUD: (Option<bool>, Option<bool>) = (Some(true), Some(false));
const ONLY_GUIDE: (Option<bool>, Option<bool>) = (Some(false), Some(true));

const fn row_of(
    codes: &'static [RangeInclusive<u32>],
    (gpud, guide): (Option<bool>, Option<bool>),
    scope: Scope,
    note: &'static str,
) -> SxidRow {
    SxidRow { codes, gpud, guide, scope, note }
}

/// Every row.
#[rustfmt::skip]
pub static ROWS: &[SxidRow] = &[
    row_of(&[
        11001..=11001, 11009..=11009, 11013..=11013, 11018..=11020, 12001..=12002, 12022..=12022, 12024..=12027, 12031..=12032, 14017..=14017,
        15001..=15001, 15006..=15006, 15009..=15010, 15012..=15013, 19047..=19048, 19054..=19054, 19056..=19056, 19058..=19058, 19060..=19061,
        19063..=19064, 19066..=19067, 19069..=19070, 20034..=20034, 22012..=22012, 24004..=24007,
    ], BOTH_FATAL, Scope::Link, ""),
    row_of(&[12020..=12020, 22003..=22003, 22011..=22011, 23001..=23017], BOTH_FATAL, Scope::Host, "always fatal to the host"),
    row_of(&[10003..=10003], ONLY_GUIDE, Scope::Everything, "fatal by the guide, not by gpud"),
    row_of(&[12030..=12030], ONLY_GUIDE, Scope::Link, "fatal by the guide, not by gpud"),
    row_of(&[19084..=19084], ONLY_GPUD, Scope::Everything, "not fatal by the guide, which names a reset all the same: the fatal SXid that comes with it decides"),
    row_of(&[11004..=11004], ONLY_GPUD, Scope::Machine, "fatal by gpud, not by the guide; the routing or the partitions refuse the traffic of a guest"),
    row_of(&[12028..=12028], ONLY_GPUD, Scope::Machine, "fatal by gpud, not by the guide; a job that is stopped in the middle of NVLS collectives leaves a burst of these on healthy hardware"),
    row_of(&[20012..=20012], NEITHER, Scope::Mechanics, ""),
    row_of(&[
        10001..=10002, 10004..=10005, 11012..=11012, 11021..=11023, 12021..=12021, 12023..=12023, 15008..=15008, 15011..=15011, 19049..=19049,
        19055..=19055, 19057..=19057, 19059..=19059, 19062..=19062, 19065..=19065, 19068..=19068, 19071..=19071, 20001..=20001, 22013..=22013,
        24001..=24003,
    ], NEITHER, Scope::Nothing, ""),
    row_of(&[20009..=20009], (Some(false), None), Scope::Nothing, "gpud alone"),
];

/// The row of a code; None for codes that no source lists.
pub fn row(code: u32) -> Option<&'static SxidRow> {
    ROWS.iter().find(|row| row.codes.iter().any(|codes| codes.contains(&code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once_and_a_reboot_needs_both_sources() {
        let mut codes: Vec<u32> = ROWS.iter().flat_map(|row| row.codes.iter().cloned().flatten()).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
        for row in ROWS.iter().filter(|row| row.scope == Scope::Host) {
            assert_eq!((row.gpud, row.guide), BOTH_FATAL, "{row:?}");
        }
    }

    #[test]
    fn where_the_sources_disagree_the_milder_counts() {
        let is_fatal = |code| row(code).map(SxidRow::is_fatal);
        assert_eq!([10003, 11004, 12028, 12030, 19084].map(is_fatal), [Some(false); 5]);
        assert_eq!([20034, 12020, 22013, 26006].map(is_fatal), [Some(true), Some(true), Some(false), None]);
    }
}
