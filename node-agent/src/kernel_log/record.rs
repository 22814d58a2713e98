//! One record of the kernel log, parsed from either of the kernel's two formats.
//!
//! Sources: Linux `Documentation/ABI/testing/dev-kmsg` and `kernel/printk/printk.c` (`info_print_ext_header`,
//! `msg_add_ext_text`, `print_prefix`).

use crds::Time;

/// The longest message that is kept, in bytes. The kernel limits a record to 2 KiB, which is 8 KiB with escapes.
pub const MESSAGE_MAX: usize = 8 * 1024;

/// One record of the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRecord {
    /// The syslog facility: 0 is the kernel, 1 a program that wrote to /dev/kmsg.
    pub facility: u32,
    /// The syslog level, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// The kernel's sequence number of this boot; `syslog(2)` has none.
    pub seq: Option<u64>,
    /// Microseconds since boot; 0 if the kernel prints no times (`printk.time=0`).
    pub usec: u64,
    /// Whether the message is known to begin where the kernel's own text begins. In /dev/kmsg, where one record is one
    /// printk, unless the record continues another (flag `c` or `+`). `syslog(2)` splits a record at its line feeds, and
    /// so a line of it begins a record only where the reader can tell (`Boundaries`).
    pub begins: bool,
    /// The text, unescaped and without the `KEY=value` lines; at most [`MESSAGE_MAX`] bytes. May contain line feeds:
    /// one printk of several lines is one record, and so is one that quotes a name with a line feed in it.
    pub message: String,
}

impl KernelRecord {
    /// Whether the kernel itself wrote it: no program can write facility 0. The kernel quotes programs, however, so what
    /// such a record proves is for [`KernelRecord::told`] to say.
    pub const fn is_kernel(&self) -> bool {
        self.facility == 0
    }

    /// Parses one record of /dev/kmsg: `prio,seq,usec,flags[,more];message`, then lines ` KEY=value`, which are
    /// dropped. None for anything else.
    pub fn from_kmsg(record: &[u8]) -> Option<Self> {
        let first = record.split(|byte| *byte == b'\n').next()?;
        let separator = first.iter().position(|byte| *byte == b';')?;
        let header = std::str::from_utf8(first.get(..separator)?).ok()?;
        let mut fields = header.split(',');
        let priority: u32 = number(fields.next()?)?;
        let seq = number(fields.next()?)?;
        let usec = number(fields.next()?)?;
        let flags = fields.next()?;
        Some(Self {
            facility: priority >> 3,
            level: level(priority),
            seq: Some(seq),
            usec,
            begins: !flags.starts_with(['c', '+']),
            message: text_of(&unescaped(first.get(separator + 1..)?)),
        })
    }

    /// Parses one line of `syslog(2)`: `<6>[ 4580.565206] text`, with the writer (`[    T1]`) after the time if the
    /// kernel prints it, and without the time if it does not. None for anything else.
    pub fn from_syslog(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"<")?;
        let end = rest.iter().take(10).position(|byte| *byte == b'>')?;
        let priority: u32 = number(std::str::from_utf8(rest.get(..end)?).ok()?)?;
        let rest = rest.get(end + 1..)?;
        let (usec, rest) = match stamp(rest) {
            Some((usec, rest)) => (usec, without_writer(rest)),
            None => (0, rest),
        };
        let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
        Some(Self {
            facility: priority >> 3,
            level: level(priority),
            seq: None,
            usec,
            begins: false,
            message: text_of(rest.strip_prefix(b" ").unwrap_or(rest)),
        })
    }

    /// When the kernel wrote it, if it booted then and prints times.
    pub fn printed_at(&self, booted_at: Option<Time>) -> Option<Time> {
        let since_boot = i64::try_from(self.usec / 1_000_000).unwrap_or(i64::MAX);
        booted_at.filter(|_| self.usec > 0).map(|booted| booted.plus(since_boot))
    }

    /// Parses a line of a file or a FIFO, in either format. A line that begins with a blank is a `KEY=value` of the
    /// record before it, and gives None.
    pub fn from_line(line: &[u8]) -> Option<Self> {
        match line.first()? {
            b'<' => Self::from_syslog(line),
            b'0'..=b'9' => Self::from_kmsg(line),
            _ => None,
        }
    }
}

/// Digits only: `parse` would accept a plus sign.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn level(priority: u32) -> u8 {
    u8::try_from(priority & 7).unwrap_or(7)
}

/// `[ 4580.565206]` at the start, in microseconds, and what follows it.
fn stamp(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let rest = bytes.strip_prefix(b"[")?;
    let end = rest.iter().take(32).position(|byte| *byte == b']')?;
    let inner = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (seconds, micros) = inner.trim_start_matches(' ').split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let usec = number::<u64>(seconds)?.checked_mul(1_000_000)?.checked_add(number(micros)?)?;
    Some((usec, rest.get(end + 1..)?))
}

/// Drops `[    T1]` or `[    C0]`, which a kernel with CONFIG_PRINTK_CALLER prints right after the time.
fn without_writer(bytes: &[u8]) -> &[u8] {
    let rest = || {
        let inner = bytes.strip_prefix(b"[")?;
        let end = inner.iter().take(16).position(|byte| *byte == b']')?;
        let name = inner.get(..end)?.trim_ascii_start();
        let (kind, digits) = name.split_first()?;
        let is_writer = matches!(kind, b'T' | b'C') && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        if is_writer { inner.get(end + 1..) } else { None }
    };
    rest().unwrap_or(bytes)
}

