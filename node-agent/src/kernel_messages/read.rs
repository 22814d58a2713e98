//! Reads records one after the other, and joins those that tell one story.

use super::forms::{FORMS, Form, Names};
use super::message::{Message, Place, Says};
use super::stories::{About, Closes, STORIES, Story, is_of_a_trace};

use crate::kernel_log::KernelRecord;
use crate::pci::PciAddress;
use crate::text::printable;
use crds::reason;
use std::collections::VecDeque;

/// A story must end within this many further lines; a call trace has about 40.
const PATIENCE: u32 = 96;
/// How many stories may be open at once: one per CPU that prints, and other records between them.
const OPEN: usize = 16;
/// How many GPUs are remembered whose driver has said why it cannot run them.
const EXCUSED: usize = 32;
/// The part of a line that is kept, in characters: a finding's evidence holds no more.
const TEXT_KEPT: usize = 256;
/// `NVRM: loading NVIDIA UNIX …`: the module was loaded anew, perhaps another one.
const LOADED: &str = "NVRM: loading NVIDIA UNIX ";
/// Prefix of NVIDIA's driver.
const NVRM: &str = "NVRM: ";

/// Reads records one after the other.
#[derive(Debug, Default)]
pub struct Messages {
    open: VecDeque<Open>,
    /// GPUs that this driver cannot run, as it said itself. That their adapter cannot be initialised follows from it.
    excused: VecDeque<PciAddress>,
}

#[derive(Debug)]
struct Open {
    story: &'static Story,
    text: String,
    proven: bool,
    /// Every line since belongs to a call trace.
    is_unbroken: bool,
    lines: u32,
}

impl Messages {
    /// Processes the next record and returns the messages that it completes.
    pub fn push(&mut self, record: &KernelRecord) -> Vec<Message> {
        if !record.is_kernel() {
            return Vec::new();
        }
        if record.message.starts_with(NVRM) {
            let lines = record.told();
            return lines.iter().filter_map(|told| self.line(&told.line, told.proven)).collect();
        }
        // Further lines of such a record may be a name that the kernel quotes.
        record.message.lines().next().and_then(|line| self.line(line, record.begins)).into_iter().collect()
    }

    fn line(&mut self, line: &str, proven: bool) -> Option<Message> {
        for open in &mut self.open {
            open.lines += 1;
        }
        self.open.retain(|open| open.lines <= PATIENCE);
        if line.starts_with(LOADED) {
            self.excused.clear();
            return None;
        }
        let message = self.ended(line, proven).or_else(|| of_form(line, proven));
        if message.is_none() {
            self.begin(line, proven);
        }
        for open in self.open.iter_mut().filter(|open| open.lines > 0) {
            open.is_unbroken &= is_of_a_trace(line);
        }
        message.map(|message| self.excuse(message))
    }

    fn begin(&mut self, line: &str, proven: bool) {
        let opens = |story: &&'static Story| {
            story
                .opens
                .iter()
                .any(|parts| parts.first().is_some_and(|first| line.starts_with(first)) && has_in_order(line, parts))
        };
        let Some(story) = STORIES.iter().find(opens) else { return };
        // The next task that hangs begins its own trace: what follows is no longer about the one before.
        self.open.retain(|open| !std::ptr::eq(open.story, story));
        if self.open.len() == OPEN {
            self.open.pop_front();
        }
        self.open.push_back(Open { story, text: line.to_owned(), proven, is_unbroken: true, lines: 0 });
    }

    /// The story that this line ends.
    fn ended(&mut self, line: &str, proven: bool) -> Option<Message> {
        let at = self.open.iter().position(|open| closes(open.story.closes, line))?;
        let open = self.open.remove(at)?;
        let place = match open.story.about {
            About::Node => Place::Node,
            About::GpuOfTheOpening => Place::Gpu(address_in(&open.text)?),
            About::GpuOfTheEnd => Place::Gpu(address_in(line)?),
        };
        // Lines of one stamp cannot be told apart. A trace that nothing interrupts is the kernel's as its opening is.
        let text = printable(&format!("{} … {}", open.text.trim(), line.trim()), TEXT_KEPT);
        Some(Message { says: open.story.says, place, text, proven: open.proven && (proven || open.is_unbroken) })
    }

    /// An adapter that cannot be initialised is no fault of the board where the driver has said why it cannot run it.
    fn excuse(&mut self, message: Message) -> Message {
        let Place::Gpu(pci) = message.place else { return message };
        if message.says == Says::Reason(reason::DRIVER_UNSUITABLE) {
            if message.proven && !self.excused.contains(&pci) {
                self.excused.truncate(EXCUSED - 1);
                self.excused.push_front(pci);
            }
            return message;
        }
        let follows = message.says == Says::Reason(reason::ADAPTER_INIT_FAILED) && self.excused.contains(&pci);
        if follows { Message { says: Says::Reason(reason::DRIVER_UNSUITABLE), ..message } } else { message }
    }
}

