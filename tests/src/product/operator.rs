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

/// How long a process may take to say where it listens: it does so before its first request.
const SAYS_WITHIN: Duration = Duration::from_secs(30);

impl Operator {
    /// Starts the operator of `binaries` with a token of its own ServiceAccount.
    pub async fn start(cluster: &ControlPlane, binaries: &Path) -> Result<Self, Error> {
        Self::start_with(cluster, binaries, "gpu-health-operator", &[]).await
    }

    /// As [`Operator::start`], under another name for its log and with more arguments.
    pub async fn start_with(
        cluster: &ControlPlane,
        binaries: &Path,
        name: &str,
        args: &[&str],
    ) -> Result<Self, Error> {
        let token = cluster
            .unbound_token(OPERATOR_SERVICE_ACCOUNT, NAMESPACE)
            .await?;
        let kubeconfig = identity(cluster, name, &token)?;
        let spec = Spec::new(
            name,
            built(binaries, "gpu-health-operator")?,
            cluster.logs(),
        )
        .args(["--kubeconfig".into(), kubeconfig.into_os_string()])
        .args(["--http", "127.0.0.1:0"])
        .args(args.iter().copied());
        let child = Child::spawn(spec)?;
        let http = listening_at(&child).await?;
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

/// Reads `listening on 127.0.0.1:<port>` from the log of a process that was started with port 0.
pub(super) async fn listening_at(child: &Child) -> Result<String, Error> {
    let found = until(&format!("{} to listen", child.name()), SAYS_WITHIN, || {
        // The newest: a log outlives the process that began it.
        let tail = child.log_tail(200);
        let address = tail
            .rmatch_indices("listening on ")
            .next()
            .and_then(|(at, word)| {
                let rest = &tail[at + word.len()..];
                rest.split(|c: char| c.is_whitespace() || c == '"')
                    .next()
                    .map(str::to_owned)
            });
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
    found.ok_or_else(|| Error::NoAddress {
        name: child.name().to_owned(),
        log: child.log_path().to_owned(),
    })
}
