//! The programs of the control plane: found, or built with Go.
//!
//! Each program is looked for separately, in this order: `KUBEBUILDER_ASSETS`, the newest folder of setup-envtest, PATH, our
//! cache. A program that is found nowhere is built into the cache ([`locate`] says so first). A folder of envtest holds
//! etcd, kube-apiserver and kubectl: those are used, and only the others are built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::build;

/// Release number, major and minor.
pub type Release = (u32, u32);

/// A program that the control plane may need.
#[derive(Debug)]
pub struct Tool {
    /// Name of the program.
    pub name: &'static str,
    /// Folder of its Go module, below `tests/cluster`.
    pub module: &'static str,
    /// Its Go package.
    pub package: &'static str,
    /// Whether its release must be set at link time (Kubernetes calls itself v0.0.0-master otherwise, which clients and
    /// skew checks take at its word).
    pub stamped: bool,
    /// The oldest release that will do: with 1.33 tokens name their node and CEL admission is stable.
    pub minimum: Release,
    /// The arguments that make it print its release.
    pub version_args: &'static [&'static str],
    /// Size on disk, in megabytes (measured, stripped).
    pub megabytes: u32,
    /// Seconds that it takes to build on 2 cores with empty caches (measured together, shared packages counted once).
    pub seconds: u32,
}

/// All of them.
#[rustfmt::skip]
pub const TOOLS_WANTED: &[Tool] = &[
    Tool { name: "kube-apiserver", module: "", package: "k8s.io/kubernetes/cmd/kube-apiserver", stamped: true,
           minimum: (1, 33), version_args: &["--version"], megabytes: 105, seconds: 150 },
    Tool { name: "kube-controller-manager", module: "", package: "k8s.io/kubernetes/cmd/kube-controller-manager", stamped: true,
           minimum: (1, 33), version_args: &["--version"], megabytes: 96, seconds: 60 },
    Tool { name: "kube-scheduler", module: "", package: "k8s.io/kubernetes/cmd/kube-scheduler", stamped: true,
           minimum: (1, 33), version_args: &["--version"], megabytes: 73, seconds: 40 },
    Tool { name: "kubectl", module: "", package: "k8s.io/kubernetes/cmd/kubectl", stamped: true,
           minimum: (1, 33), version_args: &["version", "--client"], megabytes: 60, seconds: 30 },
    Tool { name: "etcd", module: "", package: "go.etcd.io/etcd/server/v3", stamped: false,
           minimum: (3, 5), version_args: &["--version"], megabytes: 27, seconds: 10 },
    Tool { name: "kwok", module: "kwok", package: "sigs.k8s.io/kwok/cmd/kwok", stamped: false,
           minimum: (0, 6), version_args: &["--version"], megabytes: 64, seconds: 70 },
];

/// Why a program could neither be found nor built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is not in [`TOOLS_WANTED`], or that was not asked for.
    #[error("{0} is not among the programs that were located")]
    Unknown(String),
    /// `KUBEBUILDER_ASSETS` names something that cannot be used.
    #[error("KUBEBUILDER_ASSETS={}: {problem}. Correct it or unset it.", folder.display())]
    Assets {
        /// Its value.
        folder: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Programs are missing and there is no Go to build them with.
    #[error(
        "{} cannot be found, and there is no Go to build them with. Install Go 1.26 or newer (https://go.dev/dl), \
         or set KUBEBUILDER_ASSETS to a folder that holds them.",
        missing.join(", ")
    )]
    NoGo {
        /// The missing programs.
        missing: Vec<&'static str>,
    },
    /// `go build` failed.
    #[error("{command} in {}: {problem}", folder.display())]
    Build {
        /// The command line.
        command: String,
        /// Where it ran.
        folder: PathBuf,
        /// The end of what it said.
        problem: String,
    },
    /// A file or folder could not be read or written.
    #[error("{act} {}: {source}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    pub(super) fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { act, path, source }
    }
}

/// Where programs are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binaries(BTreeMap<&'static str, PathBuf>);

impl Binaries {
    /// The path of a program that was asked for.
    pub fn path(&self, name: &str) -> Result<&Path, Error> {
        self.0.get(name).map(PathBuf::as_path).ok_or_else(|| Error::Unknown(name.to_owned()))
    }
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// `KUBEBUILDER_ASSETS`.
    pub assets: Option<PathBuf>,
    /// The folder in which setup-envtest keeps one folder per release (`1.36.0-linux-amd64`).
    pub envtest: Option<PathBuf>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
    /// Our cache, for this state of the Go modules.
    pub cache: PathBuf,
}

