//! Findings that can only be an error of the agent.

use super::*;
use crate::decide::model::fixtures::*;
use crds::{Outcome, Severity, State, node_health::Cause, reason};

/// No board ever stood there.
const NOWHERE: &str = "0000:77:00.0";

fn found(check: &str, target: &str) -> Report {
    let mut report = passing_report();
    report.findings.push(finding(check, target, Outcome::Fail, Severity::Reset, "Xid79"));
    report
}

#[test]
fn a_finding_of_no_check_or_where_nothing_ever_was_is_told_and_makes_no_cause() {
    for (check, target) in [("xid", NOWHERE), ("nonsense", &address(3)), ("custom/../../sh", "node"), ("", "node")] {
        let mut model = under(Mode::Enforce, &["a"]);
        reports(&mut model, "a", found(check, target));
        let model = settled(model);
        let decided = decision(&model, "a");
        assert_eq!((our_taint(&model, "a").as_str(), decided.causes.len()), ("", 0), "{check} {target}");
        assert_eq!((&decided.state, decided.reason.as_str()), (&State::Healthy, reason::INCONCLUSIVE));
        let conditions = &health_of(&model, "a").status.as_ref().unwrap().conditions;
        let reporting = condition(conditions, "AgentReporting");
        assert_eq!(reporting.reason, reason::AGENT_ERROR, "{check} {target}");
        assert!(reporting.message.contains(&format!("a finding of {check}")), "{}", reporting.message);
        assert_eq!(condition(conditions, "Covered").status, "False");
    }
}

#[test]
fn a_finding_where_a_board_may_be_lost_condemns() {
    // The inventory does not pass.
    let mut missing = found("xid", NOWHERE);
    missing.checks[0].outcome = Outcome::Fail;
    // The check covers it by itself, as it covers switches.
    let mut covered = found("xid", NOWHERE);
    covered.checks[1].covered.push(NOWHERE.to_owned());
    // A link of a GPU that is there.
    let link = found("xid", &format!("{}/link3", address(3)));
    for report in [missing, covered, link, found("custom/burn", "node")] {
        let mut model = under(Mode::Enforce, &["a"]);
        reports(&mut model, "a", report);
        assert_eq!(our_taint(&settled(model), "a"), "reset:NoSchedule");
    }
    // A board is known to have stood there, and the inventory is content without it.
    let mut model = settled(under(Mode::Enforce, &["a"]));
    let mut lost = found("xid", &address(3));
    lost.inventory.gpus.remove(3);
    lost.checks.iter_mut().for_each(|row| row.covered.retain(|target| *target != address(3)));
    reports(&mut model, "a", lost);
    assert_eq!(our_taint(&settled(model), "a"), "reset:NoSchedule");
}

#[test]
fn causes_that_such_findings_made_go_when_the_agent_reports_properly() {
    for (check, target) in [("xid", NOWHERE), ("nonsense", "node")] {
        let mut model = under(Mode::Enforce, &["a"]);
        model.edit_health("a", |h| {
            let decision = h.status.get_or_insert_default().decision.get_or_insert_default();
            decision.reason = "Xid79".into();
            decision.causes = vec![Cause {
                check: check.into(),
                target: target.into(),
                outcome: Outcome::Fail,
                severity: Severity::Reset,
                reason: "Xid79".into(),
                ..Cause::default()
            }];
        });
        let mut silent = model.clone();
        reports(&mut silent, "a", Report { checks: Vec::new().into(), ..passing_report() });
        assert_eq!(decision(&settled(silent), "a").state, State::Unhealthy, "{check}: no proper report");
        let model = settled(model);
        assert_eq!((&decision(&model, "a").state, our_taint(&model, "a").as_str()), (&State::Healthy, ""), "{check}");
    }
}

#[test]
fn a_status_that_the_server_refused_is_written_without_any_text_of_the_agent() {
    let hostile = "\u{202e}evil\u{7}";
    let mut report = lost_gpu_report(3);
    report.findings[0].reason = format!("{hostile}Reason");
    report.findings[0].message = hostile.into();
    report.findings.push(finding("custom/x", hostile, Outcome::Fail, Severity::Reset, hostile));
    report.inventory.gpus[3].serial = Some(hostile.into());
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", report);
    model.world.refused_texts.insert(crate::key::Key::new(crate::key::Kind::NodeHealth, "a"));
    model.world.refused_texts.insert(crate::key::Key::new(crate::key::Kind::Policy, "base"));
    let plan = crate::decide::decide(&model.world, model.now);
    let written = plan.steps.iter().filter_map(|step| match &step.write {
        Write::NodeHealthStatus(write) => {
            serde_json::to_string(&(&write.decision, &write.gpus, &write.summary, &write.conditions)).ok()
        }
        Write::PolicyClaims { claims, .. } => serde_json::to_string(claims).ok(),
        _ => None,
    });
    let written: Vec<String> = written.collect();
    assert_eq!(written.len(), 2);
    for text in &written {
        assert!(!text.contains("evil ") && !text.contains(hostile) && text.is_ascii(), "{text}");
    }
    model.apply(&plan);
    assert_eq!(decision(&model, "a").state, State::Unhealthy);
    assert_eq!(our_taint(&model, "a"), "reboot:NoSchedule");
    assert!(settled(model).world.node_healths.contains_key("a"));
}
