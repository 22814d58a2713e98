//! Checks between nodes: ready, slots, edges.

use super::*;
use crate::readings::bandwidth::{IperfReason, IperfReport};
use crds::check::NetworkBandwidth;
use crds::node_health::{Edge, Group, Role, RunState, Slot};

const START: i64 = MORNING + 10;

fn ring(minimum: Option<i64>) -> CheckSpec {
    let check =
        NetworkBandwidth { duration_seconds: Some(5), min_megabits_per_second: minimum, ..NetworkBandwidth::default() };
    CheckSpec { name: "ring".into(), network_bandwidth: Some(check), ..CheckSpec::default() }
}

fn slot(slot: i64, role: Role) -> Slot {
    Slot { slot, role, peer: format!("peer-{slot}"), address: "10.0.0.2".into(), port: 5201 }
}

fn group(start: Option<i64>, slots: Vec<Slot>) -> Group {
    Group { start_at: start.map(Time::from_unix), slot_seconds: Some(10), slots, ..Group::default() }
}

fn ordered(start: Option<i64>, slots: Vec<Slot>, minimum: Option<i64>) -> Box<Order> {
    let assignment = Assignment { group: Some(group(start, slots)), ..assignment("u/1", vec![ring(minimum)]) };
    Box::new(order(spec_with(vec![assignment]), None))
}

/// A node that is ready, and then gets its start.
fn begun(slots: Vec<Slot>, minimum: Option<i64>) -> Bench {
    let mut bench = Bench::new();
    bench.begin(*ordered(None, slots.clone(), minimum));
    bench.pass(1_500);
    assert_eq!(bench.report().runs[0].state, RunState::Ready);
    bench.send(Event::SpecChanged(ordered(Some(START), slots, minimum)));
    bench.pass(1_500);
    bench
}

fn until(bench: &mut Bench, unix: i64) {
    let ahead = unix * 1000 - bench.now.unix_ms;
    bench.pass(u64::try_from(ahead).expect("ahead"));
}

fn measured(mbps: Option<u64>, why: Option<IperfReason>) -> Measured {
    Measured::Iperf(Box::new(IperfReport {
        mbps,
        retransmits: None,
        seconds: None,
        reason: why,
        evidence: "iperf3: it says so".into(),
        attempts: 1,
    }))
}

fn serves(probe: &Probe) -> bool {
    matches!(probe, Probe::Serve { .. })
}

fn sends(probe: &Probe) -> bool {
    matches!(probe, Probe::Send { .. })
}

fn edges(bench: &Bench) -> Vec<(i64, Option<i64>, Outcome, String)> {
    let of = |e: &Edge| (e.slot, e.mbps, e.outcome.clone(), e.reason.clone().unwrap_or_default());
    bench.report().runs[0].edges.iter().map(of).collect()
}

#[test]
fn a_member_is_ready_until_it_gets_its_start_and_acts_in_its_slots_only() {
    let mut bench = begun(vec![slot(0, Role::Server), slot(1, Role::Client)], None);
    assert_eq!((bench.started(serves), bench.started(sends)), (0, 0));
    until(&mut bench, START);
    assert_eq!((bench.started(serves), bench.started(sends)), (1, 0));
    let served = bench.running(serves)[0];
    bench.finish(served, measured(Some(9_000), None));
    until(&mut bench, START + 10);
    assert_eq!(bench.started(sends), 1);
    let sent = bench.running(sends)[0];
    bench.finish(sent, measured(Some(9_400), None));
    bench.pass(1_100);
    assert_eq!(edges(&bench), [(1, Some(9_400), Outcome::Pass, reason::MEASURED.into())]);
    let run = &bench.report().runs[0];
    assert_eq!((run.state.clone(), run.results[0].outcome.clone()), (RunState::Done, Outcome::Pass));
    let mbps = &run.results[0].aggregates[0];
    assert_eq!(
        (mbps.name.as_str(), mbps.min, mbps.median, mbps.max, mbps.worst.as_deref()),
        ("mbps", 9_400, 9_400, 9_400, Some("peer-1"))
    );
}

#[test]
fn a_client_ends_before_its_slot_and_a_server_with_it() {
    let mut bench = begun(vec![slot(0, Role::Server), slot(0, Role::Client)], None);
    until(&mut bench, START);
    let ends: Vec<u64> = bench
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::StartProbe {
                probe: Probe::Serve { until_unix_ms, .. } | Probe::Send { until_unix_ms, .. },
                ..
            } => Some(*until_unix_ms),
            _ => None,
        })
        .collect();
    let end = u64::try_from(START + 10).unwrap() * 1000;
    assert_eq!(ends, [end, end - 500]);
    let server = bench.running(serves)[0];
    until(&mut bench, START + 10);
    assert!(bench.stopped(server), "a server never outlives its slot");
}

#[test]
fn a_rate_below_the_floor_fails_the_edge_and_accuses_no_node() {
    let mut bench = begun(vec![slot(0, Role::Client)], Some(10_000));
    until(&mut bench, START);
    let id = bench.running(sends)[0];
    bench.finish(id, measured(Some(900), None));
    bench.pass(1_100);
    assert_eq!(edges(&bench), [(0, Some(900), Outcome::Fail, reason::BELOW_FLOOR.into())]);
    assert_eq!(bench.report().runs[0].results[0].outcome, Outcome::Fail);
    assert!(bench.report().findings.is_empty());
}