#[cfg(test)]
impl Messages {
    pub(super) fn held(&self) -> usize {
        self.open.len() + self.excused.len()
    }
}

fn of_form(line: &str, proven: bool) -> Option<Message> {
    let message = |says, place| Message { says, place, text: printable(line.trim(), TEXT_KEPT), proven };
    if let Some(text) = line.strip_prefix(NVRM) {
        let form = FORMS.iter().find(|form| is_of_the_driver(form) && has_in_order(text, form.parts))?;
        let place = match form.names {
            Names::Gpu => Place::Gpu(address_in(text)?),
            Names::Instance => instance(text).map_or(Place::Node, Place::Instance),
            Names::Driver | Names::Device | Names::Function0 | Names::Kernel => Place::Node,
        };
        return Some(message(form.says, place));
    }
    if let Some((driver, pci, text)) = of_device(line) {
        let is_named = |form: &&Form| match form.names {
            Names::Device => true,
            Names::Function0 => pci.function == 0,
            Names::Gpu | Names::Instance | Names::Driver | Names::Kernel => false,
        };
        let form = FORMS.iter().filter(is_named).find(|form| has_in_order(text, form.parts))?;
        let place = if driver == "nvidia" { Place::Gpu(pci.device_address()) } else { Place::Device(pci) };
        return Some(message(form.says, place));
    }
    if is_uncorrected_machine_check(line) {
        return Some(message(Says::Reason(reason::HARDWARE_ERROR), Place::Node));
    }
    let begins = |form: &&Form| {
        form.names == Names::Kernel
            && form.parts.first().is_some_and(|first| line.starts_with(first))
            && has_in_order(line, form.parts)
    };
    FORMS.iter().find(begins).map(|form| message(form.says, Place::Node))
}

const fn is_of_the_driver(form: &Form) -> bool {
    matches!(form.names, Names::Gpu | Names::Instance | Names::Driver)
}

/// `nvidia 0000:03:00.0: AER: can't recover …`: driver, address, and the text behind them.
fn of_device(line: &str) -> Option<(&str, PciAddress, &str)> {
    let (driver, rest) = line.split_once(' ')?;
    let (address, text) = rest.split_once(": ")?;
    let is_driver = driver.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let pci = address.parse().ok().filter(|_| is_driver && !driver.is_empty() && address.contains('.'))?;
    Some((driver, pci, text))
}

/// Whether all parts are in the text, one behind the other.
fn has_in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// The first PCI address in a line, as function 0.
fn address_in(text: &str) -> Option<PciAddress> {
    let words = text.split(|c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ','));
    words
        .map(|word| word.trim_end_matches([':', '.', '!']).trim_start_matches("PCI:"))
        .filter(|word| word.matches(':').count() >= 2)
        .find_map(|word| word.parse::<PciAddress>().ok())
        .map(PciAddress::device_address)
}

/// The number in `GPU5 _kgspRpcRecvPoll: …`.
fn instance(text: &str) -> Option<u32> {
    text.split_ascii_whitespace().next()?.strip_prefix("GPU")?.parse().ok()
}

/// `mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 7: bd80000000100134`: bit 61 of the status says uncorrected
/// (Intel SDM volume 3B, IA32_MCi_STATUS; AMD's MCA_STATUS has it at the same place).
fn is_uncorrected_machine_check(line: &str) -> bool {
    const UNCORRECTED: u64 = 1 << 61;
    let status = || {
        let (_, rest) = line.strip_prefix("mce: [Hardware Error]: CPU ")?.split_once(" Bank ")?;
        let (_, status) = rest.split_once(": ")?;
        u64::from_str_radix(status.trim().get(..16)?, 16).ok()
    };
    status().is_some_and(|status| status & UNCORRECTED != 0)
}

fn closes(closes: Closes, line: &str) -> bool {
    match closes {
        Closes::FrameOfTheDriver => is_in_the_driver(line),
        Closes::InstructionOfTheDriver => {
            let line = line.trim_start();
            (line.starts_with("RIP: 0010:") || line.starts_with("pc : ")) && is_in_the_driver(line)
        }
        Closes::AnyOf(parts) => parts.iter().any(|part| line.contains(part)),
    }
}

/// Whether the line names a function of NVIDIA's driver as a call trace does: `name+0x1e/0x40 [nvidia_uvm]`, with the
/// build id of the module in newer kernels: `[nvidia 150ac0faf5cc194d]`.
fn is_in_the_driver(line: &str) -> bool {
    let Some((before, module)) = line.trim_end().rsplit_once(" [nvidia") else { return false };
    let is_module = module.ends_with(']') && module.starts_with([']', '_', ' ']);
    let symbol = before.rsplit([' ', ':']).next().unwrap_or_default();
    is_module && symbol.split_once("+0x").is_some_and(|(name, offsets)| !name.is_empty() && offsets.contains("/0x"))
}
