//! What shall be on a Node: taint, labels, annotation, condition. Only ours are ever touched.

use crate::{
    decide::{
        govern::authority::Authority,
        judge::{fold::removes_capacity, verdict::Judgement},
    },
    world::{Node, Taint},
};
use crds::{
    Action, Condition, HealthCheckPolicy, State, Time,
    condition::{Status, Wanted, merge},
    health_check_policy::{Outputs, Rule, TaintEffect},
    names,
    node_health::{Cause, Certification},
};
use std::collections::BTreeMap;

/// Whether our taint shall stand on the Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaintToBe {
    /// As it is.
    Keep,
    /// With this effect (never [`TaintEffect::None`]).
    Set(TaintEffect),
    /// Not at all.
    Remove,
}

/// The effect that the policy's rules give this judgement: the strongest over all condemning causes, each of which takes
/// the first rule that matches, NoSchedule where none does. `None` where nothing condemns or the policy writes no taints.
/// A drill has no say where something real condemns.
pub(crate) fn effect_of(policy: Option<&HealthCheckPolicy>, judgement: &Judgement) -> TaintEffect {
    let spec = policy.map(|p| &p.spec);
    let taints_are_on = spec.and_then(|s| s.outputs.as_ref()).and_then(|o| o.taints).unwrap_or(true);
    if judgement.state != State::Quarantined || !taints_are_on {
        return TaintEffect::None;
    }
    let rules = spec.map_or(&[][..], |s| s.rules.as_slice());
    judgement
        .causes
        .iter()
        .filter(|cause| cause.condemns() && (judgement.is_drill() || !cause.is_drill()))
        .map(|cause| {
            rules
                .iter()
                .find(|rule| matches(rule, cause))
                .and_then(|rule| rule.effect.as_ref()?.taint)
                .unwrap_or_default()
        })
        .max_by_key(|effect| strength(*effect))
        .unwrap_or(TaintEffect::None)
}

const fn strength(effect: TaintEffect) -> u8 {
    match effect {
        TaintEffect::None => 0,
        TaintEffect::PreferNoSchedule => 1,
        TaintEffect::NoSchedule => 2,
        TaintEffect::NoExecute => 3,
    }
}

/// Whether a taint of this effect takes capacity away, and so needs a claim.
pub(crate) const fn needs_claim(effect: TaintEffect) -> bool {
    match effect {
        TaintEffect::None | TaintEffect::PreferNoSchedule => false,
        TaintEffect::NoSchedule | TaintEffect::NoExecute => true,
    }
}

fn matches(rule: &Rule, cause: &Cause) -> bool {
    let wanted = &rule.match_;
    (wanted.checks.is_empty() || wanted.checks.contains(&cause.check))
        && (wanted.reasons.is_empty() || wanted.reasons.contains(&cause.reason))
        && (wanted.severities.is_empty() || wanted.severities.contains(&cause.severity))
}

/// Whether our taint keeps pods away from this Node now.
pub(crate) fn is_marked(node: &Node) -> bool {
    node.taints.iter().any(removes_capacity)
}

/// What shall become of our taint. `has_slot`: whether a claim pays for it.
pub(crate) fn taint_to_be(
    authority: Authority<'_>,
    judgement: &Judgement,
    effect: TaintEffect,
    has_slot: bool,
    is_marked: bool,
) -> TaintToBe {
    let quarantined = judgement.state == State::Quarantined;
    match authority {
        Authority::Frozen => TaintToBe::Keep,
        Authority::Observe { release } if quarantined && !release => TaintToBe::Keep,
        Authority::Observe { .. } => TaintToBe::Remove,
        Authority::Enforce(_) => match effect {
            TaintEffect::None => TaintToBe::Remove,
            TaintEffect::PreferNoSchedule => TaintToBe::Set(effect),
            TaintEffect::NoSchedule | TaintEffect::NoExecute if has_slot => TaintToBe::Set(effect),
            // A mark of a former policy, for which this one has no slot yet: it is never lifted without evidence.
            TaintEffect::NoSchedule | TaintEffect::NoExecute if is_marked => TaintToBe::Keep,
            TaintEffect::NoSchedule | TaintEffect::NoExecute => TaintToBe::Set(TaintEffect::PreferNoSchedule),
        },
    }
}

