//! Everything that touches the outside: command line, clock, client, sockets, signals.
//!
//! ```text
//! error, telemetry, args ─▶ metrics, http ─▶ recorder, writer ─▶ brain ─▶ run
//! ```

pub mod args;
pub mod brain;
pub mod error;
pub mod http;
pub mod metrics;
pub mod recorder;
pub mod run;
pub mod telemetry;
pub mod writer;
