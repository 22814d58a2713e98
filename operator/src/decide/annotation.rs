//! Our annotation on a Node: its judgement in short, as compact JSON. It is written for people and for tools that watch
//! Nodes, and read again where the NodeHealth cannot tell: by adoption, and after a drill that set no marks.

use crate::world::Node;
use crds::{Action, Severity, State, Time, node_health::Cause};
use serde::{Deserialize, Serialize};

/// What the annotation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Annotation {
    /// The judgement.
    pub(crate) state: Option<State>,
    /// The severity of the worst cause.
    pub(crate) severity: Option<Severity>,
    /// What to do next. It follows from the others and is not read again.
    #[serde(skip_deserializing)]
    action: Option<Action>,
    /// Since when this stands.
    since: Option<Time>,
    /// The open causes, worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) causes: Vec<AnnotatedCause>,
}

/// One cause in the annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AnnotatedCause {
    /// The name of the check.
    pub(crate) check: String,
    /// What it is about.
    pub(crate) target: String,
    /// Why, as one word.
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

    /// The annotation of a Node; `None` where there is none, or somebody changed it into something else.
    pub(crate) fn read(node: &Node) -> Option<Self> {
        serde_json::from_str(node.summary.as_deref()?).ok()
    }

    /// Its text.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Since when the annotation of a Node tells of this state and severity.
pub(crate) fn told_since(node: &Node, state: &State, severity: &Severity) -> Option<Time> {
    let told = Annotation::read(node)?;
    (told.state.as_ref() == Some(state) && told.severity.as_ref() == Some(severity)).then_some(told.since)?
}
