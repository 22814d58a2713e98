//! The vocabulary shared by all kinds: outcomes, severities, states, actions.

use crate::string_enum::string_enum;

string_enum! {
    /// Result of a check for one target. `Inconclusive` and `Skipped` neither quarantine a node nor lift a cause.
    Outcome {
        /// No fault found.
        Pass,
        /// Not applicable, or not tested because the node was busy or under maintenance.
        Skipped,
        /// The target could not be judged: tool missing, timeout, unknown output format, or no permission.
        Inconclusive,
        /// Worth a look; does not quarantine the node.
        Warn,
        /// Fault found.
        Fail,
    } default Inconclusive
}

impl Outcome {
    /// The worse of two outcomes. From worst to best: Fail, Warn, Inconclusive, Skipped, Pass.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// Rank from 0 (Pass) to 4 (Fail). An unrecognized outcome ranks as Inconclusive.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Skipped => 1,
            Self::Inconclusive | Self::Unrecognized(_) => 2,
            Self::Warn => 3,
            Self::Fail => 4,
        }
    }
}

string_enum! {
    /// How severe a finding is, in terms of what it takes to fix it.
    Severity {
        /// Nothing to fix.
        None,
        /// Watch the target.
        Monitor,
        /// Reset the GPU.
        Reset,
        /// Reboot the node.
        Reboot,
        /// Take the part out of service and replace it.
        Isolate,
    } default None
}

impl Severity {
    /// Rank from 0 (None) to 4 (Isolate). An unrecognized severity ranks as Monitor, so it never quarantines a node.
    pub fn rank(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Monitor | Self::Unrecognized(_) => 1,
            Self::Reset => 2,
            Self::Reboot => 3,
            Self::Isolate => 4,
        }
    }

    /// Whether a `Fail` of this severity quarantines a node (Reset and above).
    pub fn condemns(&self) -> bool {
        self.rank() >= Self::Reset.rank()
    }

    /// The value of the severity label and of the taint, in lowercase.
    pub fn label(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Monitor | Self::Unrecognized(_) => "monitor",
            Self::Reset => "reset",
            Self::Reboot => "reboot",
            Self::Isolate => "isolate",
        }
    }
}

string_enum! {
    /// Health state of a node or a GPU.
    State {
        /// Judged, and no fault found.
        Healthy,
        /// A finding exists, but is not severe enough to quarantine.
        Suspect,
        /// A fault that calls for a reset or more is open. Lasts until every such cause is lifted.
        Unhealthy,
        /// Not judged yet, or the agent does not report.
        Unknown,
        /// The node has no accelerator.
        NotApplicable,
    } default Unknown
}

impl State {
    /// The value of the label `gpuhealth.dev/health`, or `None` if the label is not set.
    pub fn label(&self) -> Option<&'static str> {
        match self {
            Self::Healthy => Some("healthy"),
            Self::Suspect => Some("suspect"),
            Self::Unhealthy => Some("unhealthy"),
            Self::Unknown | Self::Unrecognized(_) => Some("unknown"),
            Self::NotApplicable => None,
        }
    }
}

string_enum! {
    /// What is done about a node's state: whether its capacity is taken away.
    Quarantine {
        /// Nothing: no fault calls for it, the policy sets no taint that keeps pods away, or no policy governs the node.
        None,
        /// Our taint keeps pods away from the node (NoSchedule or NoExecute).
        Active,
        /// The node waits for a slot in the budget. Until then it is marked softly, with PreferNoSchedule.
        Waiting,
        /// The policy observes: no mark is set, although the node is Unhealthy.
        DryRun,
        /// Marks are frozen (policy mode Hold, or `--hold-everything`), or were kept from a former policy.
        Held,
        /// The API server refuses the taint, or the claim that pays for it: pods may still come to the node.
        Refused,
    } default None
}

string_enum! {
    /// What the operator is currently doing with a node.
    Activity {
        /// Nothing.
        None,
        /// The node is being reserved for an exclusive check.
        Reserving,
        /// A run is testing the node.
        Checking,
        /// The node is under maintenance; the agent does not use the driver.
        Maintenance,
    } default None
}

string_enum! {
    /// What a person or a repair system should do next.
    Action {
        /// Nothing.
        None,
        /// Watch the node.
        Observe,
        /// Drain the node and reset the GPU.
        ResetGpu,
        /// Drain and reboot the node.
        Reboot,
        /// Replace the part.
        Replace,
        /// All causes are lifted; the node can return to service.
        ReturnToService,
    } default None
}

impl Action {
    /// The action for a finding of this severity.
    pub fn for_severity(severity: &Severity) -> Self {
        match severity {
            Severity::None => Self::None,
            Severity::Monitor | Severity::Unrecognized(_) => Self::Observe,
            Severity::Reset => Self::ResetGpu,
            Severity::Reboot => Self::Reboot,
            Severity::Isolate => Self::Replace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_of_a_newer_agent_is_kept_and_judged_inconclusive() {
        let read: Outcome = serde_json::from_str("\"Marginal\"").unwrap();
        assert_eq!(read, Outcome::Unrecognized("Marginal".into()));
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"Marginal\"");
        assert_eq!(read.rank(), Outcome::Inconclusive.rank());
    }

    #[test]
    fn the_worst_outcome_wins_and_inconclusive_outranks_pass() {
        assert_eq!(Outcome::Pass.worse(Outcome::Inconclusive), Outcome::Inconclusive);
        assert_eq!(Outcome::Fail.worse(Outcome::Inconclusive), Outcome::Fail);
        assert_eq!(Outcome::Skipped.worse(Outcome::Pass), Outcome::Skipped);
    }

    #[test]
    fn only_reset_and_above_condemn() {
        let condemning: Vec<_> = Severity::ALL.iter().filter(|s| s.condemns()).collect();
        assert_eq!(condemning, [&Severity::Reset, &Severity::Reboot, &Severity::Isolate]);
        assert!(!Severity::Unrecognized("Vaporize".into()).condemns());
    }
}
