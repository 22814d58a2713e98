//! The words that every kind shares: outcomes, severities, states, actions.

use crate::string_enum::string_enum;

string_enum! {
    /// What a check said about one target. `Inconclusive` never condemns and never heals; neither does `Skipped`.
    Outcome {
        /// The target was judged and is well.
        Pass,
        /// The target did not apply, or was not tested because the node was busy or under maintenance.
        Skipped,
        /// The target could not be judged: tool missing, deadline of the tool, unknown format, no permission.
        Inconclusive,
        /// Worth a look; marks nothing.
        Warn,
        /// The target is bad.
        Fail,
    } default Inconclusive
}

impl Outcome {
    /// The worse of two outcomes: Fail, Warn, Inconclusive, Skipped, Pass.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// 0 for Pass up to 4 for Fail. An unrecognized outcome ranks as Inconclusive.
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
    /// How bad a finding is, told by what cures it.
    Severity {
        /// Nothing to cure.
        None,
        /// Watch it.
        Monitor,
        /// A reset of the GPU cures it.
        Reset,
        /// A reboot of the node cures it.
        Reboot,
        /// The part must be replaced.
        Isolate,
    } default None
}

impl Severity {
    /// 0 for None up to 4 for Isolate. An unrecognized severity ranks as Monitor: seen, but never condemning.
    pub fn rank(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Monitor | Self::Unrecognized(_) => 1,
            Self::Reset => 2,
            Self::Reboot => 3,
            Self::Isolate => 4,
        }
    }

    /// Whether a `Fail` of this severity takes a node out of use (Reset and above).
    pub fn condemns(&self) -> bool {
        self.rank() >= Self::Reset.rank()
    }

    /// The value of the severity label and of the taint: lower case.
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
    /// The judgement about a node or a GPU.
    State {
        /// Judged, and nothing condemns it.
        Healthy,
        /// Something is odd, but not enough to take it out of use.
        Suspect,
        /// Out of use until every cause is lifted.
        Quarantined,
        /// Never judged, or the agent is silent.
        Unknown,
        /// No accelerator here.
        NotApplicable,
    } default Unknown
}

impl State {
    /// The value of the label `gpuhealth.dev/health`; `None` where the label is not set.
    pub fn label(&self) -> Option<&'static str> {
        match self {
            Self::Healthy => Some("healthy"),
            Self::Suspect => Some("suspect"),
            Self::Quarantined => Some("quarantined"),
            Self::Unknown | Self::Unrecognized(_) => Some("unknown"),
            Self::NotApplicable => None,
        }
    }
}

string_enum! {
    /// What the operator is doing with a node at the moment.
    Activity {
        /// Nothing.
        None,
        /// The node is being reserved for an exclusive check.
        Reserving,
        /// A run is at work on the node.
        Checking,
        /// The node is under maintenance; its driver is not touched.
        Maintenance,
    } default None
}

string_enum! {
    /// What a person, or a repair system, should do next.
    Action {
        /// Nothing.
        None,
        /// Keep an eye on it.
        Observe,
        /// Drain the node and reset the GPU.
        ResetGpu,
        /// Drain and reboot the node.
        Reboot,
        /// Replace the part.
        Replace,
        /// The causes are gone; the node can go back to work.
        ReturnToService,
    } default None
}

impl Action {
    /// The action that cures a finding of this severity.
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
