//! Boards that come, go, and change places: what was found about them follows.

use super::*;
use crate::judge::core::Findings;
use crate::readings::inventory::{DISPLAY_CLASS, NvmlGpu};
use crds::node_hardware_profile::ExpectedGpus;
use crds::node_health::{Expected, NodeHealthSpec};
use crds::{Outcome, Severity, Time};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

const SLOTS: usize = 6;
const BOARDS: usize = 5;
const DECLARED: usize = 3;

fn address(slot: usize) -> String {
    format!("0000:{:02x}:00.0", 0x18 + slot)
}

/// A node with slots for boards. Board 0 is sick.
#[derive(Clone, Debug)]
struct Node {
    slots: [Option<usize>; SLOTS],
    /// Slots whose board is given to a virtual machine.
    elsewhere: [bool; SLOTS],
    answers: bool,
    pci_is_read: bool,
    display_card: bool,
    /// GPUs that the driver shows and PCI does not, as a driver that lies would.
    ghosts: usize,
}

impl Node {
    fn new() -> Self {
        Self {
            slots: [Some(0), Some(1), Some(2), None, None, None],
            elsewhere: [false; SLOTS],
            answers: true,
            pci_is_read: true,
            display_card: false,
            ghosts: 0,
        }
    }

    fn hardware(&self) -> Hardware {
        let plugged = || self.slots.iter().enumerate().filter_map(|(slot, board)| Some((slot, (*board)?)));
        let on_pci = |address: String, driver: Option<&str>, class| Accelerator {
            address,
            vendor: Vendor::Nvidia,
            device: if class == DISPLAY_CLASS { 0x128b } else { 0x2330 },
            class,
            numa_node: None,
            driver: driver.map(str::to_owned),
            slot: None,
            config_space: ConfigSpace::Answers,
        };
        let mut pci: Vec<Accelerator> = plugged()
            .map(|(slot, _)| {
                let driver = if self.elsewhere[slot] { "vfio-pci" } else { "nvidia" };
                on_pci(address(slot), Some(driver), 0x0302)
            })
            .collect();
        if self.display_card {
            pci.push(on_pci("0000:03:00.0".to_owned(), None, DISPLAY_CLASS));
        }
        let board = |address: String, board: usize| NvmlGpu {
            index: 0,
            pci: Some(address),
            uuid: Some(format!("GPU-{board}")),
            serial: Some(format!("serial-{board}")),
            name: None,
            vbios: None,
            memory_mib: None,
        };
        let mut nvml = NvmlView::empty();
        if self.answers {
            let shown = plugged().filter(|(slot, _)| !self.elsewhere[*slot]);
            nvml.gpus = shown.map(|(slot, number)| board(address(slot), number)).collect();
            nvml.gpus.extend((0..self.ghosts).map(|ghost| board(format!("0000:f{ghost}:00.0"), 100 + ghost)));
            nvml.count = u32::try_from(nvml.gpus.len()).ok();
        } else {
            nvml.status = "Unknown".to_owned();
        }
        let pci_errors = if self.pci_is_read { Vec::new() } else { vec!["unreadable".to_owned()] };
        Hardware::Seen(Box::new(InventoryReport { pci, nics: Vec::new(), pci_errors, nvml }))
    }

    fn whereabouts(&self) -> Option<Whereabouts> {
        let gpus = ExpectedGpus { count: i64::try_from(DECLARED).ok(), ..ExpectedGpus::default() };
        let expected = Expected { gpus: Some(gpus), ..Expected::default() };
        let spec = NodeHealthSpec { expected: Some(expected.into()), ..NodeHealthSpec::default() };
        Whereabouts::of(&Expectation { spec: Some(&spec), booted_at: None }, &self.hardware())
    }

    /// Where the driver shows the sick board.
    fn sick_at(&self) -> Option<String> {
        let slot = self.slots.iter().position(|board| *board == Some(0))?;
        (self.answers && self.pci_is_read && !self.elsewhere[slot]).then(|| address(slot))
    }

    /// As many boards as declared are read.
    fn is_whole(&self) -> bool {
        let read = (0..SLOTS).filter(|slot| self.slots[*slot].is_some() && !self.elsewhere[*slot]).count();
        self.answers && self.pci_is_read && read >= DECLARED
    }

    fn is_vacant(&self, at: &str) -> bool {
        (0..SLOTS).all(|slot| self.slots[slot].is_none() || address(slot) != at)
    }