impl Search {
    /// As the environment says.
    pub fn from_environment() -> Result<Self, Error> {
        let home = |variable: &str, below_home: &str| {
            let set = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
            set.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(below_home)))
        };
        // setup-envtest: the folder of application data of the platform, which is XDG's on Linux.
        let envtest = home("XDG_DATA_HOME", ".local/share").map(|data| data.join("kubebuilder-envtest/k8s"));
        Ok(Self {
            assets: std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from),
            envtest,
            path: std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            cache: cache_root().join(modules_hash()?),
        })
    }

    /// The path of a tool, if it is anywhere.
    pub fn find(&self, tool: &Tool) -> Result<Option<PathBuf>, Error> {
        if let Some(assets) = &self.assets
            && let Some(found) = find_in_assets(assets, tool)?
        {
            return Ok(Some(found));
        }
        let newest = self.envtest.as_deref().and_then(newest_release_folder);
        let elsewhere = newest.iter().chain(&self.path).map(|folder| folder.join(tool.name));
        let fresh = |candidate: &PathBuf| is_program(candidate) && release_of(candidate, tool) >= Some(tool.minimum);
        // Programs in the cache were built from the pinned modules: their release is known.
        let cached = || Some(self.cache.join(tool.name)).filter(|candidate| is_program(candidate));
        Ok(elsewhere.filter(|candidate| fresh(candidate)).map(absolute).next().or_else(cached))
    }
}

/// The paths of the programs with these names. Builds what is missing, after saying on stderr what and for how long; blocks.
pub fn locate(names: &[&str]) -> Result<Binaries, Error> {
    let search = Search::from_environment()?;
    let (mut found, mut missing) = (Binaries::default(), Vec::new());
    for name in names {
        let tool =
            TOOLS_WANTED.iter().find(|tool| tool.name == *name).ok_or_else(|| Error::Unknown((*name).to_owned()))?;
        match search.find(tool)? {
            Some(path) => drop(found.0.insert(tool.name, path)),
            None => missing.push(tool),
        }
    }
    if !missing.is_empty() {
        build::build(&missing, &search.cache)?;
        found.0.extend(missing.iter().map(|tool| (tool.name, search.cache.join(tool.name))));
    }
    Ok(found)
}

/// The folder of the Go modules.
pub(super) fn modules_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster")
}

/// Our folder for what takes minutes to build. It lies outside `target/`, so that it survives `cargo clean`.
/// `$XDG_CACHE_HOME/gpu-health-operator/cluster`.
pub fn cache_root() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let below_home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(below_home).unwrap_or_else(std::env::temp_dir);
    cache.join("gpu-health-operator/cluster")
}

/// A name for the pinned state of the Go modules.
fn modules_hash() -> Result<String, Error> {
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum", "kwok/go.mod", "kwok/go.sum"] {
        let path = modules_folder().join(file);
        hash.update(std::fs::read(&path).map_err(Error::file("read", &path))?);
    }
    Ok(format!("{:x}", hash.finalize())[..16].to_owned())
}

fn find_in_assets(assets: &Path, tool: &Tool) -> Result<Option<PathBuf>, Error> {
    let wrong = |problem: String| Error::Assets { folder: assets.to_owned(), problem };
    if !assets.is_dir() {
        return Err(wrong("there is no such folder".to_owned()));
    }
    let candidate = assets.join(tool.name);
    if !is_program(&candidate) {
        return Ok(None);
    }
    let (major, minor) = tool.minimum;
    match release_of(&candidate, tool) {
        Some(release) if release >= tool.minimum => Ok(Some(absolute(candidate))),
        Some((was_major, was_minor)) => {
            Err(wrong(format!("its {} is {was_major}.{was_minor}, and {major}.{minor} or newer is needed", tool.name)))
        }
        None => Err(wrong(format!("its {} does not say its release", tool.name))),
    }
}

/// Of setup-envtest's folders (`1.36.0-linux-amd64`) the one with the highest release.
fn newest_release_folder(parent: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(parent).ok()?.flatten();
    let release = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let numbers: Option<Vec<u32>> =
            name.to_str()?.split('-').next()?.split('.').map(|part| part.parse().ok()).collect();
        Some((numbers?, entry.path()))
    };
    entries.filter_map(|entry| release(&entry)).max().map(|(_, folder)| folder)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn release_of(program: &Path, tool: &Tool) -> Option<Release> {
    let output = Command::new(program).args(tool.version_args).stdin(Stdio::null()).output().ok()?;
    release_in(&String::from_utf8_lossy(&output.stdout))
}

/// The first word of the form `v1.36.3` or `3.6.8` in what a program prints about itself.
fn release_in(text: &str) -> Option<Release> {
    let release = |word: &str| {
        let mut parts = word.trim_start_matches('v').split(|byte: char| !byte.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    text.split_whitespace().find_map(release)
}

#[cfg(test)]
mod tests;
