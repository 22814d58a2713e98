//! Decoding of Xid 144 to 150, the NVLink errors of Blackwell.
//!
//! Source: NVIDIA's Xid catalogue, sheet "Xid 144-150 Decode" (95 rules). The first word in the parentheses is
//! `intrInfo`, the second `errorStatus`. Drivers before R575 ("V1") have the sub-code in `intrInfo[9:5]` and a group
//! determined by the Xid in `intrInfo[4:0]`; from R575 ("V2") the sub-code is `intrInfo[6:0]`. In both,
//! `intrInfo[25:20]` is the reason for a lost link ([`super::link_down`]), and zero otherwise.

pub use super::action::Action;
use super::link_down::{self, DownReason};

use Action::{FollowRecoveryAction, Ignore, ResetGpu};

/// Which value the rules of a unit look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `errorStatus`, where each bit is a fault.
    StatusBits,
    /// `errorStatus`, an enumeration.
    StatusValue,
    /// The reason in `intrInfo[25:20]`.
    LinkDownReason,
    /// None: one action for all values.
    Nothing,
}

/// One unit of the decode table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The Xid.
    pub xid: u32,
    /// NVIDIA's name of the unit.
    pub name: &'static str,
    /// The sub-code before R575.
    pub v1: u32,
    /// The sub-codes from R575.
    pub v2: &'static [u32],
    /// Which value is looked up.
    pub by: By,
    /// Values that need a reset. Empty with [`By::Nothing`], which always needs one, and with [`By::LinkDownReason`].
    pub reset: &'static [u32],
    /// Values for which Xid 154 decides.
    pub follow: &'static [u32],
    /// Values to ignore.
    pub ignore: &'static [u32],
    /// Those of `follow` that are a consequence if a link of the node has just gone down (CHECK_NVLINK_FAILURE_FLOW).
    pub secondary: &'static [u32],
    /// A reset where these bits are set, even though the value is to be ignored ("Decode for action 2").
    pub reset_if: Option<ResetIf>,
}

/// Bits that turn a value to be ignored into a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetIf {
    /// The bit of `intrInfo` before R575.
    pub v1: u32,
    /// The bit of `intrInfo` from R575.
    pub v2: u32,
    /// The bits of `errorStatus` that it concerns.
    pub status: u32,
}

/// What the sheet says about one pair of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The unit.
    pub unit: &'static Unit,
    /// NVIDIA's resolution.
    pub action: Action,
    /// Why the link went down, if it did.
    pub down: Option<&'static DownReason>,
    /// A consequence, if a link of the node has just gone down.
    pub secondary: bool,
}

const CONTROL: u32 = 0x8000_0000;

const fn unit(xid: u32, name: &'static str, v1: u32, v2: &'static [u32], by: By) -> Unit {
    Unit { xid, name, v1, v2, by, reset: &[], follow: &[], ignore: &[], secondary: &[], reset_if: None }
}

/// Every unit.
#[rustfmt::skip]
pub static UNITS: &[Unit] = &[
    Unit { reset: &[0x2, 0x10], ignore: &[0x1, 0x4, 0x8, 0x20], ..unit(144, "SAW_MVB", 1, &[1], By::StatusBits) },
    Unit { ignore: &[CONTROL], ..unit(145, "RLW_CTRL", 3, &[3], By::StatusBits) },
    Unit { reset: &[0x40, 0x80], follow: &[0x1, 0x2, 0x4, 0x8, 0x10, 0x20], ignore: &[0x100, 0x200, CONTROL], secondary: &[0x4, 0x8, 0x10, 0x20], ..unit(145, "RLW_REMAP", 4, &[4], By::StatusBits) },
    Unit { reset: &[0x2], ignore: &[0x1, CONTROL], ..unit(145, "RLW_RSPCOL", 5, &[5], By::StatusBits) },
    Unit { ignore: &[0x1, 0x2, 0x4, 0x8, CONTROL], reset_if: Some(ResetIf { v1: 0x400, v2: 0x80, status: 0x7 }), ..unit(145, "RLW_RXPIPE", 6, &[6], By::StatusBits) },
    Unit { reset: &[0x1, 0x10, 0x20], follow: &[0x4, 0x8], ignore: &[0x2, CONTROL], ..unit(145, "RLW_SRC_TRACK", 7, &[7], By::StatusBits) },
    Unit { reset: &[0x2, 0x2_0000, 0x10_0000], ignore: &[0x1, 0x1_0000, CONTROL], ..unit(145, "RLW_TAGSTATE", 8, &[8], By::StatusBits) },
    Unit { reset: &[0x4], ignore: &[0x1, 0x2, CONTROL], ..unit(146, "TLW_CTRL", 9, &[9], By::StatusBits) },
    Unit { reset: &[0x4], ignore: &[0x1, 0x2, CONTROL], ..unit(146, "TLW_RX", 10, &[10, 11], By::StatusBits) },
    Unit { reset: &[0x4], ignore: &[0x1, 0x2, CONTROL], ..unit(146, "TLW_TX", 11, &[12, 13], By::StatusBits) },
    Unit { ignore: &[0x1, CONTROL], ..unit(147, "TREX", 12, &[14], By::StatusBits) },
    Unit { ignore: &[CONTROL], ..unit(148, "NVLPW", 0, &[15], By::StatusBits) },
    unit(149, "NETIR_INT", 0, &[24], By::Nothing),
    unit(149, "NETIR_LINK_DOWN", 14, &[17], By::LinkDownReason),
    Unit { ignore: &[0x0, 0x1, 0x2, 0x3], ..unit(149, "NETIR_BER_EVENT", 17, &[19], By::StatusValue) },
    Unit { reset: &[0x1, 0x4, 0x5, 0x7], ignore: &[0x3], ..unit(149, "NETIR_MFDE_EVENT", 18, &[20], By::StatusValue) },
    unit(150, "MSE", 0, &[0], By::Nothing),
];

