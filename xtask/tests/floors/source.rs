//! A crate's files and modules, without those that only tests see.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use syn::{Attribute, Item, Meta};

/// A module: where it is, what it holds, and what it brings into scope.
#[derive(Default)]
pub(crate) struct Module {
    /// Its file, relative to the crate's sources.
    pub(crate) file: String,
    /// Its child modules by name.
    pub(crate) children: Vec<String>,
    /// What `use` brings into its scope: name, and the path it stands for.
    pub(crate) names: BTreeMap<String, Vec<String>>,
    /// The paths of its `use …::*`.
    pub(crate) globs: Vec<Vec<String>>,
    /// The names that it defines itself.
    pub(crate) defines: Vec<String>,
    /// Its items.
    pub(crate) items: Vec<Item>,
}

/// The modules of a crate by path (`[]` is the root).
pub(crate) struct Crate {
    /// Where its sources are, relative to the repository.
    pub(crate) sources: String,
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
}

/// Every Rust file below `sources`, by its path there.
pub(crate) fn read_files(repository: &Path, sources: &str) -> BTreeMap<String, String> {
    let root = repository.join(sources);
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap().map(Result::unwrap) {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(root.join(&path)).unwrap();
                files.insert(path.to_str().unwrap().to_owned(), text);
            }
        }
    }
    files
}

impl Crate {
    pub(crate) fn read(repository: &Path, sources: &str) -> Self {
        Self::of_files(sources, &read_files(repository, sources))
    }

    pub(crate) fn of_text(sources: &str, files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self::of_files(sources, &files.collect())
    }

    pub(crate) fn of_files(sources: &str, files: &BTreeMap<String, String>) -> Self {
        let mut house = Self { sources: sources.to_owned(), modules: BTreeMap::new() };
        house.take_file(files, &[], "lib.rs");
        house
    }

    /// The files, each once.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        let mut files: Vec<&str> = self.modules.values().map(|module| module.file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        files.into_iter()
    }

    fn take_file(&mut self, files: &BTreeMap<String, String>, path: &[String], file: &str) {
        let text = &files[file];
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{}/{file}: {error}", self.sources));
        self.take_module(files, path, file, parsed.items);
    }

    fn take_module(&mut self, files: &BTreeMap<String, String>, path: &[String], file: &str, items: Vec<Item>) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items {
            if attributes(&item).iter().any(is_for_tests) {
                continue;
            }
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let child_path = [path, std::slice::from_ref(&name)].concat();
                    module.children.push(name);
                    if let Some((_, items)) = child.content {
                        self.take_module(files, &child_path, file, items);
                    } else {
                        self.take_file(files, &child_path, &file_of(files, &child_path));
                    }
                }
                Item::Use(import) => {
                    let imported = crate::paths::of_use(&import.tree);
                    for (path, name) in imported {
                        match name {
                            Some(name) => drop(module.names.insert(name, path)),
                            None => module.globs.push(path),
                        }
                    }
                    module.items.push(Item::Use(import));
                }
                other => {
                    module.defines.extend(defined(&other));
                    module.items.push(other);
                }
            }
        }
        self.modules.insert(path.to_vec(), module);
    }
}

fn file_of(files: &BTreeMap<String, String>, path: &[String]) -> String {
    let stem = path.join("/");
    let candidates = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
    candidates.into_iter().find(|file| files.contains_key(file)).unwrap_or_else(|| panic!("no file for module {stem}"))
}

fn is_for_tests(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// The name that an item brings into its module.
fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(i) => &i.ident,
        Item::Enum(i) => &i.ident,
        Item::Fn(i) => &i.sig.ident,
        Item::Static(i) => &i.ident,
        Item::Struct(i) => &i.ident,
        Item::Trait(i) => &i.ident,
        Item::Type(i) => &i.ident,
        _ => return None,
    };
    Some(name.to_string())
}