    fn happen(&mut self, what: &Happens) {
        match *what {
            Happens::Unplug(slot) => self.slots[slot] = None,
            Happens::Plug(board, slot) => {
                if self.slots[slot].is_none() && !self.slots.contains(&Some(board)) {
                    self.slots[slot] = Some(board);
                }
            }
            Happens::Swap(one, other) => self.slots.swap(one, other),
            Happens::Answers(answers) => self.answers = answers,
            Happens::PciIsRead(is_read) => self.pci_is_read = is_read,
            Happens::Elsewhere(slot, elsewhere) => self.elsewhere[slot] = elsewhere,
            Happens::DisplayCard(is_there) => self.display_card = is_there,
            Happens::Ghosts(ghosts) => self.ghosts = ghosts,
        }
    }
}

#[derive(Clone, Debug)]
enum Happens {
    Unplug(usize),
    Plug(usize, usize),
    Swap(usize, usize),
    Answers(bool),
    PciIsRead(bool),
    Elsewhere(usize, bool),
    DisplayCard(bool),
    Ghosts(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0..SLOTS).prop_map(Happens::Unplug),
        6 => (0..BOARDS, 0..SLOTS).prop_map(|(board, slot)| Happens::Plug(board, slot)),
        3 => (0..SLOTS, 0..SLOTS).prop_map(|(one, other)| Happens::Swap(one, other)),
        2 => any::<bool>().prop_map(Happens::Answers),
        2 => any::<bool>().prop_map(Happens::PciIsRead),
        2 => (0..SLOTS, any::<bool>()).prop_map(|(slot, elsewhere)| Happens::Elsewhere(slot, elsewhere)),
        1 => any::<bool>().prop_map(Happens::DisplayCard),
        1 => (0_usize..3).prop_map(Happens::Ghosts),
    ]
}

fn finding(check: &str, target: String, board: Option<usize>) -> Finding {
    Finding {
        check: check.to_owned(),
        target,
        outcome: Outcome::Fail,
        severity: Severity::Isolate,
        reason: "Sick".to_owned(),
        message: "it is sick".to_owned(),
        since: Time::from_unix(1),
        last_seen: Time::from_unix(1),
        count: 1,
        uuid: board.map(|board| format!("GPU-{board}")),
        serial: board.map(|board| format!("serial-{board}")),
        ..Finding::default()
    }
}

fn found(findings: &Findings) -> Vec<(&str, &str)> {
    findings.iter().map(|finding| (finding.check.as_str(), finding.target.as_str())).collect()
}

/// Board 0 has a finding of the log and one of a link; an absent one of unknown identity was found by a reading.
fn sick() -> Findings {
    let mut findings = Findings::default();
    findings.put(finding("xid", address(0), Some(0)));
    findings.put(finding("nvlink", format!("{}/link3", address(0)), Some(0)));
    findings
}

fn follow(findings: &mut Findings, node: &Node) {
    if let Some(boards) = node.whereabouts() {
        findings.follow(&boards, |check| check == "inventory");
    }
}

/// Lives through a story and compares what stands after each event with what must; `spoil` may falsify where the boards are.
fn live(story: &[Happens], spoil: fn(&mut Whereabouts)) -> Result<(), TestCaseError> {
    let (mut node, mut findings) = (Node::new(), sick());
    let mut last = Some(address(0));
    for what in story {
        node.happen(what);
        if let Some(mut boards) = node.whereabouts() {
            spoil(&mut boards);
            findings.follow(&boards, |check| check == "inventory");
        }
        last = match (node.sick_at(), last) {
            (Some(now), _) => Some(now),
            // Nothing stands there, and nothing is missing.
            (None, Some(at)) if node.is_whole() && node.is_vacant(&at) => None,
            (None, last) => last,
        };
        let wanted: Vec<(&str, String)> =
            last.iter().flat_map(|at| [("nvlink", format!("{at}/link3")), ("xid", at.clone())]).collect();
        let wanted: Vec<(&str, &str)> = wanted.iter().map(|(check, target)| (*check, target.as_str())).collect();
        prop_assert_eq!(found(&findings), wanted, "after {:?} of {:?}", what, &node);
        if node.is_whole() {
            prop_assert!(found(&findings).iter().all(|(_, target)| !node.is_vacant(address_in(target).unwrap())));
        }
    }
    Ok(())
}

fn story() -> impl Strategy<Value = Vec<Happens>> {
    prop::collection::vec(happens(), 1..40)
}

proptest! {
    #[test]
    fn a_sick_board_that_is_in_the_node_is_never_healed_and_no_finding_is_stranded(story in story()) {
        live(&story, |_| {})?;
    }
}

