//! Translates between the core and the runner: a probe becomes a request, and its outcome a measurement. Pure.

use super::checks::{CHECKS, ProbeCheck};
use super::places::Places;
use super::probe::{Measured, Probe};
use crate::probe::driver::{STALE_EXIT, SamplerParameters};
use crate::probe::registry::{self, ProbeRow};
use crate::probe::tools::iperf::{IperfClientParameters, IperfServerParameters};
use crate::probe::tree::TreeParameters;
use crate::readings::ProbeReport;
use crate::runner::client::{ProbeOutcome, ProbeRequest};
use crate::runner::protocol::{End, Finished, ProbeSpec};
use crds::check::Check;
use crds::reason;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The limit of one TCP connect of iperf3, in milliseconds.
const CONNECT_MS: u64 = 2_000;

/// The request to the runner, or why there is none.
pub fn request(probe: &Probe, deadline_ms: u64, places: &Places) -> Result<ProbeRequest, Measured> {
    let deadline = Duration::from_millis(deadline_ms.clamp(1, crate::runner::protocol::MAX_DEADLINE_MS));
    let spec = match probe {
        Probe::Check { spec, .. } => row(spec.kind())?.request(spec, deadline_ms, places)?,
        Probe::Restore { check, .. } => row(Some(*check))?.restore(places)?,
        Probe::Sampler => sent(&SamplerParameters {
            nvml_library: places.nvml_library.clone(),
            dev_root: places.dev_root.clone(),
            sysfs_root: places.sysfs_root.clone(),
            call_deadline_ms: places.call_deadline_ms,
            init_deadline_ms: places.init_deadline_ms,
            first_ask: None,
        })?,
        Probe::Tree => {
            sent(&TreeParameters { sysfs_root: places.sysfs_root.clone(), proc_root: places.proc_root.clone() })?
        }
        Probe::Serve { address, port, until_unix_ms } => sent(&IperfServerParameters {
            iperf3: places.iperf3.clone(),
            bind: *address,
            port: *port,
            until_unix_ms: *until_unix_ms,
        })?,
        Probe::Send { address, port, streams, seconds, until_unix_ms } => sent(&IperfClientParameters {
            iperf3: places.iperf3.clone(),
            server: *address,
            port: *port,
            bind: None,
            streams: *streams,
            seconds: *seconds,
            connect_timeout_ms: CONNECT_MS,
            until_unix_ms: *until_unix_ms,
        })?,
    };
    Ok(ProbeRequest::new(spec, deadline))
}

fn sent<P: crate::probe::Probe>(parameters: &P) -> Result<ProbeSpec, Measured> {
    registry::spec(parameters).map_err(|why| Measured::unknown(reason::TOOL_ERROR, why))
}

fn row(check: Option<Check>) -> Result<&'static ProbeCheck, Measured> {
    let row = check.and_then(|check| ProbeCheck::of(check, CHECKS));
    row.ok_or_else(|| Measured::unknown(reason::NOT_IMPLEMENTED, "no probe answers this check".to_owned()))
}

/// The measurement from the outcome of a probe, and how long it took in milliseconds, if known.
pub fn read(probe: &Probe, outcome: ProbeOutcome) -> (Measured, u64) {
    match outcome {
        ProbeOutcome::Finished(finished) => {
            let duration_ms = finished.duration_ms;
            (read_finished(probe, finished), duration_ms)
        }
        ProbeOutcome::Refused(why) => {
            (Measured::unknown(reason::TOOL_ERROR, format!("the runner refused the probe: {why}")), 0)
        }
        ProbeOutcome::RunnerGone(why) => (Measured::unknown(reason::RUNNER_GONE, why), 0),
    }
}

fn read_finished(probe: &Probe, finished: Finished) -> Measured {
    let name = probe.name();
    let said = if finished.stderr_tail.trim().is_empty() { &finished.stdout } else { &finished.stderr_tail };
    let said = said.trim();
    match finished.end {
        End::Exited { code: 0 } => match probe {
            Probe::Sampler => Measured::unknown(reason::TOOL_ERROR, format!("the sampler exited unexpectedly: {said}")),
            Probe::Tree => parse(name, &finished.stdout, |report| Measured::Tree(Box::new(report))),
            Probe::Check { .. } | Probe::Restore { .. } => read_report(name, &finished.stdout),
            Probe::Serve { .. } | Probe::Send { .. } => {
                parse(name, &finished.stdout, |report| Measured::Iperf(Box::new(report)))
            }
        },
        End::Exited { code: STALE_EXIT } if *probe == Probe::Sampler => Measured::unknown(
            reason::AGENT_LIBRARY_STALE,
            "the driver was upgraded under the agent, which still has the library of the old one: it is started anew; the node is not at fault".to_owned(),
        ),
        End::Exited { code } => {
            Measured::unknown(reason::TOOL_ERROR, format!("the {name} probe exited with {code}: {said}"))
        }
        End::Signaled { signal } if *probe == Probe::Sampler => Measured::unknown(
            reason::SAMPLER_CRASHED,
            format!("the process that holds the driver's library was killed by signal {signal}: {said}"),
        ),
        End::Signaled { signal } => {
            Measured::unknown(reason::PROGRAM_KILLED, format!("the {name} probe was killed by signal {signal}: {said}"))
        }
        End::DeadlineExceeded => Measured::unknown(
            reason::PROBE_DEADLINE_EXCEEDED,
            format!("the {name} probe did not finish within {} ms: {said}", finished.duration_ms),
        ),
        End::Stopped => Measured::unknown(reason::INTERRUPTED, format!("the {name} probe was stopped")),
        End::OutputTooLong => {
            Measured::unknown(reason::OUTPUT_TOO_LONG, format!("the {name} probe printed more than the output limit"))
        }
        End::CouldNotStart { reason } => {
            Measured::unknown(reason::TOOL_ERROR, format!("the {name} probe could not be started: {reason}"))
        }
        End::Unkillable { pid } => Measured::unknown(
            reason::CHILD_UNKILLABLE,
            format!(
                "the {name} probe (process {pid}) cannot be killed: it is stuck in the kernel, most likely in the driver"
            ),
        ),
    }
}

