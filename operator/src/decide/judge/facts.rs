//! What a node is judged by.

use crate::decide::govern::selection::Subject;
use crds::{
    NodeHealth, Time,
    node_health::{Assignment, Decision, Report},
    node_health_policy::ClaimFor,
};

/// Everything that a judgement on one node depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The node, its policy and its profile.
    pub(crate) subject: &'a Subject<'a>,
    /// Its NodeHealth, with the last report and the last decision.
    pub(crate) health: &'a NodeHealth,
    /// Its work orders.
    pub(crate) orders: &'a [Assignment],
    /// Its claim under the policy that applies to it, if it has one.
    pub(crate) claim: Option<&'a ClaimFor>,
    /// Whether its agent is silent.
    pub(crate) silent: bool,
    /// Whether its marks may be neither set nor lifted.
    pub(crate) marks_are_frozen: bool,
    /// The time of the decision.
    pub(crate) now: Time,
}

impl<'a> Facts<'a> {
    /// The agent's last report.
    pub(crate) fn report(&self) -> Option<&'a Report> {
        self.health.status.as_ref()?.report.as_ref()
    }

    /// The last decision on the node.
    pub(crate) fn before(&self) -> Option<&'a Decision> {
        self.health.status.as_ref()?.decision.as_ref()
    }
}