/// How a Node is touched whose claim paid for nothing: a write of its taints makes every mark that is under way fail.
/// PreferNoSchedule comes or goes; it costs no capacity, and the next decision sets it right.
pub(crate) fn touch(authority: Authority<'_>, bears_taint: bool) -> TaintToBe {
    match authority {
        Authority::Enforce(_) | Authority::Observe { .. } if bears_taint => TaintToBe::Remove,
        Authority::Enforce(_) => TaintToBe::Set(TaintEffect::PreferNoSchedule),
        // Observe adds nothing: the claim stays until the policy enforces again or the Node goes.
        Authority::Observe { .. } | Authority::Frozen => TaintToBe::Keep,
    }
}

/// The list of taints as it shall stand, or `None` where it stands so already. Foreign taints keep their order, ours
/// keeps its place.
pub(crate) fn taints(node: &Node, to_be: TaintToBe, judgement: &Judgement) -> Option<Vec<Taint>> {
    let wanted = match to_be {
        TaintToBe::Keep => return None,
        TaintToBe::Remove => None,
        TaintToBe::Set(effect) => effect_name(effect),
    };
    let ours = node.taint(names::TAINT_UNHEALTHY);
    if ours.is_none() && wanted.is_none() {
        return None;
    }
    let mut wanted = wanted.map(|effect| Taint {
        key: names::TAINT_UNHEALTHY.to_owned(),
        value: judgement.severity.label().to_owned(),
        effect: effect.to_owned(),
        time_added: node
            .taints
            .iter()
            .find(|t| t.key == names::TAINT_UNHEALTHY && t.effect == effect)
            .and_then(|t| t.time_added.clone()),
    });
    let mut list = Vec::with_capacity(node.taints.len() + 1);
    for taint in &node.taints {
        if taint.key == names::TAINT_UNHEALTHY {
            list.extend(wanted.take());
        } else {
            list.push(taint.clone());
        }
    }
    list.extend(wanted);
    (list != node.taints).then_some(list)
}

const fn effect_name(effect: TaintEffect) -> Option<&'static str> {
    match effect {
        TaintEffect::None => None,
        TaintEffect::PreferNoSchedule => Some("PreferNoSchedule"),
        TaintEffect::NoSchedule => Some("NoSchedule"),
        TaintEffect::NoExecute => Some("NoExecute"),
    }
}

/// What the words on a Node are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// The judgement as the Node is told it.
    pub(crate) judgement: &'a Judgement,
    /// Why, as a sentence.
    pub(crate) message: &'a str,
    /// The certifications that are fresh.
    pub(crate) certifications: &'a [Certification],
}

/// Labels and annotation as they shall stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Marks {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) summary: Option<String>,
    pub(crate) drop_labels: Vec<String>,
}

/// Whether a label is one that the operator writes (people write the label of maintenance).
pub(crate) fn is_ours(label: &str) -> bool {
    label.starts_with(names::PREFIX)
        && (matches!(label, names::LABEL_HEALTH | names::LABEL_SEVERITY | names::LABEL_AGENT)
            || label.starts_with(names::LABEL_CERTIFIED_PREFIX))
}

/// The labels and the annotation that shall be on the Node, or `None` where they are. `told` is `None` for a node that
/// is not judged yet: only the agent's label is set then, and everything else stays.
pub(crate) fn marks(node: &Node, authority: Authority<'_>, told: Option<Told<'_>>) -> Option<Marks> {
    let agent = (names::LABEL_AGENT.to_owned(), "true".to_owned());
    let standing = || node.labels.iter().filter(|(label, _)| is_ours(label)).map(|(k, v)| (k.clone(), v.clone()));
    let (labels, summary): (BTreeMap<_, _>, _) = match (told, authority) {
        (None, _) | (Some(_), Authority::Frozen) => (standing().chain([agent]).collect(), node.summary.clone()),
        (Some(told), Authority::Observe { release }) => {
            if told.judgement.state == State::Quarantined && !release {
                (standing().chain([agent]).collect(), node.summary.clone())
            } else {
                ([agent].into(), None)
            }
        }
        (Some(told), Authority::Enforce(policy)) => {
            let outputs = policy.spec.outputs.as_ref();
            let mut labels = BTreeMap::from([agent]);
            if is_on(outputs, |o| o.labels) {
                labels.extend(verdict_labels(told));
            }
            let summary = is_on(outputs, |o| o.annotation).then(|| summary(told.judgement));
            (labels, summary)
        }
    };
    let drop_labels: Vec<String> =
        node.labels.keys().filter(|label| is_ours(label) && !labels.contains_key(*label)).cloned().collect();
    let stand =
        drop_labels.is_empty() && summary == node.summary && labels.iter().all(|(k, v)| node.labels.get(k) == Some(v));
    (!stand).then_some(Marks { labels, summary, drop_labels })
}

