//! What is linked into the library, and under which licences: their texts go into every package.

use crate::command;
use crate::paths;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use xshell::{Shell, cmd};

/// Names, versions and licences of the crates, and the texts, each once.
pub fn third_party() -> Result<String> {
    let sh = Shell::new()?;
    sh.change_dir(paths::repository());
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let platform = "x86_64-unknown-linux-gnu";
    let metadata = cmd!(
        sh,
        "{cargo} metadata --format-version 1 --locked --filter-platform {platform}"
    );
    let metadata: Value = serde_json::from_str(&command::output(metadata)?)?;
    let mut text = "Libraries that pg_trickle is made of, and their licences.\n\n".to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in linked(&metadata)? {
        let (name, version) = (field(package, "name"), field(package, "version"));
        writeln!(text, "{name} {version}: {}", field(package, "license"))?;
        let folder = Path::new(field(package, "manifest_path")).parent();
        for licence in folder.map(files).unwrap_or_default() {
            texts.entry(licence).or_default().push(name.to_owned());
        }
    }
    for (licence, of) in texts {
        write!(text, "\n---- {}\n\n{}\n", of.join(", "), licence.trim())?;
    }
    Ok(text)
}

fn field<'a>(package: &'a Value, name: &str) -> &'a str {
    package[name].as_str().unwrap_or("?")
}

/// The packages that the extension needs when it runs, directly or not, without our own.
fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let packages = metadata["packages"].as_array().context("no packages")?;
    let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    let is_macro = |package: &Value| {
        let kinds = package["targets"][0]["kind"].to_string();
        kinds.contains("proc-macro")
    };
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = list(&node["deps"]).into_iter().filter(|dependency| {
            list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
        });
        let names = normal.filter_map(|dependency| Some(dependency["pkg"].as_str()?.to_owned()));
        needs.insert(id(&node), names.collect());
    }
    let by_id: BTreeMap<String, &Value> = packages.iter().map(|p| (id(p), p)).collect();
    let root = packages.iter().find(|p| field(p, "name") == "pg_trickle");
    let mut found = BTreeSet::new();
    let mut open = vec![id(root.context("no package pg_trickle")?)];
    while let Some(next) = open.pop() {
        if by_id.get(&next).is_some_and(|package| !is_macro(package)) && found.insert(next.clone())
        {
            open.extend(needs.get(&next).cloned().unwrap_or_default());
        }
    }
    let mut linked: Vec<&Value> = found
        .iter()
        .filter_map(|id| by_id.get(id).copied())
        .collect();
    linked.retain(|package| !package["source"].is_null());
    linked.sort_by_key(|package| (field(package, "name"), field(package, "version")));
    Ok(linked)
}

/// The texts of licences in a crate's folder.
fn files(folder: &Path) -> Vec<String> {
    let is_licence = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let mut texts: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_licence(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .collect();
    texts.sort();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_linked_library_is_named_with_its_licence() {
        let text = third_party().unwrap();
        let listed: Vec<&str> = text
            .split("\n----")
            .next()
            .unwrap()
            .lines()
            .skip(2)
            .collect();
        assert!(
            listed.iter().any(|line| line.starts_with("pgrx 0.")),
            "{listed:?}"
        );
        assert!(
            listed.iter().all(|line| !line.ends_with(": ?")),
            "{listed:?}"
        );
        // Only runs while others are compiled.
        assert!(
            !listed.iter().any(|line| line.starts_with("bindgen ")),
            "{listed:?}"
        );
        assert!(text.contains("Permission is hereby granted"));
    }
}
