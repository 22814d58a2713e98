//! What people are told: conditions that tools wait for, and Events.

use super::*;
use crate::{
    decide::{decide, model::fixtures::*},
    key::{Key, Kind},
    plan::EventNote,
};
use crds::{Outcome, Severity, reason};

#[test]
fn an_overruled_policy_is_stalled_and_says_why() {
    let mut model = under(Mode::Observe, &["a"]);
    let mut winner = fixtures::policy("winner", Mode::Observe);
    winner.spec.priority = 5;
    fixtures::add_policy(&mut model.world, winner);
    let model = settled(model);
    for (policy, stalled, ready) in [("base", "True", "False"), ("winner", "False", "True")] {
        let conditions = &policy_status(&model, policy).conditions;
        let is = condition(conditions, "Stalled");
        assert_eq!((is.status.as_str(), condition(conditions, "Ready").status.as_str()), (stalled, ready), "{policy}");
        assert_eq!(is.reason == reason::OVERRULED, stalled == "True");
    }
}

#[test]
fn no_reason_of_an_agent_breaks_the_pattern_of_conditions() {
    let mut model = under(Mode::Enforce, &["a"]);
    reports(&mut model, "a", report_with(finding("xid", "node", Outcome::Fail, Severity::Reset, "79 fell off (bus)!")));
    let model = settled(model);
    let healthy = condition(&health_of(&model, "a").status.as_ref().unwrap().conditions, "Healthy").clone();
    assert_eq!(healthy.reason, "felloffbus");
    assert_eq!(node_of(&model, "a").condition.as_ref().unwrap().reason, "felloffbus");
}

fn events(model: &Model) -> Vec<EventNote> {
    decide(&model.world, model.now).events
}

#[test]
fn events_about_two_gpus_are_two_series_each_with_its_own_text() {
    let mut model = settled(under(Mode::Enforce, &["a"]));
    reports(&mut model, "a", lost_gpu_report(3));
    let first = events(&model);
    let mut model = settled(model);
    reports(&mut model, "a", passing_report());
    let mut model = settled(model);
    reports(&mut model, "a", lost_gpu_report(5));
    let second = events(&model);
    assert_eq!((&first[0].reason, &first[0].regarding), (&second[0].reason, &second[0].regarding));
    assert_ne!(first[0].series, second[0].series);
    assert!(first[0].message.contains("GPU3") && second[0].message.contains("GPU5"), "{}", second[0].message);
    let mut again = settled(model);
    reports(&mut again, "a", passing_report());
    let mut again = settled(again);
    reports(&mut again, "a", lost_gpu_report(3));
    assert_eq!(events(&again)[0].series, first[0].series, "the same again is the same series");
}

#[test]
fn a_node_health_that_does_not_parse_counts_as_out_of_service_and_is_told() {
    let mut model = with_budget(settled(under(Mode::Enforce, &["a", "b"])), 1);
    model.world.malformed.insert(Key::new(Kind::NodeHealth, "b"));
    let before = node_of(&model, "b").clone();
    reports(&mut model, "a", lost_gpu_report(3));
    let model = settled(model);
    assert_eq!(our_taint(&model, "a"), "reboot:PreferNoSchedule", "b may be out of service");
    assert_eq!(*node_of(&model, "b"), before, "its marks stay");
    let status = policy_status(&model, "base");
    assert_eq!(status.budget.used, 1);
    let unreadable = condition(&status.conditions, "Unreadable");
    assert_eq!((unreadable.status.as_str(), unreadable.reason.as_str()), ("True", reason::UNREADABLE));
    assert!(unreadable.message.contains("cannot read: b."), "{}", unreadable.message);
}
