//! Which of the two the evidence points to.

use super::*;
use crate::xid::observe;
use proptest::prelude::*;

const HOUR: u64 = 3_600_000;
const POD: &str = "0c5bd4a5-1b0f-4d5c-9f52-6a7e9c0d4b11";

fn fault(code: u32, pid: u32, text: &str) -> XidObservation {
    observe(&format!("NVRM: Xid (PCI:0000:52:00): {code}, pid={pid}, name=python3, {text}")).unwrap()
}

fn of_pod(code: u32, pod: &str) -> XidObservation {
    XidObservation { owner: Some(pod.to_owned()), ..fault(code, 1, "Ch 00000008") }
}

#[test]
fn one_board_under_three_jobs_is_the_boards() {
    let mut owners = Owners::default();
    for code in [31, 94, 69] {
        assert_eq!(owners.sight(&of_pod(code, "a"), "serial-1", 0), None, "{code}");
        assert_eq!(owners.sight(&of_pod(code, "a"), "serial-1", HOUR), None, "the same job again: {code}");
        assert_eq!(owners.sight(&of_pod(code, "b"), "serial-1", HOUR), None, "{code}");
        let suspect = owners.sight(&of_pod(code, "c"), "serial-1", 2 * HOUR);
        assert_eq!(suspect, Some(Suspect::Board { jobs: 3 }), "{code}");
        assert_eq!(
            suspect.unwrap().says(code),
            format!("Xid {code} on this board under 3 different jobs: look at the board")
        );
    }
}

#[test]
fn one_job_on_two_boards_is_the_jobs_and_no_evidence_against_a_board() {
    let mut owners = Owners::default();
    assert_eq!(owners.sight(&of_pod(31, "a"), "serial-1", 0), None);
    assert_eq!(owners.sight(&of_pod(31, "a"), "serial-2", 1), Some(Suspect::Job { boards: 2 }));
    // The same broken program, restarted again and again across both boards: no board has a job of its own.
    for (at, pod) in ["b", "c", "d", "e"].into_iter().enumerate() {
        let at = at as u64 * HOUR;
        owners.sight(&of_pod(31, pod), "serial-1", at);
        assert_eq!(owners.sight(&of_pod(31, pod), "serial-2", at + 1), Some(Suspect::Job { boards: 2 }));
    }
    assert_eq!(owners.sight(&of_pod(31, "a"), "serial-1", 5 * HOUR), Some(Suspect::Job { boards: 2 }));
}

#[test]
fn processes_without_a_pod_are_told_apart_by_name_and_number() {
    let mut owners = Owners::default();
    for pid in [10, 11] {
        assert_eq!(owners.sight(&fault(31, pid, "Ch 1"), "b", 0), None);
    }
    assert_eq!(owners.sight(&fault(31, 12, "Ch 1"), "b", 0), Some(Suspect::Board { jobs: 3 }));
    // An unknown owner is not a job.
    let mut owners = Owners::default();
    let nobody = observe("NVRM: Xid (PCI:0000:52:00): 31, pid='<unknown>', name=<unknown>, Ch 1").unwrap();
    for at in 0..10 {
        assert_eq!(owners.sight(&nobody, "b", at * HOUR), None);
        assert_eq!(owners.sight(&nobody, "c", at * HOUR), None);
    }
}

#[test]
fn the_same_part_of_a_board_again_and_again_is_hardware() {
    let mut owners = Owners::default();
    // [gpud PR 46] one fault, three lines.
    let lines = [
        "Graphics SM Warp Exception on (GPC 7, TPC 7, SM 0): Illegal Instruction Parameter",
        "Graphics SM Global Exception on (GPC 7, TPC 7, SM 0): Multiple Warp Errors",
        "Graphics Exception: ESR 0x57c730=0xc04000b 0x57c734=0x24 0x57c728=0x1f81fb60 0x57c72c=0x1174",
    ];
    for line in lines {
        assert_eq!(owners.sight(&fault(13, 1, line), "b", 0), None, "{line}");
    }
    assert_eq!(owners.sight(&fault(13, 1, "Exception on (GPC 7, TPC 6, SM 0)"), "b", HOUR), None, "another part");
    assert_eq!(owners.sight(&fault(13, 1, lines[0]), "c", HOUR), Some(Suspect::Job { boards: 2 }), "another board");
    assert_eq!(owners.sight(&fault(13, 1, lines[0]), "b", HOUR), Some(Suspect::Job { boards: 2 }));
    let suspect = owners.sight(&fault(13, 2, lines[0]), "b", 2 * HOUR);
    assert_eq!(suspect, Some(Suspect::Part { gpc: 7, tpc: 7, times: 3 }));
    assert!(suspect.unwrap().says(13).ends_with("at GPC 7, TPC 7 of this board: run the field diagnostic"));
}

