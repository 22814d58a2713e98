//! Why a run is rejected.

/// Why a run is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// The reason, in PascalCase.
    pub(super) reason: &'static str,
    /// Which field is wrong, and how to fix it.
    pub(super) message: String,
}

impl Rejection {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
