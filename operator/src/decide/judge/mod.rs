//! What is thought of a node, by its report and by what is remembered of it.

pub(crate) mod drill_causes;
pub(crate) mod fold;
pub(crate) mod verdict;