/// The first driver of the second layout.
const V2_SINCE: u32 = 575;

/// What the sheet says. If the driver's major version is unknown, both layouts are tried and the more
/// severe answer counts. None if no rule matches.
pub fn decode(xid: u32, intr_info: u32, error_status: Option<u32>, driver_major: Option<u32>) -> Option<Decoded> {
    UNITS
        .iter()
        .filter(|unit| unit.xid == xid)
        .flat_map(|unit| [Layout::V1, Layout::V2].map(|layout| (unit, layout)))
        .filter(|(_, layout)| driver_major.is_none_or(|major| (major >= V2_SINCE) == (*layout == Layout::V2)))
        .filter(|(unit, layout)| layout.fits(unit, intr_info))
        .filter_map(|(unit, layout)| decode_one(unit, layout, intr_info, error_status))
        .max_by_key(|decoded| decoded.action)
}

fn decode_one(unit: &'static Unit, layout: Layout, intr_info: u32, error_status: Option<u32>) -> Option<Decoded> {
    let action = action(unit, layout, intr_info, error_status)?;
    let is_link = unit.by == By::LinkDownReason;
    let mut of_follow = bits(error_status.unwrap_or(0)).filter(|bit| unit.follow.contains(bit)).peekable();
    let secondary = action == FollowRecoveryAction
        && of_follow.peek().is_some()
        && of_follow.all(|bit| unit.secondary.contains(&bit));
    Some(Decoded { unit, action, down: is_link.then(|| link_down::by_value(reason(intr_info))).flatten(), secondary })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    V1,
    V2,
}

impl Layout {
    fn fits(self, unit: &Unit, intr_info: u32) -> bool {
        let of_this_unit = match self {
            Self::V1 => (intr_info >> 5) & 0x1f == unit.v1 && intr_info & 0x1f == group(unit.xid),
            Self::V2 => unit.v2.contains(&(intr_info & 0x7f)),
        };
        of_this_unit && (unit.by == By::LinkDownReason || reason(intr_info) == 0)
    }
}

/// The group number of an Xid in the first layout.
const fn group(xid: u32) -> u32 {
    match xid {
        144..=149 => xid - 143,
        _ => 0,
    }
}

const fn reason(intr_info: u32) -> u32 {
    (intr_info >> 20) & 0x3f
}

fn action(unit: &Unit, layout: Layout, intr_info: u32, error_status: Option<u32>) -> Option<Action> {
    match unit.by {
        By::Nothing => Some(ResetGpu),
        By::LinkDownReason => link_down::by_value(reason(intr_info)).map(|reason| reason.action),
        By::StatusValue => listed(unit, error_status?),
        By::StatusBits => {
            let status = error_status?;
            let gravest = listed(unit, status).or_else(|| bits(status).filter_map(|bit| listed(unit, bit)).max())?;
            let raised = unit.reset_if.is_some_and(|bits| {
                let of_layout = match layout {
                    Layout::V1 => bits.v1,
                    Layout::V2 => bits.v2,
                };
                intr_info & of_layout != 0 && status & bits.status != 0
            });
            Some(if raised { ResetGpu } else { gravest })
        }
    }
}

fn listed(unit: &Unit, value: u32) -> Option<Action> {
    [(unit.reset, ResetGpu), (unit.follow, FollowRecoveryAction), (unit.ignore, Ignore)]
        .into_iter()
        .find_map(|(values, action)| values.contains(&value).then_some(action))
}

