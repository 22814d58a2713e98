//! Our annotation on a Node: a summary of its judgement as compact JSON, for people and for tools that watch Nodes. The
//! operator reads it back only where the NodeHealth does not have the answer: on adoption, and after a drill without marks.

use crate::world::Node;
use crds::{Action, Severity, State, Time, node_health::Cause};
use serde::{Deserialize, Serialize};

/// The content of the annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Annotation {
    /// The judgement.
    pub(crate) state: Option<State>,
    /// The severity of the worst cause.
    pub(crate) severity: Option<Severity>,
    /// What to do next. Derived from the other fields, so it is never read back.
    #[serde(skip_deserializing)]
    action: Option<Action>,
    /// When the state and severity last changed.
    pub(crate) since: Option<Time>,
    /// The open causes, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) causes: Vec<AnnotatedCause>,
}

/// One cause in the annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AnnotatedCause {
    /// The name of the check.
    pub(crate) check: String,
    /// The target of the check.
    pub(crate) target: String,
    /// The reason, in PascalCase.
    pub(crate) reason: String,
}

impl Annotation {
    /// The annotation of this judgement.
    pub(crate) fn new(state: State, severity: Severity, action: Action, since: Time, causes: &[Cause]) -> Self {
        let cause = |cause: &Cause| AnnotatedCause {
            check: cause.check.clone(),
            target: cause.target.clone(),
            reason: cause.reason.clone(),
        };
        Self {
            state: Some(state),
            severity: Some(severity),
            action: Some(action),
            since: Some(since),
            causes: causes.iter().map(cause).collect(),
        }
    }

    /// The annotation of a Node; `None` if it is missing or does not parse.
    pub(crate) fn read(node: &Node) -> Option<Self> {
        serde_json::from_str(node.summary.as_deref()?).ok()
    }

    /// Serializes it.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Since when the Node has this state and severity, according to its annotation.
pub(crate) fn annotated_since(node: &Node, state: &State, severity: &Severity) -> Option<Time> {
    let annotation = Annotation::read(node)?;
    (annotation.state.as_ref() == Some(state) && annotation.severity.as_ref() == Some(severity))
        .then_some(annotation.since)?
}
