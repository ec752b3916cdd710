//! Whether files and record agree, without a network.

use crate::{Image, Record, places_in};

/// Something about an image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What it is.
    pub what: String,
    /// Whether the image has just not been resolved yet, which only a registry can mend. Everything else is
    /// a contradiction.
    pub is_unpinned: bool,
}

/// What is to be said of these files, each a path and a text.
pub fn findings<'a>(
    record: &Record,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        let mut say = |line, what: String, is_unpinned| {
            findings.push(Finding {
                path: path.to_owned(),
                line,
                what,
                is_unpinned,
            });
        };
        let places = match places_in(path, text) {
            Ok(places) => places,
            Err(error) => {
                say(1, format!("{error:#}"), false);
                continue;
            }
        };
        for place in places {
            let image = match Image::parse(&place.text) {
                Ok(image) => image,
                Err(error) => {
                    say(place.line, format!("{error:#}"), false);
                    continue;
                }
            };
            if record.own.contains(&image.name) {
                continue;
            }
            let tagged = image.tagged();
            match (
                image.digest.as_deref(),
                record.digest(&image.name, &image.tag),
            ) {
                (Some(used), Some(known)) if used == known => {}
                (Some(_), Some(_)) => {
                    say(
                        place.line,
                        format!("{tagged} has another digest than the record"),
                        false,
                    );
                }
                (Some(_), None) => {
                    say(
                        place.line,
                        format!("{tagged} has a digest that is not in the record"),
                        false,
                    );
                }
                (None, Some(_)) => {
                    say(
                        place.line,
                        format!("{tagged} has lost the digest that is in the record"),
                        false,
                    );
                }
                (None, None) => say(place.line, format!("{tagged} is unpinned"), true),
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pin;

    fn digest(byte: &str) -> String {
        format!("sha256:{}", byte.repeat(32))
    }

    fn said(text: &str) -> Vec<(String, bool)> {
        let record = Record {
            own: vec!["mine".to_owned()],
            pins: vec![Pin {
                name: "a".to_owned(),
                tag: "1".to_owned(),
                digest: digest("aa"),
                platforms: Vec::new(),
                resolved: String::new(),
            }],
        };
        findings(&record, [("images/Dockerfile", text)])
            .into_iter()
            .map(|finding| (finding.what, finding.is_unpinned))
            .collect()
    }

    #[test]
    fn every_disagreement_is_named() {
        assert_eq!(said(&format!("FROM a:1@{}\n", digest("aa"))), []);
        assert_eq!(said("FROM mine:7\n"), []);
        for (from, what, is_unpinned) in [
            (
                format!("a:1@{}", digest("bb")),
                "a:1 has another digest than the record",
                false,
            ),
            (
                format!("b:1@{}", digest("aa")),
                "b:1 has a digest that is not in the record",
                false,
            ),
            (
                "a:1".to_owned(),
                "a:1 has lost the digest that is in the record",
                false,
            ),
            ("b:2".to_owned(), "b:2 is unpinned", true),
            ("b".to_owned(), "`b` has no tag", false),
            (
                "a:1@sha256:aa".to_owned(),
                "images/Dockerfile: unable to parse Dockerfile: image reference digest is invalid",
                false,
            ),
        ] {
            assert_eq!(
                said(&format!("FROM {from}\n")),
                [(what.to_owned(), is_unpinned)]
            );
        }
    }

    #[test]
    fn the_checkout_does_not_contradict_its_record() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let files = crate::files_of(&root).unwrap();
        let texts = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        let mut found = findings(&Record::read(&root).unwrap(), texts);
        found.retain(|finding| !finding.is_unpinned);
        assert_eq!(found, []);
    }
}
