//! Validates the spec of a run. The API server rejects the same specs; this catches those that bypassed validation
//! (validation switched off, an older CustomResourceDefinition). Bounds are those of the schema ([`super::bounds`]);
//! the rules that the schema has in CEL are repeated here.

use super::{bounds, course::drill_seconds, rejection::Rejection};
use crds::{
    Check, CheckSpec, Scale, Severity,
    check::{Class, Custom, Drill, Pattern},
    health_check_run::HealthCheckRunSpec,
    level, reason,
};
use std::collections::BTreeSet;

/// The largest `maxConcurrent`: in the schema it is a CEL rule, not a bound.
const MAX_CONCURRENT: i64 = 1_000;

fn invalid(message: String) -> Rejection {
    Rejection { reason: reason::INVALID_SPEC, message }
}

/// The checks of the run, or why it is rejected.
pub(super) fn validate(spec: &HealthCheckRunSpec) -> Result<Vec<CheckSpec>, Rejection> {
    targets(spec)?;
    limits(spec)?;
    let checks = checks(spec)?;
    let mut names = BTreeSet::new();
    for check in &checks {
        if !bounds::at("checks.name").allows_text(&check.name) {
            return Err(invalid(format!(
                "spec.checks: the name {:?} must consist of at most 63 lower-case letters, digits and hyphens",
                check.name
            )));
        }
        if !names.insert(check.name.as_str()) {
            return Err(invalid(format!(
                "spec.checks: the name {:?} is used twice; check names must be unique",
                check.name
            )));
        }
        kind(check)?;
        let value = serde_json::to_value(check).unwrap_or_default();
        numbers(check, &value)?;
        if let Some(program) = &check.custom {
            custom(&check.name, program)?;
        }
        if let Some(rehearsal) = &check.drill {
            drill(&check.name, rehearsal)?;
        }
        let wrong = bounds::each("checks").wrong_text_or_count(&format!("spec.checks[{}]", check.name), &value);
        wrong.map_or(Ok(()), |message| Err(invalid(message)))?;
    }
    group(&checks)?;
    drills(spec, &checks)?;
    Ok(checks)
}

fn targets(spec: &HealthCheckRunSpec) -> Result<(), Rejection> {
    match (&spec.targets.node_names, &spec.targets.node_selector) {
        (Some(_), Some(_)) => Err(invalid(
            "spec.targets: nodeNames and nodeSelector are both set; set exactly one".into(),
        )),
        (None, None) => Err(invalid(
            "spec.targets: set exactly one of nodeNames and nodeSelector; nodeSelector: {} selects every accelerator node"
                .into(),
        )),
        (Some(names), None) if names.is_empty() => Err(invalid(
            "spec.targets.nodeNames is empty; name at least one node".into(),
        )),
        (Some(_), None) | (None, Some(_)) => Ok(()),
    }
}

fn limits(spec: &HealthCheckRunSpec) -> Result<(), Rejection> {
    let in_range = match spec.max_concurrent {
        Scale::Nodes(nodes) => (1..=MAX_CONCURRENT).contains(&nodes),
        Scale::Percent(percent) => (1..=100).contains(&percent),
    };
    if !in_range {
        return Err(invalid(
            "spec.maxConcurrent must be a number of nodes from 1 to 1000 or a percentage from 1% to 100%, for example 10%"
                .into(),
        ));
    }
    let numbers = [
        ("deadlineSeconds", Some(spec.deadline_seconds)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("limit", spec.limit),
        ("failFast", spec.fail_fast),
    ];
    let mut wrong = numbers
        .into_iter()
        .filter_map(|(name, value)| bounds::at(name).wrong_number(&format!("spec.{name}"), &value?.into()));
    wrong.next().map_or(Ok(()), |message| Err(invalid(message)))
}

fn checks(spec: &HealthCheckRunSpec) -> Result<Vec<CheckSpec>, Rejection> {
    match (&spec.checks, &spec.level) {
        (Some(_), Some(_)) => Err(invalid("spec: checks and level are both set; set exactly one".into())),
        (None, None) => Err(invalid("spec: set exactly one of checks and level, for example level: basic".into())),
        (Some(checks), None) if !bounds::at("checks").allows_count(checks.len()) => Err(invalid(format!(
            "spec.checks has {} checks; a run takes 1 to {}",
            checks.len(),
            bounds::at("checks").most()
        ))),
        (Some(checks), None) => Ok(checks.clone()),
        (None, Some(name)) => level::checks_of(name).ok_or_else(|| Rejection {
            reason: reason::UNKNOWN_CHECK,
            message: format!(
                "spec.level: unknown level {name:?}; this version knows: {}",
                level::LEVELS.iter().map(|l| l.name).collect::<Vec<_>>().join(", ")
            ),
        }),
    }
}

fn kind(check: &CheckSpec) -> Result<(), Rejection> {
    match check.kinds().as_slice() {
        [_] => Ok(()),
        [] => Err(Rejection {
            reason: reason::UNKNOWN_CHECK,
            message: format!(
                "spec.checks[{}] sets no kind of check that this version knows; set exactly one, for example networkBandwidth: {{}}",
                check.name
            ),
        }),
        several => Err(invalid(format!(
            "spec.checks[{}] sets {}; set exactly one kind per check",
            check.name,
            several.iter().map(|c| c.name()).collect::<Vec<_>>().join(" and ")
        ))),
    }
}

fn numbers(check: &CheckSpec, value: &serde_json::Value) -> Result<(), Rejection> {
    if let Some(message) = bounds::each("checks").wrong_number(&format!("spec.checks[{}]", check.name), value) {
        return Err(invalid(message));
    }
    let ports = check.network_bandwidth.as_ref().and_then(|c| c.ports.as_ref());
    if let Some(ports) = ports.filter(|p| p.first > p.last) {
        return Err(invalid(format!(
            "spec.checks[{}].networkBandwidth.ports is empty: first ({}) must not be above last ({}), for example {{first: 5201, last: 5264}}",
            check.name, ports.first, ports.last
        )));
    }
    Ok(())
}

fn custom(check: &str, custom: &Custom) -> Result<(), Rejection> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let program = &custom.program;
    let is_program = bounds::at("checks.custom.program").allows_text(program)
        && program.chars().all(allowed)
        && !program.starts_with('-');
    if !is_program {
        return Err(invalid(format!(
            "spec.checks[{check}].custom.program {program:?} must be the name of a program in the mounted directory (lower-case letters, digits, hyphens), never a path or a command line"
        )));
    }
    if let Some(key) = custom.env.keys().find(|key| !key.starts_with("CHECK_")) {
        return Err(invalid(format!("spec.checks[{check}].custom.env: the key {key:?} must begin with CHECK_")));
    }
    Ok(())
}

