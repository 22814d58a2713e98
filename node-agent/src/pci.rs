//! The address of a function on the PCI bus, in the one spelling used throughout the agent.
//!
//! Sysfs writes `0000:83:00.0`, NVML `00000000:83:00.0`, the driver's log lines `0000:83:00`, people `83:00.0`. All of
//! them are the same device; comparing them as text would leave findings without a GPU.

use std::fmt;
use std::str::FromStr;

/// A PCI address: domain, bus, device, function. Ordered by position on the bus, displayed as in sysfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// The domain (segment), 0 on most machines; GB200 nodes have others. NVML prints eight digits, so 32 bits.
    pub domain: u32,
    /// The bus, 0-255.
    pub bus: u8,
    /// The device. Hardware has 0-31; the driver prints two hex digits, and nothing here relies on the smaller range.
    pub device: u8,
    /// The function, 0-7; 0 if the text has none.
    pub function: u8,
}

impl PciAddress {
    /// Function 0 of the same device, which identifies a GPU; a text may name its audio or USB function.
    #[must_use]
    pub const fn device_address(self) -> Self {
        Self { function: 0, ..self }
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

/// A text that is not a PCI address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no PCI address: expected hexadecimal domain:bus:device.function, such as 0000:83:00.0")]
pub struct InvalidPciAddress {
    /// The text, at most 64 characters of it.
    text: String,
}

impl FromStr for PciAddress {
    type Err = InvalidPciAddress;

    /// Parses `00000000:83:00.0`, `0000:83:00.0`, `0000:83:00` and `83:00.0` (domain 0), in upper or lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| InvalidPciAddress { text: text.chars().take(64).collect() })
    }
}

fn read(text: &str) -> Option<PciAddress> {
    let (path, function) = match text.split_once('.') {
        Some((path, function)) => (path, Some(function)),
        None => (text, None),
    };
    let mut parts = path.rsplit(':');
    let device = byte(parts.next()?)?;
    let bus = byte(parts.next()?)?;
    let domain = parts.next().map(|text| hex(text, 4, 8)).map_or(Some(None), |domain| domain.map(Some))?;
    if parts.next().is_some() || (domain.is_none() && function.is_none()) {
        return None;
    }
    let function = match function {
        Some(text) => u8::try_from(hex(text, 1, 1)?).ok().filter(|function| *function < 8)?,
        None => 0,
    };
    Some(PciAddress { domain: domain.unwrap_or(0), bus, device, function })
}

fn byte(text: &str) -> Option<u8> {
    u8::try_from(hex(text, 2, 2)?).ok()
}

/// `from_str_radix` alone would accept a sign.
fn hex(text: &str, least: usize, most: usize) -> Option<u32> {
    let right = (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right { u32::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        text.parse::<PciAddress>().map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn every_spelling_of_a_device_becomes_the_one_of_sysfs() {
        for text in ["00000000:83:00.0", "0000:83:00.0", "0000:83:00", "83:00.0"] {
            assert_eq!(read(text), "0000:83:00.0", "{text}");
        }
        assert_eq!(read("0018:0A:1c.3"), "0018:0a:1c.3");
        assert_eq!(read("00010000:01:00.0"), "10000:01:00.0");
        assert_eq!("0000:83:00.1".parse::<PciAddress>().unwrap().device_address().to_string(), "0000:83:00.0");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form_that_is_wanted() {
        for text in [
            "",
            ":",
            "83:00",
            "0000:83:00.8",
            "0000:83:00.",
            "0000:83:+0",
            "1:0000:83:00.0",
            "000:83:00.0",
            "0000:183:00",
            "…",
            "0000:8é:00",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
        assert_eq!(
            read("gpu0"),
            "`gpu0` is no PCI address: expected hexadecimal domain:bus:device.function, such as 0000:83:00.0"
        );
    }

    #[test]
    fn addresses_sort_by_domain_then_bus() {
        let address = |text: &str| text.parse::<PciAddress>().unwrap();
        let mut all = [address("0001:01:00.0"), address("0000:c1:00.0"), address("0000:0b:00.0")];
        all.sort();
        assert_eq!(all.map(|address| address.to_string()), ["0000:0b:00.0", "0000:c1:00.0", "0001:01:00.0"]);
    }

    proptest! {
        #[test]
        fn every_address_survives_being_written_and_read(domain: u32, bus: u8, device: u8, function in 0_u8..8) {
            let address = PciAddress { domain, bus, device, function };
            prop_assert_eq!(address.to_string().parse::<PciAddress>(), Ok(address));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = text.parse::<PciAddress>();
        }
    }
}
