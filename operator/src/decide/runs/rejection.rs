//! Why a run is refused.

/// Why a run is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// One word.
    pub(super) reason: &'static str,
    /// The field and the remedy.
    pub(super) message: String,
}

impl Rejection {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
