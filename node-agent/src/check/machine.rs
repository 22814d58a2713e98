//! Looks at this machine: the kernel log, and as many readings of everything else as the checks need.

use super::args::CheckSettings;
use super::coverage::{Seen, gaps};
use super::log_file;
use super::matured;
use super::order::with_profile;
use super::outcome::Looked;
use super::profiles::Chosen;
use crate::agent::{Event, LogEntry};
use crate::judge::{registry, worst_first};
use crate::kernel_log::{Item, KernelLogChoice, KernelLogError, Source, booted_at};
use crate::run::looking::{Look, Looking};
use crate::xid::LineAssembler;
use crds::Time;
use crds::node_health::{CheckRow, Finding, NodeHealthSpec};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// The pause between two readings: longer than the second that a finding must stand to be confirmed by another one.
const BETWEEN_READINGS: Duration = Duration::from_millis(1_100);

/// The machine, looked at once or again and again. What was seen before is kept.
pub(super) struct Looks<'a> {
    settings: &'a CheckSettings,
    looking: Looking,
    log: Log,
    spec: NodeHealthSpec,
    has_profile: bool,
    readings: u32,
}

impl<'a> Looks<'a> {
    pub(super) fn start(settings: &'a CheckSettings) -> Result<Self, Box<dyn std::error::Error>> {
        let booted_at = booted_at(&settings.machine.proc_root).ok().map(|time| Time::from_unix(time.as_second()));
        let (log, first) = Log::open(settings.kernel_log.as_ref(), booted_at);
        let spec = settings.spec.clone();
        let looking = Looking::start(Look {
            spec: spec.clone(),
            machine: settings.machine.clone(),
            log_level: settings.log_level,
            kernel_log: first.map(|entries| (log.name.clone().unwrap_or_default(), entries)),
        })?;
        let has_profile = settings.profiles.as_ref().is_none_or(|profiles| profiles.only().is_some());
        Ok(Self { settings, looking, log, spec, has_profile, readings: 0 })
    }

    /// One look: the first takes as many readings as the checks need, each later one adds a reading.
    pub(super) async fn look(&mut self) -> Result<Looked, Box<dyn std::error::Error>> {
        let needed = if self.settings.quick { 1 } else { registry::readings(&self.spec.monitors) };
        let mut no_profile = None;
        loop {
            self.looking.read().await;
            self.readings = self.readings.saturating_add(1);
            if !self.has_profile {
                no_profile = self.choose_profile()?;
            }
            // A driver that did not answer twice will not answer a third time.
            if self.readings >= needed || self.looking.state().readings().trouble.is_some() {
                break;
            }
            self.looking.go_on_for(BETWEEN_READINGS).await;
        }
        let entries = self.log.more();
        if !entries.is_empty() {
            self.looking.tell(Event::KernelLog { entries, cursor: None });
        }
        if !self.settings.quick {
            self.looking.hear_out().await;
        }
        self.looking.settle_doubts().await;
        self.looking.go_on_for(Duration::ZERO).await;
        Ok(self.seen(no_profile))
    }

    /// Keeps hearing the driver and the sampler meanwhile.
    pub(super) async fn pause(&mut self, time: Duration) {
        self.looking.go_on_for(time).await;
    }

    pub(super) async fn stop(self) {
        self.looking.stop().await;
    }

    /// Chooses among several profiles once the models are known; else says why that cannot be done yet.
    fn choose_profile(&mut self) -> Result<Option<String>, Box<dyn std::error::Error>> {
        let Some(profiles) = &self.settings.profiles else { return Ok(None) };
        match profiles.of_machine(&self.looking.state().inventory().gpus)? {
            Chosen::NoModel(why) => Ok(Some(why)),
            Chosen::Profile(profile) => {
                self.spec = with_profile(self.spec.clone(), profile);
                self.has_profile = true;
                self.looking.expect(self.spec.clone());
                Ok(None)
            }
        }
    }

