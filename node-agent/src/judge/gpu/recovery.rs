//! `recoveryAction`: the recovery action that the driver reports for a GPU (NVML field 230).

use crate::judge::core::tally::{Answer, Tally};
use crate::judge::core::{Ground, Judged, Page, Rule};
use crate::readings::sample::Section;
use crate::xid::recovery;
use crds::check::Check;
use crds::{Outcome, Severity};

#[cfg(test)]
pub(in crate::judge) mod tests;

/// What the check can find: a row for each value but None, with the severities of [`recovery::ACTIONS`].
#[rustfmt::skip]
pub static RULES: &[Rule] = &[
    row("RecoveryGpuReset", Outcome::Fail, Severity::Reset, "Field 230 is 1, GPU reset.", "Drain the node and reset the GPU."),
    row("RecoveryNodeReboot", Outcome::Fail, Severity::Reboot, "Field 230 is 2, node reboot.", "Drain and reboot the node."),
    row("RecoveryDrainPeers", Outcome::Fail, Severity::Reset, "Field 230 is 3, drain peer-to-peer traffic.", "Start nothing new on the node; the driver then changes the action to None or to a reset by itself."),
    row("RecoveryDrainAndReset", Outcome::Fail, Severity::Reset, "Field 230 is 4, drain and reset.", "Drain the node and reset the GPU."),
    row("RecoveryImexDomain", Outcome::Warn, Severity::Monitor, "Field 230 is 5, recover the IMEX domain.", "Restart the IMEX daemons of the domain; no action on this node alone cures it."),
    row("RecoveryBusReset", Outcome::Fail, Severity::Reset, "Field 230 is 6, bus reset.", "Drain the node and reset the GPU with `nvidia-smi -r bus`."),
    row("RecoverySystemReboot", Outcome::Fail, Severity::Reboot, "Field 230 is 7, system reboot.", "Drain and reboot the node."),
];

const fn row(
    reason: &'static str,
    outcome: Outcome,
    severity: Severity,
    when: &'static str,
    act: &'static str,
) -> Rule {
    Rule {
        reason,
        outcome,
        severity,
        when,
        lifts: "Field 230 is 0, None.",
        act,
        source: "nvml.h, NVML_FI_DEV_GET_GPU_RECOVERY_ACTION; open-gpu-kernel-modules 595.45.04 gpu.c; the same table judges Xid 154",
    }
}

/// The page of this check.
pub static PAGE: Page = Page {
    check: Check::RecoveryAction,
    means: "For each GPU the driver names the action that would recover it. This check reports that action: it is the driver's own verdict, and it remains after the log line that announced it is gone.",
    measured: "nvmlDeviceGetFieldValues, field 230. GPUs and drivers without the field (before R565) are not covered. A value that no source documents is not judged, and the GPU is not covered.",
    profile: &[],
    metrics: &["gpu_health_gpu_recovery_action"],
    rules: RULES,
};

/// Judges the last readings.
pub fn judge(ground: &Ground<'_>) -> Judged {
    let gpus = match ground.driver(Section::RecoveryAction) {
        Ok(gpus) => gpus,
        Err(judged) => return *judged,
    };
    let mut tally = Tally::new(&PAGE, ground);
    for gpu in gpus {
        let value = gpu.recovery_action.as_ref().and_then(|reading| reading.action);
        let action = value.and_then(recovery::by_value);
        let name = tally.name(&gpu.pci);
        let answers = RULES.iter().map(|rule| {
            let is_this = action.map(|action| action.reason == rule.reason);
            (rule.reason, Answer::when(is_this, || said(&name, action)))
        });
        tally.ask(&gpu.pci, answers);
    }
    tally.judged()
}

fn said(name: &str, action: Option<&recovery::RecoveryAction>) -> (String, String) {
    let (value, what) = action.map_or((recovery::NONE, ""), |action| (action.value, action.name));
    (format!("{name}: the driver asks for \"{what}\""), format!("recovery action {value} ({what})"))
}
