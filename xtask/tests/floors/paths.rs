//! The paths that a file names: in `use`, in code and inside macros.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMod, Macro, Path, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path and the line where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// What one `use` brings in: each path, and the name it gets; `None` for `*`.
pub(crate) fn of_use(tree: &UseTree) -> Vec<(Vec<String>, Option<String>)> {
    let mut found = Vec::new();
    descend(tree, &[], &mut found);
    found
}

fn descend(tree: &UseTree, above: &[String], found: &mut Vec<(Vec<String>, Option<String>)>) {
    let with = |name: String| [above, &[name]].concat();
    match tree {
        UseTree::Path(path) => descend(&path.tree, &with(path.ident.to_string()), found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| descend(tree, above, found)),
        UseTree::Glob(_) => found.push((above.to_vec(), None)),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((above.to_vec(), above.last().cloned()));
        }
        UseTree::Name(name) => found.push((with(name.ident.to_string()), Some(name.ident.to_string()))),
        UseTree::Rename(name) => {
            let path = if name.ident == "self" { above.to_vec() } else { with(name.ident.to_string()) };
            found.push((path, Some(name.rename.to_string())));
        }
    }
}

/// Every path that these items name, tests left out.
pub(crate) fn of_items(items: &[Item]) -> Vec<Named> {
    let mut walk = Walk::default();
    for item in items {
        walk.visit_item(item);
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    found: Vec<Named>,
}

impl<'ast> Visit<'ast> for Walk {
    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        let line = import.use_token.span.start().line;
        self.found.extend(of_use(&import.tree).into_iter().map(|(path, _)| Named { path, line }));
    }

    // A module in a file of its own, or in braces, is walked as a module.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    // Documentation may name what it likes; derives name other crates.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    // `pub(super)` and `pub(in crate::x)` import nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        let Some(first) = path.segments.first() else { return };
        let line = first.ident.span().start().line;
        self.found.push(Named { path: path.segments.iter().map(|s| s.ident.to_string()).collect(), line });
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }
}

impl Walk {
    /// Inside a macro there are only tokens: names joined by `::` are a path.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path, line);
                        line = name.span().start().line;
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, line);
                    colons = 0;
                    self.scan(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, line);
    }

    fn end(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.found.push(Named { path: path.clone(), line });
        }
        path.clear();
    }
}
