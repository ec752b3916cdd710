//! Tools from the package registry, in a folder of our own.

use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::Result;

/// Where a tool of ours is, once it is installed.
pub fn tool(name: &str) -> PathBuf {
    paths::cache().join("tools/bin").join(name)
}

/// Builds exactly this version of a tool.
pub fn cargo_install(package: &'static str, version: &str, progress: &Progress) -> Result<()> {
    progress.phase(&format!("compiling {package} {version}"));
    command::logged(
        Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
            .args(["install", package, "--locked", "--force", "--version"])
            .arg(format!("={version}"))
            .arg("--root")
            .arg(paths::cache().join("tools"))
            .env_remove("CARGO_TARGET_DIR"),
        package,
        progress,
    )
}
