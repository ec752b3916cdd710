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
}

/// What is to be said of these files, each a path and a text.
pub fn findings<'a>(
    record: &Record,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in files {
        let mut say = |line, what: String| {
            findings.push(Finding {
                path: path.to_owned(),
                line,
                what,
            });
        };
        let places = match places_in(path, text) {
            Ok(places) => places,
            Err(error) => {
                say(1, format!("{error:#}"));
                continue;
            }
        };
        for place in places {
            let image = match Image::parse(&place.text) {
                Ok(image) => image,
                Err(error) => {
                    say(place.line, format!("{error:#}"));
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
                    );
                }
                (Some(_), None) => {
                    say(
                        place.line,
                        format!("{tagged} has a digest that is not in the record"),
                    );
                }
                (None, Some(_)) => {
                    say(
                        place.line,
                        format!("{tagged} has lost the digest that is in the record"),
                    );
                }
                (None, None) => say(place.line, format!("{tagged} is unpinned")),
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pin, Source};

    fn digest(byte: &str) -> String {
        format!("sha256:{}", byte.repeat(32))
    }

    fn said(text: &str) -> Vec<String> {
        let record = Record {
            own: vec!["mine".to_owned()],
            pins: vec![Pin {
                name: "a".to_owned(),
                tag: "1".to_owned(),
                digest: digest("aa"),
                platforms: Vec::new(),
                source: Source::Listing,
                date: String::new(),
            }],
        };
        findings(&record, [("images/Dockerfile", text)])
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn every_disagreement_is_named() {
        let nothing: [String; 0] = [];
        assert_eq!(said(&format!("FROM a:1@{}\n", digest("aa"))), nothing);
        assert_eq!(said("FROM mine:7\n"), nothing);
        for (from, what) in [
            (
                format!("a:1@{}", digest("bb")),
                "a:1 has another digest than the record",
            ),
            (
                format!("b:1@{}", digest("aa")),
                "b:1 has a digest that is not in the record",
            ),
            (
                "a:1".to_owned(),
                "a:1 has lost the digest that is in the record",
            ),
            ("b:2".to_owned(), "b:2 is unpinned"),
            ("b".to_owned(), "`b` has no tag"),
            (
                "a:1@sha256:aa".to_owned(),
                "images/Dockerfile: unable to parse Dockerfile: image reference digest is invalid",
            ),
        ] {
            assert_eq!(said(&format!("FROM {from}\n")), [what]);
        }
    }

    #[test]
    fn every_reference_of_the_checkout_is_pinned_as_the_record_says() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let files = crate::files_of(&root).unwrap();
        let texts = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        assert_eq!(findings(&Record::read(&root).unwrap(), texts), []);
    }
}
