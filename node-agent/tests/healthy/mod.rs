//! A healthy node that must stay healthy whatever happens to it: its machine, its world, and the scenes of its life.

pub(crate) mod boards;
pub(crate) mod machine;
pub(crate) mod models;
pub(crate) mod newer;
pub(crate) mod noise;
pub(crate) mod readings;
pub(crate) mod scenes;
pub(crate) mod world;
