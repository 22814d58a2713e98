//! What `check` looks at: the kernel log as it stands, then one look at everything else.

use super::args::CheckSettings;
use super::log_file;
use super::outcome::Looked;
use crate::agent::LogEntry;
use crate::error::AgentError;
use crate::judge::worst_first;
use crate::kernel_log::{Item, KernelLogChoice, KernelLogError, Source, booted_at};
use crate::run::single_look::{Look, once as look_once};
use crate::xid::LineAssembler;
use crds::Time;
use std::path::Path;

/// Looks once.
pub(super) async fn once(settings: &CheckSettings) -> Result<Looked, AgentError> {
    let booted_at = booted_at(&settings.proc_root).ok().map(|time| Time::from_unix(time.as_second()));
    let kernel_log = kernel_log(settings.kernel_log.as_ref(), booted_at);
    let source = kernel_log.as_ref().ok().map(|(source, _)| source.clone());
    let look = Look {
        spec: settings.spec.clone(),
        proc_root: settings.proc_root.clone(),
        places: settings.places.clone(),
        kernel_log,
    };
    let state = look_once(look).await?;
    let is_asked = |check: &str| settings.asked.is_empty() || settings.asked.iter().any(|asked| asked.name() == check);
    let findings =
        worst_first(state.findings().filter(|finding| is_asked(&finding.check))).into_iter().cloned().collect();
    Ok(Looked {
        node: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        profile: settings.spec.profile.clone(),
        kernel_log: source,
        inventory: state.inventory().clone(),
        rows: state.rows().iter().filter(|row| is_asked(&row.check)).cloned().collect(),
        findings,
    })
}

/// The source and what it has delivered so far, or why it cannot be read.
fn kernel_log(choice: Option<&KernelLogChoice>, booted_at: Option<Time>) -> Result<(String, Vec<LogEntry>), String> {
    match choice {
        None => Err("the kernel log was not to be read (--kernel-log none)".to_owned()),
        Some(KernelLogChoice::Path(path)) if is_file(path) => {
            let entries = log_file::faults(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((format!("file:{}", path.display()), entries))
        }
        Some(choice) => so_far(choice, booted_at).map_err(|error| error.to_string()),
    }
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Everything that the log holds at the moment.
fn so_far(choice: &KernelLogChoice, booted_at: Option<Time>) -> Result<(String, Vec<LogEntry>), KernelLogError> {
    let mut source = Source::open(choice, String::new(), None)?;
    // A file may have been written by another kernel.
    let booted_at = booted_at.filter(|_| source.has_times_of_this_boot());
    let mut lines = LineAssembler::default();
    let mut entries = Vec::new();
    while let Some(batch) = source.available()? {
        for item in batch.items {
            let Item::Record(record) = item else { continue };
            let at = record.printed_at(booted_at);
            entries.extend(lines.push(&record).into_iter().filter_map(|fact| LogEntry::of(fact, &record, at)));
        }
    }
    Ok((source.name().to_owned(), entries))
}
