//! The seven registers of an Xid 74 (NVLink of A100 and H100).
//!
//! Source: NVIDIA's Xid catalogue, resolution bucket WORKFLOW_NVLINK_ERR. Registers are counted from one, as there. On
//! Hopper the first, third, fourth and fifth are valid; no other is listed.

/// The meaning of a register's bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkSign {
    /// No action needed.
    Ignored,
    /// A threshold was exceeded; informational.
    Threshold,
    /// The consequence of another fault, which has its own line.
    Secondary,
    /// Like [`Self::Secondary`], but the fabric must be reset.
    FabricReset,
    /// ECC or parity; report if it occurs more than twice on the same link.
    EccOrParity,
    /// Report if it repeats.
    ReportIfRepeating,
    /// Run the field diagnostic if it repeats.
    DiagnoseIfRepeating,
    /// Marginal signal quality: run the field diagnostic.
    MarginalSignal,
    /// Possibly hardware: reseat, then run the field diagnostic.
    PossibleHardware,
}

use LinkSign::{
    DiagnoseIfRepeating, EccOrParity, FabricReset, Ignored, MarginalSignal, PossibleHardware, ReportIfRepeating,
    Secondary, Threshold,
};

/// Register (counted from one), bits, meaning.
#[rustfmt::skip]
pub static SIGNS: &[(usize, &[u32], LinkSign)] = &[
    (1, &[0, 23, 30], Ignored),
    (1, &[1, 20], Secondary),
    (1, &[4, 5], EccOrParity),
    (1, &[8, 9, 12, 16, 17, 24, 28], PossibleHardware),
    (1, &[21, 22], MarginalSignal),
    (1, &[27, 29], ReportIfRepeating),
    (3, &[0, 1, 2, 6], EccOrParity),
    (3, &[16, 19], DiagnoseIfRepeating),
    (3, &[17, 18], ReportIfRepeating),
    (4, &[16, 17], Secondary),
    (4, &[18], FabricReset),
    (5, &[18, 19, 21, 22, 24, 25, 27, 28], EccOrParity),
    (5, &[20, 23, 26, 29], Threshold),
];

/// The registers that the table covers.
const VALID: [usize; 4] = [1, 3, 4, 5];

/// The most severe sign that is set. None if a valid register has a bit without a row, or no bit is set: the link then
/// cannot be excused.
pub fn read(registers: &[u32; 7]) -> Option<LinkSign> {
    let mut gravest = None;
    let mut unknown = false;
    for (register, value) in (1..).zip(registers).filter(|(register, _)| VALID.contains(register)) {
        for bit in (0..32).filter(|bit| value >> bit & 1 == 1) {
            let sign = SIGNS.iter().find(|(of, bits, _)| *of == register && bits.contains(&bit));
            unknown |= sign.is_none();
            gravest = gravest.max(sign.map(|(_, _, sign)| *sign));
        }
    }
    // A severe sign counts even beside an unknown bit; a harmless one does not.
    gravest.filter(|sign| !unknown || *sign >= FabricReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(register: usize, bits: &[u32]) -> [u32; 7] {
        let mut registers = [0; 7];
        registers[register - 1] = bits.iter().fold(0, |value, bit| value | 1 << bit);
        registers
    }

    #[test]
    fn each_listed_bit_says_what_the_workflow_says() {
        for (register, bits, sign) in SIGNS {
            for bit in *bits {
                assert_eq!(read(&with(*register, &[*bit])), Some(*sign), "register {register} bit {bit}");
            }
        }
        // [NVSentinel tests] the line's third register is 0x10000.
        assert_eq!(read(&[0, 0, 0x1_0000, 0, 0, 0, 0]), Some(DiagnoseIfRepeating));
    }

    #[test]
    fn the_gravest_bit_decides_and_an_unknown_one_takes_the_excuse_away() {
        assert_eq!(read(&with(1, &[0, 20, 28])), Some(PossibleHardware));
        assert_eq!(read(&with(1, &[0, 2])), None);
        assert_eq!(read(&with(1, &[28, 2])), Some(PossibleHardware));
        assert_eq!(read(&with(2, &[5])), None);
        assert_eq!(read(&[0; 7]), None);
    }
}
