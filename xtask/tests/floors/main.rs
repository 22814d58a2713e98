//! The floors of both programs: a file imports only what lies below it, and no two files import each other.
//!
//! ```text
//! table.rs     the rooms of each crate, ground first
//! source.rs    a crate's files and modules, tests left out
//! paths.rs     the paths that one file names, with their lines
//! resolve.rs   from a path to the file that defines what it names
//! verdict.rs   imports that climb, circles, files without a room, rooms without a file
//! ```

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod paths;
mod resolve;
mod source;
mod table;
mod verdict;

use source::Crate;
use std::path::{Path, PathBuf};
use table::{CRATES, Plan};
use verdict::problems;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(plan: &Plan) -> Crate {
    Crate::read(&repository(), plan.sources)
}

/// Adds a line at the end of a file of the real crate, and returns what the check then finds.
fn with_mutant(sources: &str, file: &str, line: &str) -> Vec<String> {
    let plan = CRATES.iter().find(|plan| plan.sources == sources).unwrap();
    let mut files = source::read_files(&repository(), sources);
    let text = files.get_mut(file).unwrap_or_else(|| panic!("{sources} has no {file}"));
    text.push('\n');
    text.push_str(line);
    problems(plan, &Crate::of_files(sources, &files))
}

#[test]
fn every_import_goes_down_and_no_two_files_import_each_other() {
    let found: Vec<String> = CRATES.iter().flat_map(|plan| problems(plan, &read(plan))).collect();
    assert!(found.is_empty(), "{} problems:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_walk_sees_the_imports_of_every_floor() {
    for plan in CRATES {
        let house = read(plan);
        let imports = resolve::imports(&house);
        assert!(imports.len() > house.files().count(), "{}: {} imports", plan.sources, imports.len());
        println!("{}: {} files, {} imports", plan.sources, house.files().count(), imports.len());
    }
}

#[test]
fn an_import_that_climbs_is_caught_in_every_form() {
    let climbing = [
        "use crate::decide::decide;",
        "use crate::{decide::decide as other, plan::Plan};",
        "fn mutant() { crate::decide::decide(); }",
        "fn mutant() { println!(\"{:?}\", crate::decide::decide()); }",
        "type Mutant = super::shell::Brain;",
    ];
    for line in climbing {
        let found = with_mutant("operator/src", "world.rs", line);
        assert!(found.iter().any(|problem| problem.contains("operator/src/world.rs:")), "{line}: {found:?}");
    }
    let found = with_mutant("node-agent/src", "pci.rs", "use crate::judge::judge;");
    assert!(found.iter().any(|problem| problem.contains("node-agent/src/pci.rs:")), "{found:?}");
}

#[test]
fn two_files_of_one_room_that_import_each_other_are_caught() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b;\nmod c;\npub use b::One;"),
        ("a/b.rs", "use super::c::Two;\npub struct One(Two);"),
        ("a/c.rs", "use super::One;\npub struct Two(Box<One>);"),
    ];
    let plan = Plan { sources: "x/src", rooms: &["a", "lib"] };
    let found = problems(&plan, &Crate::of_text("x/src", &files));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("x/src/a/b.rs") && found[0].contains("x/src/a/c.rs"), "{found:?}");
}

#[test]
fn what_only_tests_import_does_not_count() {
    let files = [
        ("lib.rs", "mod a;\nmod b;"),
        (
            "a.rs",
            "#[cfg(test)]\nmod tests { use crate::b::B; }\n#[cfg(test)]\nmod more;\n#[cfg(test)]\nuse crate::b::B;",
        ),
        ("a/more.rs", "use crate::b::B;"),
        ("b.rs", "use crate::a;\npub struct B;"),
    ];
    let plan = Plan { sources: "x/src", rooms: &["a", "b", "lib"] };
    assert_eq!(problems(&plan, &Crate::of_text("x/src", &files)), Vec::<String>::new());
}

#[test]
fn a_file_without_a_room_and_a_room_without_a_file_are_named() {
    let files = [("lib.rs", "mod a;\nmod b;"), ("a.rs", ""), ("b.rs", "")];
    let plan = Plan { sources: "x/src", rooms: &["a", "gone", "lib"] };
    let found = problems(&plan, &Crate::of_text("x/src", &files));
    assert!(found.iter().any(|problem| problem.contains("x/src/b.rs")), "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("gone")), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}
