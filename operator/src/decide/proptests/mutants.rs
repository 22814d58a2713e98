//! Plans spoilt on purpose: each invariant must notice its mutants.

use super::{
    checks::{self, Checker, Seen},
    faults, leaders, live, rehearsals, shapes,
};
use crate::{
    decide::model::{ANY_VERSION, Model},
    plan::{Plan, Write},
    world::Taint,
};
use crds::{
    names,
    node_health::{Cause, Occurrence},
    node_health_policy::{Claim, Mode},
};

pub(super) use crate::decide::model::generate::random_bytes;

/// What is done to a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// Writes a message that differs from that of the next decision.
    NonIdempotentMessage,
    /// Marks without the claims.
    ForgetClaims,
    /// Claims more than there is room for.
    ClaimEverything,
    /// Drops claims before the marks are gone.
    DropClaimsEarly,
    /// Drops a foreign taint.
    DropForeignTaint,
    /// Drops a foreign label.
    DropForeignLabel,
    /// Marks a node where nothing may be marked.
    MarkUnderObserveOrHold,
    /// Forgets the causes of a node.
    ForgetCauses,
    /// Remembers without bound.
    GrowHistory,
    /// Changes the targets of a run.
    ChangeTargets,
    /// Gives conditions a new transition time.
    TouchTransitionTimes,
    /// Writes to a Node by name, whatever its uid.
    IgnoreUid,
    /// Shows a drill as a real fault.
    HideDrills,
    /// Keeps a drill that is over.
    DrillForEver,
}

impl Mutant {
    /// Spoils the plan; `false` if there was nothing to spoil.
    fn spoil(self, model: &Model, plan: &mut Plan) -> bool {
        let before = plan.clone();
        match self {
            Self::DropClaimsEarly => drop_claims_early(model, plan),
            Self::MarkUnderObserveOrHold => mark_under_observe_or_hold(model, plan),
            Self::NonIdempotentMessage
            | Self::ForgetClaims
            | Self::ClaimEverything
            | Self::DropForeignTaint
            | Self::DropForeignLabel
            | Self::ForgetCauses
            | Self::GrowHistory
            | Self::ChangeTargets
            | Self::TouchTransitionTimes
            | Self::IgnoreUid
            | Self::HideDrills
            | Self::DrillForEver => {
                for step in &mut plan.steps {
                    self.spoil_write(model, &mut step.write);
                }
            }
        }
        *plan != before
    }

    fn spoil_write(self, model: &Model, write: &mut Write) {
        match (self, write) {
            (Self::NonIdempotentMessage, Write::NodeHealthStatus(w)) => {
                w.decision.message.push('!');
            }
            (Self::ForgetCauses, Write::NodeHealthStatus(w)) => w.decision.causes.clear(),
            (Self::GrowHistory, Write::NodeHealthStatus(w)) => {
                w.decision.history = vec![Occurrence::default(); 17];
            }
            (Self::HideDrills, Write::NodeHealthStatus(w)) => {
                w.decision.message = w.decision.message.replace("DRILL ", "");
            }
            (Self::DrillForEver, Write::NodeHealthStatus(w)) => {
                let health = model.world.node_healths.get(&w.name);
                let before = health.and_then(|h| h.status.as_ref()?.decision.as_ref());
                let gone = before.into_iter().flat_map(|d| &d.causes).filter(|c| c.is_drill());
                let gone: Vec<Cause> = gone.filter(|c| !w.decision.causes.contains(c)).cloned().collect();
                w.decision.causes.extend(gone);
            }
            (Self::TouchTransitionTimes, Write::NodeHealthStatus(w)) => {
                for condition in &mut w.conditions {
                    condition.last_transition_time = model.now.plus(1);
                }
            }
            (Self::ForgetClaims, Write::PolicyClaims { claims, .. }) => claims.clear(),
            (Self::ClaimEverything, Write::PolicyClaims { claims, .. }) => {
                let claim = |node: &std::sync::Arc<crate::world::Node>| Claim {
                    node: node.name.clone(),
                    uid: node.uid.clone(),
                    ..Claim::default()
                };
                *claims = model.world.nodes.values().map(claim).collect();
            }
            (Self::DropForeignTaint, Write::NodeTaints { taints, .. }) => {
                taints.retain(|t| t.key == names::TAINT_UNHEALTHY);
            }
            (Self::DropForeignLabel, Write::NodeMarks { drop_labels, .. }) => {
                drop_labels.push("kubernetes.io/hostname".into());
            }
            (Self::ChangeTargets, Write::RunStatus { status, .. }) => {
                for target in &mut status.targets {
                    target.uid.push('x');
                }
            }
            (Self::IgnoreUid, Write::NodeMarks { uid, .. } | Write::NodeTaints { uid, .. }) => {
                // The model hands out this uid to the first Node that the checker replaces.
                *uid = model.clone().next_uid("node");
            }
            _ => {}
        }
    }
}