#[test]
fn the_end_of_a_program_and_a_fault_of_the_board_are_no_question() {
    let mut owners = Owners::default();
    for code in [43, 45, 174, 48, 79, 95, 119, 999] {
        assert!(!is_either(code), "{code}");
        for pod in ["a", "b", "c", "d"] {
            assert_eq!(owners.sight(&of_pod(code, pod), "b", 0), None, "{code}");
        }
    }
    assert!([13, 31, 68, 69, 94, 137].into_iter().all(is_either));
    let sxid = observe("nvidia-nvswitch0: SXid (PCI:0000:01:00.0): 31, Fatal, Link 30 x").unwrap();
    assert_eq!(owners.sight(&sxid, "b", 0), None);
}

#[test]
fn a_day_later_nothing_is_held_against_anybody() {
    let mut owners = Owners::default();
    owners.sight(&of_pod(31, "a"), "b", 0);
    owners.sight(&of_pod(31, "b"), "b", 0);
    assert_eq!(owners.sight(&of_pod(31, "c"), "b", 24 * HOUR), None);
}

#[test]
fn the_pod_is_found_in_the_cgroup_of_its_process() {
    let systemd = "kubepods-burstable-pod0c5bd4a5_1b0f_4d5c_9f52_6a7e9c0d4b11.slice";
    for text in [
        format!("0::/kubepods.slice/kubepods-burstable.slice/{systemd}/cri-containerd-4f.scope\n"),
        format!("0::/../../../{systemd}/cri-containerd-4f.scope\n"),
        format!("0::/kubelet.slice/kubelet-kubepods.slice/kubelet-{systemd}/crio-4f.scope"),
        format!("12:pids:/kubepods/besteffort/pod{POD}/4f\n11:devices:/kubepods/besteffort/pod{POD}/4f\n"),
        format!("1:name=systemd:/kubepods/pod{}/4f", POD.to_uppercase()),
    ] {
        assert_eq!(owner_of_cgroup(&text).as_deref(), Some(POD), "{text}");
    }
    let guaranteed = "0::/kubepods.slice/kubepods-pod2f6d9c0a1b2c3d4e5f60718293a4b5c6.slice/cri-containerd-4f.scope";
    assert_eq!(owner_of_cgroup(guaranteed).as_deref(), Some("2f6d9c0a1b2c3d4e5f60718293a4b5c6"));
    for text in [
        "",
        "0::/",
        "0::/user.slice/user-1000.slice/session-3.scope",
        "0::/system.slice/podman.service",
        "0::/machine.slice/libpod-4f6d9c0a1b2c3d4e5f60718293a4b5c64f6d9c0a1b2c3d4e5f60718293a4b5c6.scope",
        "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podxyz.slice",
        "0::/kubepods/pod0c5bd4a5-1b0f-4d5c-9f52-6a7e9c0d4b1/4f",
    ] {
        assert_eq!(owner_of_cgroup(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_cgroup_reader_panic(text in ".{0,400}", part in "[a-z0-9_.-]{0,80}") {
        owner_of_cgroup(&text);
        owner_of_cgroup(&format!("0::/kubepods-pod{part}.slice/{text}"));
    }

    #[test]
    fn the_memory_is_bounded_and_one_job_alone_never_blames_a_board(faults in proptest::collection::vec((0_usize..4, 0_u32..300, 0_u64..72 * HOUR), 0..300)) {
        let mut faults = faults;
        faults.sort_by_key(|(.., at)| *at);
        let mut owners = Owners::default();
        let mut lonely = Owners::default();
        for (board, owner, at) in faults {
            owners.sight(&of_pod(31, &owner.to_string()), &board.to_string(), at);
            prop_assert!(owners.seen.len() <= SEEN);
            let suspect = lonely.sight(&of_pod(31, "one"), &board.to_string(), at);
            let blamed = matches!(suspect, Some(Suspect::Board { .. }));
            prop_assert!(!blamed);
        }
    }
}
