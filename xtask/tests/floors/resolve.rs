//! From the paths that a file names to the files that define what they name.

use crate::{
    paths,
    source::{Crate, Module},
};
use std::collections::BTreeSet;

/// One file that names something of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) line: usize,
    /// As it stands in the code.
    pub(crate) path: String,
    pub(crate) to: String,
}

/// A name that is re-exported from module to module is followed so far.
const MOST_REEXPORTS: usize = 16;

/// Every import between two files of the crate.
pub(crate) fn imports(house: &Crate) -> BTreeSet<Import> {
    let mut imports = BTreeSet::new();
    for (at, module) in &house.modules {
        for named in paths::of_items(&module.items) {
            // Outside of `use` a single name is never a module: a variable may have the name of one.
            if matches!(named.path.as_slice(), [name] if module.children.contains(name)) {
                continue;
            }
            let Some(to) = file_of(house, at, &named.path) else { continue };
            if to != module.file {
                let path = named.path.join("::");
                imports.insert(Import { from: module.file.clone(), line: named.line, path, to });
            }
        }
    }
    imports
}

/// The file that defines what `path` names, as seen from the module `at`; `None` for what is not of this crate.
fn file_of(house: &Crate, at: &[String], path: &[String]) -> Option<String> {
    resolve(house, at, path, MOST_REEXPORTS).map(|module| module.file.clone())
}

fn resolve<'h>(house: &'h Crate, at: &[String], path: &[String], left: usize) -> Option<&'h Module> {
    let left = left.checked_sub(1)?;
    let mut here = at.to_vec();
    let mut rest = path;
    let mut anchored = false;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => here.clear(),
            "super" => drop(here.pop()?),
            "self" => {}
            _ => break,
        }
        anchored = true;
        rest = others;
    }
    loop {
        let module = house.modules.get(&here)?;
        let Some((first, others)) = rest.split_first() else {
            return Some(module);
        };
        if module.children.contains(first) {
            here.push(first.clone());
            rest = others;
            anchored = true;
            continue;
        }
        if let Some(stands_for) = module.names.get(first)
            && stands_for != path
        {
            let longer = [stands_for.as_slice(), others].concat();
            return resolve(house, &here, &longer, left).or_else(|| anchored.then_some(module));
        }
        if module.defines.contains(first) {
            return Some(module);
        }
        let by_glob = module.globs.iter().find_map(|glob| {
            let longer = [glob.as_slice(), rest].concat();
            resolve(house, &here, &longer, left).filter(|found| found.defines.contains(first))
        });
        return by_glob.or_else(|| anchored.then_some(module));
    }
}
