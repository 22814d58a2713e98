//! The slots of a check between nodes: when this node listens, when it sends, and the result of each pair.

use super::context::Context;
use super::probe::{Measured, Probe};
use super::verdict::Verdict;
use crate::judge::bounded;
use crate::readings::bandwidth::{IperfReason, IperfReport};
use crds::check::NetworkBandwidth;
use crds::names::TARGET_NODE;
use crds::node_health::{Aggregate, Edge, Group, MAX_SLOTS, Role, Slot};
use crds::{Outcome, Severity, reason};
use std::net::IpAddr;

/// How long before the end of its slot a client must have ended, in milliseconds, so that both nodes are idle at the
/// next.
const CLIENT_MARGIN_MS: i64 = 500;
/// The time of a measurement beyond its own length, in milliseconds: connections, slow start, exchange of results.
const OVERHEAD_MS: i64 = 500;
/// How long the runner waits after the end of a slot, in milliseconds: the probe should end by itself.
const DEADLINE_MARGIN_MS: i64 = 1_000;
/// The length of a slot if the order does not say, in seconds.
const SLOT_SECONDS: i64 = 15;
/// Streams and length if the check does not say (the defaults of `networkBandwidth`).
const STREAMS: i64 = 8;
const DURATION_SECONDS: i64 = 5;
/// The slot was over, or too short, before this node could use it.
pub const SLOT_MISSED: &str = "SlotMissed";
/// The limit of `edges[].mbps`.
const MAX_MBPS: i64 = 100_000_000;

/// Why no rate was measured, as an API reason, and whether it is a failure of the server itself that the client cannot
/// see. What a server sees of its client is reported by the client.
const REASONS: &[(IperfReason, &str, bool)] = &[
    (IperfReason::ToolMissing, reason::TOOL_MISSING, true),
    (IperfReason::ConnectionRefused, reason::CONNECTION_REFUSED, false),
    (IperfReason::Busy, "Busy", false),
    (IperfReason::PeerSilent, reason::PEER_SILENT, false),
    (IperfReason::Interrupted, reason::INTERRUPTED, false),
    (IperfReason::UnknownOutput, reason::UNKNOWN_OUTPUT, false),
    (IperfReason::ToolError, reason::TOOL_ERROR, true),
    (IperfReason::PortTaken, reason::PORT_TAKEN, true),
    (IperfReason::ForeignPeer, reason::FOREIGN_PEER, true),
    (IperfReason::NobodyCame, "NobodyCame", false),
    (IperfReason::SlotOver, SLOT_MISSED, true),
];

/// The slots of one order, and the state of each.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    /// The id of the order, which only the members of the group know.
    order: String,
    start_ms: i64,
    slot_ms: i64,
    streams: u16,
    seconds: u32,
    floor: Option<i64>,
    states: Vec<(Slot, SlotState)>,
    /// The deadline of the order has passed: no further slot begins.
    given_up: bool,
    /// The evidence of the worst edge.
    worst: Option<(Outcome, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Ahead,
    Running(u64),
    Over,
}

impl Slots {
    /// The slots of a group that has its start time; `None` before that.
    pub(super) fn new(order: &str, group: &Group, check: &NetworkBandwidth, floor: Option<i64>) -> Option<Self> {
        let start = group.start_at?;
        let slots = group.slots.iter().take(MAX_SLOTS).map(|slot| (slot.clone(), SlotState::Ahead)).collect();
        Some(Self {
            order: order.to_owned(),
            start_ms: start.unix().saturating_mul(1000),
            slot_ms: group.slot_seconds.unwrap_or(SLOT_SECONDS).max(1).saturating_mul(1000),
            streams: u16::try_from(check.streams.unwrap_or(STREAMS)).unwrap_or(128).clamp(1, 128),
            seconds: u32::try_from(check.duration_seconds.unwrap_or(DURATION_SECONDS)).unwrap_or(1).clamp(1, 300),
            floor: check.min_megabits_per_second.or(floor),
            states: slots,
            given_up: false,
            worst: None,
        })
    }

    pub(super) fn probe_ids(&self) -> Vec<u64> {
        let running = |(_, state): &(Slot, SlotState)| match state {
            SlotState::Running(id) => Some(*id),
            SlotState::Ahead | SlotState::Over => None,
        };
        self.states.iter().filter_map(running).collect()
    }

