//! Two sources, one fault.

use super::*;
use crate::xid::{judge, observe};
use crds::Severity;
use proptest::prelude::*;

fn gpu(bus: u8) -> PciAddress {
    PciAddress { domain: 0, bus, device: 0, function: 0 }
}

fn line(bus: u8, code: u32) -> XidObservation {
    observe(&format!("NVRM: Xid (PCI:0000:{bus:02x}:00): {code}, pid=1, name=a, x")).unwrap()
}

#[test]
fn an_event_after_its_line_says_nothing_new() {
    let mut merge = Merge::default();
    assert!(!merge.log_fault(&line(1, 79), 1_000));
    assert_eq!(merge.driver_event(gpu(1), 79, true, 1_100), None);
    assert_eq!(merge.next_due(), None);
    // Another GPU and another code are other faults.
    assert_eq!(merge.driver_event(gpu(2), 79, true, 1_100), None);
    assert_eq!(merge.driver_event(gpu(1), 48, true, 1_200), None);
    assert_eq!(merge.next_due(), Some(3_100));
    assert_eq!(
        merge.due(3_200).iter().map(|o| (o.pci, o.event)).collect::<Vec<_>>(),
        [(gpu(2), XidEvent::Xid(79)), (gpu(1), XidEvent::Xid(48)),]
    );
}

#[test]
fn an_event_waits_for_its_line_which_is_then_the_one_that_counts() {
    let mut merge = Merge::default();
    assert_eq!(merge.driver_event(gpu(1), 94, true, 0), None);
    assert_eq!(merge.next_due(), Some(WAIT_MS));
    assert_eq!(merge.due(WAIT_MS - 1), []);
    assert!(!merge.log_fault(&line(1, 94), WAIT_MS - 1), "it was not reported before");
    assert_eq!((merge.due(WAIT_MS), merge.next_due()), (vec![], None));
}

#[test]
fn an_event_that_no_line_follows_is_told_without_detail() {
    let mut merge = Merge::default();
    merge.driver_event(gpu(1), 95, true, 0);
    let reported = merge.due(WAIT_MS);
    assert_eq!(reported.len(), 1);
    assert_eq!(
        (&reported[0].detail, reported[0].message.as_str(), reported[0].pid),
        (&XidDetail::Plain, BY_EVENT, None)
    );
    assert_eq!(judge(&reported[0], None).severity, Severity::Reset);
    // The line comes late: it is no second sighting, but only once.
    assert!(merge.log_fault(&line(1, 95), WAIT_MS + 500));
    assert!(!merge.log_fault(&line(1, 95), WAIT_MS + 900));
}

#[test]
fn without_a_log_an_event_is_told_at_once_and_a_burst_of_it_once() {
    let mut merge = Merge::default();
    assert!(merge.driver_event(gpu(1), 31, false, 0).is_some());
    for at in 1..100 {
        assert_eq!(merge.driver_event(gpu(1), 31, false, at), None);
    }
    assert!(merge.driver_event(gpu(1), 31, false, WAIT_MS).is_some(), "a later one is another");
    // The log opens again within its longest pause and has the same fault.
    assert!(merge.log_fault(&line(1, 31), 60_000));
}

#[test]
fn a_gpu_that_left_the_bus_is_one_fault_with_its_event_79() {
    let mut merge = Merge::default();
    merge.log_fault(&observe("NVRM: GPU 0000:29:00.0: GPU has fallen off the bus.").unwrap(), 0);
    assert_eq!((merge.driver_event(gpu(0x29), 79, true, 10), merge.next_due()), (None, None));
}

#[test]
fn an_xid_154_without_its_text_neither_raises_nor_clears() {
    for readable in [true, false] {
        let mut merge = Merge::default();
        assert_eq!(merge.driver_event(gpu(1), 154, readable, 0), None);
        assert_eq!(merge.due(u64::MAX), []);
    }
    assert!(reads_recovery_action(154) && !reads_recovery_action(79));
}

#[test]
fn an_sxid_is_no_gpus_event() {
    let mut merge = Merge::default();
    let sxid = observe("nvidia-nvswitch0: SXid (PCI:0000:01:00.0): 79, Fatal, Link 30 x").unwrap();
    assert!(!merge.log_fault(&sxid, 0));
    assert!(merge.driver_event(gpu(1), 79, false, 1).is_some());
}