fn drop_claims_early(model: &Model, plan: &mut Plan) {
    for (name, policy) in &model.world.policies {
        if policy.status.iter().all(|status| status.budget.claims.is_empty()) {
            continue;
        }
        plan.push(
            Write::PolicyClaims {
                policy: name.clone(),
                uid: policy.metadata.uid.clone().unwrap_or_default(),
                resource_version: policy.metadata.resource_version.clone().unwrap_or_default(),
                claims: Vec::new(),
            },
            Vec::new(),
        );
    }
}

fn mark_under_observe_or_hold(model: &Model, plan: &mut Plan) {
    for node in model.world.nodes.values() {
        let mode = checks::winner(model, node).and_then(|p| model.world.policies.get(&p)).map(|p| p.spec.mode);
        if mode == Some(Mode::Enforce) && !model.world.hold_everything {
            continue;
        }
        let mut taints = node.taints.clone();
        taints.push(Taint {
            key: names::TAINT_UNHEALTHY.into(),
            value: "monitor".into(),
            effect: "PreferNoSchedule".into(),
            time_added: None,
        });
        plan.push(
            Write::NodeTaints {
                node: node.name.clone(),
                uid: node.uid.clone(),
                resource_version: node.resource_version.clone(),
                taints,
            },
            Vec::new(),
        );
    }
}

/// Plans spoilt by taking out what was mended: see [`super::faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relapse {
    /// Claims end only after every other write of the plan.
    DropTogether,
    /// A node whose claim has no mark is written to at each decision.
    TouchForEver,
    /// A claim ends as soon as its Node is seen without a mark.
    DropUnderLateMark,
    /// A spec is written to whatever version of the object there is.
    SpecByUidAlone,
}

impl Relapse {
    fn spoil(self, model: &Model, plan: &mut Plan) {
        match self {
            Self::DropTogether => drop_together(model, plan),
            Self::TouchForEver => touch_for_ever(model, plan),
            Self::DropUnderLateMark => drop_under_late_mark(model, plan),
            Self::SpecByUidAlone => plan.steps.iter_mut().for_each(|step| {
                if let Write::NodeHealthSpec(write) = &mut step.write
                    && let Some((_, version)) = &mut write.read
                {
                    ANY_VERSION.clone_into(version);
                }
            }),
        }
    }
}

/// Of the steps that drop claims and add none: they wait for all others.
fn drop_together(model: &Model, plan: &mut Plan) {
    for index in 0..plan.steps.len() {
        let Write::PolicyClaims { policy, claims, .. } = &plan.steps[index].write else { continue };
        let before: Vec<&Claim> =
            model.world.policies[policy].status.iter().flat_map(|status| &status.budget.claims).collect();
        let is_drop = claims.iter().all(|claim| before.contains(&claim));
        if is_drop && plan.steps.iter().all(|step| !step.after.contains(&index)) {
            let write = plan.steps[index].write.clone();
            if let Write::PolicyClaims { resource_version, .. } = &mut plan.steps[index].write {
                resource_version.clear();
            }
            let after = (0..plan.steps.len()).filter(|other| *other != index).collect();
            plan.push(write, after);
        }
    }
}

fn touch_for_ever(model: &Model, plan: &mut Plan) {
    for (_, claim) in model.claims() {
        let Some(node) = model.world.nodes.get(&claim.node) else { continue };
        let is_written = plan
            .steps
            .iter()
            .any(|step| matches!(&step.write, Write::NodeTaints { node: name, .. } if *name == node.name));
        if checks::is_held(node) || is_written || model.world.hold_everything {
            continue;
        }
        let mut taints = node.taints.clone();
        taints.retain(|taint| taint.key != names::TAINT_UNHEALTHY);
        if taints.len() == node.taints.len() {
            taints.push(Taint {
                key: names::TAINT_UNHEALTHY.into(),
                effect: "PreferNoSchedule".into(),
                ..Taint::default()
            });
        }
        plan.push(
            Write::NodeTaints {
                node: node.name.clone(),
                uid: node.uid.clone(),
                resource_version: node.resource_version.clone(),
                taints,
            },
            Vec::new(),
        );
    }
}

