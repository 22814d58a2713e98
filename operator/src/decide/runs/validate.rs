//! Whether a spec says what to do. The API server refuses what is refused here; this catches what came around it
//! (validation switched off, an older CustomResourceDefinition).

use super::{course::drill_seconds, freeze::Rejection};
use crds::{
    Check, CheckSpec, Scale, Severity,
    check::{Class, Custom, Drill, Pattern},
    health_check_run::HealthCheckRunSpec,
    level, reason,
};
use std::collections::BTreeSet;

/// The largest `maxConcurrent`, the most checks of a run, the longest deadline and time to live: as in the schema.
const MAX_CHECKS: usize = 16;
const MAX_CONCURRENT: i64 = 1_000;
const MAX_DEADLINE_SECONDS: i64 = 604_800;
const MAX_TTL_SECONDS: i64 = 31_536_000;

fn invalid(message: String) -> Rejection {
    Rejection { reason: reason::INVALID_SPEC, message }
}

/// The checks that the spec asks for, or why it cannot be run.
pub(super) fn validate(spec: &HealthCheckRunSpec) -> Result<Vec<CheckSpec>, Rejection> {
    targets(spec)?;
    limits(spec)?;
    let checks = checks(spec)?;
    let mut names = BTreeSet::new();
    for check in &checks {
        if !is_name(&check.name) {
            return Err(invalid(format!(
                "spec.checks: the name {:?} must be of lower-case letters, digits and hyphens, at most 63",
                check.name
            )));
        }
        if !names.insert(check.name.as_str()) {
            return Err(invalid(format!(
                "spec.checks: the name {:?} is given twice; give each check a name of its own",
                check.name
            )));
        }
        kind(check)?;
        ranges(check)?;
        if let Some(program) = &check.custom {
            custom(&check.name, program)?;
        }
        if let Some(rehearsal) = &check.drill {
            drill(&check.name, rehearsal)?;
        }
    }
    group(&checks)?;
    drills(spec, &checks)?;
    Ok(checks)
}

