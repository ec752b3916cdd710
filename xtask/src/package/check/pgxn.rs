//! PGXN's distribution, as `docs/install.md` says: unpacked, built, installed, and tried by its own `installcheck`.

use super::{block, server_with, tree_of};
use crate::command;
use crate::package::{Profile, work};
use crate::paths;
use crate::setup::Machine;
use crate::ui::Progress;
use anyhow::Result;
use std::path::Path;
use xshell::{Shell, cmd};

/// Runs the document's lines where only the archive lies. Compiled crates come from this checkout's target folder.
pub fn try_out(
    machine: &Machine,
    archive: &Path,
    profile: Profile,
    progress: &Progress,
) -> Result<String> {
    let (sh, server) = (Shell::new()?, &machine.postgres);
    let (folder, root) = (work("pgxn")?, work("pgxn-root")?);
    sh.copy_file(archive, &folder)?;
    sh.change_dir(&folder);
    sh.set_var("CARGO_BUILD_BUILD_DIR", paths::target());
    sh.set_var("CARGO_TARGET_DIR", folder.join("target"));
    sh.set_var("PROFILE", profile.name());
    sh.set_var("DESTDIR", &root);
    let documented = format!("/usr/lib/postgresql/{}/bin/pg_config", server.major);
    let lines = block("pgxn", server.major)?;
    let lines = lines.replace(&documented, &server.pg_config.display().to_string());
    // We are root.
    let script = format!("sudo() {{ \"$@\"; }}\n{lines}");
    command::logged(cmd!(sh, "bash -euc {script}"), "package-pgxn", progress)?;

    let installed = |place: &Path| root.join(place.strip_prefix("/").unwrap_or(place));
    let tree = tree_of(
        "pgxn-tree",
        &installed(&server.package_lib_dir),
        &installed(&server.share_dir.join("extension")),
    )?;
    let cluster = server_with(&tree)?;
    let unpacked = folder.join(format!("pg_trickle-{}", env!("CARGO_PKG_VERSION")));
    let pg_config = &server.pg_config;
    let check = cmd!(sh, "make -C {unpacked} installcheck PG_CONFIG={pg_config}");
    let psql = cluster.client_command("psql");
    let environment = psql
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command::output(check.envs(environment).env("PGDATABASE", "postgres"))?;
    // As long as these sources are there, cargo takes what it made of them for what it would make of this checkout's.
    sh.remove_path(&folder)?;
    Ok("built, installed, checked".to_owned())
}
