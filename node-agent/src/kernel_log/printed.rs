//! Lines of the kernel log as dmesg, journalctl, rsyslog and `talosctl dmesg` print them: text, from which records can
//! only in part be recovered.
//!
//! ```text
//!  [74889.644138] text          [Tue Nov 21 10:00:00 2025] text          [  +0.000844] text           dmesg, -T, -d
//!  kern  :warn  : [74889.6] text                                                                      dmesg -x
//!  2025-01-21T04:41:44,283575+00:00 text                                                              dmesg --time-format iso
//!  Nov 21 10:00:00 host kernel: [74889.644138] text                                                   journalctl, rsyslog
//!  10.5.0.2: kern: warning: [2026-02-01T10:00:00.123Z]: text                                          talosctl
//! ```
//!
//! Whatever stands before the text must be one of these: the line of another program (`monitor[991]:`), of another
//! facility (`syslog:err :`), or a JSON document that quotes the kernel is not the kernel's. dmesg and journalctl print
//! the further lines of a record indented, so an indented line begins none.

use super::KernelRecord;
use super::record::text_of;
use super::told::Boundaries;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// Syslog facilities by number (syslog(3)); 12 to 15 have no common name.
const FACILITIES: &[&str] =
    &["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
/// Names of levels and their numbers (syslog(3), util-linux, Talos).
const LEVELS: &[(&str, u8)] = &[
    ("emerg", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("error", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
];
/// A text that names no level was printed at the default level, as the driver prints its faults.
const DEFAULT_LEVEL: u8 = 4;

/// Reads a whole log line by line: such a text, or records as the kernel itself writes them.
#[derive(Debug)]
pub struct PrintedLog {
    boundaries: Boundaries,
}

impl Default for PrintedLog {
    fn default() -> Self {
        Self { boundaries: Boundaries::of_whole_text() }
    }
}

impl PrintedLog {
    /// The line as a record, a printed one without sequence number and time; `None` if it is not the kernel's.
    pub fn read(&mut self, line: &[u8]) -> Option<KernelRecord> {
        if let Some(mut record) = KernelRecord::from_line(line) {
            self.boundaries.mark(&mut record);
            return Some(record);
        }
        let text = text_of(line);
        let Printed { level, stamp, text } = parse(text.trim_end_matches('\r'))?;
        let mut record = KernelRecord {
            facility: 0,
            level: level.unwrap_or(DEFAULT_LEVEL),
            seq: None,
            // Only to be compared with the line before.
            usec: stamp.map_or(0, fingerprint),
            begins: false,
            message: text.to_owned(),
        };
        self.boundaries.mark(&mut record);
        record.usec = 0;
        Some(record)
    }
}

struct Printed<'line> {
    level: Option<u8>,
    stamp: Option<&'line str>,
    text: &'line str,
}

fn parse(line: &str) -> Option<Printed<'_>> {
    if line.starts_with(char::is_whitespace) {
        return None;
    }
    let rest = after_address(line);
    let (level, rest) = after_facility(rest)?;
    let (bracket, rest) = after_bracket(rest);
    if bracket.is_some() {
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        return Some(Printed { level, stamp: bracket, text: after_writer(rest).trim_start_matches(' ') });
    }
    let (stamp, rest) = after_stamp(rest);
    if stamp.is_none() {
        return Some(Printed { level, stamp, text: rest });
    }
    let text = after_tag(rest)?;
    // rsyslog keeps the kernel's own time behind its own.
    let (bracket, rest) = after_bracket(text);
    Some(match bracket {
        Some(bracket) => Printed { level, stamp: Some(bracket), text: after_writer(rest).trim_start_matches(' ') },
        None => Printed { level, stamp, text },
    })
}

fn fingerprint(stamp: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    stamp.hash(&mut hasher);
    // Zero means that there is no time.
    hasher.finish() | 1
}

/// `10.5.0.2: ` at the front.
fn after_address(line: &str) -> &str {
    let stripped = line.split_once(": ").filter(|(word, _)| word.parse::<IpAddr>().is_ok());
    stripped.map_or(line, |(_, rest)| rest)
}

/// `kern  :warn  : ` or `kern: warning: ` at the front; `None` for another facility.
fn after_facility(line: &str) -> Option<(Option<u8>, &str)> {
    let Some((word, rest)) = line.split_once(':') else { return Some((None, line)) };
    let facility = word.trim_end();
    let is_local = facility.strip_prefix("local").is_some_and(|number| number.len() == 1);
    if !FACILITIES.contains(&facility) && !is_local {
        return Some((None, line));
    }
    let (word, rest) = rest.split_once(':')?;
    let level = LEVELS.iter().find(|(name, _)| *name == word.trim())?.1;
    (facility == "kern").then(|| (Some(level), rest.trim_start_matches(' ')))
}

/// `[…]` with a time in it.
fn after_bracket(line: &str) -> (Option<&str>, &str) {
    let time = || {
        let (inner, rest) = line.strip_prefix('[')?.split_once(']')?;
        let is_time = inner.len() <= 40
            && inner.contains(|c: char| c.is_ascii_digit())
            && inner.contains(['.', ':'])
            && inner.chars().all(|c| c.is_alphanumeric() || " .:,+-<>".contains(c));
        is_time.then_some((inner, rest))
    };
    time().map_or((None, line), |(inner, rest)| (Some(inner), rest))
}

/// `[    T1]` or `[    C0]` behind the time, and the blank before it.
fn after_writer(line: &str) -> &str {
    let writer = || {
        let (inner, rest) = line.trim_start_matches(' ').strip_prefix('[')?.split_once(']')?;
        let digits = inner.trim_start().strip_prefix(['T', 'C'])?;
        (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
    };
    writer().unwrap_or(line)
}

/// A time without brackets at the front: one word of ISO 8601, a date and a time of day, or `Nov 21 10:00:00` with the
/// month in any language.
fn after_stamp(line: &str) -> (Option<&str>, &str) {
    let mut ends = line.match_indices(' ').map(|(at, _)| at);
    let cut = |end: usize| (Some(line.get(..end).unwrap_or(line)), line.get(end + 1..).unwrap_or_default());
    let mut words = line.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    if is_date(first) {
        return match ends.next() {
            Some(end) if first.contains('T') => cut(end),
            Some(_) => ends.next().filter(|_| words.next().is_some_and(is_clock)).map_or((None, line), cut),
            None => (None, line),
        };
    }
    let is_month = first.chars().all(|c| c.is_alphabetic() || c == '.') && (3..=6).contains(&first.chars().count());
    let is_day = words.next().is_some_and(|day| day.len() <= 2 && day.bytes().all(|byte| byte.is_ascii_digit()));
    let clock = words.next().filter(|clock| is_month && is_day && is_clock(clock));
    match clock.and_then(|clock| line.find(clock).map(|at| at + clock.len())) {
        Some(end) => cut(end),
        None => (None, line),
    }
}

/// `2025-01-21` or `2025-01-21T04:41:44,283575+00:00`.
fn is_date(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 10
        && bytes
            .iter()
            .take(10)
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() })
        && word.bytes().all(|byte| byte.is_ascii_digit() || b"-:.,+TZ".contains(&byte))
}

