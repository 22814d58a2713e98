//! Ways to reach the API server: clients, kubeconfig files, kubectl.

use std::path::{Path, PathBuf};

use kube::{Client, Config};
use serde_json::{Value, json};

use super::Error;

/// Where the API server is, and the file that its certificate is checked against.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) authority: PathBuf,
}

/// How a kubeconfig proves who its user is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof<'a> {
    Token(&'a str),
    TokenFile(&'a Path),
}

/// A kubeconfig with one cluster, one user and one context.
pub(super) fn kubeconfig(endpoint: &Endpoint, proof: Proof<'_>, namespace: &str) -> String {
    let user = match proof {
        Proof::Token(token) => json!({"token": token}),
        Proof::TokenFile(file) => json!({"tokenFile": file}),
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": {"server": endpoint.url, "certificate-authority": endpoint.authority},
        }],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    });
    // JSON is YAML; every reader of kubeconfigs takes it.
    format!("{config:#}\n")
}

/// Writes a file that only this user can read, in one step: a reader sees the old content or the new one.
pub(super) fn write_secret(path: &Path, content: &str) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let write = || {
        // tempfile makes its files with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, content.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(Error::file("write", path))
}

/// A client whose user is described by `auth_info`, in the form of a kubeconfig's user.
pub(super) fn client(endpoint: &Endpoint, auth_info: Value) -> Result<Client, Error> {
    let malformed = |problem: String| Error::Manifest { document: "access to the API server".to_owned(), problem };
    let url = endpoint.url.parse().map_err(|error: http::uri::InvalidUri| malformed(error.to_string()))?;
    let mut config = Config::new(url);
    config.root_cert_file = Some(endpoint.authority.clone());
    config.auth_info = serde_json::from_value(auth_info).map_err(|error| malformed(error.to_string()))?;
    // A test wants to see the answer itself, and decides about trying again.
    config.default_retry = false;
    Client::try_from(config).map_err(Error::api(format!("make a client of {}", endpoint.url)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Endpoint, Proof, kubeconfig, write_secret};

    fn endpoint() -> Endpoint {
        Endpoint { url: "https://127.0.0.1:20001".to_owned(), authority: "/state/certs/apiserver.crt".into() }
    }

    #[test]
    fn a_kubeconfig_is_read_by_the_client_library() {
        let text = kubeconfig(&endpoint(), Proof::Token("s3cret"), "gpu-health");
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("test"));
        let cluster = config.clusters[0].cluster.clone().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:20001"));
        assert_eq!(cluster.certificate_authority.as_deref(), Some("/state/certs/apiserver.crt"));
        assert_eq!(config.contexts[0].context.clone().unwrap().namespace.as_deref(), Some("gpu-health"));
    }

    #[test]
    fn a_kubeconfig_may_name_a_token_file_that_rotates() {
        let text = kubeconfig(&endpoint(), Proof::TokenFile(Path::new("/state/token")), "default");
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        let user = config.auth_infos[0].auth_info.clone().unwrap();
        assert_eq!(user.token_file.as_deref(), Some("/state/token"));
        assert!(user.token.is_none());
    }

    #[test]
    fn secrets_are_replaced_whole_and_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_secret(&path, "first").unwrap();
        write_secret(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