fn bits(value: u32) -> impl Iterator<Item = u32> {
    (0..32).map(|bit| 1 << bit).filter(move |bit| value & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(xid: u32, intr_info: u32, status: u32, driver: Option<u32>) -> Option<(&'static str, Action)> {
        decode(xid, intr_info, Some(status), driver).map(|decoded| (decoded.unit.name, decoded.action))
    }

    #[test]
    fn three_published_lines_decode_as_nvidias_sheet_says() {
        assert_eq!(decoded(149, 0x0214_25c6, 0, None), Some(("NETIR_LINK_DOWN", ResetGpu)));
        assert_eq!(reason(0x0214_25c6), 33);
        assert_eq!(decoded(149, 0x000f_e406, 0, None), Some(("NETIR_INT", ResetGpu)));
        assert_eq!(decoded(145, 0x0409_a0c2, 0x8, None), Some(("RLW_RXPIPE", Ignore)));
    }

    #[test]
    fn a_known_driver_decides_between_the_layouts() {
        assert_eq!(decoded(149, 0x0214_25c6, 0, Some(570)), Some(("NETIR_LINK_DOWN", ResetGpu)));
        assert_eq!(decoded(149, 0x0214_25c6, 0, Some(575)), None);
        assert_eq!(decoded(149, 0x0210_0011, 0, Some(580)), Some(("NETIR_LINK_DOWN", ResetGpu)));
        assert_eq!(decoded(149, 0x0210_0011, 0, Some(570)), None);
    }

    #[test]
    fn rxpipe_needs_a_reset_with_bit_seven_of_the_second_layout() {
        assert_eq!(decoded(145, 0x06, 0x2, Some(580)), Some(("RLW_RXPIPE", Ignore)));
        // Sub code 6 and bit 7.
        assert_eq!(decoded(145, 0x86, 0x2, Some(580)), Some(("RLW_RXPIPE", ResetGpu)));
        assert_eq!(decoded(145, 0x86, 0x8, Some(580)), Some(("RLW_RXPIPE", Ignore)));
    }

    #[test]
    fn rxpipe_needs_a_reset_with_bit_ten_of_the_first_layout() {
        // Sub-code 6 and group 2, without and with the bit.
        assert_eq!(decoded(145, 0x0c2, 0x1, Some(570)), Some(("RLW_RXPIPE", Ignore)));
        assert_eq!(decoded(145, 0x4c2, 0x1, Some(570)), Some(("RLW_RXPIPE", ResetGpu)));
        assert_eq!(decoded(145, 0x4c2, 0x8, Some(570)), Some(("RLW_RXPIPE", Ignore)));
        assert_eq!(decoded(145, 0x4c2, 0x1, None), Some(("RLW_RXPIPE", ResetGpu)), "an unknown driver: the graver");
        // The bit of the other layout means nothing.
        assert_eq!(decoded(145, 0x406, 0x1, Some(580)), Some(("RLW_RXPIPE", Ignore)));
    }

    #[test]
    fn only_the_bits_that_a_lost_link_explains_are_secondary() {
        let is_secondary = |status| decode(145, 4, Some(status), Some(580)).unwrap().secondary;
        assert_eq!([0x4, 0x8, 0x10, 0x20, 0x4 | 0x20].map(is_secondary), [true; 5]);
        assert_eq!([0x1, 0x2, 0x1 | 0x4, 0x40, 0x100, 0x40 | 0x4].map(is_secondary), [false; 6]);
    }

    #[test]
    fn values_outside_of_the_rules_are_not_judged() {
        assert_eq!(decoded(149, (39 << 20) | (14 << 5) | 6, 0, None), None, "reason 39 is not listed");
        assert_eq!(decoded(144, 0x1, 0x4000, None), None);
        assert_eq!(decoded(144, 0x0010_0001, 0x2, Some(580)), None, "a reason where none belongs");
        assert_eq!(decoded(143, 0, 0, None), None);
        assert_eq!(decode(144, 0x1, None, Some(580)), None);
    }

    #[test]
    fn several_bits_count_as_the_gravest_of_them() {
        assert_eq!(decoded(144, 0x1, 0x1 | 0x2, Some(580)), Some(("SAW_MVB", ResetGpu)));
        assert_eq!(decoded(145, 4, 0x100 | 0x1, Some(580)), Some(("RLW_REMAP", FollowRecoveryAction)));
        assert_eq!(decoded(149, 19, 0x3, Some(580)), Some(("NETIR_BER_EVENT", Ignore)));
        assert_eq!(decoded(149, 20, 0x6, Some(580)), None, "an enumeration has no bits");
    }

    #[test]
    fn each_sub_code_belongs_to_one_unit_of_its_xid() {
        for (at, unit) in UNITS.iter().enumerate() {
            for other in UNITS.iter().skip(at + 1).filter(|other| other.xid == unit.xid) {
                assert_ne!(unit.v1, other.v1, "{} {}", unit.name, other.name);
                assert!(unit.v2.iter().all(|sub| !other.v2.contains(sub)), "{} {}", unit.name, other.name);
            }
        }
    }
}
