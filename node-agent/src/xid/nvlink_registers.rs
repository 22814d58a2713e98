//! The seven registers of an Xid 74 (NVLink of A100 and H100).
//!
//! Source: NVIDIA's Xid catalogue, resolution bucket WORKFLOW_NVLINK_ERR. Registers are counted from one, as there; on
//! Hopper the first, third, fourth and fifth are valid, and no other is listed.

/// What a register's bit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkSign {
    /// Nothing to act on.
    Ignored,
    /// A threshold was passed; a notice.
    Threshold,
    /// The consequence of a fault elsewhere, which has its own line.
    Secondary,
    /// As secondary, but the fabric has to be reset.
    FabricReset,
    /// ECC or parity; more than twice on the same link is to be reported.
    EccOrParity,
    /// To be reported if it repeats.
    ReportIfRepeating,
    /// A field diagnostic if it repeats.
    DiagnoseIfRepeating,
    /// Marginal signal quality: field diagnostic.
    MarginalSignal,
    /// Possibly hardware: reseat, diagnose.
    PossibleHardware,
}

use LinkSign::{
    DiagnoseIfRepeating, EccOrParity, FabricReset, Ignored, MarginalSignal, PossibleHardware, ReportIfRepeating,
    Secondary, Threshold,
};

/// Register (from one), bits, what they say.
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

/// Registers that the table speaks of.
const VALID: [usize; 4] = [1, 3, 4, 5];

/// The gravest sign that is set; None if a valid register has a bit without a row, or none has a bit at all: then nothing
/// excuses the link.
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
    // A grave sign stays one beside an unknown; an excuse does not.
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
