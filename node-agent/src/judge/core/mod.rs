//! What every judge is built from: rules as data, findings by key, counter increases, and the last readings.
//!
//! Nothing here judges a particular check. Judges import from here and never from each other.

pub mod events;
pub mod expectation;
pub mod found;
pub mod ground;
pub mod hardware;
pub mod like_load;
pub mod log_state;
pub mod memory;
pub mod peers;
pub mod rates;
pub mod readings;
pub mod rule;
pub mod tally;
pub mod whereabouts;

pub use crate::text::bounded;
pub use expectation::{DEFAULT_INTERVAL_SECONDS, Expectation, interval_of, interval_seconds};
pub use found::{Findings, Found, Judged, Key, MAX_COVERED, same_verdict, worst_first};
pub use ground::Ground;
pub use hardware::Hardware;
pub use log_state::KernelLog;
pub use memory::{Counter, Memory};
pub use readings::{Readings, Trouble};
pub use rule::{Page, Rule};
pub use whereabouts::Whereabouts;
