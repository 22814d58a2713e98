//! The operator as a process.

use super::{Error, built};
use crate::cluster::{ControlPlane, until, write_token_file};
use crate::process::{Child, Spec};
use crds::names::{NAMESPACE, OPERATOR_SERVICE_ACCOUNT};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A running operator. Dropping it ends it.
#[derive(Debug)]
pub struct Operator {
    /// The process.
    pub child: Child,
    /// `127.0.0.1:<port>` of its metrics and health endpoints.
    pub http: String,
}

/// How long a process may take to log where it listens. It does so before its first request.
const SAYS_WITHIN: Duration = Duration::from_secs(30);

impl Operator {
    /// Starts the operator of `binaries` with a token of its own ServiceAccount.
    pub async fn start(cluster: &ControlPlane, binaries: &Path) -> Result<Self, Error> {
        Self::start_with(cluster, binaries, "gpu-health-operator", &[]).await
    }

    /// As [`Operator::start`], under another name for its log and with more arguments.
    pub async fn start_with(cluster: &ControlPlane, binaries: &Path, name: &str, args: &[&str]) -> Result<Self, Error> {
        let token = cluster.unbound_token(OPERATOR_SERVICE_ACCOUNT, NAMESPACE).await?;
        let kubeconfig = identity(cluster, name, &token)?;
        let spec = Spec::new(name, built(binaries, "gpu-health-operator")?, cluster.logs())
            .args(["--kubeconfig".into(), kubeconfig.into_os_string()])
            .args(["--http", "127.0.0.1:0"])
            .args(args.iter().copied());
        let log_before = log_length(cluster, name);
        let child = Child::spawn(spec)?;
        let http = listening_at(&child, log_before).await?;
        Ok(Self { child, http })
    }
}

/// Writes a token file and a kubeconfig that names it, as a projected token would be there in a pod.
pub(super) fn identity(cluster: &ControlPlane, name: &str, token: &str) -> Result<PathBuf, Error> {
    let token_file = cluster.state_path().join(format!("{name}.token"));
    let kubeconfig = cluster.state_path().join(format!("{name}.kubeconfig"));
    write_token_file(&token_file, token)?;
    cluster.kubeconfig_with_token_file(&kubeconfig, &token_file)?;
    Ok(kubeconfig)
}

/// The length of the log before a process of this name is started: an earlier one may have written to it.
pub(super) fn log_length(cluster: &ControlPlane, name: &str) -> u64 {
    std::fs::metadata(cluster.logs().join(format!("{name}.log"))).map_or(0, |log| log.len())
}

/// Reads `listening on 127.0.0.1:<port>` from what a process that was started with port 0 has logged since.
pub(super) async fn listening_at(child: &Child, log_before: u64) -> Result<String, Error> {
    let found = until(&format!("{} to listen", child.name()), SAYS_WITHIN, || {
        let log = std::fs::read(child.log_path()).unwrap_or_default();
        let own = log.get(usize::try_from(log_before).unwrap_or(0)..).unwrap_or_default();
        let address = said_address(&String::from_utf8_lossy(own));
        let ended = !child.is_alive();
        async move {
            match address {
                Some(address) => Ok(Some(address)),
                None if ended => Ok(None),
                None => Err("it has not said so yet".to_owned()),
            }
        }
    })
    .await?;
    found.ok_or_else(|| Error::NoAddress { name: child.name().to_owned(), log: child.log_path().to_owned() })
}

fn said_address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    // A line without its end may be half an address.
    let (line, _) = rest.split_once('\n')?;
    line.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::said_address;

    #[test]
    fn a_line_that_is_not_complete_says_no_address_yet() {
        assert_eq!(said_address("x\nlistening on 127.0.0.1:80"), None);
        assert_eq!(said_address("x\nlistening on 127.0.0.1:8080\n").as_deref(), Some("127.0.0.1:8080"));
    }
}
