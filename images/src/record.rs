//! `images/digests.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Where the record is, from the root of the checkout.
pub const RECORD: &str = "images/digests.toml";

/// Who named a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The registry that serves the image.
    Registry,
    /// Public listings: the publisher's own, or projects that pin the same digest.
    Listing,
}

/// A pinned image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Registry and repository, as files write them.
    pub name: String,
    /// The tag.
    pub tag: String,
    /// The digest of the multi-platform index.
    pub digest: String,
    /// What the index offers; empty if no registry was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Who named the digest.
    pub source: Source,
    /// The day on which it did.
    pub date: String,
}

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Images that are built here and pushed by whoever uses them: no registry knows them.
    #[serde(default)]
    pub own: Vec<String>,
    /// The others, by name and tag.
    #[serde(default, rename = "image")]
    pub pins: Vec<Pin>,
}

const HEAD: &str = "\
# The digests that image references are pinned to. cargo xtask digests update writes them from what the registries
# answer. A `listing` is one that public lists name, where no registry could be reached: it is replaced then.
# `own` are images that are built from this repository.
";

impl Record {
    /// Reads it.
    pub fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join(RECORD)).with_context(|| format!("no {RECORD}"))?;
        toml::from_str(&text).with_context(|| RECORD.to_owned())
    }

    /// The file's text.
    pub fn text(&self) -> Result<String> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }

    /// The digest of an image, if it has been resolved.
    pub fn digest(&self, name: &str, tag: &str) -> Option<&str> {
        self.pins
            .iter()
            .find(|pin| pin.name == name && pin.tag == tag)
            .map(|pin| pin.digest.as_str())
    }
}
