//! What nodes measured in a run, as objects of their own: they outlive the reports.

use super::{
    collect,
    course::Course,
    texts::{known, known_severity, word},
    view::{is_at_work, run_report_of},
};
use crate::{
    key::{Key, Kind},
    world::World,
};
use crds::{
    CheckSpec, HealthCheckResult, Outcome,
    condition::truncate,
    health_check_result::{
        CheckRecord, HealthCheckResultSpec, MAX_RESULT_EDGES, MAX_VALUES, MeasuredValue, ObjectId, ResultSummary,
        label_value, name_of,
    },
    health_check_run::{NetworkEdge, Target, TargetState},
    names,
    node_health::{Aggregate, CheckResult, RunReport},
    text::{key, plain},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// The largest integer that JSON parsers agree on.
const MAX_INTEGER: i64 = 9_007_199_254_740_991;
/// The most checks of a run.
const MAX_CHECKS: usize = 16;
/// The longest duration, in milliseconds.
const MAX_DURATION_MS: i64 = 604_800_000;

/// What the end of a measurement's name says about its unit.
const UNITS: &[(&str, &str)] =
    &[("mbps", "Mbit/s"), ("gbps", "Gbit/s"), ("mibps", "MiB/s"), ("millis", "ms"), ("micros", "us"), ("percent", "%")];

/// The results of the nodes whose part ends in this decision. One that the API server refused is left out: it must not keep
/// the run from ending.
pub(super) fn of(world: &World, course: &Course<'_>) -> Vec<HealthCheckResult> {
    let before = course.run.status.as_ref().map_or(&[][..], |status| status.targets.as_slice());
    let mut results = Vec::new();
    for (index, target) in course.status.targets.iter().enumerate() {
        let was_at_work = before.get(index).filter(|before| is_at_work(before));
        let Some(was) = was_at_work.filter(|_| target.state == TargetState::Done) else { continue };
        let id = course.id(was.attempt.unwrap_or(1));
        let Some(answer) = run_report_of(world, target, &id).filter(|answer| !answer.results.is_empty()) else {
            continue;
        };
        let result = result(course, target, answer, collect::edges_of(world, course, index, answer));
        let name = result.metadata.name.clone().unwrap_or_default();
        if !world.refused_texts.contains(&Key::new(Kind::Result, name)) {
            results.push(result);
        }
    }
    results
}

fn result(course: &Course<'_>, target: &Target, answer: &RunReport, mut edges: Vec<NetworkEdge>) -> HealthCheckResult {
    edges.truncate(MAX_RESULT_EDGES);
    let asked = course.checks.iter().take(MAX_CHECKS);
    let checks: Vec<CheckRecord> =
        asked.filter_map(|check| Some(record(check, answer.results.iter().find(|r| r.name == check.name)?))).collect();
    let (run, uid) = (course.name(), course.run.metadata.uid.clone().unwrap_or_default());
    let outcome = target.outcome.as_ref().map_or(Outcome::Inconclusive, known);
    let spec = HealthCheckResultSpec {
        run: ObjectId { name: run.to_owned(), uid: uid.clone() },
        node: ObjectId { name: target.node.clone(), uid: target.uid.clone() },
        attempt: target.attempt.unwrap_or(1),
        started_at: answer.started_at,
        finished_at: answer.finished_at,
        outcome,
        summary: summary(&checks),
        checks,
        edges,
    };
    let mut result = HealthCheckResult::new(&name_of(run, &target.node), spec);
    let labels = [(names::LABEL_RUN, run), (names::LABEL_NODE, target.node.as_str())];
    let labels = labels.into_iter().map(|(label, name)| (label.to_owned(), label_value(name)));
    result.metadata.labels = Some(labels.collect());
    result.metadata.owner_references = Some(vec![OwnerReference {
        api_version: format!("{}/{}", names::GROUP, names::VERSION),
        kind: Kind::Run.as_str().to_owned(),
        name: run.to_owned(),
        uid,
        ..OwnerReference::default()
    }]);
    result
}

fn record(check: &CheckSpec, result: &CheckResult) -> CheckRecord {
    let tested = result.tested.iter().take(16).map(|target| key(target, 64)).collect();
    CheckRecord {
        name: check.name.clone(),
        check: key(&result.check, 80),
        outcome: known(&result.outcome),
        severity: known_severity(&result.severity),
        reason: result.reason.as_deref().map(|reason| word(reason, &result.outcome)),
        message: result.message.as_deref().map(|message| plain(message, 256)),
        duration_ms: result.duration_ms.clamp(0, MAX_DURATION_MS),
        tested,
        values: result.aggregates.iter().flat_map(values).take(MAX_VALUES).collect(),
    }
}

/// The lowest, the middle and the highest value; the first belongs to the worst target.
fn values(measured: &Aggregate) -> [MeasuredValue; 3] {
    let name = key(&measured.name, 56);
    let lower = name.to_ascii_lowercase();
    let unit = UNITS.iter().find(|(end, _)| lower.ends_with(end)).map(|(_, unit)| (*unit).to_owned());
    let worst = measured.worst.as_deref().map_or_else(|| names::TARGET_NODE.to_owned(), |worst| key(worst, 253));
    [
        ("min", measured.min, worst),
        ("median", measured.median, names::TARGET_NODE.to_owned()),
        ("max", measured.max, names::TARGET_NODE.to_owned()),
    ]
    .map(|(which, value, target)| MeasuredValue {
        target,
        name: format!("{name}.{which}"),
        unit: unit.clone(),
        value: value.clamp(-MAX_INTEGER, MAX_INTEGER),
        floor: None,
    })
}

/// The columns: the check with the worst outcome, and its first value.
fn summary(checks: &[CheckRecord]) -> ResultSummary {
    let worst = checks.iter().rev().max_by_key(|check| (check.outcome.rank(), check.severity.rank()));
    let value = worst.and_then(|check| check.values.first()).map(|value| {
        let unit = value.unit.as_deref().unwrap_or_default();
        truncate(format!("{} {} {unit}", value.name, value.value).trim_end(), 128)
    });
    let worst = worst.map(|check| {
        let why = check.reason.as_deref().unwrap_or(check.outcome.as_str());
        truncate(&format!("{} {why}", check.name), 128)
    });
    ResultSummary { worst, value }
}
