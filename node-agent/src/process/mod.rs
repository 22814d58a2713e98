//! Child processes: how they are started, captured, and never left behind. Knows no probe and no protocol.

pub(crate) mod capture;
pub(crate) mod limits;
pub(crate) mod process_group;
pub(crate) mod strays;
pub(crate) mod sys;
pub(crate) mod tool;
