//! A small system of the machine's own distribution, from debootstrap, kept in the cache.

use crate::command;
use crate::paths;
use crate::setup::{apt, source_build};
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Its folder, and whether it was there.
pub fn ensure(progress: &Progress) -> Result<(PathBuf, String)> {
    let release = source_build::os_release();
    let codename = release
        .get("VERSION_CODENAME")
        .context("/etc/os-release names no release")?;
    let system = paths::cache().join(format!("rootfs-{codename}"));
    if system.exists() {
        return Ok((system, "found".to_owned()));
    }
    let archive = apt::main_archive(codename)?;
    // Under another name until it is complete.
    let draft = system.with_extension("new");
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", "--merged-usr"]);
    if let Some(keyring) = &archive.signed_by {
        debootstrap.arg(format!("--keyring={keyring}"));
    }
    debootstrap.arg(codename).arg(&draft).arg(&archive.uri);
    command::logged(&mut debootstrap, "debootstrap", progress)?;
    let packages = draft.join("var/cache/apt/archives");
    if packages.exists() {
        fs::remove_dir_all(&packages)?;
    }
    fs::rename(&draft, &system)?;
    Ok((system, format!("{codename} installed")))
}