fn is_on(outputs: Option<&Outputs>, which: impl Fn(&Outputs) -> Option<bool>) -> bool {
    outputs.and_then(which).unwrap_or(true)
}

fn verdict_labels(told: Told<'_>) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = told
        .certifications
        .iter()
        .map(|c| {
            let label = format!("{}{}", names::LABEL_CERTIFIED_PREFIX, c.level);
            (label, "true".to_owned())
        })
        .collect();
    if let Some(health) = told.judgement.state.label() {
        labels.push((names::LABEL_HEALTH.to_owned(), health.to_owned()));
        let severity = told.judgement.severity.label();
        labels.push((names::LABEL_SEVERITY.to_owned(), severity.to_owned()));
    }
    labels
}

#[derive(serde::Serialize)]
struct Summary<'a> {
    state: &'a State,
    severity: &'a crds::Severity,
    action: Action,
    since: Time,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<SummaryCause<'a>>,
}

#[derive(serde::Serialize)]
struct SummaryCause<'a> {
    check: &'a str,
    target: &'a str,
    reason: &'a str,
}

/// The annotation: compact JSON.
fn summary(judgement: &Judgement) -> String {
    let summary = Summary {
        state: &judgement.state,
        severity: &judgement.severity,
        action: judgement.action(),
        since: judgement.since,
        causes: judgement
            .causes
            .iter()
            .map(|cause| SummaryCause { check: &cause.check, target: &cause.target, reason: &cause.reason })
            .collect(),
    };
    serde_json::to_string(&summary).unwrap_or_default()
}

/// Since when the annotation of a Node tells of this state and severity.
pub(crate) fn told_since(node: &Node, state: &State, severity: &crds::Severity) -> Option<Time> {
    #[derive(serde::Deserialize)]
    struct Told {
        state: State,
        severity: crds::Severity,
        since: Time,
    }
    let told: Told = serde_json::from_str(node.summary.as_deref()?).ok()?;
    (told.state == *state && told.severity == *severity).then_some(told.since)
}

/// The condition of this judgement: False if Quarantined, Unknown if Unknown, else True.
pub(crate) fn status_of(state: &State) -> Status {
    match state {
        State::Quarantined => Status::False,
        State::Unknown | State::Unrecognized(_) => Status::Unknown,
        State::Healthy | State::Suspect | State::NotApplicable => Status::True,
    }
}

/// The Node condition as it shall stand, or `None` where it stands so already; `Some(None)` removes it.
#[allow(clippy::option_option)]
pub(crate) fn node_condition(
    node: &Node,
    authority: Authority<'_>,
    told: Told<'_>,
    now: Time,
) -> Option<Option<Condition>> {
    let wanted = match authority {
        Authority::Frozen => return None,
        Authority::Observe { release } => {
            if told.judgement.state == State::Quarantined && !release {
                return None;
            }
            None
        }
        Authority::Enforce(policy) => is_on(policy.spec.outputs.as_ref(), |o| o.node_condition).then(|| {
            Wanted::new(names::NODE_CONDITION, status_of(&told.judgement.state), &told.judgement.reason, told.message)
        }),
    };
    let wanted = wanted.and_then(|wanted| merge(node.condition.as_slice(), vec![wanted], None, now).into_iter().next());
    (wanted != node.condition).then_some(wanted)
}
