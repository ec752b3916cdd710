//! The distribution for PGXN: the sources of the last commit, with what PGXN asks for at the root.

use crate::command;
use crate::paths;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// Makes the archive.
pub fn make(version: &str) -> Result<PathBuf> {
    let name = format!("pg_trickle-{version}");
    let work = super::work(&name)?;
    fs::write(work.join("META.json"), meta(version)?)?;
    fs::copy(source("Makefile"), work.join("Makefile"))?;
    let file = super::folder()?.join(format!("{name}.zip"));
    let (sh, repository) = (Shell::new()?, paths::repository());
    let added =
        ["META.json", "Makefile"].map(|name| format!("--add-file={}", work.join(name).display()));
    let archive = cmd!(
        sh,
        "git -C {repository} archive --format=zip --prefix={name}/ {added...}"
    );
    command::output(archive.arg("--output").arg(&file).arg("HEAD"))?;
    Ok(file)
}

fn source(name: &str) -> PathBuf {
    paths::repository().join("packaging/pgxn").join(name)
}

/// What the distribution says of itself.
fn meta(version: &str) -> Result<String> {
    let path = source("META.json");
    let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    Ok(text.replace("@VERSION@", version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_distribution_says_of_itself_is_as_pgxn_demands() {
        let text = meta(env!("CARGO_PKG_VERSION")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut validator = pgxn_meta::valid::Validator::new();
        validator.validate(&value).unwrap();
        let provided = &value["provides"]["pg_trickle"];
        assert_eq!(provided["version"], env!("CARGO_PKG_VERSION"));
        let file = provided["file"].as_str().unwrap();
        assert!(paths::repository().join(file).is_file(), "{file}");
        // It is no rubber stamp.
        let mut broken = value.clone();
        broken.as_object_mut().unwrap().remove("license");
        assert!(validator.validate(&broken).is_err());
    }
}
