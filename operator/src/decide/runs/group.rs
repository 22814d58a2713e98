//! Checks between nodes: once all members are ready, all get the same start time, and each gets its slots.
//!
//! A group's state lives in the specs of its members' NodeHealths: a start, once written, is final for that attempt.
//! If a crash let it reach only some members, the others get the same start and slots while there is time;
//! after that the group tries again under new ids.

use super::{
    course::Course,
    group_check::GroupCheck,
    ring,
    view::{end, enter, health_of, is_at_work, node_of, report_of, run_report_of},
};
use crate::{
    plan::Plan,
    world::{Node, World},
};
use crds::{
    Outcome, Time,
    check::PortRange,
    health_check_run::{HealthCheckRunStatus, TargetState},
    node_health::{Group, Role, RunReport, RunState, Slot},
    reason,
};
use std::{collections::BTreeMap, collections::BTreeSet, net::IpAddr};

/// How long the members may take to get ready, in seconds after they were assigned.
pub(super) const READY_WITHIN_SECONDS: i64 = 30;
/// How many attempts a group has if its start does not reach every member.
pub(super) const MAX_ATTEMPTS: i64 = 3;
/// How many attempts a group has if a port is in use.
const MAX_PORT_ATTEMPTS: i64 = 2;
/// The start lies at least 2 s ahead; plus one, because `now` is truncated to whole seconds.
const LEAD_SECONDS: i64 = 3;
/// Each time the group grows by this many members, the start moves back by one second: the specs must be written before
/// it, and the operator's client sends some hundred writes per second.
const MEMBERS_PER_LEAD_SECOND: usize = 100;
/// How much longer a slot is than the test itself, in seconds: time to start the server, connect and report.
const SLOT_SLACK_SECONDS: i64 = 5;
/// How long to wait for a member's report after its last slot, in seconds.
const REPORT_SLACK_SECONDS: i64 = 5;

/// A target with a work order, as the world shows it.
struct Member<'w> {
    index: usize,
    name: &'w str,
    since: Time,
    address: Option<&'w str>,
    /// Its part, as ordered, once the start was written.
    ordered: Option<&'w Group>,
    report: Option<&'w RunReport>,
}

impl Member<'_> {
    fn has(&self, state: &RunState) -> bool {
        self.report.is_some_and(|r| r.state == *state)
    }

    fn has_begun(&self) -> bool {
        self.has(&RunState::Running) || self.has(&RunState::Done)
    }

    fn lacks_the_start(&self) -> bool {
        self.ordered.is_none() && !self.has_begun()
    }

    fn met_a_taken_port(&self) -> bool {
        self.report.is_some_and(|r| {
            let results = r.results.iter().map(|x| x.reason.as_deref());
            let edges = r.edges.iter().map(|x| x.reason.as_deref());
            results.chain(edges).any(|x| x == Some(reason::PORT_TAKEN))
        })
    }
}

fn attempts(status: &HealthCheckRunStatus) -> BTreeSet<i64> {
    let at_work = status.targets.iter().filter(|t| is_at_work(t));
    at_work.filter_map(|t| t.attempt).collect()
}

fn members<'w>(world: &'w World, course: &Course<'_>, attempt: i64) -> Vec<Member<'w>> {
    let id = course.id(attempt);
    let targets = course.status.targets.iter().enumerate();
    targets
        .filter(|(_, t)| is_at_work(t) && t.attempt == Some(attempt))
        .filter_map(|(index, target)| {
            let node = node_of(world, target)?;
            let spec = health_of(world, target).map(|h| &h.spec);
            let ordered = spec
                .and_then(|s| s.assignments.iter().find(|a| a.id == id))
                .and_then(|a| a.group.as_ref())
                .filter(|g| g.start_at.is_some());
            let reported = report_of(world, target).map_or(&[][..], |r| r.agent.addresses.as_slice());
            Some(Member {
                index,
                name: &node.name,
                since: target.since.unwrap_or_default(),
                address: address(node, reported),
                ordered,
                report: run_report_of(world, target, &id),
            })
        })
        .collect()
}

