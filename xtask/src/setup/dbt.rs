//! dbt, for the test of its package: in a Python environment of our own, with exactly the listed versions.

use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

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
    let sh = Shell::new()?;
    let environment = cmd!(sh, "python3 -m venv --clear {folder}");
    command::logged(environment, "dbt-environment", progress)?;
    let options = ["--disable-pip-version-check", "--only-binary", ":all:"];
    let pip = folder.join("bin/pip");
    let pip = cmd!(sh, "{pip} install {options...} --requirement {wanted}");
    command::logged(pip, "dbt", progress)?;
    fs::copy(&wanted, &present)?;
    Ok((program, "installed".to_owned()))
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
