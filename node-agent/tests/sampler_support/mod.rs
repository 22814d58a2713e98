//! A sampler behind a real runner, what is asked of it and what it answers.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use node_agent::readings::sample::{Sample, Section};
use node_agent::readings::talk::{Ask, Said};
use node_agent::runner::client::{ProbeOutcome, ProbeRequest, Runner, RunnerCommand, RunnerState, RunningProbe};
use node_agent::runner::protocol::Finished;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::probe_support::runners::{CALL_DEADLINE_MS, sampler, with_patience};
use crate::probe_support::{AGENT, Simulated, simulated_nvml};

const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Talking {
    pub(crate) devices: tempfile::TempDir,
    runner: Runner,
    pub(crate) probe: RunningProbe,
    lines: mpsc::Receiver<String>,
    last: u64,
}

impl Talking {
    pub(crate) async fn with(simulated: &Simulated) -> Self {
        Self::start(&simulated_nvml(), Some(&simulated.path())).await
    }

    /// With its own deadline for the start of the library.
    pub(crate) async fn patient(simulated: &Simulated, init_deadline_ms: u64) -> Self {
        Self::launch(&simulated_nvml(), Some(&simulated.path()), init_deadline_ms).await
    }

    pub(crate) async fn start(library: &Path, state: Option<&Path>) -> Self {
        Self::launch(library, state, CALL_DEADLINE_MS).await
    }

    /// Behind a runner that has these variables in its environment.
    pub(crate) async fn in_environment(simulated: &Simulated, variables: &[(&str, &str)]) -> Self {
        let state = simulated.path();
        let of_state = [("SIMULATED_NVML_STATE".into(), state.as_os_str().to_owned())];
        let others = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Self::spawn(&simulated_nvml(), of_state.into_iter().chain(others).collect(), CALL_DEADLINE_MS).await
    }

    async fn launch(library: &Path, state: Option<&Path>, init_deadline_ms: u64) -> Self {
        let variables = state.map(|state| ("SIMULATED_NVML_STATE".into(), state.into())).into_iter().collect();
        Self::spawn(library, variables, init_deadline_ms).await
    }

    async fn spawn(library: &Path, environment: Vec<(OsString, OsString)>, init_deadline_ms: u64) -> Self {
        let devices = tempfile::tempdir().unwrap();
        let brisk = ["--kill-grace-ms=200", "--unkillable-after-ms=2000"].map(OsString::from);
        let places = with_patience(library, devices.path(), init_deadline_ms).into_iter().map(OsString::from);
        let runner = Runner::spawn_child_with(RunnerCommand {
            binary: AGENT.into(),
            arguments: brisk.into_iter().chain(places).collect(),
            environment,
        });
        let (probe, lines) = begin(&runner).await;
        Self { devices, runner, probe, lines, last: 0 }
    }

    /// Another sampler, after the end of the one before.
    pub(crate) async fn again(&mut self) {
        (self.probe, self.lines) = begin(&self.runner).await;
    }

    pub(crate) fn ask(&mut self, sections: &[Section]) {
        self.ask_with(sections, false);
    }

    pub(crate) fn ask_with(&mut self, sections: &[Section], reload: bool) {
        self.last += 1;
        let ask = Ask { id: self.last, sections: sections.to_vec(), reload, timings: false };
        self.probe.say(serde_json::to_string(&ask).unwrap());
    }

    pub(crate) async fn said(&mut self) -> Said {
        let line = timeout(PATIENCE, self.lines.recv()).await.expect("the sampler says nothing");
        serde_json::from_str(&line.expect("the sampler has ended")).unwrap()
    }

    pub(crate) async fn sample(&mut self, sections: &[Section]) -> Sample {
        self.ask(sections);
        self.answer().await
    }

    /// The answer to the last question.
    pub(crate) async fn answer(&mut self) -> Sample {
        match self.said().await {
            Said::Sample { id, sample } if id == self.last => *sample,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn end(&mut self) -> Finished {
        let outcome = timeout(PATIENCE, self.probe.ended()).await.expect("the sampler does not end");
        let ProbeOutcome::Finished(finished) = outcome else { panic!("{outcome:?}") };
        finished
    }

    /// The process of the sampler: the one child of the runner.
    pub(crate) fn pid(&self) -> i32 {
        let RunnerState::Ready { pid: Some(pid) } = *self.runner.state().borrow() else { panic!("no runner") };
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.trim().parse().expect("one child")
    }
}

async fn begin(runner: &Runner) -> (RunningProbe, mpsc::Receiver<String>) {
    runner.start_talking(ProbeRequest::new(sampler(), Duration::from_secs(300))).await
}