fn drop_under_late_mark(model: &Model, plan: &mut Plan) {
    for (name, policy) in &model.world.policies {
        let claims: Vec<Claim> = policy.status.iter().flat_map(|status| &status.budget.claims).cloned().collect();
        let is_marked = |claim: &Claim| model.world.nodes.get(&claim.node).is_some_and(|node| checks::is_held(node));
        let left: Vec<Claim> = claims.iter().filter(|claim| is_marked(claim)).cloned().collect();
        let is_written =
            plan.steps.iter().any(|step| matches!(&step.write, Write::PolicyClaims { policy, .. } if policy == name));
        if left != claims && !is_written {
            plan.push(
                Write::PolicyClaims {
                    policy: name.clone(),
                    uid: policy.metadata.uid.clone().unwrap_or_default(),
                    resource_version: policy.metadata.resource_version.clone().unwrap_or_default(),
                    claims: left,
                },
                Vec::new(),
            );
        }
    }
}

/// Whether a story fails with the relapse and not without it.
fn is_seen(relapse: Relapse, story: Story) -> bool {
    random_bytes(360).take(WORLDS as usize).any(|bytes| {
        story(&bytes, &|model, plan| relapse.spoil(model, plan)).is_err() && story(&bytes, &|_, _| ()).is_ok()
    })
}

/// A story of [`super::faults`] or [`super::leaders`].
type Story = fn(&[u8], &dyn Fn(&Model, &mut Plan)) -> Result<(), String>;

#[test]
fn every_fault_of_server_and_watches_finds_what_it_was_made_for() {
    let table: [(Relapse, Story); 4] = [
        (Relapse::DropTogether, faults::rests_under_refusals),
        (Relapse::TouchForEver, faults::rests_under_refusals),
        (Relapse::DropUnderLateMark, leaders::two_leaders),
        (Relapse::SpecByUidAlone, leaders::two_leaders),
    ];
    let missed: Vec<Relapse> =
        table.into_iter().filter(|(relapse, story)| !is_seen(*relapse, *story)).map(|(relapse, _)| relapse).collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

/// How many worlds a mutant may take until it is caught.
const WORLDS: u32 = 3_000;

/// Whether some world shows that `check` holds for the plan and not for the spoilt one.
fn is_caught(mutant: Mutant, check: Checker) -> bool {
    random_bytes(300).take(WORLDS as usize).any(|bytes| {
        let mut caught = false;
        let lived = live(&bytes, &mut |seen| {
            let mut spoilt = seen.plan.clone();
            if !caught && mutant.spoil(seen.before, &mut spoilt) && check(seen).is_ok() {
                let mut after = seen.before.clone();
                after.apply(&spoilt);
                let spoilt = Seen { before: seen.before, plan: &spoilt, after: &after };
                caught = check(&spoilt).is_err();
            }
            Ok(())
        });
        lived.is_ok() && caught
    })
}

#[test]
fn every_invariant_notices_its_mutants() {
    let table: [(Mutant, Checker); 14] = [
        (Mutant::NonIdempotentMessage, checks::nothing_is_left_to_do),
        (Mutant::ForgetClaims, checks::claims_come_first),
        (Mutant::ClaimEverything, checks::claims_come_first),
        (Mutant::DropClaimsEarly, checks::claims_come_first),
        (Mutant::DropForeignTaint, checks::foreign_marks_survive),
        (Mutant::DropForeignLabel, checks::foreign_marks_survive),
        (Mutant::MarkUnderObserveOrHold, checks::modes_are_kept),
        (Mutant::ForgetCauses, checks::modes_are_kept),
        (Mutant::GrowHistory, shapes::bounds_are_kept),
        (Mutant::ChangeTargets, shapes::bounds_are_kept),
        (Mutant::TouchTransitionTimes, shapes::transition_times_are_kept),
        (Mutant::IgnoreUid, shapes::uids_are_kept),
        (Mutant::HideDrills, rehearsals::drills_are_labelled_and_end),
        (Mutant::DrillForEver, rehearsals::drills_are_labelled_and_end),
    ];
    let missed: Vec<Mutant> =
        table.into_iter().filter(|(mutant, check)| !is_caught(*mutant, *check)).map(|(mutant, _)| mutant).collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
