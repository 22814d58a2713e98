//! `probe true`: measures nothing and succeeds, like true(1).

use std::process::ExitCode;

#[cfg(test)]
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::probe::start::{Probe, print};

/// The parameters of `probe true`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrueParameters {}

/// What `probe true` reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrueReport {
    /// Always true.
    pub is_true: bool,
}

impl Probe for TrueParameters {
    type Report = TrueReport;

    const NAME: &'static str = "true";

    fn run(self) -> ExitCode {
        print::<Self>(TrueReport { is_true: true })
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Self> {
        Just(Self {}).boxed()
    }
}
