//! Findings that count only after they have stood for a while. A look that ends in seconds cannot wait for that: there,
//! how long the machine has been up stands for how long the finding has stood.

use crate::judge::registry;
use crds::Outcome;
use crds::node_health::{CheckRow, Finding};
use crds::node_health_policy::DEFAULT_BOOT_GRACE_SECONDS;

/// Lets the findings count whose machine has been up long enough, and their rows with them.
pub(super) fn count_those_of_old_machines(findings: &mut [Finding], rows: &mut [CheckRow], up_seconds: i64) {
    for finding in findings.iter_mut().filter(|finding| finding.outcome != Outcome::Fail) {
        let Some(monitor) = registry::named(&finding.check) else { continue };
        let Some((reason, seconds)) = monitor.matures.filter(|(reason, _)| *reason == finding.reason) else { continue };
        let is_final = |rule: &&crate::judge::Rule| rule.reason == reason && rule.outcome == Outcome::Fail;
        let Some(rule) = monitor.page.rules.iter().find(is_final) else { continue };
        if up_seconds < seconds.max(DEFAULT_BOOT_GRACE_SECONDS) {
            continue;
        }
        finding.outcome = rule.outcome.clone();
        finding.severity = rule.severity.clone();
        finding.message = format!("{}; this machine has been up for {up_seconds} s", finding.message);
        for row in rows.iter_mut().filter(|row| row.check == finding.check) {
            row.outcome = rule.outcome.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::reason;

    fn judged(reason: &str, up_seconds: i64) -> (Outcome, Outcome) {
        let finding = Finding {
            check: "fabric".to_owned(),
            reason: reason.to_owned(),
            outcome: Outcome::Warn,
            ..Finding::default()
        };
        let row = CheckRow { check: "fabric".to_owned(), outcome: Outcome::Warn, ..CheckRow::default() };
        let (mut findings, mut rows) = ([finding], [row]);
        count_those_of_old_machines(&mut findings, &mut rows, up_seconds);
        let ([finding], [row]) = (findings, rows);
        (finding.outcome, row.outcome)
    }

    #[test]
    fn a_fabric_that_is_not_set_up_counts_once_the_machine_has_been_up_for_long() {
        assert_eq!(judged(reason::FABRIC_NOT_READY, 600), (Outcome::Fail, Outcome::Fail));
        assert_eq!(judged(reason::FABRIC_NOT_READY, 599), (Outcome::Warn, Outcome::Warn));
        assert_eq!(judged(reason::FABRIC_DEGRADED, 1_000_000), (Outcome::Warn, Outcome::Warn));
    }
}
