//! The rules about nodes, one by one, on small worlds.

mod acceptance;
mod agent_errors;
mod budgets;
mod drift;
mod drill_marks;
mod judging;
mod maintenance;
mod moves;
mod nvlink;
mod objects;
mod profiles;
mod quarantine;
mod recovery;
mod severities;
mod told;

use super::{
    Scene,
    govern::{claims::Claims, fleet::Fleet, roster::Roster},
    memo::Rulings,
    orders::Orders,
};
use crate::{
    decide::model::{Model, fixtures},
    plan::{Plan, Write},
    world::{Node, Taint, World},
};
use crds::{
    NodeHealth, NodeHealthPolicy, Scale, names,
    node_health::{Decision, Report},
    node_health_policy::{Budget, Mode, NodeHealthPolicyStatus},
};
use std::sync::Arc;

/// A world of these nodes under one policy, five seconds after the start.
fn under(mode: Mode, nodes: &[&str]) -> Model {
    let mut world = fixtures::world(nodes);
    fixtures::add_policy(&mut world, fixtures::policy("base", mode));
    model(world)
}

fn model(world: World) -> Model {
    Model::new(world, fixtures::START.plus(5))
}

/// The same with a budget of so many nodes.
fn with_budget(mut model: Model, nodes: i64) -> Model {
    model.edit_policy("base", |p| {
        p.spec.budget = Budget { max_unavailable: Scale::Nodes(nodes), ..Budget::default() };
    });
    model
}

fn settled(mut model: Model) -> Model {
    let plan = model.settle(6);
    assert!(plan.is_empty(), "it does not come to rest: {plan:#?}");
    model
}

fn reports(model: &mut Model, node: &str, report: Report) {
    model.edit_health(node, |h| {
        h.status.get_or_insert_default().report = Some(report);
    });
}

fn node_of<'m>(model: &'m Model, name: &str) -> &'m Node {
    &model.world.nodes[name]
}

fn health_of<'m>(model: &'m Model, name: &str) -> &'m NodeHealth {
    &model.world.node_healths[name]
}

fn decision<'m>(model: &'m Model, name: &str) -> &'m Decision {
    health_of(model, name).status.as_ref().and_then(|s| s.decision.as_ref()).expect("the node is judged")
}

fn policy_status<'m>(model: &'m Model, name: &str) -> &'m NodeHealthPolicyStatus {
    let policy: &Arc<NodeHealthPolicy> = &model.world.policies[name];
    policy.status.as_ref().expect("the policy has a status")
}

/// Our taint on a node, as `value:effect`; empty if there is none.
fn our_taint(model: &Model, name: &str) -> String {
    node_of(model, name)
        .taint(names::TAINT_UNHEALTHY)
        .map(|t: &Taint| format!("{}:{}", t.value, t.effect))
        .unwrap_or_default()
}

fn label<'m>(model: &'m Model, name: &str, label: &str) -> &'m str {
    node_of(model, name).labels.get(label).unwrap_or_default()
}

/// The nodes with a claim of this policy.
fn claimed(model: &Model, policy: &str) -> Vec<String> {
    let claims = &policy_status(model, policy).budget.claims;
    claims.iter().map(|c| c.node.clone()).collect()
}

/// Decides all nodes and policies, with these work orders.
fn decide_with(model: &Model, orders: &Orders, plan: &mut Plan) {
    let (world, now) = (&model.world, model.now);
    let claims = Claims::read(world);
    let (mut roster, mut fleet) = (Roster::default(), Fleet::default());
    roster.update(world, &claims, None, &mut fleet);
    fleet.conclude();
    let names = roster.names().cloned().collect();
    let mut rulings = Rulings::of_policies(roster.ranks.policies.len());
    let scene = Scene { world, claims: &claims, roster: &roster, orders, fleet: &fleet, now };
    roster.names().for_each(|name| scene.judge(name, &mut rulings));
    scene.decide_nodes(&rulings, &names, plan);
}

/// The index of the first step whose write is this one.
fn index_of(plan: &Plan, what: impl Fn(&Write) -> bool) -> usize {
    plan.steps.iter().position(|step| what(&step.write)).expect("the plan has this step")
}
