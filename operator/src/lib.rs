//! The cluster-level controller of gpu-health-operator.
//!
//! # How data flows through it
//!
//! ```text
//! args ─▶ stores (watches, small projections) ─▶ World (stores + overlay of our own unseen writes)
//!                                                   │
//!                              decide(&World, now) ─▶ Plan ─▶ apply (the one place that holds a client)
//!                                   ▲                              │
//!                                 brain: wakes on changed projections, and when the Plan says so
//! ```
//!
//! # What must stay true
//!
//! - `decide` is pure: no clock, no client, no environment, no memory. What a decision must remember lives in fields of
//!   objects, so that a takeover forgets nothing.
//! - Applying a plan to the world and deciding again gives an empty plan.
//! - A claim in a policy's status is written before the mark that it pays for, and dropped after the mark is gone.
//! - Foreign taints, labels, conditions and cordons survive everything; `spec.unschedulable` is never written.
//! - `Observe` adds no mark of a decision, `Hold` neither adds nor lifts; `Inconclusive`, silence and absence never
//!   taint and never lift.
//! - No write reaches a Node with another uid than the one decided on.

pub mod decide;
pub mod key;
pub mod plan;
pub mod queue;
pub mod shell;
pub mod stores;
pub mod wire;
pub mod world;
