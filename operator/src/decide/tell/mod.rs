//! Texts for people: `sentences` explain a decision, `news` become Events.

pub(crate) mod news;
pub(crate) mod sentences;
