//! Any events in any order: no panic, every limit respected, nothing started twice, no flood of writes.

use super::*;
use crate::readings::talk::DriverEvent;
use crds::node_health::{Group, MAX_BASELINES, MAX_EDGES_REPORTED, MAX_EVIDENCE, MAX_FINDINGS, Role, RunState, Slot};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Happens {
    Pass(u64),
    Fault(u8, u32, u64),
    Recovered(u8),
    Overrun,
    Spec(u8),
    SpecGone,
    /// The sampler answers, hangs, is silent, or announces an event.
    Says(u8),
    EndOldest(u8),
    EndNewest(u8),
    Unreadable,
    Opened,
    Answer(u8),
    Restart {
        reboots: bool,
    },
    ClockJumps(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (0_u64..20_000).prop_map(Happens::Pass),
        1 => (60_000_u64..4_000_000).prop_map(Happens::Pass),
        4 => (0_u8..40, prop_oneof![Just(13), Just(48), Just(79), Just(95), 0_u32..200], 0_u64..100).prop_map(|(g, c, s)| Happens::Fault(g, c, s)),
        1 => (0_u8..40).prop_map(Happens::Recovered),
        1 => Just(Happens::Overrun),
        3 => (0_u8..12).prop_map(Happens::Spec),
        1 => Just(Happens::SpecGone),
        6 => (0_u8..8).prop_map(Happens::Says),
        4 => (0_u8..6).prop_map(Happens::EndOldest),
        4 => (0_u8..6).prop_map(Happens::EndNewest),
        1 => Just(Happens::Unreadable),
        1 => Just(Happens::Opened),
        1 => (0_u8..5).prop_map(Happens::Answer),
        1 => any::<bool>().prop_map(|reboots| Happens::Restart { reboots }),
        1 => (-100_000_i64..100_000).prop_map(Happens::ClockJumps),
    ]
}

/// Specs with every kind of order, by number.
fn some_spec(number: u8, now: Now) -> NodeHealthSpec {
    let group = |start| Group {
        start_at: start,
        slot_seconds: Some(8),
        slots: (0..64)
            .map(|slot| Slot {
                slot,
                role: if slot % 2 == 0 { Role::Server } else { Role::Client },
                peer: "p".into(),
                address: "127.0.0.1".into(),
                port: 5201,
            })
            .collect(),
        ..Group::default()
    };
    let pair = CheckSpec {
        name: "ring".into(),
        network_bandwidth: Some(crds::check::NetworkBandwidth::default()),
        ..CheckSpec::default()
    };
    let many: Vec<CheckSpec> = (0..20).map(|n| custom(&format!("c{n}"))).collect();
    let mut spec = spec();
    spec.assignments = match number {
        0 => Vec::new(),
        1 => vec![assignment("a/1", vec![custom("x"), custom("y")])],
        2 => vec![assignment("a/1", vec![custom("x"), custom("y")]), assignment("b/1", many)],
        3 => vec![Assignment { group: Some(group(None)), ..assignment("g/1", vec![pair, custom("x")]) }],
        4 => vec![Assignment {
            group: Some(group(Some(now.wall().plus(2)))),
            ..assignment("g/1", vec![pair, custom("x")])
        }],
        5 => vec![Assignment { deadline: now.wall().plus(-1), ..assignment("l/1", vec![custom("x")]) }],
        6 => vec![Assignment { deadline: now.wall().plus(3), ..assignment("l/2", vec![custom("x")]) }],
        _ => vec![
            assignment(&format!("n/{number}"), vec![CheckSpec::default(), custom("x")]),
            assignment(&format!("n/{number}"), vec![]),
        ],
    };
    if number == 9 {
        spec.maintenance = Some(crds::node_health::Maintenance { reason: "x".repeat(128), ..Default::default() });
    }
    if number == 10 {
        spec.monitors = (0..32).map(|n| Monitor { name: format!("m{n}"), interval_seconds: Some(n) }).collect();
    }
    spec
}

fn crashed(why: &str) -> Measured {
    Measured::Unknown { reason: why.into(), message: "ü".repeat(400) }
}

