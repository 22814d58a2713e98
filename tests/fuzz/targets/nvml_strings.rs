//! Whatever a driver writes into a string's buffer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use node_agent::pci::PciAddress;
use node_agent::probe::driver::text_of;

fuzz_target!(|data: &[u8]| {
    let chars: Vec<std::ffi::c_char> = data.iter().map(|byte| byte.cast_signed()).collect();
    let text = text_of(&chars);
    assert!(text.len() <= data.len().saturating_mul(3), "each byte that is no UTF-8 becomes one character");
    assert!(!text.contains('\0'));
    if let Ok(address) = text.parse::<PciAddress>() {
        assert_eq!(address.to_string().parse::<PciAddress>().ok(), Some(address), "an address is read as it is written");
    }
});
