//! Parses one line of NVIDIA's driver into its fields.
//!
//! Forms: open-gpu-kernel-modules 595.45.04 (`osapi.c`, `kernel_rc.c`, `osinit.c`) and the published logs that the
//! tests name. Every form starts at the beginning of the message: a text that merely contains `Xid` does not match.

use super::observation::{
    Containment, MigInstance, NvLink5, NvLinkFault, SwitchFault, XidDetail, XidEvent, XidObservation,
};
use super::repair;
use crate::pci::PciAddress;
use crate::text::printable;

/// The part of a message that is kept, in characters; a finding's evidence holds no more.
const MESSAGE_KEPT: usize = 256;
/// The part of a process's name that is kept, in characters; the kernel has 15 bytes, drivers print a little more.
const PROCESS_KEPT: usize = 64;
/// The most commas that the name of a process can hold (`TASK_COMM_LEN` without its NUL).
const COMMAS_IN_A_NAME: usize = 15;

/// The Xid that may name the one that caused it.
const PREEMPTIVE_REMOVAL: u32 = 45;

/// Parses a message that reports a fault in one line: Xid, SXid, or a GPU that left the bus. Companion lines of an SXid
/// (`Severity …`, `Data …`) repeat it and are skipped. Only pass lines that the driver is known to have written.
pub fn observe(message: &str) -> Option<XidObservation> {
    message.lines().find_map(observe_line)
}

/// Whether [`observe`] should be able to parse the line; if it cannot, the form is new.
pub(super) fn claims_a_fault(line: &str) -> bool {
    line.starts_with("NVRM: Xid ") || (line.starts_with("nvidia-nvswitch") && line.contains(": SXid "))
}

pub(super) fn observe_line(line: &str) -> Option<XidObservation> {
    if let Some(rest) = line.strip_prefix("NVRM: Xid (") {
        xid(rest)
    } else if let Some(rest) = line.strip_prefix("nvidia-nvswitch") {
        sxid(rest)
    } else {
        fallen_off(line.strip_prefix("NVRM: GPU ")?)
    }
}

/// After `NVRM: Xid (`.
fn xid(rest: &str) -> Option<XidObservation> {
    let (place, rest) = rest.split_once("): ")?;
    let (pci, mig) = location(place)?;
    let (code, rest) = number(rest)?;
    let rest =
        rest.strip_prefix(',').map_or_else(|| rest.trim().is_empty().then_some(""), |rest| Some(rest.trim_start()))?;
    let (pid, process, text) = without_process(rest);
    let (text, detail) = detailed(code, text);
    Some(XidObservation {
        pci,
        event: XidEvent::Xid(code),
        mig,
        pid,
        process,
        owner: None,
        caused_by: (code == PREEMPTIVE_REMOVAL).then(|| root(text)).flatten(),
        detail,
        message: printable(text, MESSAGE_KEPT),
        proven: true,
    })
}

/// The N of `Ch 00000001 caused by previous Xid N`, which ends the line. The name of a process may be anything, but it comes
/// before the channel.
fn root(text: &str) -> Option<u32> {
    let last = text.rsplit(',').next()?.trim_start();
    let (channel, code) = last.strip_prefix("Ch ")?.split_once(" caused by previous Xid ")?;
    let is_channel = !channel.is_empty() && channel.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
    (is_channel && is_code).then(|| code.parse().ok()).flatten()
}

/// The text that holds the code's further fields, and the fields. A process may have commas in its name, which push the
/// fields back: the first of the few places where they could begin is taken.
fn detailed(code: u32, text: &str) -> (&str, XidDetail) {
    let read = |text: &str| match code {
        64 => repair::read(text).map(XidDetail::Repair),
        74 => nvlink_fault(text).map(XidDetail::NvLink),
        94 | 95 => containment(text).map(XidDetail::Containment),
        144..=150 => nvlink5(text).map(XidDetail::NvLink5),
        154 => recovery(text),
        _ => None,
    };
    let later = text.match_indices(',').take(COMMAS_IN_A_NAME).map(|(at, _)| text[at + 1..].trim_start());
    let found = std::iter::once(text).chain(later).find_map(|text| read(text).map(|detail| (text, detail)));
    found.unwrap_or((text, XidDetail::Plain))
}

/// `PCI:0000:01:00`, `0000:01:00`, with ` GPU-I:05` and ` GPU-CI:00` in a MIG instance.
fn location(place: &str) -> Option<(PciAddress, Option<MigInstance>)> {
    let mut words = place.split_ascii_whitespace();
    let pci = address(words.next()?)?;
    let mut mig = None;
    for word in words {
        if let Some(id) = word.strip_prefix("GPU-I:") {
            mig = Some(MigInstance { gpu: id.parse().ok()?, compute: None });
        } else if let (Some(id), Some(mig)) = (word.strip_prefix("GPU-CI:"), mig.as_mut()) {
            mig.compute = Some(id.parse().ok()?);
        }
    }
    Some((pci, mig))
}

/// An address as the driver prints it, with or without `PCI:`, as function 0.
pub(super) fn address(text: &str) -> Option<PciAddress> {
    let text = text.strip_prefix("PCI:").unwrap_or(text);
    text.parse::<PciAddress>().ok().map(PciAddress::device_address)
}

