//! The judgement on a node, from its report and from what is recorded about it.
//!
//! - `facts`: what a judgement depends on; `evidence`: what a report says; `coverage`: what it does not say
//! - `stray`: what an agent reports in error
//! - `rules`: the taint effect that a policy gives to causes
//! - `fold`: findings and results become causes; `lift`: a later pass ends them; `adopt`: causes for a mark that has none
//! - `boards`: causes follow boards that move, and end where a board has left for good
//! - `drill_causes`: the causes of drills, which have rules of their own
//! - `verdict`: the judgement that follows

pub(crate) mod adopt;
pub(crate) mod boards;
pub(crate) mod coverage;
pub(crate) mod drill_causes;
pub(crate) mod evidence;
pub(crate) mod facts;
pub(crate) mod fold;
pub(crate) mod lift;
pub(crate) mod rules;
pub(crate) mod stray;
pub(crate) mod verdict;