fn is_clock(word: &str) -> bool {
    word.len() >= 8
        && word.matches(':').count() >= 2
        && word.bytes().all(|byte| byte.is_ascii_digit() || b":.,+-Z".contains(&byte))
}

/// `host kernel: ` or `kernel: ` behind a time; a line without either is the kernel's only if it names no other program.
fn after_tag(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(' ');
    if let Some(text) = rest.strip_prefix("kernel: ") {
        return Some(text);
    }
    let (word, behind) = rest.split_once(' ')?;
    if word.ends_with(':') {
        // `NVRM: …` behind a time without a host.
        return Some(rest);
    }
    if let Some(text) = behind.strip_prefix("kernel: ") {
        return Some(text);
    }
    let names_a_program = behind.split(' ').next().is_some_and(|tag| tag.ends_with(':'));
    (!names_a_program).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAULT: &str = "NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.";

    /// Whether each line of a driver in the text is proven.
    fn told(text: &str) -> Vec<bool> {
        let mut log = PrintedLog::default();
        let records = text.lines().filter_map(|line| log.read(line.as_bytes()));
        records.flat_map(|record| record.told().iter().map(|told| told.proven).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_form_in_which_the_kernels_lines_are_printed_is_read() {
        for before in [
            "",
            "[74889.644138] ",
            "[74889.644138] [ T1234] ",
            "[Tue Nov 21 10:00:00 2025] ",
            "[  +0.000844] ",
            "kern  :warn  : [74889.644138] ",
            "kern  :err   : 2025-01-21T04:41:44,283575+00:00 ",
            "2025-01-21T04:41:44,283575+00:00 ",
            "2025-01-21T04:41:44+0000 host kernel: ",
            "2025-01-21 04:41:44 host kernel: ",
            "Nov 21 10:00:00 host kernel: ",
            "kwi 15 10:00:00 host kernel: ",
            "jan. 29 10:00:00 host kernel: ",
            "Nov 21 10:00:00 host kernel: [74889.644138] ",
            "10.5.0.2: kern: warning: [2026-02-01T10:00:00.123456789Z]: ",
            "2026-02-01T10:00:00.123456 ",
        ] {
            assert_eq!(told(&format!("{before}{FAULT}")), [true], "{before:?}");
        }
    }

    #[test]
    fn what_another_program_printed_is_not_the_kernels() {
        for line in [
            format!("Nov 21 10:00:00 host other-monitor[991]: {FAULT}"),
            format!("Nov 21 10:00:00 host other-monitor: {FAULT}"),
            format!("2025-01-21T04:41:44+0000 host gpud[7]: {FAULT}"),
            format!("syslog:err   : [74889.644138] {FAULT}"),
            format!("user  :warn  : [74889.644138] {FAULT}"),
            format!("local0: warning: {FAULT}"),
            format!("10.5.0.2: user: warning: [2026-02-01T10:00:00.1Z]: {FAULT}"),
            format!("{{\"message\":\"{FAULT}\"}}"),
            format!("level=warn msg=\"{FAULT}\""),
            format!("                {FAULT}"),
            format!("audit: type=1400 {FAULT}"),
        ] {
            assert!(told(&line).is_empty(), "{line}");
        }
        assert_eq!(told(&format!("kern  :info  : [74889.644138] {FAULT}")), [false], "not a level of the driver");
    }

    #[test]
    fn a_line_with_the_stamp_of_the_line_before_is_not_proven_unless_that_one_quotes_nobody() {
        // `dmesg -S`, which reads syslog(2), recorded on Linux 6.18.
        let forged = "[24770.879088] x
[24770.879088] NVRM: Xid (PC[8417]: segfault at 1 ip 000055cde4c04870 sp 00007ffd9031e728 error 6 in x
[24770.879088] NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.[12870,55cde4c04000+3e000] likely on CPU 0";
        assert_eq!(told(forged), [false, false]);
        // `dmesg`, which reads /dev/kmsg and indents what follows in a record.
        let indented = "[24770.879088] x
               NVRM: Xid (PCI:0000:0f:00): 79, GPU has fallen off the bus.[12870,55cde4c04000+3e000]";
        assert!(told(indented).is_empty());
        let same_second =
            |before: &str| format!("Nov 21 10:00:00 h kernel: {before}\nNov 21 10:00:00 h kernel: {FAULT}");
        assert_eq!(told(&same_second("process 'x")), [false]);
        assert_eq!(told(&same_second("pcieport 0000:00:01.0: AER: Uncorrectable error received")), [true]);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(lines in proptest::collection::vec("\\PC{0,80}|\\[[0-9. ]{0,8}\\] \\PC{0,20}|[A-Za-z]{3} [0-9]{1,2} [0-9:]{8} \\PC{0,20}", 0..8)) {
            let mut log = PrintedLog::default();
            for line in lines {
                let _ = log.read(line.as_bytes());
            }
        }
    }
}
