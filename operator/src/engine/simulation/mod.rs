//! The whole engine against the model of the API server, in virtual time: the real stores, decision, queue and backoffs,
//! but no clock, no task and no socket.
//!
//! ```text
//! server      objects, Leases and agents; what it does with a request, and what it refuses until further notice
//! watches     what of that reaches the engine, and when
//! drive       virtual time: whatever is due next happens, then the engine turns
//! laws        what must hold after each thing that happens
//! stories     random lives, with faults that come and go
//! waves       a fatal fault in a wave of ordinary writes
//! relapses    a mend taken out, and the story that notices
//! ```
//!
//! In a story watches break, stay silent or lag, requests end in every way, the server is gone for a while, agents stop
//! renewing, the wall clock is set, and the process stands still or starts anew.

mod drive;
mod laws;
mod relapses;
mod server;
mod stories;
mod watches;
mod waves;
