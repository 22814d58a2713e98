//! What is wrong with a crate's imports, one sentence each.

use crate::{
    resolve::{Import, imports},
    source::Crate,
    table::Plan,
};
use std::collections::{BTreeMap, BTreeSet};

/// Every problem of the crate; empty where all is as the table says.
pub(crate) fn problems(plan: &Plan, house: &Crate) -> Vec<String> {
    let imports = imports(house);
    let mut found = without_room(plan, house);
    found.extend(climbing(plan, house, &imports));
    found.extend(circles(house, &imports));
    found
}

/// The floor of a file: the place of the longest room that holds it.
fn floor(plan: &Plan, file: &str) -> Option<usize> {
    let holds = |room: &str| {
        let rest = file.strip_prefix(room);
        rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    let rooms = plan.rooms.iter().enumerate().filter(|(_, room)| holds(room));
    rooms.max_by_key(|(_, room)| room.len()).map(|(floor, _)| floor)
}

fn without_room(plan: &Plan, house: &Crate) -> Vec<String> {
    let sources = &house.sources;
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for file in house.files() {
        match floor(plan, file) {
            Some(floor) => drop(used.insert(floor)),
            None => found.push(format!("{sources}/{file} is in no room: add it to xtask/tests/floors/table.rs")),
        }
    }
    let unused = plan.rooms.iter().enumerate().filter(|(floor, _)| !used.contains(floor));
    found.extend(unused.map(|(_, room)| format!("{sources}/{room} holds no file: take it out of the table")));
    found
}

fn climbing(plan: &Plan, house: &Crate, imports: &BTreeSet<Import>) -> Vec<String> {
    let sources = &house.sources;
    let mut found = Vec::new();
    for Import { from, line, path, to } in imports {
        let (Some(own), Some(other)) = (floor(plan, from), floor(plan, to)) else { continue };
        if other > own {
            let (own, other) = (plan.rooms[own], plan.rooms[other]);
            found.push(format!(
                "{sources}/{from}:{line} imports {path} ({to}): {other} lies above {own}; move what is needed down"
            ));
        }
    }
    found
}

/// Files that reach each other by imports, each circle once.
fn circles(house: &Crate, imports: &BTreeSet<Import>) -> Vec<String> {
    let mut to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        to.entry(&import.from).or_default().insert(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = to.keys().map(|file| (*file, reach(&to, file))).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (file, reach) in &reached {
        let circle: Vec<&str> =
            reach.iter().copied().filter(|other| reached.get(other).is_some_and(|r| r.contains(file))).collect();
        if !circle.is_empty() && seen.insert(circle.clone()) {
            let inside =
                imports.iter().filter(|i| circle.contains(&i.from.as_str()) && circle.contains(&i.to.as_str()));
            let mut arrows: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
            for i in inside {
                arrows.entry((&i.from, &i.to)).or_default().insert(&i.path);
            }
            let arrows = arrows.iter().map(|((from, to), paths)| {
                let paths: Vec<&str> = paths.iter().copied().collect();
                format!("  {from} -> {to}: {}", paths.join(", "))
            });
            let arrows: Vec<String> = arrows.collect();
            let files: Vec<String> = circle.iter().map(|file| format!("{}/{file}", house.sources)).collect();
            found.push(format!("these files import each other: {}\n{}", files.join(", "), arrows.join("\n")));
        }
    }
    found
}

fn reach<'a>(to: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for next in to.get(file).into_iter().flatten() {
            if reached.insert(*next) {
                open.push(next);
            }
        }
    }
    reached
}
