//! Tools from the package registry, in a folder of our own.

use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::Result;
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// Where a tool of ours is, once it is installed.
pub fn tool(name: &str) -> PathBuf {
    paths::cache().join("tools/bin").join(name)
}

/// Builds exactly this version of a tool.
pub fn cargo_install(package: &'static str, version: &str, progress: &Progress) -> Result<()> {
    progress.phase(&format!("compiling {package} {version}"));
    let (sh, root) = (Shell::new()?, paths::cache().join("tools"));
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let install = cmd!(
        sh,
        "{cargo} install {package} --locked --force --version ={version} --root {root}"
    );
    command::logged(install.env_remove("CARGO_TARGET_DIR"), package, progress)
}