    fn seen(&self, no_profile: Option<String>) -> Looked {
        let (settings, state) = (self.settings, self.looking.state());
        let is_asked =
            |check: &str| settings.asked.is_empty() || settings.asked.iter().any(|asked| asked.name() == check);
        let mut rows: Vec<CheckRow> = state.rows().iter().filter(|row| is_asked(&row.check)).cloned().collect();
        let mut findings: Vec<Finding> = state.findings().filter(|finding| is_asked(&finding.check)).cloned().collect();
        if let Some(up_seconds) = up_seconds(&settings.machine.proc_root) {
            matured::count_those_of_old_machines(&mut findings, &mut rows, up_seconds);
        }
        let in_mig = |reading: &&crate::readings::sample::GpuReadings| {
            reading.driver.as_ref().is_some_and(|driver| driver.mig == Some(true))
        };
        let mig: BTreeSet<String> =
            state.readings().gpus.values().filter(in_mig).map(|reading| reading.pci.clone()).collect();
        let gpus = &state.inventory().gpus;
        let mut unjudged = gaps(&Seen { rows: &rows, gpus, mig: &mig, readings: self.readings });
        unjudged.extend(no_profile);
        let findings = worst_first(findings.iter()).into_iter().cloned().collect();
        Looked {
            node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            profile: self.spec.profile.clone(),
            kernel_log: self.log.name.clone(),
            inventory: state.inventory().clone(),
            rows,
            findings,
            unjudged,
        }
    }
}

/// How long the machine has been up. Files copied from another one may not say.
fn up_seconds(proc_root: &Path) -> Option<i64> {
    let booted = booted_at(proc_root).ok()?;
    Some(jiff::Timestamp::now().as_second().saturating_sub(booted.as_second()))
}

/// The kernel log as far as it was read.
struct Log {
    name: Option<String>,
    source: Option<Source>,
    /// When this machine booted; only for a source with times of this boot.
    booted_at: Option<Time>,
    lines: LineAssembler,
}

impl Log {
    /// Opens it and reads what it holds; or why it cannot be read.
    fn open(choice: Option<&KernelLogChoice>, booted_at: Option<Time>) -> (Self, Result<Vec<LogEntry>, String>) {
        let mut log = Self { name: None, source: None, booted_at, lines: LineAssembler::default() };
        let entries = match choice {
            None => Err("the kernel log was not to be read (--kernel-log none)".to_owned()),
            Some(KernelLogChoice::Path(path)) if is_file(path) => {
                log.name = Some(format!("file:{}", path.display()));
                log_file::faults(path).map_err(|error| format!("{}: {error}", path.display()))
            }
            Some(choice) => log.open_source(choice).map_err(|error| error.to_string()),
        };
        if entries.is_err() {
            log.name = None;
        }
        (log, entries)
    }

    fn open_source(&mut self, choice: &KernelLogChoice) -> Result<Vec<LogEntry>, KernelLogError> {
        let source = self.source.insert(Source::open(choice, String::new(), None)?);
        self.name = Some(source.name().to_owned());
        // A file may have been written by another kernel.
        self.booted_at = self.booted_at.filter(|_| source.has_times_of_this_boot());
        available(source, &mut self.lines, self.booted_at)
    }

    /// What was written since. A log that fails later has said what it had to say.
    fn more(&mut self) -> Vec<LogEntry> {
        let Some(source) = &mut self.source else { return Vec::new() };
        available(source, &mut self.lines, self.booted_at).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the kernel log on");
            Vec::new()
        })
    }
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Everything that the log holds at the moment and that was not read yet.
fn available(
    source: &mut Source,
    lines: &mut LineAssembler,
    booted_at: Option<Time>,
) -> Result<Vec<LogEntry>, KernelLogError> {
    let mut entries = Vec::new();
    while let Some(batch) = source.available()? {
        for item in batch.items {
            let Item::Record(record) = item else { continue };
            let at = record.printed_at(booted_at);
            entries.extend(lines.push(&record).into_iter().filter_map(|fact| LogEntry::of(fact, &record, at)));
        }
    }
    Ok(entries)
}
