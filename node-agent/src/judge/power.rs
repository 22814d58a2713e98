//! `power`.

use super::{Ground, Judged, Page, Rule};
use crds::check::Check;
use crds::reason;

/// What it can find.
pub static RULES: &[Rule] = &[];

/// Its page.
pub static PAGE: Page = Page { check: Check::Power, means: "", measured: "", profile: &[], metrics: &[], rules: RULES };

/// Judges the last readings.
pub fn judge(_: &Ground<'_>) -> Judged {
    Judged::unknown(reason::NOT_IMPLEMENTED, "not judged yet".to_owned())
}
