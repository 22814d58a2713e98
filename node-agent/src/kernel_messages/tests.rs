//! Published records through the reader.

pub(crate) mod samples;

use super::*;
use crate::judge::samples::Origin;
use crate::kernel_log::KernelRecord;
use crate::pci::PciAddress;
use crds::reason;
use proptest::prelude::*;
use samples::{FIRES, SILENT};

/// The address that stands for `{GPU}`, and the port above it.
pub(crate) const GPU: &str = "0000:18:00.0";
pub(crate) const PORT: &str = "0000:17:01.0";

/// One record of the device, with line feeds escaped as the kernel does it.
pub(crate) fn record(text: &str, gpu: &str) -> KernelRecord {
    let text = text.replace("{GPU}", gpu).replace("{PORT}", PORT).replace('\n', "\\x0a");
    KernelRecord::from_kmsg(format!("4,7,4580565206,-;{text}").as_bytes()).unwrap()
}

fn read(records: &[&str]) -> Vec<Message> {
    let mut messages = Messages::default();
    records.iter().flat_map(|text| messages.push(&record(text, GPU))).collect()
}

fn says(records: &[&str]) -> Vec<Says> {
    read(records).into_iter().map(|message| message.says).collect()
}

#[test]
fn every_published_record_is_read_with_its_place() {
    for sample in FIRES {
        let messages = read(sample.records);
        assert!(!messages.is_empty(), "{} [{}]", sample.reason, sample.source);
        for message in messages {
            assert_eq!(message.says, Says::Reason(sample.reason), "{} [{}]", message.text, sample.source);
            assert!(message.proven && message.text.chars().count() <= 256, "{message:?}");
            let (gpu, port): (PciAddress, PciAddress) = (GPU.parse().unwrap(), PORT.parse().unwrap());
            match message.place {
                Place::Gpu(pci) => assert_eq!(pci, gpu),
                Place::Device(pci) => assert!(pci == gpu || pci == port, "{pci}"),
                Place::Instance(_) | Place::Node => assert!(!sample.is_about_a_gpu, "{message:?}"),
            }
        }
    }
}

#[test]
fn every_form_and_every_story_has_a_sample() {
    let lines: Vec<&str> = FIRES.iter().flat_map(|sample| sample.records.iter().copied()).collect();
    let follows = |line: &str, parts: &[&str]| {
        let mut rest = line;
        parts.iter().all(|part| rest.split_once(part).map(|(_, behind)| rest = behind).is_some())
    };
    for form in FORMS.iter().filter(|form| form.says != Says::Recovered) {
        assert!(lines.iter().any(|line| follows(line, form.parts)), "{form:?}");
    }
    for story in STORIES {
        assert!(story.opens.iter().any(|parts| lines.iter().any(|line| follows(line, parts))), "{story:?}");
    }
}

#[test]
fn what_is_harmless_or_of_another_device_says_nothing() {
    for (source, records) in SILENT {
        assert_eq!(says(records), [], "{source}");
    }
}

#[test]
fn an_adapter_that_fails_is_excused_only_for_the_gpu_that_the_driver_spoke_of_and_until_it_is_loaded_anew() {
    let why = "NVRM: The NVIDIA GPU {GPU} (PCI ID: 10de:2c58)\nNVRM: installed in this system requires use of the NVIDIA open kernel modules.";
    let failed = "NVRM: GPU {GPU}: RmInitAdapter failed! (0x22:0x56:884)";
    let other = "NVRM: GPU 0000:aa:00.0: RmInitAdapter failed! (0x22:0x56:884)";
    let (unsuitable, init) = (Says::Reason(reason::DRIVER_UNSUITABLE), Says::Reason(reason::ADAPTER_INIT_FAILED));
    assert_eq!(says(&[why, failed, other]), [unsuitable, unsuitable, init]);
    assert_eq!(
        says(&[why, "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.105.08", failed]),
        [unsuitable, init]
    );
}

#[test]
fn a_story_ends_soon_or_not_at_all() {
    let (open, end) =
        ("INFO: task nvidia-smi:77 blocked for more than 120 seconds.", " nvidia_ioctl+0x1e/0x40 [nvidia]");
    let with = |between: usize| {
        let mut records = vec![open];
        records.extend(std::iter::repeat_n("eth0: link up", between));
        records.push(end);
        says(&records).len()
    };
    assert_eq!((with(80), with(120)), (1, 0));
    // The trace that follows is the second task's.
    let other = "INFO: task jbd2/dm-3-8:358 blocked for more than 120 seconds.";
    let told = read(&[other, " jbd2_journal_commit_transaction+0x1/0x2 [jbd2]", open, end]);
    assert!(told.len() == 1 && told[0].text.contains("nvidia-smi"), "{told:?}");
}