fn targets(spec: &HealthCheckRunSpec) -> Result<(), Rejection> {
    match (&spec.targets.node_names, &spec.targets.node_selector) {
        (Some(_), Some(_)) => Err(invalid(
            "spec.targets: nodeNames and nodeSelector are both given; exactly one is needed".into(),
        )),
        (None, None) => Err(invalid(
            "spec.targets: exactly one of nodeNames and nodeSelector is needed; nodeSelector: {} selects every accelerator node"
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
        None => true,
        Some(Scale::Nodes(nodes)) => (1..=MAX_CONCURRENT).contains(&nodes),
        Some(Scale::Percent(percent)) => (1..=100).contains(&percent),
    };
    if !in_range {
        return Err(invalid(
            "spec.maxConcurrent must be a number of nodes from 1 to 1000 or a percentage from 1% to 100%, for example 10%"
                .into(),
        ));
    }
    number("spec.deadlineSeconds", Some(spec.deadline_seconds), 1, MAX_DEADLINE_SECONDS)?;
    number("spec.ttlSecondsAfterFinished", spec.ttl_seconds_after_finished, 0, MAX_TTL_SECONDS)
}

fn checks(spec: &HealthCheckRunSpec) -> Result<Vec<CheckSpec>, Rejection> {
    match (&spec.checks, &spec.level) {
        (Some(_), Some(_)) => Err(invalid("spec: checks and level are both given; exactly one is needed".into())),
        (None, None) => {
            Err(invalid("spec: exactly one of checks and level is needed, for example level: basic".into()))
        }
        (Some(checks), None) if checks.is_empty() || checks.len() > MAX_CHECKS => {
            Err(invalid(format!("spec.checks holds {} checks; a run takes 1 to {MAX_CHECKS}", checks.len())))
        }
        (Some(checks), None) => Ok(checks.clone()),
        (None, Some(name)) => level::checks_of(name).ok_or_else(|| Rejection {
            reason: reason::UNKNOWN_CHECK,
            message: format!(
                "spec.level: there is no level {name:?} in this version; known: {}",
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
                "spec.checks[{}] names no kind of check that this version knows; exactly one is needed, for example networkBandwidth: {{}}",
                check.name
            ),
        }),
        several => Err(invalid(format!(
            "spec.checks[{}] names {}; exactly one kind is needed in each check",
            check.name,
            several.iter().map(|c| c.name()).collect::<Vec<_>>().join(" and ")
        ))),
    }
}

fn number(field: &str, value: Option<i64>, lowest: i64, highest: i64) -> Result<(), Rejection> {
    match value {
        Some(value) if !(lowest..=highest).contains(&value) => {
            Err(invalid(format!("{field} is {value}; it must be from {lowest} to {highest}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Field, value, lowest and highest of every number of a check; the same ranges as in the schema.
fn numbers(check: &CheckSpec) -> Vec<(&'static str, Option<i64>, i64, i64)> {
    let mut numbers = Vec::new();
    if let Some(c) = &check.pcie_bandwidth {
        let field = "pcieBandwidth.minMegabytesPerSecond";
        numbers.push((field, c.min_megabytes_per_second, 1, 10_000_000));
    }
    if let Some(c) = &check.gpu_memory {
        numbers.push(("gpuMemory.passes", c.passes, 1, 1_000));
    }
    if let Some(c) = &check.dcgm_diag {
        numbers.push(("dcgmDiag.level", c.level, 1, 4));
    }
    if let Some(c) = &check.stress {
        numbers.push(("stress.minutes", c.minutes, 1, 1_440));
        let caps = c.power_caps_percent.iter();
        numbers.extend(caps.map(|cap| ("stress.powerCapsPercent", Some(*cap), 10, 100)));
    }
    if let Some(c) = &check.ping {
        numbers.push(("ping.maxLossPercent", c.max_loss_percent, 0, 100));
    }
    if let Some(c) = &check.network_bandwidth {
        let floor = c.min_megabits_per_second;
        numbers.push(("networkBandwidth.streams", c.streams, 1, 128));
        numbers.push(("networkBandwidth.durationSeconds", c.duration_seconds, 1, 300));
        numbers.push(("networkBandwidth.minMegabitsPerSecond", floor, 1, 10_000_000));
        if let Some(ports) = &c.ports {
            for (field, port) in
                [("networkBandwidth.ports.first", ports.first), ("networkBandwidth.ports.last", ports.last)]
            {
                numbers.push((field, Some(port), 1_024, 65_535));
            }
        }
    }
    if let Some(c) = &check.rdma_bandwidth {
        let field = "rdmaBandwidth.minMegabitsPerSecond";
        numbers.push((field, c.min_megabits_per_second, 1, 10_000_000));
    }
    if let Some(c) = &check.nccl {
        numbers.push(("nccl.sizeMiB", c.size_mib, 1, 65_536));
    }
    if let Some(c) = &check.pvc {
        numbers.push(("pvc.sizeMiB", c.size_mib, 1, 1_048_576));
    }
    if let Some(c) = &check.custom {
        numbers.push(("custom.timeoutSeconds", c.timeout_seconds, 1, 86_400));
    }
    if let Some(c) = &check.drill {
        numbers.push(("drill.seconds", Some(c.seconds), 1, 86_400));
    }
    numbers
}

fn ranges(check: &CheckSpec) -> Result<(), Rejection> {
    for (field, value, lowest, highest) in numbers(check) {
        let field = format!("spec.checks[{}].{field}", check.name);
        number(&field, value, lowest, highest)?;
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
    let is_program =
        !program.is_empty() && program.len() <= 63 && program.chars().all(allowed) && !program.starts_with('-');
    if !is_program {
        return Err(invalid(format!(
            "spec.checks[{check}].custom.program {program:?} must be the name of a program in the mounted directory (lower-case letters, digits, hyphens), never a path or a command line"
        )));
    }
    if let Some(key) = custom.env.keys().find(|key| !key.starts_with("CHECK_")) {
        return Err(invalid(format!("spec.checks[{check}].custom.env: the key {key:?} must begin with CHECK_")));
    }
    if custom.args.len() > 16 || custom.env.len() > 16 {
        return Err(invalid(format!("spec.checks[{check}].custom: at most 16 args and 16 variables in env")));
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
    let is_word = finding.reason.starts_with(|c: char| c.is_ascii_uppercase())
        && finding.reason.len() <= 58
        && finding.reason.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_word {
        return Err(invalid(format!(
            "spec.checks[{check}].drill.finding.reason {:?} must be one word in PascalCase of at most 58 letters and digits, for example FallenOffTheBus",
            finding.reason
        )));
    }
    if finding.target.as_ref().is_some_and(|target| target.is_empty() || target.len() > 64) {
        return Err(invalid(format!(
            "spec.checks[{check}].drill.finding.target must be a PCI address of at most 64 characters, or node; leave it out for node"
        )));
    }
    Ok(())
}

/// What is real and what is not must not be in one result; and a drill must fit into its run, so that it ends by itself.
fn drills(spec: &HealthCheckRunSpec, checks: &[CheckSpec]) -> Result<(), Rejection> {
    let Some(seconds) = drill_seconds(checks) else {
        return Ok(());
    };
    if let Some(other) = checks.iter().find(|check| check.drill.is_none()) {
        return Err(invalid(format!(
            "spec.checks[{}] is no drill, and a run of drills takes nothing else; create a run for each",
            other.name
        )));
    }
    if seconds >= spec.deadline_seconds {
        return Err(invalid(format!(
            "spec.deadlineSeconds is {}, and the drills take {seconds} s (drill.seconds); it must be longer",
            spec.deadline_seconds
        )));
    }
    Ok(())
}

/// A work order carries one plan of slots, so that a run has room for one check between nodes.
fn group(checks: &[CheckSpec]) -> Result<(), Rejection> {
    let groups: Vec<&CheckSpec> =
        checks.iter().filter(|c| c.kind().is_some_and(|k| k.class() == Class::Group)).collect();
    if let [first, second, ..] = groups.as_slice() {
        return Err(invalid(format!(
            "spec.checks: {} and {} are both checks between nodes, and a run takes one; create a run for each",
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
                "spec.checks[{}].{}.pattern: Sample is not built in this version; use Ring (any number of nodes) or AllPairs (up to 64)",
                check.name,
                check.kind().map_or("", Check::name)
            ),
        });
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 63 && name.chars().all(allowed) && !name.starts_with('-') && !name.ends_with('-')
}
