//! Image references, and where they stand.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{dockerfile, yaml};

/// Folders whose files name images.
const FOLDERS: [&str; 3] = ["images", "cnpg", "monitoring"];

/// An image reference as it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Registry and repository.
    pub name: String,
    /// The tag.
    pub tag: String,
    /// The digest, if it is pinned.
    pub digest: Option<String>,
}

impl Image {
    /// Reads `name:tag` or `name:tag@digest`. A tag must be there: `latest` by omission is nothing to pin.
    pub fn parse(text: &str) -> Result<Self> {
        let (tagged, digest) = match text.split_once('@') {
            Some((tagged, digest)) => (tagged, Some(digest)),
            None => (text, None),
        };
        // A colon before a slash is a port.
        let (name, tag) = tagged
            .rsplit_once(':')
            .filter(|(_, tag)| !tag.contains('/'))
            .with_context(|| format!("`{text}` has no tag"))?;
        if let Some(digest) = digest
            && !is_digest(digest)
        {
            bail!("`{text}`: `{digest}` is no digest");
        }
        Ok(Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
            digest: digest.map(str::to_owned),
        })
    }

    /// Name and tag.
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    })
}

/// An image reference in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The reference as it stands there.
    pub text: String,
    /// Its bytes.
    pub range: Range<usize>,
    /// Its line, from 1.
    pub line: usize,
}

/// The references in a file of this name; none in one that names no images.
pub fn places_in(path: &str, text: &str) -> Result<Vec<Place>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let found = if name.starts_with("Dockerfile") {
        dockerfile::places(text)
    } else if name.ends_with(".yaml") || name.ends_with(".yml") {
        yaml::places(text)
    } else {
        Ok(Vec::new())
    };
    found.with_context(|| path.to_owned())
}

/// The files that may name images, as paths from the root of the checkout, with their text.
pub fn files_of(root: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        let entries =
            fs::read_dir(root.join(folder)).with_context(|| format!("no folder {folder}"))?;
        for entry in entries {
            let path = entry?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file())
                && let Ok(text) = fs::read_to_string(&path)
            {
                files.push((format!("{folder}/{}", name.to_string_lossy()), text));
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_name_tag_and_perhaps_digest() {
        let image = Image::parse("host:5000/a/b:1.2").unwrap();
        assert_eq!(
            (image.name.as_str(), image.tag.as_str()),
            ("host:5000/a/b", "1.2")
        );
        assert_eq!(image.digest, None);
        let digest = format!("sha256:{}", "0a".repeat(32));
        let image = Image::parse(&format!("a:1@{digest}")).unwrap();
        assert_eq!(image.digest, Some(digest));
        for wrong in ["a", "host:5000/a", "a:1@sha256:00", "a:1@md5:00"] {
            assert!(Image::parse(wrong).is_err(), "{wrong}");
        }
    }
}