/// The sampler's message, by number; `None` for a number that means silence.
fn said(number: u8, ask: Option<&Ask>) -> Option<Said> {
    let answer = |mut report: InventoryReport, status: &str| {
        let ask = ask?;
        report.nvml.status = status.into();
        let sample = Sample { sections: ask.sections.clone(), ..sample_of(report.nvml) };
        Some(Said::Sample { id: ask.id, sample: Box::new(sample) })
    };
    let event = |bits, xid| Some(Said::Event(DriverEvent { pci: Some(gpu(1)), bits, xid }));
    match number {
        0 => answer(healthy(8), "Ok"),
        1 => answer(healthy(20), "Ok"),
        2 => answer(healthy(0), "LibraryNotFound"),
        3 => Some(Said::Hung(Hung {
            in_kernel: false,
            call: "n".repeat(300),
            index: Some(1),
            pci: Some("p".repeat(300)),
            for_ms: u64::MAX,
        })),
        4 => event(0x8, Some(48)),
        5 => event(0x8000, None),
        6 => Some(Said::Sample { id: u64::MAX, sample: Box::new(sample_of(healthy(2).nvml)) }),
        _ => None,
    }
}

fn measured(kind: u8, probe: &Probe) -> Measured {
    match (kind, probe) {
        (0, Probe::Tree) => tree_of(&healthy(8)),
        (1, Probe::Tree) => {
            let mut report = healthy(20);
            report.pci.truncate(18);
            tree_of(&report)
        }
        (2, Probe::Tree) => tree_of(&healthy(0)),
        (0, Probe::Sampler) => crashed(reason::SAMPLER_CRASHED),
        (1, Probe::Sampler) => crashed(reason::CHILD_UNKILLABLE),
        (2, Probe::Sampler) => crashed(reason::INTERRUPTED),
        (0 | 1, Probe::Send { .. } | Probe::Serve { .. }) => {
            Measured::Iperf(Box::new(crate::readings::bandwidth::IperfReport {
                mbps: Some(u64::MAX),
                retransmits: None,
                seconds: None,
                reason: None,
                evidence: "e".repeat(256),
                attempts: 1,
            }))
        }
        (0..=2, Probe::Check { spec, .. }) => reported(&crate::readings::program::CustomReport {
            program: spec.name.clone(),
            verdict: crate::readings::program::Verdict {
                outcome: if kind == 0 {
                    crate::readings::program::Outcome::Pass
                } else {
                    crate::readings::program::Outcome::Fail
                },
                severity: crate::readings::program::Severity::Isolate,
                reason: "R".repeat(300),
                message: "é".repeat(300),
                target: format!("{}{kind}", "t".repeat(200)),
            },
            exit_code: None,
            evidence: "é".repeat(128),
        }),
        _ => Measured::Unknown { reason: "Q".repeat(100), message: "ü".repeat(400) },
    }
}

/// A bench, and what must stay true across all its restarts.
struct World {
    bench: Bench,
    started: BTreeMap<String, BTreeSet<usize>>,
    checked: usize,
    boots: u32,
}

impl World {
    fn happen(&mut self, what: &Happens) {
        match what {
            Happens::Pass(ms) => self.bench.pass(*ms),
            Happens::Fault(g, code, seq) => {
                self.bench.fault(record(&gpu(*g), XidEvent::Xid(*code), XidDetail::Plain, *seq));
            }
            Happens::Recovered(g) => {
                self.bench.fault(record(&gpu(*g), XidEvent::Xid(154), XidDetail::Recovery { from: 1, to: 0 }, 0));
            }
            Happens::Overrun => self.bench.fault(LogEntry::Overrun),
            Happens::Spec(number) => {
                let order = order(some_spec(*number, self.bench.now), None);
                self.bench.send(Event::SpecChanged(Box::new(order)));
            }
            Happens::SpecGone => self.bench.send(Event::SpecGone),
            Happens::Says(number) => {
                let said = said(*number, self.bench.asked().as_ref());
                if let (Some(said), Some(_)) = (said, self.bench.sampler()) {
                    self.bench.say(said);
                }
            }
            Happens::EndOldest(kind) => self.end(*kind, false),
            Happens::EndNewest(kind) => self.end(*kind, true),
            Happens::Unreadable => self.bench.send(Event::KernelLogUnreadable { message: "ü".repeat(300) }),
            Happens::Opened => self.bench.send(Event::KernelLogOpened { source: "s".repeat(400) }),
            Happens::Answer(number) => {
                self.bench.answer = [
                    Ok(()),
                    Err(Refusal::Transient),
                    Err(Refusal::Schema),
                    Err(Refusal::NotFound),
                    Err(Refusal::Forbidden),
                ][usize::from(*number)];
            }
            Happens::Restart { reboots } => self.restart(*reboots),
            Happens::ClockJumps(ms) => self.bench.now.unix_ms += ms,
        }
        self.check();
    }

