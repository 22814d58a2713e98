//! What this version does not do with a policy, and why: values that nothing can be done with, names that nobody has, fields
//! that are not built. The policy governs with the rest. The API server refuses what its schema can; this is the second line.

use crds::{
    Check, cron, level, nearest,
    node_health_policy::{NodeHealthPolicySpec, Rule, unbuilt},
    reason,
};
use jiff::tz::TimeZoneDatabase;

/// One objection to a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Objection {
    /// The reason of the condition Accepted.
    pub(crate) reason: &'static str,
    /// A sentence that names the field.
    pub(crate) text: String,
}

/// All objections: what is invalid, then unknown names, then what is not built.
pub(crate) fn objections(spec: &NodeHealthPolicySpec) -> Vec<Objection> {
    let invalid = schedules(spec).map(|text| Objection { reason: reason::INVALID_SPEC, text });
    let unknown = names(spec).map(|text| Objection { reason: reason::UNKNOWN_NAME, text });
    let mut objections: Vec<Objection> = invalid.chain(unknown).collect();
    let unbuilt = unbuilt(spec);
    if !unbuilt.is_empty() {
        objections.push(Objection {
            reason: reason::NOT_IMPLEMENTED,
            text: format!("Not implemented in this version: spec.{}.", unbuilt.join(", spec.")),
        });
    }
    objections
}

/// The message of the condition Accepted. `rest`: what the policy does all the same.
pub(crate) fn text(objections: &[Objection], rest: &str) -> String {
    let texts: Vec<&str> = objections.iter().map(|objection| objection.text.as_str()).collect();
    format!("{} Everything else applies. {rest}", texts.join(" "))
}

fn schedules(spec: &NodeHealthPolicySpec) -> impl Iterator<Item = String> + '_ {
    spec.schedules.iter().flat_map(|schedule| {
        let field = format!("spec.schedules[name={}]", schedule.name);
        let cron = cron::check(&schedule.cron).err().map(|why| format!("{field}.cron: {why}."));
        [cron, time_zone(&schedule.time_zone).map(|why| format!("{field}.timeZone: {why}."))].into_iter().flatten()
    })
}

/// Why this is no time zone. The database is the one in this program, so that every replica says the same.
fn time_zone(name: &str) -> Option<String> {
    let database = TimeZoneDatabase::bundled();
    if database.get(name).is_ok() {
        return None;
    }
    let known: Vec<String> = database.available().map(|zone| zone.as_str().to_owned()).collect();
    Some(format!("the IANA database has no time zone {name}{}", nearest::hint(name, known.iter().map(String::as_str))))
}

fn names(spec: &NodeHealthPolicySpec) -> impl Iterator<Item = String> + '_ {
    let monitors = spec.monitors.iter().filter_map(|monitor| {
        let known = Check::ALL.iter().filter(|check| check.is_monitor()).map(|check| check.name());
        unknown("spec.monitors", "monitor", &monitor.name, known)
    });
    monitors.chain(spec.rules.iter().flat_map(rule)).chain(levels(spec))
}

fn rule(rule: &Rule) -> impl Iterator<Item = String> + '_ {
    let field = format!("spec.rules[name={}].match", rule.name);
    let wanted = &rule.match_;
    let checks = Check::ALL.iter().filter(|check| **check != Check::Custom).map(|check| check.name());
    let is_custom = |name: &str| name.starts_with("custom/");
    let of_checks = wanted.checks.iter().filter(move |name| !is_custom(name));
    let in_checks: Vec<String> =
        of_checks.filter_map(|name| unknown(&format!("{field}.checks"), "check", name, checks.clone())).collect();
    // A program gives reasons of its own, and a drill those that its run asks for.
    let is_free = |name: &String| is_custom(name) || Check::from_name(name) == Some(Check::Drill);
    let may_be_any = wanted.checks.iter().any(is_free);
    let reasons = || reason::ALL.iter().chain(reason::OF_XIDS).copied();
    let in_reasons = wanted.reasons.iter().filter(move |_| !may_be_any);
    in_checks.into_iter().chain(
        in_reasons.filter_map(move |name| unknown(&format!("{field}.reasons"), "reason of a check", name, reasons())),
    )
}

fn levels(spec: &NodeHealthPolicySpec) -> impl Iterator<Item = String> + '_ {
    let template = |schedule: &crds::node_health_policy::Schedule| schedule.run_template.spec.level.clone();
    let of_schedules = spec.schedules.iter().filter_map(template).map(|level| ("spec.schedules", level));
    let of_gate = spec.gate.iter().map(|gate| ("spec.gate.level", gate.level.clone()));
    let of_certify = spec.certify.iter().map(|certify| ("spec.certify", certify.level.clone()));
    let of_rules = spec.rules.iter().filter_map(|rule| rule.effect.as_ref()?.run.as_ref()?.level.clone());
    let of_rules = of_rules.map(|level| ("spec.rules", level));
    let named = of_schedules.chain(of_gate).chain(of_certify).chain(of_rules);
    named.filter_map(move |(field, name)| {
        let own = spec.levels.iter().map(|level| level.name.as_str());
        unknown(field, "level", &name, level::NAMES.iter().copied().chain(own))
    })
}

fn unknown<'n>(field: &str, what: &str, name: &str, known: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
    let is_known = known.clone().any(|known| known == name);
    (!is_known).then(|| format!("{field}: no {what} is named {name}{}.", nearest::hint(name, known)))
}
