//! A small system of the machine's own distribution, or of another release of it, from debootstrap, kept in the cache.

use crate::command;
use crate::paths;
use crate::setup::{apt, source_build};
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debootstrap's script for releases that it does not know yet.
const LATEST: &str = "/usr/share/debootstrap/scripts/sid";

/// Its folder, and whether it was there.
pub fn ensure(progress: &Progress) -> Result<(PathBuf, String)> {
    of_release(&own_release()?, progress)
}

fn own_release() -> Result<String> {
    let release = source_build::os_release();
    let codename = release.get("VERSION_CODENAME");
    Ok(codename
        .context("/etc/os-release names no release")?
        .clone())
}

/// The same of any release in the machine's archive.
pub fn of_release(codename: &str, progress: &Progress) -> Result<(PathBuf, String)> {
    let system = paths::cache().join(format!("rootfs-{codename}"));
    if system.exists() {
        return Ok((system, "found".to_owned()));
    }
    let archive = apt::main_archive(&own_release()?)?;
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
    let script = Path::new(LATEST).with_file_name(codename);
    if !script.exists() {
        debootstrap.arg(LATEST);
    }
    command::logged(&mut debootstrap, "debootstrap", progress)?;
    let packages = draft.join("var/cache/apt/archives");
    if packages.exists() {
        fs::remove_dir_all(&packages)?;
    }
    fs::rename(&draft, &system)?;
    Ok((system, format!("{codename} installed")))
}
