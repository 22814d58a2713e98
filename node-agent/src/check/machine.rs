//! What `check` looks at: the kernel log as it stands, then one look at everything else.

use super::args::CheckSettings;
use super::log_file;
use super::outcome::Looked;
use crate::agent::LogEntry;
use crate::error::AgentError;
use crate::judge::worst_first;
use crate::kernel_log::{Item, KernelLogChoice, KernelLogError, Source};
use crate::run::single_look::{Look, once as look_once};
use crate::xid::{LineAssembler, LogFact};
use std::path::Path;

/// Looks once.
pub(super) async fn once(settings: &CheckSettings) -> Result<Looked, AgentError> {
    let kernel_log = kernel_log(settings.kernel_log.as_ref());
    let source = kernel_log.as_ref().ok().map(|(source, _)| source.clone());
    let look = Look {
        spec: settings.spec.clone(),
        machine: settings.machine.clone(),
        log_level: settings.log_level,
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
fn kernel_log(choice: Option<&KernelLogChoice>) -> Result<(String, Vec<LogEntry>), String> {
    match choice {
        None => Err("the kernel log was not to be read (--kernel-log none)".to_owned()),
        Some(KernelLogChoice::Path(path)) if is_file(path) => {
            let entries = log_file::faults(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok((format!("file:{}", path.display()), entries))
        }
        Some(choice) => so_far(choice).map_err(|error| error.to_string()),
    }
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Everything that the log holds at the moment.
fn so_far(choice: &KernelLogChoice) -> Result<(String, Vec<LogEntry>), KernelLogError> {
    let mut source = Source::open(choice, String::new(), None)?;
    let mut lines = LineAssembler::default();
    let mut entries = Vec::new();
    while let Some(batch) = source.available()? {
        for item in batch.items {
            let Item::Record(record) = item else { continue };
            if !record.is_kernel() {
                continue;
            }
            for fact in lines.push(&record.message) {
                if let LogFact::Fault(observed) = fact {
                    let (seq, usec) = (record.seq, record.usec);
                    entries.push(LogEntry::Fault { observed: Box::new(observed), at: None, seq, usec });
                }
            }
        }
    }
    Ok((source.name().to_owned(), entries))
}
