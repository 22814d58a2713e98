//! The profile of this machine, out of a file with one or several.

use super::order::OrderError;
use crds::NodeHardwareProfile;
use crds::node_hardware_profile::is_of_model;
use crds::node_health::Gpu;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The profiles of a file.
#[derive(Debug, Clone)]
pub(super) struct Profiles {
    path: PathBuf,
    all: Vec<NodeHardwareProfile>,
}

/// The choice.
#[derive(Debug)]
pub(super) enum Chosen<'a> {
    /// This one.
    Profile(&'a NodeHardwareProfile),
    /// The driver names no model to choose by: a sentence.
    NoModel(String),
}

impl Profiles {
    /// Reads all documents of the file.
    pub(super) fn read(path: &Path) -> Result<Self, OrderError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| OrderError::Read { path: path.to_owned(), source })?;
        let failed = |source| OrderError::Profile { path: path.to_owned(), source };
        let mut all = Vec::new();
        for document in serde_yaml::Deserializer::from_str(&text) {
            // A document of comments only is none.
            if let Some(profile) = Option::<NodeHardwareProfile>::deserialize(document).map_err(failed)? {
                all.push(profile);
            }
        }
        if all.is_empty() {
            let problem = format!("{}: there is no NodeHardwareProfile in it", path.display());
            return Err(OrderError::argument("--profile", problem, "see examples/profile-h100.yaml"));
        }
        Ok(Self { path: path.to_owned(), all })
    }

    /// The only one, which then holds whatever the machine looks like.
    pub(super) fn only(&self) -> Option<&NodeHardwareProfile> {
        self.all.first().filter(|_| self.all.len() == 1)
    }

    /// The one whose models are those of the GPUs; of several the one with their number; of these the one with the highest
    /// priority. A profile whose number differs still holds if no other has the models: the number is then judged.
    pub(super) fn of_machine(&self, gpus: &[Gpu]) -> Result<Chosen<'_>, OrderError> {
        if let Some(only) = self.only() {
            return Ok(Chosen::Profile(only));
        }
        let models: Vec<&str> = gpus.iter().filter_map(|gpu| gpu.model.as_deref()).collect();
        if models.is_empty() {
            let of = self.path.display();
            return Ok(Chosen::NoModel(format!("no profile of {of} could be chosen: the driver names no GPU model")));
        }
        let mut fit: Vec<&NodeHardwareProfile> =
            self.all.iter().filter(|profile| has_models(profile, &models)).collect();
        let count = i64::try_from(gpus.len()).unwrap_or(i64::MAX);
        let declared = |profile: &NodeHardwareProfile| profile.spec.gpus.as_ref().and_then(|gpus| gpus.count);
        if fit.iter().any(|profile| declared(profile) == Some(count)) {
            fit.retain(|profile| declared(profile) == Some(count));
        }
        let highest = fit.iter().map(|profile| profile.spec.priority).max();
        fit.retain(|profile| Some(profile.spec.priority) == highest);
        match fit.as_slice() {
            [one] => Ok(Chosen::Profile(one)),
            [] => Err(self.undecided(&format!("none of {} profiles is for", self.all.len()), &models)),
            several => {
                let names: Vec<&str> = several.iter().filter_map(|one| one.metadata.name.as_deref()).collect();
                Err(self.undecided(&format!("{} are all for", names.join(", ")), &models))
            }
        }
    }

    fn undecided(&self, which: &str, models: &[&str]) -> OrderError {
        let mut kinds = models.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        let problem = format!("{}: {which} {} x {}", self.path.display(), models.len(), kinds.join(", "));
        OrderError::argument("--profile", problem, "put the profile of this machine into a file of its own")
    }
}

/// Whether every model of the machine is one of those that the profile is for.
fn has_models(profile: &NodeHardwareProfile, models: &[&str]) -> bool {
    let declared = profile.spec.gpus.as_ref().map(|gpus| &gpus.models).filter(|models| !models.is_empty());
    let Some(named) = profile.spec.match_.gpu_models.as_ref().or(declared) else { return false };
    models.iter().all(|model| named.iter().any(|name| is_of_model(model, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(documents: &[(&str, &str, i64, i64)]) -> Profiles {
        let document = |(name, model, count, priority): &(&str, &str, i64, i64)| {
            format!(
                "# {name}\napiVersion: gpuhealth.dev/v1alpha1\nkind: NodeHardwareProfile\nmetadata: {{name: {name}}}\n\
                 spec: {{priority: {priority}, match: {{instanceTypes: [x]}}, gpus: {{models: [{model}], count: {count}}}}}\n"
            )
        };
        let text = documents.iter().map(document).collect::<Vec<_>>().join("---\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profiles.yaml");
        std::fs::write(&file, format!("# only comments\n---\n{text}")).unwrap();
        Profiles::read(&file).unwrap()
    }

    fn chosen(profiles: &Profiles, model: &str, count: usize) -> String {
        let gpu = Gpu { model: Some(model).filter(|model| !model.is_empty()).map(Into::into), ..Gpu::default() };
        match profiles.of_machine(&vec![gpu; count]) {
            Ok(Chosen::Profile(profile)) => profile.metadata.name.clone().unwrap(),
            Ok(Chosen::NoModel(why)) => why,
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_profile_is_chosen_by_model_then_number_then_priority() {
        let all =
            profiles(&[("one", "L4", 1, 0), ("eight", "L4", 8, 0), ("any", "H100", 8, -200), ("best", "H100", 8, 0)]);
        assert_eq!(chosen(&all, "NVIDIA L4", 8), "eight");
        assert_eq!(chosen(&all, "NVIDIA L4", 1), "one");
        assert_eq!(chosen(&all, "NVIDIA H100 80GB HBM3", 8), "best");
        // One GPU is missing: the number is judged, not what the profile is chosen by.
        assert_eq!(chosen(&all, "NVIDIA H100 80GB HBM3", 7), "best");
    }

    #[test]
    fn no_choice_is_an_error_that_names_what_there_is() {
        let all = profiles(&[("one", "L4", 1, 0), ("eight", "L4", 8, 0)]);
        assert!(chosen(&all, "NVIDIA H100 80GB HBM3", 8).contains("none of 2 profiles is for 8 x NVIDIA H100"));
        assert!(chosen(&all, "NVIDIA L4", 4).contains("one, eight are all for 4 x NVIDIA L4"));
        assert!(chosen(&all, "", 8).contains("the driver names no GPU model"));
        // The only profile of a file was chosen by whoever named it.
        assert_eq!(chosen(&profiles(&[("one", "L4", 1, 0)]), "NVIDIA H100 80GB HBM3", 8), "one");
    }

    #[test]
    fn the_shipped_profiles_are_read_and_one_of_them_fits() {
        for (file, model, name) in [
            ("nvidia-gpu-models.yaml", "NVIDIA H200", "gpu-h200"),
            ("aws-instance-types.yaml", "NVIDIA B200", "aws-p6-b200.48xlarge"),
        ] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/profiles").join(file);
            assert_eq!(chosen(&Profiles::read(&path).unwrap(), model, 8), name);
        }
    }
}
