//! What people read: sentences and Events.

pub(crate) mod news;
pub(crate) mod sentences;