    fn end(&mut self, kind: u8, newest: bool) {
        let running = self.bench.running(|_| true);
        let Some(id) = (if newest { running.last() } else { running.first() }).copied() else {
            return;
        };
        let probe = self.bench.effects.iter().find_map(|effect| match effect {
            Effect::StartProbe { id: started, probe, .. } if *started == id => Some(probe.clone()),
            _ => None,
        });
        self.bench.finish(id, measured(kind, &probe.expect("it was started")));
    }

    fn restart(&mut self, reboots: bool) {
        let last = self.bench.written.last().cloned();
        let spec = self.bench.state.order.as_ref().map(|order| order.spec.clone());
        self.boots += u32::from(reboots);
        let now = self.bench.now;
        let mut bench = Bench::booted(&format!("boot-{}", self.boots));
        bench.now = now;
        bench.state = State::new(facts(&format!("boot-{}", self.boots)), now);
        bench.written.extend(last.clone());
        self.checked = 0;
        self.bench = bench;
        match spec {
            Some(spec) => self.bench.send(Event::SpecChanged(Box::new(order(spec, last)))),
            None => self.bench.send(Event::SpecGone),
        }
    }

    fn check(&mut self) {
        // One sampler, and one open question to it.
        assert!(self.bench.running(|probe| *probe == Probe::Sampler).len() <= 1);
        assert!(self.bench.running(|probe| *probe == Probe::Tree).len() <= 1);
        let effects = self.bench.effects[self.checked..].to_vec();
        self.checked = self.bench.effects.len();
        for effect in effects {
            match effect {
                Effect::Report { report, .. } => within_bounds(&report),
                Effect::StartProbe { probe: Probe::Check { spec, .. }, deadline_ms, .. } => {
                    assert!(deadline_ms > 0);
                    // A run that the object says is done is never resumed.
                    let done = self.bench.written.last().into_iter().flat_map(|report| &report.runs).any(|run| {
                        run.state == RunState::Done
                            && run.results.iter().any(|result| result.name == spec.name)
                            && self
                                .bench
                                .state
                                .works
                                .iter()
                                .all(|work| work.id() == run.id && work.report().state == RunState::Done)
                    });
                    assert!(!done, "{}", spec.name);
                    self.started.entry(spec.name).or_default();
                }
                _ => {}
            }
        }
    }
}