    /// The deadline has passed: no further slot begins, and running probes are stopped.
    pub(super) fn give_up(&mut self, context: &mut Context<'_>) {
        for id in self.probe_ids() {
            context.stop(id);
        }
        self.given_up = true;
    }

    /// Starts and stops what is due. Returns whether all slots are over.
    pub(super) fn advance(&mut self, edges: &mut Vec<Edge>, context: &mut Context<'_>) -> bool {
        for at in 0..self.states.len() {
            self.advance_slot(at, edges, context);
        }
        self.states.iter().all(|(_, state)| *state == SlotState::Over)
    }

    fn advance_slot(&mut self, at: usize, edges: &mut Vec<Edge>, context: &mut Context<'_>) {
        let Some((slot, state)) = self.states.get(at).cloned() else {
            return;
        };
        let begin = self.start_ms.saturating_add(slot.slot.saturating_mul(self.slot_ms));
        let end = begin.saturating_add(self.slot_ms);
        let now = context.now.unix_ms;
        match state {
            SlotState::Over => {}
            SlotState::Running(id) if now >= end => context.stop(id),
            SlotState::Running(_) => context.wake_at(context.now.mono_of(end)),
            SlotState::Ahead if self.given_up => {
                Self::edge(&slot, None, Outcome::Inconclusive, reason::DEADLINE_EXCEEDED, edges);
                self.set_state(at, SlotState::Over);
            }
            SlotState::Ahead if now < begin => context.wake_at(context.now.mono_of(begin)),
            SlotState::Ahead => {
                let started = self.probe(&slot, now, end).map(|probe| {
                    let left = u64::try_from(end.saturating_sub(now).saturating_add(DEADLINE_MARGIN_MS)).unwrap_or(1);
                    context.start(probe, left)
                });
                let state = match started {
                    Ok(id) => {
                        context.wake_at(context.now.mono_of(end));
                        SlotState::Running(id)
                    }
                    Err(reason) => {
                        Self::edge(&slot, None, Outcome::Inconclusive, reason, edges);
                        SlotState::Over
                    }
                };
                self.set_state(at, state);
            }
        }
    }

    fn set_state(&mut self, at: usize, state: SlotState) {
        if let Some(entry) = self.states.get_mut(at) {
            entry.1 = state;
        }
    }

