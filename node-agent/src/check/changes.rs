//! What has changed from one look to the next, for `--watch`.

use super::outcome::Looked;
use super::paint::Paint;
use crds::Outcome;
use crds::node_health::Finding;

/// One line for each finding that came, went or became another one, and for each check with another outcome; then the
/// verdict if it is another one. Empty if nothing changed.
pub(super) fn between(before: &Looked, now: &Looked, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &now.findings {
        let known = before.findings.iter().find(|known| is_same_place(known, finding));
        if known.is_none_or(|known| said(known) != said(finding)) {
            let outcome = paint.outcome(&finding.outcome, finding.outcome.as_str());
            lines.push(format!("+ {outcome} {} {} [{}]", finding.target, finding.message, said(finding).1));
        }
    }
    for finding in &before.findings {
        if !now.findings.iter().any(|known| is_same_place(known, finding)) {
            lines.push(format!("- {} {} is gone [{}]", finding.check, finding.target, said(finding).1));
        }
    }
    for row in &now.rows {
        let known = before.rows.iter().find(|known| known.check == row.check);
        if known.is_none_or(|known| (&known.outcome, &known.reason) != (&row.outcome, &row.reason)) {
            let was = known.map_or("not there", |known| known.outcome.as_str());
            let why = row.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            lines.push(format!("  {}: {was} -> {}{why}", row.check, paint.outcome(&row.outcome, row.outcome.as_str())));
        }
    }
    for gap in now.unjudged.iter().filter(|gap| !before.unjudged.contains(gap)) {
        lines.push(format!("  not judged: {gap}"));
    }
    if before.verdict() != now.verdict() {
        lines.push(format!("  {:?} -> {:?}", before.verdict(), now.verdict()));
    }
    lines
}

fn is_same_place(one: &Finding, other: &Finding) -> bool {
    (&one.check, &one.target) == (&other.check, &other.target)
}

fn said(finding: &Finding) -> (&Outcome, String) {
    (&finding.outcome, format!("{} {}", finding.check, finding.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Color;
    use crds::node_health::{CheckRow, Inventory};

    fn looked(outcome: Outcome, findings: Vec<Finding>) -> Looked {
        Looked {
            node: "n".into(),
            profile: None,
            kernel_log: None,
            inventory: Inventory { gpus: vec![crds::node_health::Gpu::default()], ..Inventory::default() },
            rows: vec![CheckRow { check: "ecc".into(), outcome, ..CheckRow::default() }],
            findings,
            unjudged: Vec::new(),
        }
    }

    #[test]
    fn only_what_has_changed_is_printed() {
        let finding = |message: &str| Finding {
            check: "ecc".into(),
            target: "0000:18:00.0".into(),
            outcome: Outcome::Fail,
            reason: "UncorrectableErrors".into(),
            message: message.into(),
            ..Finding::default()
        };
        let healthy = looked(Outcome::Pass, Vec::new());
        let sick = looked(Outcome::Fail, vec![finding("1 error")]);
        let paint = || Paint::new(Color::Never, false);
        assert_eq!(
            between(&healthy, &sick, paint()),
            ["+ Fail 0000:18:00.0 1 error [ecc UncorrectableErrors]", "  ecc: Pass -> Fail", "  Healthy -> Failed",]
        );
        // A number in a message is no change.
        assert!(between(&sick, &looked(Outcome::Fail, vec![finding("2 errors")]), paint()).is_empty());
        assert_eq!(between(&sick, &healthy, paint())[0], "- ecc 0000:18:00.0 is gone [ecc UncorrectableErrors]");
    }
}