/// The first reported address that the Node lists. The agent's word alone counts only if the Node lists no address:
/// otherwise a lying agent could direct traffic anywhere.
fn address<'w>(node: &Node, reported: &'w [String]) -> Option<&'w str> {
    reported.iter().map(String::as_str).find(|address| {
        if node.addresses.is_empty() {
            let ip = address.parse::<IpAddr>();
            ip.is_ok_and(|ip| !ip.is_unspecified() && !ip.is_multicast())
        } else {
            node.addresses.iter().any(|listed| listed == address)
        }
    })
}

fn start_of(members: &[Member<'_>]) -> Option<Time> {
    let starts = members.iter().filter_map(|m| m.ordered?.start_at);
    starts.min()
}

/// Ends members that cannot take part, starts another attempt if the last one cannot succeed, and returns the members
/// whose results must wait for those of the others (a port in use affects them all).
pub(super) fn advance(world: &World, course: &mut Course<'_>, now: Time) -> BTreeSet<usize> {
    let mut waiting = BTreeSet::new();
    for attempt in attempts(&course.status) {
        let members = members(world, course, attempt);
        match start_of(&members) {
            None => end_absent_members(course, &members, now),
            Some(start) if members.iter().any(Member::lacks_the_start) => {
                if now > start {
                    start_again(course, &members, attempt, now);
                    continue;
                }
                // Those that are done leave with this decision: who is left knows of no start.
                let left: Vec<Member<'_>> = members.into_iter().filter(|m| !m.has(&RunState::Done)).collect();
                if start_of(&left).is_none() {
                    end_absent_members(course, &left, now);
                }
            }
            Some(_) => waiting.extend(delay_results(course, &members, attempt, now)),
        }
    }
    waiting
}

/// Before the start: members that are not ready in time or cannot be reached end, and the group goes on without them.
fn end_absent_members(course: &mut Course<'_>, members: &[Member<'_>], now: Time) {
    let mut left = Vec::new();
    for member in members {
        let target = &mut course.status.targets[member.index];
        let is_ready = member.has(&RunState::Ready);
        if is_ready && member.address.is_none() {
            end(target, Outcome::Inconclusive, Some(reason::NO_ADDRESS), now);
        } else if !is_ready && !member.has_begun() && now.since(member.since) >= READY_WITHIN_SECONDS {
            end(target, Outcome::Inconclusive, Some(reason::NOT_READY), now);
        } else if !member.has(&RunState::Done) {
            left.push(member);
        }
    }
    if let [one] = left.as_slice()
        && one.has(&RunState::Ready)
    {
        let target = &mut course.status.targets[one.index];
        let alone = Some(reason::GROUP_TOO_SMALL);
        end(target, Outcome::Inconclusive, alone, now);
    }
}

/// The start time passed before the start reached every member.
fn start_again(course: &mut Course<'_>, members: &[Member<'_>], attempt: i64, now: Time) {
    if attempt < MAX_ATTEMPTS && members.len() >= 2 {
        for member in members {
            retry(course, member.index, attempt, now);
        }
        return;
    }
    for member in members.iter().filter(|m| m.lacks_the_start()) {
        let target = &mut course.status.targets[member.index];
        end(target, Outcome::Inconclusive, Some(reason::NOT_READY), now);
    }
}

fn retry(course: &mut Course<'_>, index: usize, attempt: i64, now: Time) {
    let target = &mut course.status.targets[index];
    enter(target, TargetState::Assigned, None, now);
    target.since = Some(now);
    target.attempt = Some(attempt + 1);
}

/// Delays results until all members have theirs, at most until the last slot is over: a port in use costs all of them
/// another attempt, and collected results could not be withdrawn.
fn delay_results(course: &mut Course<'_>, members: &[Member<'_>], attempt: i64, now: Time) -> BTreeSet<usize> {
    let done = || members.iter().filter(|m| m.has(&RunState::Done));
    let repeats = attempt < MAX_PORT_ATTEMPTS && course.group.as_ref().is_some_and(|g| !g.has_company);
    if !repeats || done().next().is_none() {
        return BTreeSet::new();
    }
    if done().count() < members.len() && now < over(members) {
        return done().map(|m| m.index).collect();
    }
    if done().count() >= 2 && done().any(Member::met_a_taken_port) {
        for member in done() {
            retry(course, member.index, attempt, now);
        }
    }
    BTreeSet::new()
}

