//! The command line, and how it says to reach the API server.

use super::error::Error;
use clap::Parser;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use tracing::level_filters::LevelFilter;

/// Decides which accelerator nodes can be trusted, and marks those that cannot.
#[derive(Clone, Debug, Parser)]
#[command(name = "gpu-health-operator", version, about)]
pub struct Args {
    /// A kubeconfig. Without this and --server: $KUBECONFIG, ~/.kube/config, then the pod's ServiceAccount.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "token_file", "certificate_authority"])]
    pub kubeconfig: Option<PathBuf>,

    /// The URL of the API server, for example https://127.0.0.1:6443. Needs --token-file.
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub server: Option<String>,

    /// A file with a bearer token. It is read again when the token rotates.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub token_file: Option<PathBuf>,

    /// A PEM file with the CA certificates that must have signed the API server's certificate.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub certificate_authority: Option<PathBuf>,

    /// Where to serve /metrics, /healthz and /readyz. Port 0 picks a free port; the address is printed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    pub http: SocketAddr,

    /// Hold everything: set no marks, lift none, admit no runs. Agents go on reporting.
    #[arg(long)]
    pub hold_everything: bool,

    /// The namespace of the agents' Leases.
    #[arg(long, value_name = "NAMESPACE", default_value = crds::names::LEASE_NAMESPACE)]
    pub lease_namespace: String,

    /// How much to log: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: LevelFilter,
}

impl Args {
    /// How to reach the API server. Files are read once here, so that a wrong flag is reported at the start.
    pub async fn client_config(&self) -> Result<Config, Error> {
        let mut config = self.server_config().await?;
        // The client would repeat requests that get 429, 503 or 504 for minutes without a word. The operator has its own
        // pauses, and must know when it cannot see.
        config.default_retry = false;
        Ok(config)
    }

    async fn server_config(&self) -> Result<Config, Error> {
        if let Some(path) = &self.kubeconfig {
            return from_kubeconfig(path).await;
        }
        if let (Some(server), Some(token_file)) = (&self.server, &self.token_file) {
            return from_flags(server, token_file, self.certificate_authority.as_deref());
        }
        Config::infer().await.map_err(|error| Error::NoServer(Box::new(error)))
    }
}

async fn from_kubeconfig(path: &Path) -> Result<Config, Error> {
    let unusable = |error: kube::config::KubeconfigError| Error::File {
        flag: "--kubeconfig",
        path: path.to_owned(),
        problem: error.to_string(),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)
}

fn from_flags(server: &str, token_file: &Path, authority: Option<&Path>) -> Result<Config, Error> {
    let refused = |problem: String| Error::Value {
        flag: "--server",
        value: server.to_owned(),
        problem,
        remedy: "give a URL such as https://127.0.0.1:6443",
    };
    let url: axum::http::Uri = server.parse().map_err(|e| refused(format!("{e}")))?;
    if !matches!(url.scheme_str(), Some("https" | "http")) || url.authority().is_none() {
        return Err(refused("not an http or https URL".to_owned()));
    }
    let token = readable("--token-file", token_file)?;
    let mut config = Config::new(url);
    config.auth_info.token_file = Some(token);
    if let Some(authority) = authority {
        readable("--certificate-authority", authority)?;
        config.root_cert_file = Some(authority.to_owned());
    }
    Ok(config)
}

/// The path as text, if the file is readable and not empty.
fn readable(flag: &'static str, path: &Path) -> Result<String, Error> {
    let unusable = |problem: String| Error::File { flag, path: path.to_owned(), problem };
    let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(unusable("it is empty".to_owned()));
    }
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| unusable("its path is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, String> {
        Args::try_parse_from([&["gpu-health-operator"], args].concat()).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn a_missing_file_is_reported_with_its_flag_and_a_remedy() {
        let args = parse(&["--server", "https://127.0.0.1:1", "--token-file", "no/such"]).unwrap();
        let error = args.client_config().await.unwrap_err().to_string();
        assert!(error.starts_with("--token-file no/such: No such file"), "{error}");
        assert!(error.ends_with("give a file that exists and is readable for this process"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_a_url_is_refused_with_an_example() {
        let args = parse(&["--server", "127.0.0.1", "--token-file", "no/such"]).unwrap();
        let error = args.client_config().await.unwrap_err().to_string();
        assert_eq!(
            error,
            "--server \"127.0.0.1\": not an http or https URL; give a URL such as https://127.0.0.1:6443"
        );
    }

    #[tokio::test]
    async fn the_client_hides_no_503_by_repeating_requests() {
        let any_file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let args = parse(&["--server", "https://127.0.0.1:1", "--token-file", any_file]).unwrap();
        assert!(!args.client_config().await.unwrap().default_retry);
    }

    #[test]
    fn a_server_without_a_token_is_refused_with_the_missing_flag() {
        let error = parse(&["--server", "https://127.0.0.1:1"]).unwrap_err();
        assert!(error.contains("--token-file <FILE>"), "{error}");
    }

    #[test]
    fn an_unknown_log_level_is_refused_with_the_known_ones() {
        let error = parse(&["--log-level", "loud"]).unwrap_err();
        assert!(error.contains("--log-level") && error.contains("\"info\""), "{error}");
    }

    #[test]
    fn by_default_http_listens_on_loopback() {
        let args = parse(&[]).unwrap();
        assert!(args.http.ip().is_loopback());
        assert_eq!(args.lease_namespace, crds::names::LEASE_NAMESPACE);
        assert!(!args.hold_everything);
    }
}
