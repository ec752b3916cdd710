//! The version before the present one, built from the history of the repository by itself: its commit is laid out
//! below the target folder, and the extension is built there. What has been built once is kept.

use crate::command;
use crate::installation::{self, LIBRARY, PACKAGE};
use crate::paths;
use crate::setup::Machine;
use anyhow::{Context, Result, bail};
use harness::postgres;
use harness::previous::{COMMIT, VERSION};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Its installation folder.
pub fn build(machine: &Machine) -> Result<PathBuf> {
    if machine.postgres.major != postgres::MAJOR {
        bail!(
            "version {VERSION} is for PostgreSQL {} only",
            postgres::MAJOR
        );
    }
    let tree = paths::target().join("previous").join(COMMIT);
    let install = tree.join("target/pg_trickle-install");
    if install.join("lib/pg_trickle.so").exists() {
        return Ok(install);
    }
    if !tree.exists() {
        lay_out(&tree)?;
    }
    eprintln!("building version {VERSION}, once");
    // As it was: with its own pgrx, and the versions that it names.
    let mut cargo = machine.cargo("build");
    cargo.current_dir(&tree).env_remove("CARGO_TARGET_DIR");
    cargo.args(["--lib", "--locked", "--package", PACKAGE]);
    if !cargo.status()?.success() {
        bail!("version {VERSION} does not build");
    }
    let built = tree.join("target/debug").join(LIBRARY);
    installation::lay_out(&tree, VERSION, &built, &install)?;
    Ok(install)
}

/// Puts the files of the commit there.
fn lay_out(tree: &Path) -> Result<()> {
    let (sh, repository) = (Shell::new()?, paths::repository());
    let commit = format!("{COMMIT}^{{commit}}");
    if command::output(cmd!(sh, "git -C {repository} cat-file -e {commit}")).is_err() {
        bail!("the history of this checkout does not reach back to version {VERSION} ({COMMIT})");
    }
    // Under another name until it is complete.
    let draft = tree.with_extension("new");
    sh.remove_path(&draft)?;
    sh.create_dir(&draft)?;
    let archive = draft.with_extension("tar");
    command::output(cmd!(
        sh,
        "git -C {repository} archive --output {archive} {COMMIT}"
    ))?;
    command::output(cmd!(sh, "tar -xf {archive} -C {draft}"))?;
    sh.remove_path(&archive)?;
    fs::rename(&draft, tree).context("could not lay out the previous version")
}
