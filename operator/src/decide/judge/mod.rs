//! What is thought of a node, by its report and by what is remembered of it.
//!
//! - `evidence`: what a report says
//! - `rules`: what a policy makes of causes
//! - `fold`: findings and results become causes; `lift`: a later pass ends them; `adopt`: those of a mark without a cause
//! - `drill_causes`: the causes of drills, which have rules of their own
//! - `verdict`: the judgement that follows

pub(crate) mod adopt;
pub(crate) mod drill_causes;
pub(crate) mod evidence;
pub(crate) mod fold;
pub(crate) mod lift;
pub(crate) mod rules;
pub(crate) mod verdict;