#[test]
fn a_record_that_a_program_wrote_or_chose_says_nothing_or_is_not_proven() {
    let line = "NVRM: GPU 0000:18:00.0: RmInitAdapter failed! (0x24:0x72:1568)";
    let of = |text: String| Messages::default().push(&KernelRecord::from_kmsg(text.as_bytes()).unwrap());
    assert_eq!(of(format!("12,7,5,-;{line}")), [], "facility 1");
    assert_eq!(of(format!("6,7,5,-;x\\x0a{line}[8417]: segfault at 1")), [], "a name that the kernel quotes");
    let chosen = "6,7,5,-;pcieport 0000:0[123]: segfault at 1 in x\\x0anvidia 0000:18:00.0: AER: can't recover (no error_detected callback)[8417]";
    assert_eq!(of(chosen.to_owned()), [], "fifteen bytes of a task's name are no address");
    let split = KernelRecord::from_syslog(format!("<4>[    5.000001] {line}").as_bytes()).unwrap();
    let told = Messages::default().push(&split);
    assert!(matches!(told.as_slice(), [message] if !message.proven), "{told:?}");
}

#[test]
fn no_form_and_no_opening_fits_into_the_name_of_a_task() {
    const LEFT: usize = 14;
    let of = |prefix: usize, parts: &[&str]| prefix + parts.iter().map(|part| part.len()).sum::<usize>();
    for form in FORMS {
        let prefix = match form.names {
            Names::Gpu | Names::Instance | Names::Driver => "NVRM: ".len(),
            Names::Device | Names::Function0 => "x 0000:00:00.0: ".len(),
            Names::Kernel => 0,
        };
        assert!(of(prefix, form.parts) > LEFT, "{form:?}");
    }
    for parts in STORIES.iter().flat_map(|story| story.opens) {
        assert!(of(0, parts) > LEFT, "{parts:?}");
    }
}

#[test]
fn a_frame_that_a_program_chose_does_not_prove_that_a_task_hangs_in_the_driver() {
    let mut log = crate::kernel_log::PrintedLog::default();
    let mut told = |text: &str| -> Vec<bool> {
        let mut messages = Messages::default();
        let records: Vec<KernelRecord> = text.lines().filter_map(|line| log.read(line.as_bytes())).collect();
        records.iter().flat_map(|record| messages.push(record)).map(|message| message.proven).collect()
    };
    let hangs = "[100.000001] INFO: task x:77 blocked for more than 120 seconds.\n";
    let forged = "[105.000001] y[99]: segfault at 1 ip 0 sp 0 error 6 in z\n[105.000001]  a+0x1/0x2 [nvidia]\n";
    assert_eq!(told(&format!("{hangs}{forged}")), [false]);
    let real =
        "[100.000001] Call Trace:\n[100.000001]  schedule+0x69/0x110\n[100.000001]  nvidia_ioctl+0x1/0x2 [nvidia]\n";
    assert_eq!(told(&format!("{hangs}{real}")), [true]);
}

#[test]
fn nothing_condemns_that_no_machine_was_seen_to_print() {
    let reasons = FIRES.iter().map(|sample| sample.reason).collect::<std::collections::BTreeSet<_>>();
    for reason in reasons {
        let of = |origin: Origin| FIRES.iter().filter(|s| s.reason == reason && s.origin == origin).count();
        let (recorded, derived, invented) = (of(Origin::Recorded), of(Origin::Derived), of(Origin::Invented));
        println!("{reason}: {recorded} recorded, {derived} derived, {invented} invented");
        assert!(!crate::judge::kernel_log::severity(reason).condemns() || recorded > 0, "{reason}");
    }
}

proptest! {
    #[test]
    fn no_records_make_the_reader_panic_and_what_it_keeps_is_bounded(
        lines in proptest::collection::vec(
            "\\PC{0,60}|NVRM: \\PC{0,40}|nvidia [0-9a-f:.]{0,12}: \\PC{0,40}|INFO: task \\PC{0,20} blocked for more than 1|[a-z]{1,5}\\+0x1/0x2 \\[nvidia\\]|BUG: unable to handle \\PC{0,9}",
            0..40,
        ),
    ) {
        let mut messages = Messages::default();
        for line in lines {
            for message in messages.push(&record(&line, GPU)) {
                prop_assert!(message.text.chars().count() <= 256);
            }
            prop_assert!(messages.held() <= 48);
        }
    }
}
