//! dbt, for the test of its package: in a Python environment of our own, with exactly the listed versions.

use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program, and whether it was there.
pub fn ensure(progress: &Progress) -> Result<(PathBuf, String)> {
    let folder = paths::cache().join("tools/dbt");
    let program = folder.join("bin/dbt");
    let wanted = paths::repository().join("harness/tests/dbt/requirements.txt");
    let present = folder.join("requirements.txt");
    if program.exists() && same(&wanted, &present) {
        return Ok((program, "found".to_owned()));
    }
    paths::on_path("python3").context("there is no python3: apt-get install python3-venv")?;
    let _ = fs::remove_file(&present);
    command::logged(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
        "dbt-environment",
        progress,
    )?;
    command::logged(
        Command::new(folder.join("bin/pip"))
            .args([
                "install",
                "--disable-pip-version-check",
                "--only-binary",
                ":all:",
            ])
            .arg("--requirement")
            .arg(&wanted),
        "dbt",
        progress,
    )?;
    fs::copy(&wanted, &present)?;
    Ok((program, "installed".to_owned()))
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
