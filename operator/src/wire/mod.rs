//! What goes over the wire for each write, and what an error that comes back means. Pure.

pub mod act;
pub mod body;
pub mod content;
pub mod refusal;
pub mod subset;
