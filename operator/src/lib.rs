//! The cluster-level controller of gpu-health-operator.
//!
//! # How data flows through it
//!
//! ```text
//! watches ─▶ Stores (small projections, our own unseen writes on top) ─▶ World
//!                                                                          │
//!                                            decide(&World, now) ─▶ Plan ◀─┘
//!                                                                     │
//!              answers ◀─ API server ◀─ Writer ◀─ wire ◀─ WriteQueue ◀┘
//! ```
//!
//! The [`engine`] joins stores, decision and queue, and the brain runs it: it wakes when a projection changes, when an
//! answer arrives, and when the Plan says so.
//!
//! # The floors
//!
//! Ground first; a module imports only modules above it in this list, and the same holds for the files within a folder.
//!
//! | module | holds |
//! |---|---|
//! | [`key`], [`world`], [`plan`] | values: what identifies an object, what a decision reads, what it returns |
//! | [`decide`] | the decision |
//! | [`queue`] | the order of writes, and backoffs |
//! | [`wire`] | requests, and the errors that come back |
//! | [`stores`] | watches, projections, the overlay of our own unseen writes |
//! | [`engine`] | stores, decision, queue and backoffs joined: what follows from what arrives |
//! | [`shell`] | everything that touches the outside |
//!
//! # What must stay true
//!
//! - `decide` is pure: no clock, no client, no environment, no memory. What a decision must remember is stored in the
//!   objects, so that nothing is lost when another replica takes over.
//! - Applying a plan to the world and deciding again gives an empty plan.
//! - A budget claim is written to the policy's status before the mark that it pays for, and dropped once the Node is seen at
//!   a later version without a mark.
//! - Taints, labels, conditions and cordons of others are never changed; `spec.unschedulable` is never written.
//! - `Observe` adds no mark of a decision, `Hold` neither adds nor lifts; `Inconclusive`, silence and absence never
//!   taint and never lift.
//! - No write reaches a Node with a uid other than the one decided on.

pub mod decide;
pub mod engine;
pub mod key;
pub mod plan;
pub mod queue;
pub mod shell;
pub mod stores;
pub mod wire;
pub mod world;
