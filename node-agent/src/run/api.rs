//! The client of the API server.

use super::args::Access;
use crate::error::AgentError;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::Path;

/// A client. A token that comes from a file is read again at least once a minute (kube-client 5.0, `TokenFile`), which
/// keeps up with kubelet's rotation.
pub(super) async fn client(access: &Access) -> Result<Client, AgentError> {
    let mut config = match access {
        Access::InCluster => Config::incluster().map_err(|error| AgentError::Access { what: error.to_string() })?,
        Access::Kubeconfig(path) => from_kubeconfig(path).await?,
        Access::Explicit { server, certificate_authority, token_file } => {
            explicit(server, certificate_authority, token_file)?
        }
    };
    // The core decides when to retry.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| AgentError::Client(Box::new(error)))
}

async fn from_kubeconfig(path: &Path) -> Result<Config, AgentError> {
    let failed = |error: &dyn std::fmt::Display| AgentError::Access { what: format!("{}: {error}", path.display()) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| failed(&error))
}

fn explicit(server: &str, certificate_authority: &Path, token_file: &Path) -> Result<Config, AgentError> {
    let url = server.parse().map_err(|error| AgentError::Argument {
        flag: "--server",
        problem: format!("`{server}` is not a URL ({error})"),
        remedy: "write it as https://10.0.0.1:6443",
    })?;
    readable(certificate_authority, "give a PEM file with --certificate-authority")?;
    readable(token_file, "give the file that holds the token with --token-file")?;
    let mut config = Config::new(url);
    config.root_cert_file = Some(certificate_authority.to_owned());
    config.auth_info.token_file = Some(token_file.display().to_string());
    Ok(config)
}

fn readable(path: &Path, remedy: &'static str) -> Result<(), AgentError> {
    let opened = std::fs::File::open(path);
    opened.map(drop).map_err(|source| AgentError::File { path: path.to_owned(), remedy, source })
}

/// Why a call failed, with all causes, on one line.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !line.contains(&said) {
            line = format!("{line}: {said}");
        }
        source = cause.source();
    }
    line
}
