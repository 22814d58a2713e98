//! Levels: named lists of checks, from seconds to hours.

use crate::{Check, CheckSpec};

/// A named list of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The value of `spec.level`.
    pub name: &'static str,
    /// Its checks, in the order they run.
    pub checks: &'static [Check],
}

/// All levels. A level lists only checks that this version implements, so levels grow over time.
pub const LEVELS: &[Level] = &[Level { name: "basic", checks: &[Check::Inventory] }];

/// Every shipped level, also those that this version does not have yet: no policy gives its own level such a name.
pub const NAMES: &[&str] = &["basic", "quick", "standard", "deep"];

/// The checks of the named level with default parameters, or `None` if there is no such level.
pub fn checks_of(name: &str) -> Option<Vec<CheckSpec>> {
    let level = LEVELS.iter().find(|l| l.name == name)?;
    Some(level.checks.iter().map(|c| CheckSpec::with_defaults(*c)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_holds_checks_that_this_version_can_run() {
        for level in LEVELS {
            assert!(NAMES.contains(&level.name));
            assert!(!level.checks.is_empty());
            assert!(level.checks.iter().all(|c| c.is_built()), "{}", level.name);
        }
    }
}