#[test]
fn rules_that_release_too_much_or_too_little_are_noticed() {
    let mutants: [fn(&mut Whereabouts); 3] =
        [|boards| boards.is_complete = true, |boards| boards.is_complete = false, |boards| boards.boards.clear()];
    for (number, spoil) in mutants.into_iter().enumerate() {
        let mut runner = TestRunner::new_with_rng(
            Config { cases: 500, failure_persistence: None, ..Config::default() },
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        );
        let outcome = runner.run(&story(), |story| live(&story, spoil));
        assert!(matches!(outcome, Err(TestError::Fail(..))), "mutant {number}");
    }
}

#[test]
fn boards_that_change_places_take_their_findings_along() {
    let (mut node, mut findings) = (Node::new(), sick());
    findings.put(finding("xid", address(1), Some(1)));
    node.happen(&Happens::Swap(0, 1));
    follow(&mut findings, &node);
    let link = format!("{}/link3", address(1));
    assert_eq!(found(&findings), [("nvlink", link.as_str()), ("xid", &address(0)), ("xid", &address(1))]);
    let of = |slot| findings.get("xid", &address(slot)).unwrap();
    assert_eq!((of(0).serial.as_deref(), of(1).serial.as_deref()), (Some("serial-1"), Some("serial-0")));
    assert_eq!(of(1).message, format!("it is sick (found at {})", address(0)));
    // And back: where it was first found stays, and nothing is told twice.
    node.happen(&Happens::Swap(0, 1));
    follow(&mut findings, &node);
    assert_eq!(findings.get("xid", &address(0)).unwrap().message, format!("it is sick (found at {})", address(0)));
    assert_eq!(found(&findings).len(), 3);
}

#[test]
fn a_finding_of_unknown_identity_is_released_only_where_a_board_is_known_to_have_stood() {
    let (mut node, mut findings) = (Node::new(), Findings::default());
    node.slots = [None, Some(1), Some(2), Some(3), None, None];
    findings.put(finding("inventory", address(0), None));
    findings.put(finding("xid", address(0), None));
    // A switch, which no inventory lists.
    findings.put(finding("xid", "0000:85:00.0".to_owned(), None));
    findings.put(finding("custom/x", "rack 3".to_owned(), None));
    follow(&mut findings, &node);
    follow(&mut findings, &node);
    assert_eq!(found(&findings), [("custom/x", "rack 3"), ("xid", "0000:85:00.0")]);
}

#[test]
fn gpus_that_share_the_serial_number_of_their_board_are_not_mistaken_for_each_other() {
    // A board of two GPUs, of which one is lost; the report had no room for UUIDs.
    let board = |uuid: &str| Identity { uuid: Some(uuid.to_owned()), serial: Some("one".to_owned()) };
    let boards = |all: &[(usize, &str)]| Whereabouts {
        present: all.iter().map(|(slot, _)| address(*slot)).collect(),
        boards: all.iter().map(|(slot, uuid)| (address(*slot), board(uuid))).collect(),
        is_complete: false,
    };
    let of = |uuid: Option<&str>| Finding {
        uuid: uuid.map(str::to_owned),
        serial: Some("one".to_owned()),
        ..finding("xid", address(0), None)
    };
    let both = boards(&[(1, "GPU-b"), (2, "GPU-c")]);
    assert_eq!(both.place_of(&of(None), &address(0), false), Place::There);
    assert_eq!(both.place_of(&of(Some("GPU-a")), &address(0), false), Place::There);
    assert_eq!(both.place_of(&of(Some("GPU-c")), &address(0), false), Place::At(address(2)));
    // A driver that shows one GPU twice proves nothing.
    let twice = boards(&[(1, "GPU-a"), (2, "GPU-a")]);
    assert_eq!(twice.place_of(&of(Some("GPU-a")), &address(0), false), Place::There);
}

#[test]
fn what_is_remembered_of_boards_that_are_gone_is_bounded() {
    let (mut node, mut findings) = (Node::new(), Findings::default());
    node.slots = [None, Some(1), Some(2), Some(3), None, None];
    for number in 0..1_000_usize {
        findings.put(finding(
            "xid",
            format!("0000:{:02x}:{:02x}.0", number / 32 % 16, number % 32),
            Some(1_000 + number),
        ));
        follow(&mut findings, &node);
    }
    assert_eq!((found(&findings).len(), findings.vacated().count() <= 64), (0, true));
}