fn within_bounds(report: &Report) {
    assert!(report.findings.len() <= MAX_FINDINGS);
    let keys: BTreeSet<_> = report.findings.iter().map(|f| (&f.check, &f.target)).collect();
    assert_eq!(keys.len(), report.findings.len(), "findings are unique");
    for f in &report.findings {
        assert!(
            (1..=80).contains(&f.check.len())
                && (1..=64).contains(&f.target.len())
                && (1..=63).contains(&f.reason.len())
        );
        assert!(
            f.message.chars().count() <= 256 && f.evidence.as_ref().is_none_or(|e| e.chars().count() <= MAX_EVIDENCE)
        );
        assert!((0..=1_000_000_000).contains(&f.count) && matches!(f.outcome, Outcome::Warn | Outcome::Fail));
    }
    assert!(report.checks.len() <= 32 && report.baselines.len() <= MAX_BASELINES && report.runs.len() <= 2);
    for row in &report.checks {
        assert!(
            row.covered.len() <= 49
                && row.reason.as_ref().is_none_or(|r| r.len() <= 63)
                && row.message.as_ref().is_none_or(|m| m.chars().count() <= 256)
        );
        assert!(row.covered.iter().all(|target| target.len() <= 64));
    }
    assert!(report.baselines.iter().all(|b| b.values.len() <= 256 && b.boot_id.len() <= 64));
    assert!(report.inventory.gpus.len() <= 16 && report.inventory.nics.len() <= 32);
    assert!(report.agent.kernel_log.as_ref().is_none_or(|source| source.len() <= 300));
    assert!(report.runs.iter().map(|run| run.edges.len()).sum::<usize>() <= MAX_EDGES_REPORTED);
    for run in &report.runs {
        assert!(run.results.len() <= 16);
        assert_eq!(run.finished_at.is_some(), run.state == RunState::Done);
        for result in &run.results {
            assert!(
                result.tested.len() <= 16
                    && result.tested.iter().all(|target| target.len() <= 64)
                    && result.aggregates.len() <= 4
            );
            assert!(
                result.message.as_ref().is_none_or(|m| m.chars().count() <= 256)
                    && result.reason.as_ref().is_none_or(|r| r.len() <= 63)
            );
        }
        assert!(run.edges.iter().all(|edge| edge.mbps.is_none_or(|mbps| mbps <= 100_000_000)));
    }
    assert!(serde_json::to_vec(report).unwrap().len() < 60_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_report_respects_every_bound(story in proptest::collection::vec(happens(), 1..60)) {
        let mut world = World { bench: Bench::new(), started: BTreeMap::new(), checked: 0, boots: 1 };
        for what in &story {
            world.happen(what);
        }
    }

    #[test]
    fn a_restart_at_any_point_of_an_order_ends_it_once_and_never_starts_it_again(
        before in proptest::collection::vec((0_u64..3_000, any::<bool>()), 0..12), ends in 0_u8..4
    ) {
        let given = || spec_with(vec![assignment("u/1", vec![custom("one"), custom("two"), custom("three")])]);
        let mut first = Bench::new();
        first.send(Event::KernelLogOpened { source: "syslog".into() });
        first.send(Event::SpecChanged(Box::new(order(given(), None))));
        for (ms, end) in before {
            first.pass(ms);
            if let Some(id) = first.running(|_| true).first().copied().filter(|_| end) {
                first.finish(id, Measured::Unknown { reason: "ToolError".into(), message: format!("{ends}") });
            }
        }
        let earlier = first.written.last().cloned();
        let was_known = earlier.as_ref().is_some_and(|report| !report.runs.is_empty());
        let begun = first.started(is_custom);
        prop_assert!(begun == 0 || was_known, "nothing starts before the object names it");
        let mut second = Bench::new();
        second.begin(order(given(), earlier));
        second.pass(5_000);
        let again = second.started(is_custom);
        prop_assert_eq!(again > 0, !was_known);
        if was_known {
            let run = &second.state.works[0].report().clone();
            prop_assert_eq!(&run.state, &RunState::Done);
            let names: BTreeSet<_> = run.results.iter().map(|result| result.name.as_str()).collect();
            prop_assert_eq!((names.len(), run.results.len()), (3, 3));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_writes_stay_within_five_a_second_and_ordinary_ones_within_one(
        story in proptest::collection::vec((0_u64..400, 0_u8..40, prop_oneof![Just(13_u32), Just(79), Just(48)]), 1..80)
    ) {
        let mut bench = Bench::at_rest(spec());
        let mut at: Vec<(u64, bool)> = Vec::new();
        let mut seen = bench.written.len();
        for (seq, (ms, g, code)) in story.into_iter().enumerate() {
            bench.fault(record(&gpu(g), XidEvent::Xid(code), XidDetail::Plain, seq as u64));
            for step in 0..=(ms / 10) {
                if step > 0 { bench.pass(10); }
                while seen < bench.written.len() {
                    let fails = |report: &Report| report.findings.iter().filter(|f| f.outcome == Outcome::Fail).map(|f| (f.target.clone(), f.severity.rank())).collect::<BTreeSet<_>>();
                    let before = seen.checked_sub(1).map(|before| fails(&bench.written[before])).unwrap_or_default();
                    let is_urgent = !fails(&bench.written[seen]).is_subset(&before);
                    at.push((bench.now.mono_ms, is_urgent));
                    seen += 1;
                }
            }
        }
        for window in at.windows(6) {
            prop_assert!(window[5].0 - window[0].0 >= PAUSE_MS, "{at:?}");
        }
        for pair in at.windows(2) {
            prop_assert!(pair[1].1 || pair[1].0 - pair[0].0 >= PAUSE_MS, "{at:?}");
        }
    }
}
