//! How each kind of check begins.

use super::active::Doing;
use crate::dispatch::checks::ProbeCheck;
use crate::dispatch::context::Context;
use crate::dispatch::steps::Steps;
use crate::dispatch::verdict::{self, Verdict};
use crate::dispatch::{drill, passive};
use crate::judge::registry;
use crds::check::{Check, Class, Drill};
use crds::node_health::Assignment;
use crds::{CheckSpec, reason};

/// How a check begins.
pub(super) enum Begun {
    Doing(Doing),
    Judged(Verdict),
}

/// The class of a check. Readings and drills disturb nothing, nor does a check that is refused as it begins.
pub(super) fn class(spec: &CheckSpec, table: &'static [ProbeCheck]) -> Class {
    match spec.kind() {
        Some(Check::NetworkBandwidth) => Class::Group,
        Some(check) => ProbeCheck::of(check, table).map_or(Class::Passive, |row| (row.class)(spec)),
        None => Class::Passive,
    }
}

pub(super) fn begin(order: &Assignment, spec: &CheckSpec, context: &mut Context<'_>) -> Begun {
    let Some(check) = spec.kind() else { return Begun::Judged(verdict::invalid(spec)) };
    if let Some(row) = ProbeCheck::of(check, context.checks) {
        return Begun::Doing(Doing::Probe(Box::new(Steps::new(
            row,
            spec.clone(),
            order.report_only,
            context.now.mono_ms,
        ))));
    }
    match check {
        monitored if registry::of(monitored).is_some() => match passive::pause(monitored, context) {
            Some(pause) => Begun::Judged(Verdict::skipped(pause)),
            None => Begun::Doing(Doing::Reads(passive::Reads::new(monitored))),
        },
        Check::Drill => begin_drill(order, &spec.drill.clone().unwrap_or_default(), context),
        Check::NetworkBandwidth => begin_group(order, spec, context),
        other => Begun::Judged(verdict::not_implemented(other)),
    }
}

fn begin_drill(order: &Assignment, drill: &Drill, context: &mut Context<'_>) -> Begun {
    let finding = drill::finding(drill, &order.run, context.now.wall());
    if context.findings.get(&finding.check, &finding.target).is_some() {
        let why = format!("another drill is running on {}; wait until it ends", finding.target);
        return Begun::Judged(Verdict::unknown(reason::NODE_BUSY, why));
    }
    let doing = Doing::Drill { target: finding.target.clone(), until: drill::until(drill, finding.since) };
    context.findings.put(finding);
    Begun::Doing(doing)
}

fn begin_group(order: &Assignment, spec: &CheckSpec, context: &Context<'_>) -> Begun {
    let is_first = order
        .checks
        .iter()
        .find(|check| check.kind() == Some(Check::NetworkBandwidth))
        .is_some_and(|first| first.name == spec.name);
    if order.group.is_none() {
        let why = "the work order has no group, but the check runs between nodes";
        Begun::Judged(Verdict::unknown(reason::INVALID_SPEC, why.to_owned()))
    } else if !is_first {
        let why = "a work order can hold one check between nodes; put the second in a run of its own";
        Begun::Judged(Verdict::unknown(reason::INVALID_SPEC, why.to_owned()))
    } else if !context.has_address {
        let why = "the node has no address that peers can reach; set --address";
        Begun::Judged(Verdict::unknown(reason::NO_ADDRESS, why.to_owned()))
    } else {
        Begun::Doing(Doing::Ready)
    }
}
