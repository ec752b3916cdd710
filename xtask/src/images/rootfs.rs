//! A small system of the machine's own distribution, or of another release of it, from debootstrap, kept in the cache.

use crate::command;
use crate::paths;
use crate::setup::{apt, source_build};
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

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
    let sh = Shell::new()?;
    sh.remove_path(&draft)?;
    let keyring = archive
        .signed_by
        .map(|keyring| format!("--keyring={keyring}"));
    let script = Path::new(LATEST).with_file_name(codename);
    let script = (!script.exists()).then_some(LATEST);
    let uri = archive.uri;
    let debootstrap = cmd!(
        sh,
        "debootstrap --variant=minbase --merged-usr {keyring...} {codename} {draft} {uri} {script...}"
    );
    command::logged(debootstrap, "debootstrap", progress)?;
    sh.remove_path(draft.join("var/cache/apt/archives"))?;
    fs::rename(&draft, &system)?;
    Ok((system, format!("{codename} installed")))
}
