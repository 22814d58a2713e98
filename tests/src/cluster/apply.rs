//! Manifests, applied as `kubectl apply --server-side` does.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

use super::tokens::FIELD_MANAGER;
use super::wait::until;
use super::{ControlPlane, Error};

/// A kind whose definition was just applied appears in discovery within this time.
const DISCOVERED_WITHIN: Duration = Duration::from_secs(15);

/// What others need comes first, whatever the order of files and documents.
const FIRST: &[&str] = &["Namespace", "CustomResourceDefinition", "ServiceAccount", "ValidatingAdmissionPolicy"];

impl ControlPlane {
    /// Applies every document of a YAML text (server-side apply, conflicts forced), as the administrator. Namespaces and
    /// definitions come first. The answer is in the order of application.
    pub async fn apply_yaml(&self, text: &str) -> Result<Vec<DynamicObject>, Error> {
        self.apply(documents("manifest", text)?).await
    }

    /// Applies every `*.yaml` in a folder, as [`ControlPlane::apply_yaml`] does, in the order of their names.
    pub async fn apply_dir(&self, folder: impl AsRef<Path>) -> Result<Vec<DynamicObject>, Error> {
        let mut all = Vec::new();
        for file in yaml_files(folder.as_ref())? {
            let text = std::fs::read_to_string(&file).map_err(Error::file("read", &file))?;
            all.extend(documents(&file.display().to_string(), &text)?);
        }
        self.apply(all).await
    }

    async fn apply(&self, mut objects: Vec<DynamicObject>) -> Result<Vec<DynamicObject>, Error> {
        let rank =
            |object: &DynamicObject| FIRST.iter().position(|kind| *kind == gvk(object).kind).unwrap_or(FIRST.len());
        objects.sort_by_key(rank);
        let client = self.admin()?;
        let mut kinds = HashMap::new();
        let mut applied = Vec::with_capacity(objects.len());
        for object in objects {
            let gvk = gvk(&object);
            if !kinds.contains_key(&gvk) {
                kinds.insert(gvk.clone(), discover(&client, &gvk).await?);
            }
            applied.push(apply_one(&client, &kinds[&gvk], &object).await?);
        }
        Ok(applied)
    }
}

async fn discover(client: &Client, gvk: &GroupVersionKind) -> Result<(ApiResource, ApiCapabilities), Error> {
    let what = format!("{}/{} {} to appear in discovery", gvk.group, gvk.version, gvk.kind);
    until(&what, DISCOVERED_WITHIN, || async { pinned_kind(client, gvk).await.map_err(|error| error.to_string()) })
        .await
}

async fn apply_one(
    client: &Client,
    (resource, capabilities): &(ApiResource, ApiCapabilities),
    object: &DynamicObject,
) -> Result<DynamicObject, Error> {
    let (name, namespace) = (object.name_any(), object.namespace());
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace.as_deref().unwrap_or("default"), resource),
    };
    let applied = api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object)).await;
    applied.map_err(Error::api(format!("apply {} {name}", resource.kind)))
}

fn gvk(object: &DynamicObject) -> GroupVersionKind {
    object
        .types
        .as_ref()
        .and_then(|types| GroupVersionKind::try_from(types).ok())
        .unwrap_or_else(|| GroupVersionKind::gvk("", "", ""))
}

/// The objects of a text of several documents; empty documents are passed over.
fn documents(source: &str, text: &str) -> Result<Vec<DynamicObject>, Error> {
    let mut objects = Vec::new();
    for (number, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let malformed =
            |problem: String| Error::Manifest { document: format!("{source}, document {}", number + 1), problem };
        let value = serde_yaml::Value::deserialize(document).map_err(|error| malformed(error.to_string()))?;
        if value.is_null() {
            continue;
        }
        let object: DynamicObject = serde_yaml::from_value(value).map_err(|error| malformed(error.to_string()))?;
        if object.types.is_none() || object.metadata.name.is_none() {
            return Err(malformed("apiVersion, kind or metadata.name is missing: give all three".to_owned()));
        }
        objects.push(object);
    }
    Ok(objects)
}

/// The YAML files of a folder in the order of their names; none when there is no such folder.
pub(super) fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn empty_documents_are_passed_over_and_a_nameless_one_is_an_error_that_says_which() {
        let good = "---\n# only a comment\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n";
        assert_eq!(documents("x.yaml", good).unwrap().len(), 1);
        let error = documents("x.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {}\n").unwrap_err();
        assert!(
            error.to_string().starts_with("x.yaml, document 1: apiVersion, kind or metadata.name is missing"),
            "{error}"
        );
    }
}
