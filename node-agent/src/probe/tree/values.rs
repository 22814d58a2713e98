//! The formats of the files, as pure functions: no text makes them panic, and text that does not match gives `None`.
//!
//! Sources: Linux `Documentation/ABI/testing/sysfs-bus-pci`, `Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats`,
//! `Documentation/ABI/stable/sysfs-class-infiniband`, `drivers/pci/probe.c` (`pci_speed_string`), `fs/proc/base.c`
//! (`proc_pid_limits`).

/// Transfers per second, as the kernel prints them without `.0`, and the generation.
const GENERATIONS: &[(&str, u32)] = &[("2.5", 1), ("5", 2), ("8", 3), ("16", 4), ("32", 5), ("64", 6), ("128", 7)];
/// The most lanes that a link can have (PCI Express Base Specification: x1 to x32). A dead device reads 63 or 255.
const MAX_LANES: u32 = 32;

/// `current_link_speed`, `max_link_speed`: `32.0 GT/s PCIe`, or `8 GT/s` from older kernels. `Unknown` gives `None`.
pub fn link_generation(text: &str) -> Option<u32> {
    let mut words = text.split_ascii_whitespace();
    let (speed, unit) = (words.next()?, words.next()?);
    let speed = speed.strip_suffix(".0").unwrap_or(speed);
    GENERATIONS.iter().find(|(known, _)| unit == "GT/s" && *known == speed).map(|(_, generation)| *generation)
}

/// `current_link_width`, `max_link_width`: a number of lanes. An impossible width (0, 63, 255) gives `None`.
pub fn link_width(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|lanes| (1..=MAX_LANES).contains(lanes))
}

/// The sum in `aer_dev_correctable`, `aer_dev_nonfatal` or `aer_dev_fatal`: the line that begins with `TOTAL_ERR_`.
pub fn aer_total(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("TOTAL_ERR_"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// `state` and `phys_state` of an RDMA port: the number of `4: ACTIVE`.
pub fn port_state(text: &str) -> Option<u32> {
    text.split(':').next()?.trim().parse().ok()
}

/// `rate` of an RDMA port in gigabits per second, rounded down: 400 of `400 Gb/sec (4X NDR)`, 2 of `2.5 Gb/sec (1X SDR)`.
pub fn rate_gbps(text: &str) -> Option<u32> {
    let mut words = text.split_ascii_whitespace();
    let (rate, unit) = (words.next()?, words.next()?);
    let (whole, rest) = rate.split_once('.').unwrap_or((rate, ""));
    let plain = unit == "Gb/sec" && rest.bytes().all(|byte| byte.is_ascii_digit());
    whole.parse().ok().filter(|_| plain)
}

/// A counter: a decimal number and nothing else.
pub fn counter(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `class`, `vendor`, `device` of a PCI function: `0x10de`.
pub fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.trim();
    u32::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).ok()
}

/// `numa_node`; -1, which means that the platform does not report one, gives `None`.
pub fn numa_node(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}

/// A name on the only line of a file: a device, a link layer. At most 64 plain characters.
pub fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= 64 && text.chars().all(crate::text::is_plain);
    fits.then(|| text.to_owned())
}

/// The soft limit of locked memory in `/proc/PID/limits`, in KiB; `None` if it is unlimited or missing.
pub fn memlock_kib(text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    rest.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|bytes| bytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn link_speeds_of_all_kernels_and_generations_are_read_and_unknown_is_none() {
        let texts = ["2.5 GT/s PCIe\n", "5.0 GT/s PCIe", "8 GT/s", "8.0 GT/s PCIe", "16.0 GT/s PCIe", "32.0 GT/s PCIe"];
        assert_eq!(texts.map(link_generation), [Some(1), Some(2), Some(3), Some(3), Some(4), Some(5)]);
        for text in ["", "Unknown", "Unknown speed", "32.0", "33.0 GT/s PCIe", "32.0 GB/s", "-8 GT/s", "8.00 GT/s"] {
            assert_eq!(link_generation(text), None, "{text}");
        }
    }

    #[test]
    fn a_width_that_no_link_can_have_is_none() {
        assert_eq!(["16\n", "8", "1", "32"].map(link_width), [Some(16), Some(8), Some(1), Some(32)]);
        assert_eq!(["0", "63", "255", "", "x16", "-1"].map(link_width), [None; 6]);
    }

    #[test]
    fn the_total_of_an_aer_file_is_its_last_line_and_not_the_sum_of_a_kind() {
        let text = "RxErr 3\nBadTLP 0\nBadDLLP 1\nRollover 0\nTimeout 0\nNonFatalErr 0\nTOTAL_ERR_COR 4\n";
        assert_eq!(aer_total(text), Some(4));
        assert_eq!(aer_total("Undefined 0\nTOTAL_ERR_FATAL 18446744073709551615"), Some(u64::MAX));
        for text in ["", "RxErr 3\n", "TOTAL_ERR_COR", "TOTAL_ERR_COR -1", "TOTAL_ERR_COR 18446744073709551616"] {
            assert_eq!(aer_total(text), None, "{text}");
        }
    }

    #[test]
    fn states_and_rates_of_ports_are_numbers() {
        assert_eq!(
            ["4: ACTIVE\n", "1: DOWN", "5", "ACTIVE", ""].map(port_state),
            [Some(4), Some(1), Some(5), None, None]
        );
        let rates = ["400 Gb/sec (4X NDR)\n", "2.5 Gb/sec (1X SDR)", "100 Gb/sec", "400", "400 Mb/sec", "4e2 Gb/sec"];
        assert_eq!(rates.map(rate_gbps), [Some(400), Some(2), Some(100), None, None, None]);
    }

    #[test]
    fn locked_memory_is_the_soft_limit_and_unlimited_is_none() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max processes             12                   12                   processes \n\
                 Max locked memory         {soft:<20} unlimited            bytes     \n"
            )
        };
        assert_eq!(memlock_kib(&limits("65536")), Some(64));
        assert_eq!(memlock_kib(&limits("unlimited")), None);
        assert_eq!(memlock_kib(""), None);
    }

    #[test]
    fn ids_nodes_and_names_are_read_as_sysfs_writes_them() {
        assert_eq!(
            ["0x10de\n", "0x030200", "10de", "0x", "zz"].map(hexadecimal),
            [Some(0x10de), Some(0x03_0200), Some(0x10de), None, None]
        );
        assert_eq!(["1\n", "-1\n", ""].map(numa_node), [Some(1), None, None]);
        assert_eq!(word("InfiniBand\n").as_deref(), Some("InfiniBand"));
        assert_eq!([word(""), word("a\u{1b}b"), word(&"x".repeat(65))], [None, None, None]);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in any::<String>(), number in any::<u64>()) {
            for text in [text.clone(), format!("TOTAL_ERR_{text} {number}"), format!("Max locked memory {number}{text}"), format!("{number} Gb/sec{text}")] {
                let width = link_width(&text);
                prop_assert!(width.is_none_or(|lanes| lanes <= MAX_LANES));
                let generation = link_generation(&text);
                prop_assert!(generation.is_none_or(|generation| generation <= 7));
                let _ = (aer_total(&text), port_state(&text), rate_gbps(&text), counter(&text), memlock_kib(&text));
                let _ = (hexadecimal(&text), numa_node(&text), word(&text));
            }
        }
    }
}
