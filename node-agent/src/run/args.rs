//! The command line of `gpu-health-agent run`, read once and resolved into [`Settings`].

use super::probes::RunnerAt;
use crate::error::AgentError;
use crate::kernel_log::KernelLogChoice;
use crate::probe::places::{Machine, Places};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// `gpu-health-agent run`: measures this node and reports.
#[derive(Debug, Clone, clap::Args)]
#[command(mut_arg("proc_root", |arg| arg.help("Where the node's /proc is mounted")))]
#[command(mut_arg("sysfs_root", |arg| arg.help("Where the node's /sys is mounted")))]
#[command(mut_arg("dev_root", |arg| arg.help("Where the node's /dev is mounted")))]
#[command(mut_args(of_the_runner))]
pub struct RunArgs {
    /// Name of the Node that this agent runs on.
    #[arg(long, env = "NODE_NAME")]
    node_name: String,
    /// Path of a kubeconfig. Without it and without --server, the pod's service account is used.
    #[arg(long, conflicts_with_all = ["server", "certificate_authority", "token_file"])]
    kubeconfig: Option<PathBuf>,
    /// URL of the API server.
    #[arg(long, requires_all = ["certificate_authority", "token_file"])]
    server: Option<String>,
    /// File with the CA certificates that sign the API server's certificate.
    #[arg(long, requires = "server")]
    certificate_authority: Option<PathBuf>,
    /// File with the bearer token. It is read again every minute because tokens rotate.
    #[arg(long, requires = "server")]
    token_file: Option<PathBuf>,
    /// Kernel log: `auto`, or the path of a device, file or FIFO with records in /dev/kmsg format.
    #[arg(long, default_value = "auto")]
    kernel_log: String,
    #[command(flatten)]
    places: Places,
    /// Address at which peers reach this node; repeat for several. Default: the addresses of all interfaces that are up.
    #[arg(long = "address", env = "HOST_IP", value_delimiter = ',')]
    addresses: Vec<String>,
    /// Address that serves /metrics, /healthz and /readyz: ADDRESS:PORT, or 0 for a free port on loopback.
    #[arg(long)]
    http: Option<String>,
    /// Socket of a runner that is already running; what it may run is set by its own flags. Without it the agent starts a
    /// runner of its own.
    #[arg(long)]
    runner_socket: Option<PathBuf>,
    /// Period of Lease renewals, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    lease_seconds: u64,
    /// Log level: error, warn, info, debug or trace.
    #[arg(long, default_value = "info")]
    log_level: tracing::Level,
}

/// Flags that mean nothing to a runner that somebody else has started.
fn of_the_runner(arg: clap::Arg) -> clap::Arg {
    const FLAGS: [&str; 7] = [
        "sysfs_root",
        "dev_root",
        "nvml_library",
        "call_deadline_ms",
        "custom_directory",
        "custom_same_user",
        "iperf3",
    ];
    if FLAGS.contains(&arg.get_id().as_str()) { arg.conflicts_with("runner_socket") } else { arg }
}

/// How the API server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// By the files of the pod.
    InCluster,
    /// By a kubeconfig.
    Kubeconfig(PathBuf),
    /// By these.
    Explicit {
        /// The URL.
        server: String,
        /// The file with the certificates.
        certificate_authority: PathBuf,
        /// The file with the token.
        token_file: PathBuf,
    },
}

/// What the agent runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of the Node.
    pub node_name: String,
    /// The way to the API server.
    pub access: Access,
    /// The kernel log.
    pub kernel_log: KernelLogChoice,
    /// Where the node's /proc is mounted.
    pub proc_root: PathBuf,
    /// Addresses at which peers reach this node; empty: those of the interfaces.
    pub addresses: Vec<IpAddr>,
    /// Where to serve metrics, if anywhere.
    pub http: Option<SocketAddr>,
    /// The runner.
    pub runner: RunnerAt,
    /// How often the Lease is renewed.
    pub lease_period: Duration,
    /// How much to log.
    pub log_level: tracing::Level,
}

