//! Files do not use each other in a circle.
//!
//! A file that has a folder of its own is the face of what is in it, and is not counted as using that.

use std::collections::{BTreeMap, BTreeSet};

use super::mentions::{Path, code, mentioned};
use super::{Complaint, File};

/// Crates whose files are looked at.
const ROOTS: [&str; 6] = [
    "extension/src/",
    "extension/dvm/src/",
    "harness/src/",
    "soak/src/",
    "monitoring/src/",
    "xtask/src/",
];

/// A tree is made of itself: its types stand in three files.
const INHERENT: [&str; 3] = ["tree/opaque.rs", "tree/recursion.rs", "tree/relation.rs"];

pub fn no_circle(files: &[File]) -> Vec<Complaint> {
    ROOTS
        .iter()
        .filter_map(|root| {
            let circle = Crate::of(root, files).circle()?;
            let first = files.iter().find(|file| file.path == circle[0])?;
            let what = format!(
                "uses itself through {}; move what two of them need below both",
                circle[1..].join(", ")
            );
            Some(Complaint::new(first, 1, what))
        })
        .collect()
}

struct Crate<'a> {
    /// The files by the paths of their modules.
    modules: BTreeMap<Path<'a>, &'a File>,
    /// What each module shows of others, by name.
    faces: BTreeMap<Path<'a>, BTreeMap<&'a str, Path<'a>>>,
    root: &'a str,
}

impl<'a> Crate<'a> {
    fn of(root: &'a str, files: &'a [File]) -> Self {
        let module = |file: &'a File| {
            let inside = file.path.strip_prefix(root)?.strip_suffix(".rs")?;
            Some((module_path(inside), file))
        };
        let modules: BTreeMap<_, _> = files.iter().filter_map(module).collect();
        let faces = modules.iter().map(|(path, file)| {
            let shown = mentioned(code(&file.text)).into_iter();
            let shown = shown
                .filter(|mention| mention.is_public)
                .filter_map(|mention| Some((*mention.path.last()?, mention.path)));
            (path.clone(), shown.collect())
        });
        Crate {
            faces: faces.collect(),
            modules,
            root,
        }
    }

    /// Files that use each other in a circle, in order; `None` if there are none.
    fn circle(&self) -> Option<Vec<&'a str>> {
        let mut left: BTreeMap<&Path<'a>, BTreeSet<Path<'a>>> = self
            .modules
            .keys()
            .map(|path| (path, self.used_by(path)))
            .collect();
        loop {
            let there: BTreeSet<Path<'a>> = left.keys().map(|path| (*path).clone()).collect();
            left.values_mut()
                .for_each(|used| used.retain(|path| there.contains(path)));
            let before = left.len();
            left.retain(|_, used| !used.is_empty());
            if left.len() == before {
                break;
            }
        }
        let mut way = vec![*left.keys().next()?];
        loop {
            let next = left[way[way.len() - 1]].first()?;
            if let Some(start) = way.iter().position(|path| *path == next) {
                let circle = way[start..].iter();
                return Some(
                    circle
                        .map(|path| self.modules[*path].path.as_str())
                        .collect(),
                );
            }
            way.push(left.get_key_value(next)?.0);
        }
    }

    /// The modules that a module uses, but for those below it.
    fn used_by(&self, own: &Path<'a>) -> BTreeSet<Path<'a>> {
        let file = self.modules[own];
        if file.path.ends_with("/tests.rs") || file.path.ends_with("/testing.rs") {
            return BTreeSet::new();
        }
        let mentions = mentioned(code(&file.text));
        let imported = mentions.iter().filter(|mention| mention.is_import);
        let imported: BTreeMap<&str, &Path<'a>> = imported
            .filter_map(|mention| Some((*mention.path.last()?, &mention.path)))
            .collect();
        let is_inherent = |path: &Path<'a>| {
            let inside = |path| self.modules[path].path.strip_prefix(self.root);
            [own, path]
                .iter()
                .all(|path| inside(*path).is_some_and(|p| INHERENT.contains(&p)))
        };
        mentions
            .iter()
            .filter_map(|mention| {
                let path = match imported.get(mention.path.first()?) {
                    Some(whole) if !mention.is_import => {
                        [whole.as_slice(), &mention.path[1..]].concat()
                    }
                    _ => mention.path.clone(),
                };
                self.module_of(&path, own, 0)
            })
            .filter(|used| !used.starts_with(own) && !is_inherent(used))
            .collect()
    }

    /// The module in which a path ends, seen from `here`.
    fn module_of(&self, path: &[&'a str], here: &Path<'a>, depth: usize) -> Option<Path<'a>> {
        let supers = path.iter().take_while(|word| **word == "super").count();
        let (mut at, rest) = match *path.first()? {
            "crate" => (Path::new(), &path[1..]),
            "self" => (here.clone(), &path[1..]),
            "super" => (
                here[..here.len().checked_sub(supers)?].to_vec(),
                &path[supers..],
            ),
            child
                if self
                    .modules
                    .contains_key(&[here.as_slice(), &[child]].concat()) =>
            {
                (here.clone(), path)
            }
            _ => return None,
        };
        let mut rest = rest.iter();
        for word in rest.by_ref() {
            let deeper = [at.as_slice(), &[*word]].concat();
            if self.modules.contains_key(&deeper) {
                at = deeper;
                continue;
            }
            let shown = self.faces.get(&at).and_then(|shown| shown.get(word));
            return match shown {
                Some(from) if depth < 8 => self.module_of(from, &at, depth + 1).or(Some(at)),
                _ => Some(at),
            };
        }
        self.modules.contains_key(&at).then_some(at)
    }
}

/// `a/b/mod` and `a/b` are the module `a::b`, `lib` and `main` the crate.
fn module_path(inside: &str) -> Path<'_> {
    let mut words: Path<'_> = inside.split('/').collect();
    if matches!(words.last(), Some(&("mod" | "lib" | "main"))) {
        words.pop();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let in_pg = |(name, text): &(&str, &str)| file(&format!("extension/src/pg/{name}"), text);
        let files: Vec<File> = files.iter().map(in_pg).collect();
        no_circle(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_circle_is_found_through_faces_and_modules() {
        let circle = [
            ("mod.rs", "mod a;\npub mod b;\n"),
            ("a.rs", "use super::b;\nfn f() {\n    b::g();\n}\n"),
            ("b/mod.rs", "mod c;\npub use c::g;\n"),
            ("b/c.rs", "use crate::pg::a::{self, F};\n"),
        ];
        assert_eq!(
            found(&circle),
            [
                "extension/src/pg/a.rs:1: uses itself through extension/src/pg/b/c.rs; \
                 move what two of them need below both"
            ]
        );
    }

    #[test]
    fn a_face_may_use_what_is_in_it() {
        let face = [
            (
                "mod.rs",
                "mod a;\npub struct B;\nfn f() {\n    a::g();\n}\n",
            ),
            ("a.rs", "use super::B;\npub fn g() {}\n"),
        ];
        assert!(found(&face).is_empty());
    }

    #[test]
    fn a_test_may_look_up() {
        let tested = [
            ("a.rs", "use super::b::C;\n"),
            (
                "b.rs",
                "#[cfg(test)]\nmod tests {\n    use crate::pg::a;\n}\n",
            ),
        ];
        assert!(found(&tested).is_empty());
    }
}