/// Strips `pid=…, name=…, ` from the front. Either may be missing or unknown; a name may contain anything but a comma.
fn without_process(text: &str) -> (Option<u32>, Option<String>, &str) {
    let Some((pid, rest)) = text.strip_prefix("pid=").map(next_field) else {
        return (None, None, text);
    };
    let (name, rest) = match rest.strip_prefix("name=").map(next_field) {
        Some((name, rest)) => (Some(name), rest),
        None => (None, rest),
    };
    let name = name.filter(|name| !name.is_empty() && *name != "<unknown>").map(|name| printable(name, PROCESS_KEPT));
    (pid.parse().ok(), name, rest)
}

fn next_field(text: &str) -> (&str, &str) {
    text.split_once(',').map_or((text, ""), |(field, rest)| (field, rest.trim_start()))
}

/// `NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)`.
fn nvlink_fault(text: &str) -> Option<NvLinkFault> {
    let (_, rest) = text.split_once(" on link ")?;
    let (link, rest) = number(rest)?;
    let (fields, _) = rest.trim_start().strip_prefix('(')?.split_once(')')?;
    let registers: Vec<u32> = fields.split(',').map(|field| hex(field.trim())).collect::<Option<_>>()?;
    Some(NvLinkFault { link, registers: registers.try_into().ok()? })
}

/// `Contained: CE User Channel (0x9). RST: No, D-RST: No`.
fn containment(text: &str) -> Option<Containment> {
    let (before, drain) = text.split_once(", D-RST: ")?;
    let (_, reset) = before.rsplit_once("RST: ")?;
    Some(Containment { reset: reset.starts_with("Yes"), drain_and_reset: drain.starts_with("Yes") })
}

/// `RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008 …)`, with any blanks between. The words decide, not the
/// unit's name and the driver's `Nonfatal` and `XC0`.
fn nvlink5(text: &str) -> Option<NvLink5> {
    let (head, words) = text.split_once('(')?;
    let mut fields = head.split_ascii_whitespace();
    let (_unit, fatal) = (fields.next()?, fields.next()?);
    if !matches!(fatal, "Fatal" | "Nonfatal" | "Non-fatal") || !fields.next()?.starts_with("XC") {
        return None;
    }
    let injected = fields.next()?.strip_prefix('i')? != "0";
    let link = match (fields.next()?, fields.next()?) {
        ("Link", "-1") => None,
        ("Link", link) => Some(link.parse().ok()?),
        _ => return None,
    };
    let mut words = words.split(|c: char| c == ')' || c.is_ascii_whitespace()).map(hex);
    let intr_info = words.next()??;
    let error_status = words.next().flatten();
    Some(NvLink5 { injected, link, intr_info, error_status })
}

/// `GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)`.
fn recovery(text: &str) -> Option<XidDetail> {
    let (from, to) = text.strip_prefix("GPU recovery action changed from ")?.split_once(" to ")?;
    let first = |text: &str| hex(text.split_ascii_whitespace().next()?);
    Some(XidDetail::Recovery { from: first(from)?, to: first(to)? })
}

/// After `nvidia-nvswitch`: `2: SXid (PCI:0000:85:00.0): 12028, Non-fatal, Link 61 egress …`.
fn sxid(rest: &str) -> Option<XidObservation> {
    let (switch, rest) = number(rest)?;
    let (place, rest) = rest.strip_prefix(": SXid (")?.split_once("): ")?;
    let pci = address(place)?;
    let (code, rest) = number(rest)?;
    let text = rest.strip_prefix(',')?.trim_start();
    if text.starts_with("Severity ") || text.starts_with("Data ") {
        return None;
    }
    let (fatal, detail) = match text.split_once(',') {
        Some(("Fatal", detail)) => (Some(true), detail.trim_start()),
        Some(("Non-fatal", detail)) => (Some(false), detail.trim_start()),
        _ => (None, text),
    };
    let link = detail.strip_prefix("Link ").and_then(number).map(|(link, _)| link);
    Some(XidObservation {
        pci,
        event: XidEvent::SXid(code),
        mig: None,
        pid: None,
        process: None,
        owner: None,
        caused_by: None,
        detail: XidDetail::Switch(SwitchFault { switch, fatal, link }),
        message: printable(text, MESSAGE_KEPT),
        proven: true,
    })
}

/// After `NVRM: GPU `: `0000:29:00.0: GPU has fallen off the bus.`
fn fallen_off(rest: &str) -> Option<XidObservation> {
    let (place, text) = rest.split_once(": ")?;
    let pci = address(place)?;
    text.starts_with("GPU has fallen off the bus").then(|| lost(pci, text))
}

/// A GPU that left the bus without an Xid.
pub(super) fn lost(pci: PciAddress, text: &str) -> XidObservation {
    XidObservation {
        pci,
        event: XidEvent::FallenOffTheBus,
        mig: None,
        pid: None,
        process: None,
        owner: None,
        caused_by: None,
        detail: XidDetail::Plain,
        message: printable(text, MESSAGE_KEPT),
        proven: true,
    }
}

/// The leading digits and what follows them.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}