/// When every member must have reported.
fn over(members: &[Member<'_>]) -> Time {
    let orders = members.iter().filter_map(|m| m.ordered);
    let ends = orders.filter_map(|group| {
        let last = group.slots.iter().map(|s| s.slot).max()?;
        let seconds = (last + 1) * group.slot_seconds.unwrap_or_default();
        Some(group.start_at?.plus(seconds + REPORT_SLACK_SECONDS))
    });
    ends.max().unwrap_or_default()
}

/// The part of each target with a work order, by index, and when to decide again.
pub(super) fn orders(world: &World, course: &Course<'_>, now: Time, plan: &mut Plan) -> BTreeMap<usize, Group> {
    let Some(check) = &course.group else {
        return BTreeMap::new();
    };
    let mut orders = BTreeMap::new();
    for attempt in attempts(&course.status) {
        let members = members(world, course, attempt);
        let parts = match start_of(&members) {
            Some(start) => {
                plan.wake_after(now, start.plus(1));
                plan.wake_after(now, over(&members));
                complete(check, &members, attempt, start, now)
            }
            None => begin(check, &members, attempt, now, plan),
        };
        orders.extend(members.iter().map(|m| m.index).zip(parts));
    }
    orders
}

/// Writes the start as soon as every member is ready.
fn begin(check: &GroupCheck, members: &[Member<'_>], attempt: i64, now: Time, plan: &mut Plan) -> Vec<Group> {
    let is_ready = |m: &Member<'_>| m.has(&RunState::Ready) && m.address.is_some();
    if members.len() >= 2 && members.iter().all(is_ready) {
        let lead = i64::try_from(members.len() / MEMBERS_PER_LEAD_SECOND).unwrap_or_default();
        return parts(check, members, attempt, now.plus(LEAD_SECONDS + lead));
    }
    for member in members {
        plan.wake_after(now, member.since.plus(READY_WITHIN_SECONDS));
    }
    vec![Group::default(); members.len()]
}

/// A written start is final; members that lack it get the same one while there is time and the group has not changed.
fn complete(check: &GroupCheck, members: &[Member<'_>], attempt: i64, start: Time, now: Time) -> Vec<Group> {
    let planned = parts(check, members, attempt, start);
    let is_same =
        members.iter().zip(&planned).all(|(member, part)| member.ordered.is_none_or(|ordered| ordered == part));
    let in_time = start > now.plus(1);
    members
        .iter()
        .zip(planned)
        .map(|(member, part)| match member.ordered {
            Some(ordered) => ordered.clone(),
            None if is_same && in_time => part,
            None => Group::default(),
        })
        .collect()
}

/// The complete plan of an attempt. Pairs with a member that has no address get no slot.
fn parts(check: &GroupCheck, members: &[Member<'_>], attempt: i64, start: Time) -> Vec<Group> {
    let slot_seconds = check.duration_seconds + SLOT_SLACK_SECONDS;
    let mut groups =
        vec![Group { start_at: Some(start), slot_seconds: Some(slot_seconds), ..Group::default() }; members.len()];
    for pair in ring::pairs(check.pattern, members.len()) {
        let Some(address) = members[pair.server].address else {
            continue;
        };
        let slot = |role, peer: usize| Slot {
            slot: i64::try_from(pair.round).unwrap_or_default(),
            role,
            peer: members[peer].name.to_owned(),
            address: address.to_owned(),
            port: port(&check.ports, pair.server, attempt),
        };
        groups[pair.client].slots.push(slot(Role::Client, pair.server));
        groups[pair.server].slots.push(slot(Role::Server, pair.client));
    }
    for group in &mut groups {
        group.slots.sort_by_key(|s| s.slot);
    }
    groups
}

/// Each server has its own port as far as the range goes, so that nodes may share an address; the next attempt uses other
/// ports, half the range away.
fn port(range: &PortRange, server: usize, attempt: i64) -> i64 {
    let ports = (range.last - range.first + 1).max(1);
    let shift = (attempt - 1) * (ports / 2).max(1);
    let server = i64::try_from(server).unwrap_or_default();
    range.first + (server + shift) % ports
}
