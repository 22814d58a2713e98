//! SXids: what an NVSwitch reports.
//!
//! Source of both lists: gpud's SXid catalogue. They are a fallback: the line itself says `Fatal` or `Non-fatal`, and
//! it wins if they differ (12028 is listed as fatal and printed as Non-fatal in a real log, imbue-ai/cluster-health).

use std::ops::RangeInclusive;

/// Codes that are fatal to the links or the switch.
#[rustfmt::skip]
pub static FATAL: &[RangeInclusive<u32>] = &[
    11001..=11001, 11004..=11004, 11009..=11009, 11013..=11013, 11018..=11020, 12001..=12002, 12020..=12020, 12022..=12022,
    12024..=12028, 12031..=12032, 14017..=14017, 15001..=15001, 15006..=15006, 15009..=15010, 15012..=15013, 19047..=19048,
    19054..=19054, 19056..=19056, 19058..=19058, 19060..=19061, 19063..=19064, 19066..=19067, 19069..=19070, 19084..=19084,
    20034..=20034, 22003..=22003, 22011..=22012, 23001..=23017, 24004..=24007,
];

/// Codes that are not fatal.
#[rustfmt::skip]
pub static NON_FATAL: &[RangeInclusive<u32>] = &[
    10001..=10005, 11012..=11012, 11021..=11023, 12021..=12021, 12023..=12023, 12030..=12030, 15008..=15008, 15011..=15011,
    19049..=19049, 19055..=19055, 19057..=19057, 19059..=19059, 19062..=19062, 19065..=19065, 19068..=19068, 19071..=19071,
    20001..=20001, 20009..=20009, 20012..=20012, 22013..=22013, 24001..=24003,
];

/// Whether a code is fatal according to the lists; None if it is in neither.
pub fn is_fatal(code: u32) -> Option<bool> {
    let listed = |list: &[RangeInclusive<u32>]| list.iter().any(|codes| codes.contains(&code));
    match (listed(FATAL), listed(NON_FATAL)) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_in_both_lists() {
        let both: Vec<u32> =
            FATAL.iter().cloned().flatten().filter(|code| NON_FATAL.iter().any(|codes| codes.contains(code))).collect();
        assert_eq!(both, Vec::<u32>::new());
        assert_eq!([20034, 22013, 26006].map(is_fatal), [Some(true), Some(false), None]);
    }
}
