//! The command line of `gpu-health-agent check`.

use super::order::{self, OrderError, with_profile};
use super::profiles::Profiles;
use crate::judge::registry;
use crate::kernel_log::KernelLogChoice;
use crate::probe::places::Machine;
use crds::Check;
use crds::node_health::{Monitor, NodeHealthSpec};
use std::path::PathBuf;

/// `gpu-health-agent check`: is this machine healthy? Exit status 0: healthy; 1: a check failed; 2: could not be judged,
/// or no accelerator found.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Comma-separated names of the checks to run. Default: all.
    #[arg(long, value_delimiter = ',')]
    checks: Vec<String>,
    /// NodeHardwareProfile (YAML) with the expected hardware; of several in the file, the one with this machine's GPU models and
    /// number is used. Without it no count, width or rate is judged.
    #[arg(long)]
    profile: Option<PathBuf>,
    /// Take one reading instead of as many as the checks need (a second apart). What then cannot be judged is listed.
    #[arg(long)]
    quick: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// When to colour the table.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Check again every SECONDS (5 if no number is given) and print what changed; as JSON or YAML, the whole document then.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5", require_equals = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,
    /// Kernel log: `auto`, `none`, or a file in /dev/kmsg format or as printed by dmesg or journalctl.
    #[arg(long, default_value = "auto")]
    kernel_log: String,
    #[command(flatten)]
    machine: Machine,
    /// Log level on stderr: error, warn, info, debug or trace.
    #[arg(long, default_value = "error")]
    log_level: tracing::Level,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What `check` runs with.
#[derive(Debug, Clone)]
pub(super) struct CheckSettings {
    pub(super) spec: NodeHealthSpec,
    /// What was asked for; all where empty.
    pub(super) asked: Vec<Check>,
    pub(super) output: Output,
    pub(super) color: Color,
    pub(super) watch_seconds: Option<u64>,
    pub(super) quick: bool,
    pub(super) profiles: Option<Profiles>,
    /// `None`: not read; the checks that need it say so.
    pub(super) kernel_log: Option<KernelLogChoice>,
    pub(super) machine: Machine,
    pub(super) log_level: tracing::Level,
}

impl CheckSettings {
    pub(super) const fn is_table(&self) -> bool {
        matches!(self.output, Output::Table)
    }
}

impl CheckArgs {
    /// Checks what clap cannot, and says for each problem which flag and what to write.
    pub(super) fn resolve(self) -> Result<CheckSettings, OrderError> {
        for (flag, path) in [("--proc-root", &self.machine.proc_root), ("--sysfs-root", &self.machine.sysfs_root)] {
            if !path.is_dir() {
                let problem = format!("{} is not a directory", path.display());
                return Err(OrderError::argument(flag, problem, "give the root of the tree"));
            }
        }
        let checks = self.checks.iter().map(|name| order::monitor(name)).collect::<Result<Vec<Check>, _>>()?;
        let kernel_log = match self.kernel_log.as_str() {
            "auto" => Some(KernelLogChoice::Auto),
            "none" => None,
            path => {
                let path = PathBuf::from(path);
                if let Err(error) = std::fs::metadata(&path) {
                    let problem = format!("{}: {error}", path.display());
                    return Err(OrderError::argument("--kernel-log", problem, "give a file, or write auto or none"));
                }
                Some(KernelLogChoice::Path(path))
            }
        };
        let profiles = self.profile.as_deref().map(Profiles::read).transpose()?;
        let mut spec = order::spec(&checks);
        if let Some(only) = profiles.as_ref().and_then(Profiles::only) {
            spec = with_profile(spec, only);
        }
        if kernel_log.is_none() && checks.is_empty() {
            let reads_log = |monitor: &Monitor| registry::named(&monitor.name).is_some_and(|row| row.reads.kernel_log);
            spec.monitors.retain(|monitor| !reads_log(monitor));
        }
        Ok(CheckSettings {
            spec,
            asked: checks,
            output: self.output,
            color: self.color,
            watch_seconds: self.watch,
            quick: self.quick,
            profiles,
            kernel_log,
            machine: self.machine,
            log_level: self.log_level,
        })
    }
}
