//! Resolving every image, then writing record and files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{Image, Pin, Place, RECORD, Record, Registries, Source, files_of, places_in};

/// What an update came to.
#[derive(Debug)]
pub struct Update {
    /// Every image, as the registries have it.
    pub pins: Vec<Pin>,
    /// Where a registry has something else than the record had.
    pub differences: Vec<String>,
}

/// Resolves what the files name and pins it. Nothing is written unless everything could be resolved.
pub async fn update(root: &Path, registries: &Registries) -> Result<Update> {
    let before = Record::read(root)?;
    let files = files_of(root)?;
    let mut places: Vec<(usize, Place, Image)> = Vec::new();
    for (index, (path, text)) in files.iter().enumerate() {
        for place in places_in(path, text)? {
            let image =
                Image::parse(&place.text).with_context(|| format!("{path}:{}", place.line))?;
            if !before.own.contains(&image.name) {
                places.push((index, place, image));
            }
        }
    }

    let today = chrono::Utc::now().format("%Y-%m-%d").to_string();
    let mut pins: BTreeMap<String, Pin> = BTreeMap::new();
    let mut differences = Vec::new();
    for (_, _, image) in &places {
        let tagged = image.tagged();
        if pins.contains_key(&tagged) {
            continue;
        }
        let (digest, platforms) = registries.resolve(&tagged).await?;
        let known = before
            .pins
            .iter()
            .find(|pin| (&pin.name, &pin.tag) == (&image.name, &image.tag));
        differences.extend(known.and_then(|known| difference(known, &digest)));
        let same = known.filter(|pin| pin.digest == digest && pin.source == Source::Registry);
        let pin = Pin {
            name: image.name.clone(),
            tag: image.tag.clone(),
            source: Source::Registry,
            date: same.map_or(today.clone(), |pin| pin.date.clone()),
            digest,
            platforms,
        };
        pins.insert(tagged, pin);
    }

    let mut written: Vec<(PathBuf, String)> = Vec::new();
    for (index, (path, text)) in files.iter().enumerate() {
        let mut new = text.clone();
        // From behind, so that what comes before keeps its place.
        for (_, place, image) in places.iter().rev().filter(|(of, ..)| *of == index) {
            if let Some(pin) = pins.get(&image.tagged()) {
                let pinned = format!("{}@{}", image.tagged(), pin.digest);
                new.replace_range(place.range.clone(), &pinned);
            }
        }
        if new != *text {
            written.push((root.join(path), new));
        }
    }
    let after = Record {
        own: before.own.clone(),
        pins: pins.into_values().collect(),
    };
    if after != before {
        written.push((root.join(RECORD), after.text()?));
    }
    replace_all(&written)?;
    Ok(Update {
        pins: after.pins,
        differences,
    })
}

/// Writes every file beside its place first, and renames only when all are there.
fn replace_all(files: &[(PathBuf, String)]) -> Result<()> {
    let draft = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        PathBuf::from(name)
    };
    for (index, (path, text)) in files.iter().enumerate() {
        if let Err(error) = fs::write(draft(path), text) {
            for (path, _) in &files[..=index] {
                // The first error is the one to tell.
                let _ = fs::remove_file(draft(path));
            }
            return Err(error).with_context(|| format!("could not write {}", path.display()));
        }
    }
    for (path, _) in files {
        fs::rename(draft(path), path)
            .with_context(|| format!("could not replace {}", path.display()))?;
    }
    Ok(())
}

/// What is to be said if the registry has another digest than the record.
fn difference(known: &Pin, digest: &str) -> Option<String> {
    let Pin {
        name,
        tag,
        date,
        digest: old,
        ..
    } = known;
    let who = match known.source {
        Source::Registry => "the registry",
        Source::Listing => "listings",
    };
    (old != digest)
        .then(|| format!("{name}:{tag}: on {date} {who} had {old}; the registry now has {digest}"))
}
