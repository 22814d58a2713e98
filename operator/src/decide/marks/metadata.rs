//! Our labels and annotation on a Node, which are written together.

use crate::{
    decide::{
        annotation::{Annotation, annotated_since},
        govern::authority::Authority,
        judge::verdict::Judgement,
    },
    world::Node,
};
use crds::{State, names, node_health::Certification};
use std::collections::BTreeMap;

/// What our labels and annotation on a Node are built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// The judgement to show on the Node.
    pub(crate) judgement: &'a Judgement,
    /// The sentence that explains it.
    pub(crate) message: &'a str,
    /// The certifications that have not expired.
    pub(crate) certifications: &'a [Certification],
}

/// The desired labels and annotation.
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

/// The desired labels and annotation of the Node, or `None` if nothing changes. `shown` is `None` for a node that has not
/// been judged yet: then only the agent's label is set, and everything else stays.
pub(crate) fn marks(node: &Node, authority: Authority<'_>, shown: Option<Shown<'_>>) -> Option<Marks> {
    let agent = (names::LABEL_AGENT.to_owned(), "true".to_owned());
    let standing = || node.labels.iter().filter(|(label, _)| is_ours(label)).map(|(k, v)| (k.to_owned(), v.to_owned()));
    let (labels, summary): (BTreeMap<_, _>, _) = match (shown, authority) {
        (None, _) | (Some(_), Authority::Frozen) => (standing().chain([agent]).collect(), node.summary.clone()),
        (Some(shown), Authority::Observe { release }) => {
            if shown.judgement.state == State::Unhealthy && !release {
                (standing().chain([agent]).collect(), node.summary.clone())
            } else {
                ([agent].into(), None)
            }
        }
        (Some(shown), Authority::Enforce(policy)) => {
            let outputs = &policy.spec.outputs;
            let mut labels = BTreeMap::from([agent]);
            if outputs.labels.enabled {
                labels.extend(verdict_labels(shown));
            }
            let summary = outputs.annotation.enabled.then(|| annotation_text(node, shown.judgement));
            (labels, summary)
        }
    };
    let drop_labels: Vec<String> =
        node.labels.keys().filter(|label| is_ours(label) && !labels.contains_key(*label)).map(str::to_owned).collect();
    let is_unchanged = drop_labels.is_empty()
        && summary == node.summary
        && labels.iter().all(|(k, v)| node.labels.get(k) == Some(v.as_str()));
    (!is_unchanged).then_some(Marks { labels, summary, drop_labels })
}

fn verdict_labels(shown: Shown<'_>) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = shown
        .certifications
        .iter()
        .map(|c| {
            let label = format!("{}{}", names::LABEL_CERTIFIED_PREFIX, c.level);
            (label, "true".to_owned())
        })
        .collect();
    if let Some(health) = shown.judgement.state.label() {
        labels.push((names::LABEL_HEALTH.to_owned(), health.to_owned()));
        let severity = shown.judgement.severity.label();
        labels.push((names::LABEL_SEVERITY.to_owned(), severity.to_owned()));
    }
    labels
}

/// Its time is kept while state and severity stay, whatever is stored of the decision: where that is refused, each decision
/// would write the annotation again.
fn annotation_text(node: &Node, judgement: &Judgement) -> String {
    let (state, severity) = (judgement.state.clone(), judgement.severity.clone());
    let since = annotated_since(node, &state, &severity).unwrap_or(judgement.since);
    Annotation::new(state, severity, judgement.action(), since, &judgement.causes).to_text()
}
