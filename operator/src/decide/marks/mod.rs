//! The desired marks on a Node and the desired status of its NodeHealth, one file per output. Marks of others are never
//! touched.
//!
//! - on the Node: `taints`, `metadata` (labels and annotation), `node_condition`
//! - in the NodeHealth: `decision`, `gpu_verdicts`, `columns`, `health_conditions`
//! - `parts`: how people name a part of a node

pub(crate) mod columns;
pub(crate) mod decision;
pub(crate) mod gpu_verdicts;
pub(crate) mod health_conditions;
pub(crate) mod metadata;
pub(crate) mod node_condition;
pub(crate) mod parts;
pub(crate) mod taints;
