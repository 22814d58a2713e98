//! Which fields of a policy this version does not act on.

use super::{
    AcceleratedHardwareReady, AwsOutput, Budget, DeviceTaints, Effect, NodeHealthPolicySpec, OptionalOutput, Outputs,
    PolicyMonitor, Rule,
};

/// The fields that are set although this version does not act on them, as paths below `spec`. Fields are taken apart
/// completely, so that a new one does not compile until somebody has said here whether it is built.
pub fn unbuilt(spec: &NodeHealthPolicySpec) -> Vec<&'static str> {
    let NodeHealthPolicySpec {
        node_selector: _,
        include_non_accelerator,
        priority: _,
        mode: _,
        monitors,
        schedules,
        rules,
        gate,
        budget: Budget { max_unavailable: _, minimum: _, per_domain: _ },
        storm,
        certify,
        levels,
        custom_checks,
        drills: _,
        boot_grace_seconds: _,
        condemn_old_log: _,
        outputs,
        release_all: _,
    } = spec;
    let has_thresholds = |monitor: &PolicyMonitor| {
        let PolicyMonitor { name: _, enabled: _, interval_seconds: _, thresholds } = monitor;
        !thresholds.is_empty()
    };
    let mut unbuilt: Vec<&'static str> = [
        (*include_non_accelerator, "includeNonAccelerator"),
        (monitors.iter().any(has_thresholds), "monitors[].thresholds"),
        (!schedules.is_empty(), "schedules"),
        (gate.is_some(), "gate"),
        (storm.is_some(), "storm"),
        (!certify.is_empty(), "certify"),
        (!levels.is_empty(), "levels"),
        (custom_checks.is_some(), "customChecks"),
    ]
    .into_iter()
    .filter_map(|(is_set, field)| is_set.then_some(field))
    .collect();
    unbuilt.extend(in_outputs(outputs));
    for field in rules.iter().flat_map(in_rule) {
        if !unbuilt.contains(&field) {
            unbuilt.push(field);
        }
    }
    unbuilt
}

fn in_outputs(outputs: &Outputs) -> impl Iterator<Item = &'static str> {
    let Outputs {
        node_condition: _,
        labels: _,
        taints: _,
        annotation: _,
        pod_condition,
        accelerated_hardware_ready,
        device_taints,
        autopilot,
        aws,
        amd,
    } = outputs;
    let is_on = |output: Option<&OptionalOutput>| output.is_some_and(|OptionalOutput { enabled }| *enabled);
    let is_ready_on =
        matches!(accelerated_hardware_ready, Some(AcceleratedHardwareReady { enabled: true, after_seconds: _ }));
    [
        (is_on(pod_condition.as_ref()), "outputs.podCondition"),
        (is_ready_on, "outputs.acceleratedHardwareReady"),
        (matches!(device_taints, Some(DeviceTaints { enabled: true, effect: _ })), "outputs.deviceTaints"),
        (is_on(autopilot.as_ref()), "outputs.autopilot"),
        (matches!(aws, Some(AwsOutput { enabled: true, prefix: _ })), "outputs.aws"),
        (is_on(amd.as_ref()), "outputs.amd"),
    ]
    .into_iter()
    .filter_map(|(is_set, field)| is_set.then_some(field))
}

fn in_rule(rule: &Rule) -> impl Iterator<Item = &'static str> {
    let Rule { name: _, match_: _, after, effect, lift, even_in_storm, min_precision_percent } = rule;
    let (severity, condition, run) = match effect {
        None => (false, false, false),
        Some(Effect { severity, taint: _, condition, run }) => (severity.is_some(), !condition, run.is_some()),
    };
    [
        (after.is_some(), "rules[].after"),
        (severity, "rules[].effect.severity"),
        (condition, "rules[].effect.condition"),
        (run, "rules[].effect.run"),
        (lift.is_some(), "rules[].lift"),
        (*even_in_storm, "rules[].evenInStorm"),
        (min_precision_percent.is_some(), "rules[].minPrecisionPercent"),
    ]
    .into_iter()
    .filter_map(|(is_set, field)| is_set.then_some(field))
}

impl Rule {
    /// Whether the rule says when it applies only in terms that this version knows. A rule of which a part is missing
    /// might do more than its author wants, so it does nothing.
    pub fn is_applied(&self) -> bool {
        self.after.is_none()
            && self.min_precision_percent.is_none()
            && self.effect.as_ref().is_none_or(|effect| effect.severity.is_none())
    }
}
