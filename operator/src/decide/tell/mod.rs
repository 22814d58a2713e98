//! What people read: `sentences` that say why, and `news`, which become Events.

pub(crate) mod news;
pub(crate) mod sentences;
