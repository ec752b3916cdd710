//! `cargo-pgrx`, which reads the extension's SQL out of the built library.
//!
//! It must be of exactly the version of the `pgrx` that the workspace pins.

use super::cargo_install::{cargo_install, tool};
use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The version that the workspace's manifest pins for `pgrx`.
pub fn version() -> Result<String> {
    let manifest = std::fs::read_to_string(paths::repository().join("Cargo.toml"))?;
    manifest
        .lines()
        .find_map(|line| line.strip_prefix("pgrx = \"="))
        .and_then(|rest| rest.split('"').next())
        .map(str::to_owned)
        .context("the workspace's Cargo.toml does not pin pgrx")
}

/// The executable of that version: in our own tools folder, else on the PATH.
pub fn find() -> Option<PathBuf> {
    let wanted = format!("cargo-pgrx {}", version().ok()?);
    let mut places = vec![tool("cargo-pgrx")];
    places.extend(paths::all_on_path("cargo-pgrx"));
    places.into_iter().find(|path| {
        command::output(Command::new(path).args(["pgrx", "--version"]))
            .is_ok_and(|said| said == wanted)
    })
}

/// Finds it or builds it.
pub fn ensure(progress: &Progress) -> Result<(PathBuf, String)> {
    let version = version()?;
    if let Some(path) = find() {
        let said = format!("{version} at {}", path.display());
        return Ok((path, said));
    }
    cargo_install("cargo-pgrx", &version, progress)?;
    let path = find().context("cargo-pgrx was installed, but does not run")?;
    let said = format!("{version} installed at {}", path.display());
    Ok((path, said))
}