    /// The probe of this node in the slot, or why there is none.
    fn probe(&self, slot: &Slot, now: i64, end: i64) -> Result<Probe, &'static str> {
        let address: IpAddr = slot.address.parse().map_err(|_| reason::INVALID_SPEC)?;
        let port = u16::try_from(slot.port).ok().filter(|port| *port > 0).ok_or(reason::INVALID_SPEC)?;
        let unix = |ms: i64| u64::try_from(ms).unwrap_or(0);
        match slot.role {
            Role::Server if now < end => Ok(Probe::Serve {
                address,
                port,
                password: self.password(slot),
                partners: self.addresses_of(&slot.peer),
                until_unix_ms: unix(end),
            }),
            Role::Client if now + i64::from(self.seconds) * 1000 + OVERHEAD_MS <= end - CLIENT_MARGIN_MS => {
                Ok(Probe::Send {
                    address,
                    port,
                    streams: self.streams,
                    seconds: self.seconds,
                    password: self.password(slot),
                    until_unix_ms: unix(end - CLIENT_MARGIN_MS),
                })
            }
            Role::Server | Role::Client => Err(SLOT_MISSED),
        }
    }

    /// What both ends of a slot know, and nobody who has not read their orders.
    fn password(&self, slot: &Slot) -> String {
        format!("{}/{}", self.order, slot.slot)
    }

    /// The addresses of this node in the slots in which it is the server.
    fn addresses_of(&self, peer: &str) -> Vec<IpAddr> {
        let serves = |slot: &&Slot| slot.role == Role::Client && slot.peer == peer;
        let slots = self.states.iter().map(|(slot, _)| slot);
        let mut addresses: Vec<IpAddr> = slots.filter(serves).filter_map(|slot| slot.address.parse().ok()).collect();
        addresses.dedup();
        addresses
    }

    /// Processes the end of one of our probes; returns the measurement if the probe is not ours.
    pub(super) fn probe_finished(&mut self, id: u64, measured: Measured, edges: &mut Vec<Edge>) -> Option<Measured> {
        let Some(entry) = self.states.iter_mut().find(|(_, state)| *state == SlotState::Running(id)) else {
            return Some(measured);
        };
        entry.1 = SlotState::Over;
        let slot = entry.0.clone();
        match measured {
            Measured::Iperf(report) => self.judge(&slot, &report, edges),
            Measured::Unknown { reason, message } => {
                // A server that is stopped at the end of its slot has done its job.
                if slot.role == Role::Client || reason != reason::INTERRUPTED {
                    self.note(&Outcome::Inconclusive, &message);
                    Self::edge(&slot, None, Outcome::Inconclusive, &reason, edges);
                }
            }
            Measured::Tree(_) | Measured::Report(_) => {
                Self::edge(&slot, None, Outcome::Inconclusive, reason::UNKNOWN_OUTPUT, edges);
            }
        }
        None
    }

    fn judge(&mut self, slot: &Slot, report: &IperfReport, edges: &mut Vec<Edge>) {
        let row = report.reason.and_then(|reason| REASONS.iter().find(|(known, _, _)| *known == reason));
        match (slot.role, report.mbps, row) {
            (Role::Server, _, Some((_, reason, true))) | (Role::Client, None, Some((_, reason, _))) => {
                self.note(&Outcome::Inconclusive, &report.evidence);
                Self::edge(slot, None, Outcome::Inconclusive, reason, edges);
            }
            (Role::Server, _, _) => {}
            (Role::Client, Some(mbps), _) => {
                let mbps = i64::try_from(mbps).unwrap_or(MAX_MBPS).min(MAX_MBPS);
                match self.floor {
                    Some(floor) if mbps < floor => {
                        let message = format!("{mbps} Mbit/s to {}, the floor is {floor}", slot.peer);
                        self.note(&Outcome::Fail, &message);
                        Self::edge(slot, Some(mbps), Outcome::Fail, reason::BELOW_FLOOR, edges);
                    }
                    Some(_) => Self::edge(slot, Some(mbps), Outcome::Pass, reason::PASSED, edges),
                    None => Self::edge(slot, Some(mbps), Outcome::Pass, reason::MEASURED, edges),
                }
            }
            (Role::Client, None, None) => Self::edge(slot, None, Outcome::Inconclusive, reason::UNKNOWN_OUTPUT, edges),
        }
    }

    fn note(&mut self, outcome: &Outcome, evidence: &str) {
        if self.worst.as_ref().is_none_or(|(worst, _)| outcome.rank() > worst.rank()) {
            self.worst = Some((outcome.clone(), bounded(evidence, 256)));
        }
    }

    fn edge(slot: &Slot, mbps: Option<i64>, outcome: Outcome, reason: &str, edges: &mut Vec<Edge>) {
        if edges.len() < MAX_SLOTS {
            edges.push(Edge {
                slot: slot.slot,
                peer: bounded(&slot.peer, 253),
                mbps,
                outcome,
                reason: Some(bounded(reason, 63)),
                ..Edge::default()
            });
        }
    }

    /// The worst edge decides. One edge cannot tell which of its ends is bad: the operator decides that, because it
    /// sees both, so no finding is made here.
    pub(super) fn verdict(&self, edges: &[Edge]) -> Verdict {
        let worst = edges.iter().max_by_key(|edge| edge.outcome.rank());
        let idle = if self.states.is_empty() { Outcome::Skipped } else { Outcome::Pass };
        let outcome = worst.map_or(idle, |edge| edge.outcome.clone());
        let severity = if outcome == Outcome::Fail { Severity::Monitor } else { Severity::None };
        let verdict = Verdict {
            reason: worst.and_then(|edge| edge.reason.clone()),
            message: self.worst.as_ref().map(|(_, text)| text.clone()),
            outcome,
            severity,
            targets: Vec::new(),
            aggregates: aggregate(edges).into_iter().collect(),
        };
        verdict.of_each([TARGET_NODE.to_owned()])
    }
}

fn aggregate(edges: &[Edge]) -> Option<Aggregate> {
    let mut rates: Vec<(i64, &str)> = edges.iter().filter_map(|edge| Some((edge.mbps?, edge.peer.as_str()))).collect();
    rates.sort_unstable();
    let (min, worst) = *rates.first()?;
    let (max, _) = *rates.last()?;
    let (median, _) = *rates.get(rates.len() / 2)?;
    Some(Aggregate { name: "mbps".to_owned(), min, median, max, worst: Some(worst.to_owned()) })
}
