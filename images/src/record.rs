//! `images/digests.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Where the record is, from the root of the checkout.
pub const RECORD: &str = "images/digests.toml";

/// A resolved image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Registry and repository, as files write them.
    pub name: String,
    /// The tag that was resolved.
    pub tag: String,
    /// The digest of the multi-platform index.
    pub digest: String,
    /// What the index offers.
    pub platforms: Vec<String>,
    /// The day on which it was resolved.
    pub resolved: String,
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
# The digests that image references are pinned to. Written by cargo xtask digests update from what the registries
# answer; never by hand. `own` are images that are built from this repository.
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
