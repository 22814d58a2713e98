//! What shall stand on a Node and in the status of its NodeHealth. Only ours is ever touched.

pub(crate) mod taints;