fn drill(check: &str, drill: &Drill) -> Result<(), Rejection> {
    let finding = &drill.finding;
    if finding.severity == Severity::None || matches!(finding.severity, Severity::Unrecognized(_)) {
        return Err(invalid(format!(
            "spec.checks[{check}].drill.finding.severity is {}; it must be Monitor, Reset, Reboot or Isolate",
            finding.severity
        )));
    }
    let words = bounds::at("checks.drill.finding.reason");
    let is_word = words.allows_text(&finding.reason);
    if !is_word {
        return Err(invalid(format!(
            "spec.checks[{check}].drill.finding.reason {:?} must be one word in PascalCase of at most {} letters and digits, for example FallenOffTheBus",
            finding.reason,
            words.most()
        )));
    }
    let targets = bounds::at("checks.drill.finding.target");
    if finding.target.as_ref().is_some_and(|target| target.is_empty() || !targets.allows_text(target)) {
        return Err(invalid(format!(
            "spec.checks[{check}].drill.finding.target must be a PCI address of at most {} characters, or node; leave it out for node",
            targets.most()
        )));
    }
    Ok(())
}

/// Real and drilled results must not be mixed in one run, and drills must fit into the deadline, so that they end in
/// time.
fn drills(spec: &HealthCheckRunSpec, checks: &[CheckSpec]) -> Result<(), Rejection> {
    let Some(seconds) = drill_seconds(checks) else {
        return Ok(());
    };
    if let Some(other) = checks.iter().find(|check| check.drill.is_none()) {
        return Err(invalid(format!(
            "spec.checks[{}] is not a drill, and a run with drills takes no other checks; put it in a run of its own",
            other.name
        )));
    }
    if spec.report_only {
        return Err(invalid(
            "spec.reportOnly: a drill is there to be seen in the decision; set drill.marks: false to leave out the marks on the Node"
                .into(),
        ));
    }
    if seconds >= spec.deadline_seconds {
        return Err(invalid(format!(
            "spec.deadlineSeconds is {}, but the drills take {seconds} s (drill.seconds); set a longer deadline",
            spec.deadline_seconds
        )));
    }
    Ok(())
}

/// A work order has room for one plan of slots, so a run can have only one check between nodes.
fn group(checks: &[CheckSpec]) -> Result<(), Rejection> {
    let groups: Vec<&CheckSpec> =
        checks.iter().filter(|c| c.kind().is_some_and(|k| k.class() == Class::Group)).collect();
    if let [first, second, ..] = groups.as_slice() {
        return Err(invalid(format!(
            "spec.checks: {} and {} both test between nodes, but a run takes only one such check; create a run for each",
            first.name, second.name
        )));
    }
    let sample = groups.iter().find(|c| {
        let ping = c.ping.as_ref().and_then(|p| p.pattern);
        let network = c.network_bandwidth.as_ref().and_then(|p| p.pattern);
        ping.or(network) == Some(Pattern::Sample)
    });
    if let Some(check) = sample {
        return Err(Rejection {
            reason: reason::NOT_IMPLEMENTED,
            message: format!(
                "spec.checks[{}].{}.pattern: Sample is not implemented in this version; use Ring (any number of nodes) or AllPairs (up to 64)",
                check.name,
                check.kind().map_or("", Check::name)
            ),
        });
    }
    Ok(())
}