#[test]
fn a_storm_is_bounded_and_loses_nothing() {
    let mut merge = Merge::default();
    let mut reported = Vec::new();
    let mut most = 0;
    for at in 0..10_000_u32 {
        let code = at % 500;
        reported.extend(merge.driver_event(gpu(u8::try_from(at % 251).unwrap()), code, at % 3 == 0, at.into()));
        merge.log_fault(&line(u8::try_from(at % 241).unwrap(), code), at.into());
        most = most.max(merge.held());
    }
    assert!(most <= 2 * KEPT + WAITING, "{most}");
    assert!(!reported.is_empty());
}

/// A fault, and after how many milliseconds each source reports it, if it does.
#[derive(Clone, Debug)]
struct Story {
    fault: Fault,
    line: Option<u64>,
    event: Option<u64>,
}

/// All faults differ, so that reports can be counted; lines come within the wait after their events.
fn stories() -> impl Strategy<Value = Vec<Story>> {
    let reported =
        (proptest::option::weighted(0.8, 0..WAIT_MS), proptest::option::weighted(0.8, 0..WAIT_MS), 0_u64..60_000);
    proptest::collection::vec(reported, 1..40).prop_map(|reported| {
        reported
            .into_iter()
            .zip(0_u32..)
            .map(|((line, event, at), number)| Story {
                fault: (gpu(u8::try_from(number % 16).unwrap()), 30 + number / 16),
                line: line.map(|after| at + after),
                event: event.map(|after| at + after),
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn each_fault_is_told_exactly_once_whoever_comes_first(stories in stories(), step in 1_u64..700) {
        let mut merge = Merge::default();
        let mut happenings: Vec<(u64, bool, Fault)> = Vec::new();
        for story in &stories {
            happenings.extend(story.line.map(|at| (at, true, story.fault)));
            happenings.extend(story.event.map(|at| (at, false, story.fault)));
        }
        happenings.sort_by_key(|(at, ..)| *at);
        let mut reported: Vec<Fault> = Vec::new();
        let fault_of = |observed: &XidObservation| match observed.event {
            XidEvent::Xid(code) => (observed.pci, code),
            XidEvent::SXid(_) | XidEvent::FallenOffTheBus => (observed.pci, 0),
        };
        let mut clock = 0;
        for (at, is_line, fault) in happenings {
            while clock < at {
                clock = (clock + step).min(at);
                reported.extend(merge.due(clock).iter().map(fault_of));
            }
            if is_line {
                if !merge.log_fault(&line(fault.0.bus, fault.1), at) {
                    reported.push(fault);
                }
            } else {
                reported.extend(merge.driver_event(fault.0, fault.1, true, at).iter().map(fault_of));
            }
        }
        reported.extend(merge.due(u64::MAX).iter().map(fault_of));
        for story in stories {
            let times = reported.iter().filter(|fault| **fault == story.fault).count();
            let expected = usize::from(story.line.is_some() || story.event.is_some());
            prop_assert_eq!(times, expected, "{:?}", story);
        }
        prop_assert_eq!(merge.next_due(), None);
    }

    #[test]
    fn a_log_that_comes_and_goes_hides_nothing(at in proptest::collection::vec((0_u64..60_000, 0_u8..3, any::<bool>(), any::<bool>()), 1..60)) {
        let mut at = at;
        at.sort_unstable();
        let mut merge = Merge::default();
        let mut reported: Vec<(u8, u64)> = Vec::new();
        let mut events = Vec::new();
        for (now, bus, is_line, readable) in at {
            while let Some(due) = merge.next_due().filter(|due| *due <= now) {
                reported.extend(merge.due(due).iter().map(|observed| (observed.pci.bus, due)));
            }
            if is_line {
                merge.log_fault(&line(bus, 48), now);
                reported.push((bus, now));
            } else {
                events.push((bus, now));
                reported.extend(merge.driver_event(gpu(bus), 48, readable, now).iter().map(|o| (o.pci.bus, now)));
            }
        }
        while let Some(due) = merge.next_due() {
            reported.extend(merge.due(due).iter().map(|observed| (observed.pci.bus, due)));
        }
        for (bus, now) in events {
            let in_time = now.saturating_sub(SAME_FAULT_MS)..=now + WAIT_MS;
            let near = reported.iter().any(|(of, at)| *of == bus && in_time.contains(at));
            prop_assert!(near, "the event of GPU {bus} at {now} was never reported: {reported:?}");
        }
    }
}