/// Undoes `\xNN`, the only escape that the kernel writes.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len().min(MESSAGE_MAX));
    let mut at = 0;
    while let Some(byte) = bytes.get(at).filter(|_| plain.len() < MESSAGE_MAX) {
        if let Some(escaped) = bytes.get(at..at + 4).and_then(escape) {
            plain.push(escaped);
            at += 4;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    plain
}

fn escape(four: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(four.strip_prefix(b"\\x")?).ok()?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// The bytes as text, cut to [`MESSAGE_MAX`]. Invalid UTF-8 becomes U+FFFD, which has three bytes, hence the second
/// cut.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes.get(..MESSAGE_MAX).unwrap_or(bytes)).into_owned();
    let end = (0..=MESSAGE_MAX).rev().find(|end| text.is_char_boundary(*end) || *end >= text.len());
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_of_the_device_is_read_field_by_field() {
        // [gpud testdata]
        let record = KernelRecord::from_kmsg(b"6,3964,206764307,-;nvidia-nvswitch2: open (major=510)\n").unwrap();
        assert_eq!(
            record,
            KernelRecord {
                facility: 0,
                level: 6,
                seq: Some(3964),
                usec: 206_764_307,
                begins: true,
                message: "nvidia-nvswitch2: open (major=510)".into(),
            }
        );
        assert!(record.is_kernel());
    }

    #[test]
    fn added_header_fields_and_key_value_lines_are_left_out() {
        let bytes = b"30,7,5,c,caller=T12,later;usb 1-1: a; b, c\n SUBSYSTEM=usb\n DEVICE=c189:1\n";
        let record = KernelRecord::from_kmsg(bytes).unwrap();
        assert_eq!((record.facility, record.level, record.begins), (3, 6, false));
        assert_eq!(record.message, "usb 1-1: a; b, c");
    }

    #[test]
    fn escapes_are_undone_also_those_of_line_feeds() {
        let record = KernelRecord::from_kmsg(br"4,1,1,-;NVRM: one\x0aNVRM: tw\xc3\xb6 \x5cxZZ \x4").unwrap();
        assert_eq!(record.message, "NVRM: one\nNVRM: twö \\xZZ \\x4");
    }

    #[test]
    fn a_record_that_a_program_wrote_is_not_the_kernels() {
        assert!(!KernelRecord::from_kmsg(b"12,9,9,-;NVRM: Xid (PCI:0000:01:00): 79, forged").unwrap().is_kernel());
        assert!(
            !KernelRecord::from_syslog(b"<12>[    1.000000] NVRM: Xid (PCI:0000:01:00): 79, forged")
                .unwrap()
                .is_kernel()
        );
    }

    #[test]
    fn a_line_of_syslog_is_read_with_time_with_writer_and_without_either() {
        for (line, usec, message) in [
            ("<6>[ 4580.565206] text", 4_580_565_206, "text"),
            ("<6>[ 4580.565206][ T1234] text", 4_580_565_206, "text"),
            ("<6>[ 4580.565206] [drm] text", 4_580_565_206, "[drm] text"),
            ("<6>text", 0, "text"),
            ("<6>[drm] text", 0, "[drm] text"),
            ("<6>[99999999999999999999.000000] text", 0, "[99999999999999999999.000000] text"),
        ] {
            let record = KernelRecord::from_syslog(line.as_bytes()).unwrap();
            assert_eq!((record.usec, record.message.as_str(), record.seq), (usec, message, None), "{line}");
            assert_eq!((record.facility, record.level), (0, 6), "{line}");
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in [
            "",
            ";",
            "6,1,2;short header",
            "6,1,-2,-;x",
            "+6,1,2,-;x",
            "6,1,2,-",
            " KEY=value",
            "[1.000000] no priority",
            "<>x",
            "<x>y",
            "<6",
        ] {
            assert_eq!(KernelRecord::from_line(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_message_is_bounded_also_where_every_byte_grows_to_three() {
        let mut bytes = b"6,1,2,-;".to_vec();
        bytes.extend(std::iter::repeat_n(0xff, 100_000));
        let message = KernelRecord::from_kmsg(&bytes).unwrap().message;
        assert!(message.len() <= MESSAGE_MAX && message.len() > MESSAGE_MAX - 3, "{}", message.len());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = KernelRecord::from_line(&bytes);
            let _ = KernelRecord::from_syslog(&bytes);
            let _ = KernelRecord::from_kmsg(&bytes);
        }

        #[test]
        fn a_written_record_is_read_back(priority in 0_u32..192, seq: u64, usec: u64, message in "[ -\\[\\]-~]{0,80}") {
            let line = format!("{priority},{seq},{usec},-,caller=T1;{message}\n");
            let record = KernelRecord::from_kmsg(line.as_bytes()).unwrap();
            prop_assert_eq!((record.facility, u32::from(record.level)), (priority >> 3, priority & 7));
            prop_assert_eq!((record.seq, record.usec, record.message), (Some(seq), usec, message));
        }
    }
}
