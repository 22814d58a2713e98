//! `cargo xtask codegen` writes the generated files; `--check` fails if a committed file differs.
//!
//! ```text
//! crds::custom_resource_definitions() ─▶ deploy/crds/*.yaml, docs/fields.md
//! crds::names + rbac's table          ─▶ deploy/rbac/*.yaml
//! crds::names + admission/*.yaml      ─▶ deploy/admission/*.yaml
//! node_agent::judge's pages           ─▶ docs/checks/*.md
//! node_agent::command_line            ─▶ docs/man/*.1, deploy/completions/*
//! ```
//!
//! Both modes use [`generate`], so the check always matches what would be written.

mod admission;
mod checks;
mod fields;
mod rbac;
mod shell;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folders with generated files only. A file there that is no longer generated counts as drift.
const OWNED_FOLDERS: &[&str] =
    &["deploy/crds", "deploy/rbac", "deploy/admission", "deploy/completions", "docs/checks", "docs/man"];
const HEADER: &str = "# Written by `cargo xtask codegen`. Edits are overwritten.\n";

/// Why code generation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder could not be read, written or removed.
    #[error("{act} {}: {source}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A generated object could not be turned into YAML.
    #[error("write {what} as YAML: {source}")]
    Yaml {
        /// The object.
        what: String,
        /// Why it failed.
        source: serde_yaml::Error,
    },
    /// A template has a placeholder without a value.
    #[error("xtask/src/codegen/admission/{template}: {placeholder} has no value; give it one in codegen/admission.rs")]
    Placeholder {
        /// The template.
        template: &'static str,
        /// The placeholder.
        placeholder: String,
    },
    /// A check's page has an empty text.
    #[error("the page of the check {check} has no text for `{text}`; write it in the PAGE of node-agent/src/judge")]
    EmptyPage {
        /// The check.
        check: &'static str,
        /// The member of the page or of one of its rules.
        text: &'static str,
    },
    /// Committed files differ from the generated ones.
    #[error("generated files are out of date:\n  {}\nTo update them, run: cargo xtask codegen", .0.join("\n  "))]
    Drift(
        /// Paths relative to the repository root, each with the kind of difference.
        Vec<String>,
    ),
}

impl Error {
    fn file(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { act, path, source }
    }
}

/// Writes all generated files. With `check`, only compares, and fails with [`Error::Drift`] if one differs.
pub(crate) fn run(check: bool) -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = generate()?;
    if check {
        let drift = drift(&root, &files)?;
        return if drift.is_empty() { Ok(()) } else { Err(Error::Drift(drift)) };
    }
    for (path, content) in &files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        std::fs::write(&path, content).map_err(Error::file("write", &path))?;
    }
    for orphan in orphans(&root, &files)? {
        let path = root.join(orphan);
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
    }
    println!("{} files written", files.len());
    Ok(())
}

/// Every generated file: its path relative to the repository root, and its content.
fn generate() -> Result<BTreeMap<String, String>, Error> {
    let definitions = crds::custom_resource_definitions();
    let mut files = BTreeMap::new();
    for definition in &definitions {
        let plural = &definition.spec.names.plural;
        files.insert(format!("deploy/crds/{plural}.yaml"), yaml(plural, std::slice::from_ref(definition))?);
    }
    for (name, objects) in rbac::files() {
        files.insert(format!("deploy/rbac/{name}.yaml"), yaml(name, &objects)?);
    }
    for (name, content) in admission::files()? {
        files.insert(format!("deploy/admission/{name}"), format!("{HEADER}{content}"));
    }
    files.append(&mut checks::files()?);
    files.append(&mut shell::files());
    files.insert("docs/fields.md".to_owned(), fields::reference(&definitions));
    Ok(files)
}

fn yaml<T: serde::Serialize>(what: &str, objects: &[T]) -> Result<String, Error> {
    objects.iter().try_fold(HEADER.to_owned(), |text, object| {
        let document = serde_yaml::to_string(object).map_err(|source| Error::Yaml { what: what.to_owned(), source })?;
        Ok(text + "---\n" + &document)
    })
}

fn drift(root: &Path, files: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let mut drift = Vec::new();
    for (path, content) in files {
        match std::fs::read_to_string(root.join(path)) {
            Ok(committed) if committed == *content => {}
            Ok(_) => drift.push(format!("{path} (differs)")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => drift.push(format!("{path} (missing)")),
            Err(error) => return Err(Error::file("read", &root.join(path))(error)),
        }
    }
    drift.extend(orphans(root, files)?.into_iter().map(|path| format!("{path} (no longer generated)")));
    Ok(drift)
}

fn orphans(root: &Path, files: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let mut orphans = Vec::new();
    for folder in OWNED_FOLDERS {
        let path = root.join(folder);
        if !path.exists() {
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(Error::file("list", &path))? {
            let entry = entry.map_err(Error::file("list", &path))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_file() && !files.contains_key(&name) {
                orphans.push(name);
            }
        }
    }
    orphans.sort();
    Ok(orphans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path) -> BTreeMap<String, String> {
        let files = BTreeMap::from([
            ("deploy/crds/a.yaml".to_owned(), "a\n".to_owned()),
            ("docs/b.md".to_owned(), "b\n".to_owned()),
        ]);
        for (path, content) in &files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        files
    }

    #[test]
    fn files_as_generated_are_no_drift() {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path());
        assert_eq!(drift(folder.path(), &files).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_changed_a_missing_and_a_left_over_file_are_each_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path());
        std::fs::write(folder.path().join("deploy/crds/a.yaml"), "edited\n").unwrap();
        std::fs::write(folder.path().join("deploy/crds/old.yaml"), "old\n").unwrap();
        std::fs::remove_file(folder.path().join("docs/b.md")).unwrap();
        let drift = drift(folder.path(), &files).unwrap();
        assert_eq!(
            drift,
            ["deploy/crds/a.yaml (differs)", "docs/b.md (missing)", "deploy/crds/old.yaml (no longer generated)"]
        );
        assert!(Error::Drift(drift).to_string().ends_with("run: cargo xtask codegen"));
    }

    #[test]
    fn generating_twice_gives_the_same_bytes() {
        assert_eq!(generate().unwrap(), generate().unwrap());
    }
}
