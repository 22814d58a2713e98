//! How each kind of check begins.

use super::{Phase, Running, Work};
use crate::dispatch::context::Context;
use crate::dispatch::passive;
use crate::dispatch::probe::Probe;
use crate::dispatch::slots::Slots;
use crate::dispatch::verdict::{self, Verdict};
use crate::judge::registry;
use crate::probe::programs::MARGIN_MS as CUSTOM_MARGIN_MS;
use crds::check::Check;
use crds::node_health::RunState;
use crds::{CheckSpec, Time, reason};

/// The time limit of a user's program if the check does not say, in seconds.
const CUSTOM_SECONDS: i64 = 300;

/// How a check begins.
pub(super) enum Begun {
    Probe(u64),
    Reads(Check),
    Drill { target: String, until: Time },
    Group,
    Judged(Verdict),
}

impl Work {
    pub(super) fn begin_next(&mut self, next: usize, context: &mut Context<'_>) {
        let Some((check, spec)) =
            self.plan().get(next).and_then(|check| Some((*check, self.assignment.checks.get(*check)?.clone())))
        else {
            self.end(context.now.wall());
            return;
        };
        let since = context.now.mono_ms;
        match self.begin(&spec, context) {
            Begun::Probe(probe) => {
                self.phase = Phase::Checks { next, probe: Some(Running { probe, check }) };
            }
            Begun::Reads(kind) => self.phase = Phase::Reads { next, check, kind, since },
            Begun::Drill { target, until } => {
                self.phase = Phase::Drill { next, check, target, until, since, is_last: false };
            }
            Begun::Group => {
                self.phase = Phase::Ready { check };
                self.report.state = RunState::Ready;
            }
            Begun::Judged(verdict) => self.conclude_at(next, check, verdict, 0),
        }
    }

    fn begin(&self, spec: &CheckSpec, context: &mut Context<'_>) -> Begun {
        let left_ms = context.now.mono_of_time(self.assignment.deadline).saturating_sub(context.now.mono_ms);
        match spec.kind() {
            None => Begun::Judged(verdict::invalid(spec)),
            Some(check) if registry::of(check).is_some() => match passive::pause(check, context) {
                Some(pause) => Begun::Judged(Verdict::skipped(pause)),
                None => Begun::Reads(check),
            },
            Some(Check::Drill) => self.begin_drill(&spec.drill.clone().unwrap_or_default(), context),
            Some(Check::Custom) if context.in_maintenance() => Begun::Judged(Verdict::skipped(reason::MAINTENANCE)),
            Some(Check::Custom) => {
                let custom = spec.custom.clone().unwrap_or_default();
                let seconds = custom.timeout_seconds.unwrap_or(CUSTOM_SECONDS).clamp(1, 86_400);
                let own_ms = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000) + CUSTOM_MARGIN_MS;
                Begun::Probe(context.start(Probe::Custom(custom), left_ms.min(own_ms)))
            }
            Some(Check::NetworkBandwidth) => self.begin_group(spec, context),
            Some(other) => Begun::Judged(verdict::not_implemented(other)),
        }
    }

    fn begin_group(&self, spec: &CheckSpec, context: &Context<'_>) -> Begun {
        let is_first = self
            .assignment
            .checks
            .iter()
            .find(|check| check.kind() == Some(Check::NetworkBandwidth))
            .is_some_and(|first| first.name == spec.name);
        if self.assignment.group.is_none() {
            let why = "the work order has no group, but the check runs between nodes";
            Begun::Judged(Verdict::unknown(reason::INVALID_SPEC, why.to_owned()))
        } else if !is_first {
            let why = "a work order can hold one check between nodes; put the second in a run of its own";
            Begun::Judged(Verdict::unknown(reason::INVALID_SPEC, why.to_owned()))
        } else if !context.has_address {
            let why = "the node has no address that peers can reach; set --address";
            Begun::Judged(Verdict::unknown(reason::NO_ADDRESS, why.to_owned()))
        } else {
            Begun::Group
        }
    }

    pub(super) fn begin_slots(&mut self, check: usize, context: &Context<'_>) -> bool {
        let parameters = self.assignment.checks.get(check).and_then(|spec| spec.network_bandwidth.clone());
        let floor = context
            .expected
            .spec
            .and_then(|spec| spec.expected.as_ref()?.floors.as_ref()?.network_bandwidth_megabits_per_second);
        let slots =
            self.assignment.group.as_ref().and_then(|group| Slots::new(group, &parameters.unwrap_or_default(), floor));
        let Some(slots) = slots else { return false };
        self.report.state = RunState::Running;
        self.phase = Phase::Slots { check, slots, since: context.now.mono_ms };
        true
    }
}
