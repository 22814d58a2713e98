//! What NVIDIA's decode sheet for Xid 144 to 150 says to do.

/// NVIDIA's resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing (`IGNORE`).
    Ignore,
    /// Follow the next Xid 154; if there is none, restart the application (`XID_154_EVAL`).
    FollowRecoveryAction,
    /// `RESET_GPU`.
    ResetGpu,
}
