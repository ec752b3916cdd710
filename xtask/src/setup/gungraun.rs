//! `gungraun-runner`, with which `cargo bench` counts instructions where valgrind is there.

use super::cargo_install::{cargo_install, tool};
use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::path::PathBuf;
use xshell::{Shell, cmd};

const NAME: &str = "gungraun-runner";

/// The runner of the version that the benchmarks are built with, installed if need be; `None` on a machine
/// without valgrind.
///
/// # Errors
/// It cannot be installed.
pub fn ensure(progress: &Progress) -> Result<Option<PathBuf>> {
    if paths::all_on_path("valgrind").is_empty() {
        return Ok(None);
    }
    let version = version()?;
    let runner = tool(NAME);
    let sh = Shell::new()?;
    let said = command::output(cmd!(sh, "{runner} --version"));
    if !said.is_ok_and(|said| said == format!("{NAME} {version}")) {
        cargo_install(NAME, &version, progress)?;
    }
    Ok(Some(runner))
}

/// The version in the lock file.
fn version() -> Result<String> {
    let lock = std::fs::read_to_string(paths::repository().join("Cargo.lock"))?;
    let mut lines = lock
        .lines()
        .skip_while(|line| *line != "name = \"gungraun\"");
    lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .context("Cargo.lock does not name gungraun")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lock_file_names_a_version() {
        let version = super::version().expect("a version");
        assert!(version.split('.').count() == 3, "{version}");
    }
}