#[test]
fn the_floor_of_the_profile_counts_where_the_check_names_none() {
    let mut order = *ordered(Some(START), vec![slot(0, Role::Client)], None);
    order.spec.expected = Some(
        crds::node_health::Expected {
            floors: Some(crds::node_hardware_profile::Floors {
                network_bandwidth_megabits_per_second: Some(10_000),
                ..Default::default()
            }),
            ..Default::default()
        }
        .into(),
    );
    let mut bench = Bench::new();
    bench.begin(order);
    until(&mut bench, START);
    let id = bench.running(sends)[0];
    bench.finish(id, measured(Some(9_999), None));
    bench.pass(1_100);
    assert_eq!(edges(&bench)[0].2, Outcome::Fail);
}

#[test]
fn only_its_own_failures_make_an_edge_of_a_server() {
    for (why, expected) in [
        (IperfReason::PortTaken, Some(reason::PORT_TAKEN)),
        (IperfReason::ToolMissing, Some(reason::TOOL_MISSING)),
        (IperfReason::NobodyCame, None),
        (IperfReason::Interrupted, None),
    ] {
        let mut bench = begun(vec![slot(0, Role::Server)], None);
        until(&mut bench, START);
        let id = bench.running(serves)[0];
        bench.finish(id, measured(None, Some(why)));
        bench.pass(1_100);
        let reasons: Vec<_> = edges(&bench).into_iter().map(|edge| edge.3).collect();
        assert_eq!(reasons, expected.into_iter().collect::<Vec<_>>(), "{why:?}");
    }
}

#[test]
fn whatever_keeps_a_client_from_measuring_is_inconclusive_with_the_evidence() {
    for (why, expected) in [
        (IperfReason::ConnectionRefused, reason::CONNECTION_REFUSED),
        (IperfReason::PeerSilent, reason::PEER_SILENT),
        (IperfReason::ToolError, reason::TOOL_ERROR),
        (IperfReason::UnknownOutput, reason::UNKNOWN_OUTPUT),
    ] {
        let mut bench = begun(vec![slot(0, Role::Client)], Some(1));
        until(&mut bench, START);
        let id = bench.running(sends)[0];
        bench.finish(id, measured(None, Some(why)));
        bench.pass(1_100);
        assert_eq!(edges(&bench), [(0, None, Outcome::Inconclusive, expected.into())]);
        let result = &bench.report().runs[0].results[0];
        assert_eq!(
            (result.outcome.clone(), result.message.as_deref()),
            (Outcome::Inconclusive, Some("iperf3: it says so"))
        );
    }
}

#[test]
fn a_slot_that_is_over_or_too_short_is_missed_and_the_next_one_is_used() {
    let mut bench = Bench::new();
    let slots = vec![slot(0, Role::Client), slot(1, Role::Client), slot(2, Role::Client)];
    bench.begin(*ordered(Some(MORNING - 16), slots, None));
    bench.pass(1_500);
    assert_eq!(bench.started(sends), 0, "slot 1 has 2.5 s left, the test takes 5");
    until(&mut bench, MORNING + 4);
    assert_eq!(bench.started(sends), 1);
    let missed = edges(&bench).iter().filter(|edge| edge.3 == SLOT_MISSED).count();
    assert_eq!(missed, 2);
}

#[test]
fn an_order_to_an_address_that_is_none_is_invalid() {
    let mut wrong = slot(0, Role::Server);
    wrong.address = "node-b".into();
    let mut bench = begun(vec![wrong], None);
    until(&mut bench, START + 2);
    assert_eq!(edges(&bench), [(0, None, Outcome::Inconclusive, reason::INVALID_SPEC.into())]);
}

#[test]
fn a_node_without_an_address_never_gets_ready() {
    let mut bench = Bench::new();
    bench.state.facts.addresses.clear();
    bench.begin(*ordered(None, vec![slot(0, Role::Server)], None));
    bench.pass(2_000);
    let result = &bench.report().runs[0].results[0];
    assert_eq!((result.outcome.clone(), result.reason.as_deref()), (Outcome::Inconclusive, Some(reason::NO_ADDRESS)));
}

#[test]
fn a_group_that_never_starts_ends_with_its_deadline() {
    let mut bench = Bench::new();
    bench.begin(*ordered(None, vec![slot(0, Role::Server)], None));
    bench.pass(3_602_000);
    let run = &bench.report().runs[0];
    assert_eq!(
        (run.state.clone(), run.results[0].reason.as_deref()),
        (RunState::Done, Some(reason::DEADLINE_EXCEEDED))
    );
    assert_eq!(bench.started(serves), 0);
}

#[test]
fn the_other_checks_of_the_order_run_before_the_node_is_ready() {
    let assignment = Assignment {
        group: Some(group(None, vec![slot(0, Role::Server)])),
        ..assignment("u/1", vec![ring(None), custom("disk")])
    };
    let mut bench = Bench::at_rest(spec_with(vec![assignment]));
    bench.pass(1_500);
    assert_eq!(bench.report().runs[0].state, RunState::Running);
    let id = bench.running(is_custom)[0];
    bench.finish(id, Measured::Unknown { reason: reason::TOOL_ERROR.into(), message: String::new() });
    bench.pass(1_500);
    assert_eq!(bench.report().runs[0].state, RunState::Ready);
}

#[test]
fn a_withdrawn_order_stops_its_server() {
    let mut bench = begun(vec![slot(0, Role::Server)], None);
    until(&mut bench, START);
    let id = bench.running(serves)[0];
    bench.send(Event::SpecChanged(Box::new(order(spec(), None))));
    assert!(bench.stopped(id));
}
