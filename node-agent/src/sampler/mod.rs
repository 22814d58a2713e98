//! The sampler: the one child that holds the driver's library, and what it says over its pipe.
//!
//! ```text
//!  agent::step ─ Ask ─▶ runner ─ stdin ─▶ gpu-health-agent probe sampler ─▶ libnvidia-ml.so.1
//!       ▲                 │                       │
//!       └──── Said ───────┴────── stdout ─────────┘   (one JSON document per line, [`talk`])
//! ```
//!
//! It is asked for sections of a [`Sample`] and answers with what the library said; it judges nothing. What must stay
//! true:
//! - a call that does not come back is told while it hangs, with its name and its GPU; the runner then kills the child;
//! - an answer that is missing is absent from the sample, never zero;
//! - nothing of it outlives its pipe: when nobody reads or asks any more, it ends, and the library is let go.

pub mod sample;
pub mod talk;

pub use sample::{Sample, Section};
pub use talk::{Ask, Said};
