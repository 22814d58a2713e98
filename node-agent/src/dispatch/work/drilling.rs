//! A drill as one check of an assignment.

use super::begin::Begun;
use super::{Phase, Work};
use crate::dispatch::context::Context;
use crate::dispatch::drill;
use crate::dispatch::verdict::Verdict;
use crate::judge::Findings;
use crate::time::Now;
use crds::check::{Check, Drill};
use crds::{Outcome, reason};

impl Work {
    /// The drill of the first check without a result, if its finding stands.
    pub(super) fn drill_under_way(&self, findings: &Findings, now: Now) -> Option<Phase> {
        let next = self.report.results.len();
        let check = *self.plan().get(next)?;
        let drill = self.assignment.checks.get(check)?.drill.as_ref()?;
        let target = drill::target(drill);
        let began = findings.get(Check::Drill.name(), &target).map(|finding| finding.since)?;
        Some(Phase::Drill { next, check, target, until: drill::until(drill, began), since: now.mono_ms, is_last: true })
    }

    /// Whether a drill of this order stands at the target.
    pub(crate) fn drills_at(&self, target: &str) -> bool {
        !self.cancelled && matches!(&self.phase, Phase::Drill { target: own, .. } if own == target)
    }

    /// Waits for the end of the drill, then removes its finding.
    pub(super) fn advance_drill(&mut self, late: bool, context: &mut Context<'_>) -> bool {
        let Phase::Drill { next, check, target, until, since, is_last } = self.phase.clone() else { return false };
        if !late && context.now.wall() < until {
            context.wake_at(context.now.mono_of_time(until));
            return false;
        }
        context.findings.retain(|finding| !drill::is_drill(finding) || finding.target != target);
        let verdict = Verdict {
            outcome: Outcome::Pass,
            reason: Some(reason::DRILL.to_owned()),
            message: Some("the drill is over; there was no real fault".to_owned()),
            ..Verdict::default()
        }
        .of_each([target]);
        self.conclude_at(next, check, verdict, context.now.mono_ms.saturating_sub(since));
        if is_last {
            let why = "the agent or the node restarted during this work order; it is not started again";
            self.end_rest(reason::INTERRUPTED, why, context.now.wall());
        }
        true
    }

    pub(super) fn begin_drill(&self, drill: &Drill, context: &mut Context<'_>) -> Begun {
        let finding = drill::finding(drill, &self.assignment.run, context.now.wall());
        if context.findings.get(&finding.check, &finding.target).is_some() {
            let why = format!("another drill is running on {}; wait until it ends", finding.target);
            return Begun::Judged(Verdict::unknown(reason::NODE_BUSY, why));
        }
        let begun = Begun::Drill { target: finding.target.clone(), until: drill::until(drill, finding.since) };
        context.findings.put(finding);
        begun
    }
}
