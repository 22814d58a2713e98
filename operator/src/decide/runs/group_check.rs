//! The check between nodes of a run, with its defaults filled in.

use crds::{
    CheckSpec,
    check::{Class, Pattern, PortRange},
};

/// The parameters of the one check between nodes of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupCheck {
    /// Its name within the run.
    pub(super) name: String,
    /// Which members test each other.
    pub(super) pattern: Pattern,
    /// How long each test sends, in seconds.
    pub(super) duration_seconds: i64,
    /// The ports that servers may listen on.
    pub(super) ports: PortRange,
    /// Whether the run has other checks too, which another attempt would run again.
    pub(super) has_company: bool,
}

impl GroupCheck {
    /// The check between nodes among these, if there is one.
    pub(super) fn of(checks: &[CheckSpec]) -> Option<Self> {
        let check = checks.iter().find(|c| c.kind().is_some_and(|k| k.class() == Class::Group))?;
        let network = check.network_bandwidth.clone().unwrap_or_default();
        let ping = check.ping.as_ref().and_then(|p| p.pattern);
        Some(Self {
            name: check.name.clone(),
            pattern: ping.or(network.pattern).unwrap_or_default(),
            duration_seconds: network.duration_seconds.unwrap_or(5),
            ports: network.ports.unwrap_or_default(),
            has_company: checks.len() > 1,
        })
    }
}