impl RunArgs {
    /// Checks what clap cannot, and says for each problem which flag and what to write.
    pub fn resolve(self) -> Result<Settings, AgentError> {
        node_name(&self.node_name)?;
        let Machine { proc_root, sysfs_root, dev_root, .. } = &self.places.machine;
        for (flag, path) in [("--proc-root", proc_root), ("--sysfs-root", sysfs_root), ("--dev-root", dev_root)] {
            directory(flag, path, "give the root of the mounted tree")?;
        }
        if let Some(path) = &self.places.tools.custom_directory {
            directory("--custom-directory", path, "give the directory of the programs, or leave the flag out")?;
        }
        let access = match (self.kubeconfig, self.server, self.certificate_authority, self.token_file) {
            (Some(path), ..) => Access::Kubeconfig(path),
            (None, Some(server), Some(certificate_authority), Some(token_file)) => {
                Access::Explicit { server, certificate_authority, token_file }
            }
            _ => Access::InCluster,
        };
        Ok(Settings {
            node_name: self.node_name,
            access,
            kernel_log: if self.kernel_log == "auto" {
                KernelLogChoice::Auto
            } else {
                KernelLogChoice::Path(self.kernel_log.into())
            },
            proc_root: proc_root.clone(),
            addresses: self.addresses.iter().map(|text| address(text)).collect::<Result<_, _>>()?,
            http: self.http.as_deref().map(listen).transpose()?,
            runner: match self.runner_socket {
                Some(socket) => RunnerAt::Socket(socket),
                None => RunnerAt::Child { places: Box::new(self.places), log_level: self.log_level },
            },
            lease_period: Duration::from_secs(self.lease_seconds),
            log_level: self.log_level,
        })
    }
}

/// Node names are DNS subdomains (Kubernetes, `IsDNS1123Subdomain`).
fn node_name(name: &str) -> Result<(), AgentError> {
    let fits = !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    if fits {
        return Ok(());
    }
    Err(AgentError::Argument {
        flag: "--node-name",
        problem: format!("`{name}` is not a valid Node name"),
        remedy: "write it as `kubectl get nodes` shows it, or set NODE_NAME from spec.nodeName",
    })
}

fn directory(flag: &'static str, path: &std::path::Path, remedy: &'static str) -> Result<(), AgentError> {
    if path.is_dir() {
        return Ok(());
    }
    Err(AgentError::Argument { flag, problem: format!("{} is not a directory", path.display()), remedy })
}

fn address(text: &str) -> Result<IpAddr, AgentError> {
    text.parse().map_err(|_| AgentError::Argument {
        flag: "--address",
        problem: format!("`{text}` is not an IP address"),
        remedy: "write an IPv4 or IPv6 address without a port, such as 10.0.0.7",
    })
}

fn listen(text: &str) -> Result<SocketAddr, AgentError> {
    if text == "0" {
        return Ok(SocketAddr::from(([127, 0, 0, 1], 0)));
    }
    text.parse().map_err(|_| AgentError::Argument {
        flag: "--http",
        problem: format!("`{text}` is not an address to listen on"),
        remedy: "write ADDRESS:PORT such as 127.0.0.1:9464, or 0 for a free port on loopback",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn resolved(args: &[&str]) -> Result<Settings, String> {
        let line = [&["x", "--node-name", "n1", "--address", "127.0.0.1"], args].concat();
        let parsed = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        parsed.run.resolve().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_given_has_the_value_of_a_node() {
        let settings = resolved(&[]).unwrap();
        assert_eq!(settings.access, Access::InCluster);
        assert_eq!(settings.kernel_log, KernelLogChoice::Auto);
        assert_eq!(settings.lease_period, Duration::from_secs(60));
        assert_eq!(settings.http, None);
    }

    #[test]
    fn bad_input_names_the_flag_and_the_remedy() {
        for (args, words) in [
            (vec!["--http", "localhost"], ["--http", "127.0.0.1:9464"]),
            (vec!["--address", "ten"], ["--address", "10.0.0.7"]),
            (vec!["--sysfs-root", "/nonexistent"], ["--sysfs-root", "root of the mounted tree"]),
            (vec!["--dev-root", "/nonexistent"], ["--dev-root", "root of the mounted tree"]),
            (vec!["--call-deadline-ms", "5"], ["--call-deadline-ms", "100..=600000"]),
            (vec!["--custom-directory", "/nonexistent"], ["--custom-directory", "leave the flag out"]),
            (vec!["--server", "https://x"], ["--certificate-authority", "--token-file"]),
            (vec!["--runner-socket", "/r", "--nvml-library", "x"], ["--nvml-library", "--runner-socket"]),
            (vec!["--runner-socket", "/r", "--custom-same-user"], ["--custom-same-user", "--runner-socket"]),
            (vec!["--lease-seconds", "0"], ["--lease-seconds", "1..=3600"]),
            (vec!["--log-level", "loud"], ["--log-level", "loud"]),
        ] {
            let error = resolved(&args).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{args:?}: {error}");
        }
        let error =
            Line::try_parse_from(["x", "--node-name", "Node_1"]).unwrap_or_else(|e| panic!("{e}")).run.resolve();
        assert!(error.unwrap_err().to_string().contains("kubectl get nodes"));
    }

    #[test]
    fn port_zero_is_a_free_port_on_loopback() {
        assert_eq!(resolved(&["--http", "0"]).unwrap().http.unwrap().to_string(), "127.0.0.1:0");
    }
}
