//! Translates between the core and the runner: a probe becomes a request, and its outcome a measurement. Pure.

use super::checks::{CHECKS, ProbeCheck};
use super::probe::{Measured, Probe};
use crate::probe::Nothing;
use crate::probe::driver::{STALE_EXIT, SamplerParameters};
use crate::probe::registry::{self, ProbeRow};
use crate::probe::tools::iperf::{IperfClientAsked, IperfClientParameters, IperfServerAsked, IperfServerParameters};
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
pub fn request(probe: &Probe, deadline_ms: u64) -> Result<ProbeRequest, Measured> {
    let deadline = Duration::from_millis(deadline_ms.clamp(1, crate::runner::protocol::MAX_DEADLINE_MS));
    let spec = match probe {
        Probe::Check { spec, .. } => row(spec.kind())?.request(spec, deadline_ms)?,
        Probe::Restore { check, .. } => row(Some(*check))?.restore()?,
        Probe::Sampler => sent::<SamplerParameters>(&Nothing {})?,
        Probe::Tree => sent::<TreeParameters>(&Nothing {})?,
        Probe::Serve { address, port, password, partners, until_unix_ms } => {
            sent::<IperfServerParameters>(&IperfServerAsked {
                bind: *address,
                port: *port,
                password: Some(password.clone()),
                partners: partners.clone(),
                until_unix_ms: *until_unix_ms,
            })?
        }
        Probe::Send { address, port, streams, seconds, password, until_unix_ms } => {
            sent::<IperfClientParameters>(&IperfClientAsked {
                server: *address,
                port: *port,
                bind: None,
                streams: *streams,
                seconds: *seconds,
                password: Some(password.clone()),
                connect_timeout_ms: CONNECT_MS,
                until_unix_ms: *until_unix_ms,
            })?
        }
    };
    Ok(ProbeRequest::new(spec, deadline))
}

fn sent<P: crate::probe::Probe>(asked: &P::Asked) -> Result<ProbeSpec, Measured> {
    registry::spec::<P>(asked).map_err(|why| Measured::unknown(reason::TOOL_ERROR, why))
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
        ProbeOutcome::RunnerSilent(why) => (Measured::unknown(reason::RUNNER_SILENT, why), 0),
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
    fn a_program_gets_less_time_than_the_probe_around_it() {
        let asked = request(&program(), 10_000).unwrap();
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
            (ProbeOutcome::RunnerSilent("no".into()), reason::RUNNER_SILENT),
        ] {
            assert_eq!(reason_of(&Probe::Tree, outcome.clone()), reason, "{outcome:?}");
        }
        let crashed = ended(End::Signaled { signal: 11 }, "");
        assert_eq!(reason_of(&Probe::Sampler, crashed), reason::SAMPLER_CRASHED);
        assert_eq!(reason_of(&Probe::Sampler, ended(End::Exited { code: 0 }, "")), reason::TOOL_ERROR);
    }
}