fn read_report(name: &str, stdout: &str) -> Measured {
    match ProbeRow::named(name).map(|row| (row.read_report)(stdout)) {
        Some(Ok(report)) => Measured::Report(report),
        Some(Err(error)) => Measured::unknown(reason::UNKNOWN_OUTPUT, error.to_string()),
        None => Measured::unknown(reason::NOT_IMPLEMENTED, format!("there is no probe {name}")),
    }
}

fn parse<T: DeserializeOwned>(name: &str, stdout: &str, wrap: impl FnOnce(T) -> Measured) -> Measured {
    match ProbeReport::parse(name, stdout) {
        Ok(report) => wrap(report),
        Err(error) => Measured::unknown(reason::UNKNOWN_OUTPUT, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::CheckSpec;
    use crds::check::Custom;

    fn places() -> Places {
        Places {
            sysfs_root: "/sys".into(),
            proc_root: "/proc".into(),
            dev_root: "/dev".into(),
            call_deadline_ms: 10_000,
            init_deadline_ms: 120_000,
            nvml_library: "libnvidia-ml.so.1".into(),
            custom_directory: None,
            custom_same_user: false,
            iperf3: "iperf3".into(),
        }
    }

    fn program() -> Probe {
        let spec = CheckSpec { custom: Some(Custom::default()), ..CheckSpec::default() };
        Probe::Check { probe: "custom", spec: Box::new(spec) }
    }

    fn ended(end: End, stdout: &str) -> ProbeOutcome {
        let (stdout, stderr_tail) = (stdout.to_owned(), String::new());
        ProbeOutcome::Finished(Finished { id: 1, end, stdout, stderr_tail, duration_ms: 7 })
    }

    fn reason_of(probe: &Probe, outcome: ProbeOutcome) -> String {
        match read(probe, outcome).0 {
            Measured::Unknown { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_without_a_directory_is_not_found_and_the_flag_is_named() {
        let error = request(&program(), 1_000, &places()).unwrap_err();
        let Measured::Unknown { reason, message } = error else { panic!("{error:?}") };
        assert_eq!(reason, reason::PROGRAM_NOT_FOUND);
        assert!(message.contains("--custom-directory"), "{message}");
    }

    #[test]
    fn a_program_gets_less_time_than_the_probe_around_it() {
        let places = Places { custom_directory: Some("/checks".into()), ..places() };
        let asked = request(&program(), 10_000, &places).unwrap();
        let deadline_ms = asked.probe.parameters["deadlineMs"].as_u64();
        assert_eq!((deadline_ms, asked.deadline), (Some(8_000), Duration::from_secs(10)));
    }

    #[test]
    fn every_way_to_end_without_a_report_has_a_reason_of_its_own() {
        for (outcome, reason) in [
            (ended(End::Exited { code: 0 }, "Segmentation fault"), reason::UNKNOWN_OUTPUT),
            (ended(End::Exited { code: 1 }, ""), reason::TOOL_ERROR),
            (ended(End::Signaled { signal: 11 }, ""), reason::PROGRAM_KILLED),
            (ended(End::DeadlineExceeded, ""), reason::PROBE_DEADLINE_EXCEEDED),
            (ended(End::Stopped, ""), reason::INTERRUPTED),
            (ended(End::OutputTooLong, ""), reason::OUTPUT_TOO_LONG),
            (ended(End::CouldNotStart { reason: "no".into() }, ""), reason::TOOL_ERROR),
            (ended(End::Unkillable { pid: 9 }, ""), reason::CHILD_UNKILLABLE),
            (ProbeOutcome::Refused("no".into()), reason::TOOL_ERROR),
            (ProbeOutcome::RunnerGone("no".into()), reason::RUNNER_GONE),
        ] {
            assert_eq!(reason_of(&Probe::Tree, outcome.clone()), reason, "{outcome:?}");
        }
        let crashed = ended(End::Signaled { signal: 11 }, "");
        assert_eq!(reason_of(&Probe::Sampler, crashed), reason::SAMPLER_CRASHED);
        assert_eq!(reason_of(&Probe::Sampler, ended(End::Exited { code: 0 }, "")), reason::TOOL_ERROR);
    }
}
