//! PostgreSQL as Debian packages of another release than the machine's, unpacked in the cache with the libraries
//! that they need: seconds, where a build from source takes minutes.
//!
//! Nothing is installed, and no library of the machine's is replaced: each program names the unpacked loader and finds
//! its libraries beside itself. PostgreSQL finds its files relative to where its programs are.

use super::apt;
use super::packages::{self, Package};
use super::source_build::os_release;
use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which release of Debian has the libraries of a major version, and which its packages, if that is another one.
pub fn suites(major: u32) -> Option<&'static str> {
    match major {
        17 => Some("trixie"),
        18 => Some("forky"),
        19 => Some("sid experimental"),
        _ => None,
    }
}

/// What sets the loader and the place of the libraries, and what the server's headers include.
const NEEDED: &[Package] = &[
    packages::program("patchelf", "patchelf"),
    packages::library("libicu-dev"),
];

/// Downloads and unpacks into `<cache>/postgresql-<version>`.
pub fn lay_out(major: u32, progress: &Progress) -> Result<PathBuf> {
    let release = os_release();
    let suites = match release.get("ID").map(String::as_str) {
        Some("debian") => suites(major),
        _ => None,
    }
    .context("Debian's packages are for Debian")?;
    let codename = release
        .get("VERSION_CODENAME")
        .context("/etc/os-release names no release")?;
    packages::ensure(NEEDED, progress)?;
    let work = paths::cache().join("packages").join(major.to_string());
    let archive = apt::main_archive(codename)?;
    let apt = apt::Elsewhere::new(&work, &archive, "deb", suites)?;
    progress.phase(&format!("fetching packages of {suites}"));
    apt.update(progress)?;
    let wanted = apt.with_libraries(&[
        &format!("postgresql-{major}"),
        &format!("postgresql-client-{major}"),
    ])?;
    let headers = format!("postgresql-server-dev-{major}");
    apt.download(wanted.iter().chain([&headers]), progress)?;

    let mut files: Vec<PathBuf> = fs::read_dir(apt.downloads())?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let version = files
        .iter()
        .find_map(|file| version_of(file, major))
        .with_context(|| format!("there is no package postgresql-{major}"))?;
    let prefix = paths::cache().join(format!("postgresql-{version}"));
    let draft = paths::cache().join(format!("unpacking-{major}"));
    for folder in [&prefix, &draft] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    fs::create_dir_all(&draft)?;
    progress.phase(&format!("unpacking PostgreSQL {version}"));
    for file in &files {
        command::output(Command::new("dpkg-deb").arg("-x").arg(file).arg(&draft))?;
    }
    let programs = format!("usr/lib/postgresql/{major}/bin");
    relocate(&draft, &prefix, &programs)?;
    symlink(&programs, draft.join("bin"))?;
    command::output(Command::new("chmod").args(["-R", "a+rX"]).arg(&draft))?;
    fs::rename(&draft, &prefix)?;
    fs::remove_dir_all(&work)?;
    Ok(prefix)
}

/// Has the programs use the unpacked loader and libraries. They lie in `draft`, and will in `prefix`.
fn relocate(draft: &Path, prefix: &Path, programs: &str) -> Result<()> {
    for entry in fs::read_dir(draft.join(programs))? {
        let program = entry?.path();
        let patchelf = || {
            let mut patchelf = Command::new("patchelf");
            patchelf.env("LC_ALL", "C");
            patchelf
        };
        // Scripts have none.
        let Ok(loader) = command::output(patchelf().arg("--print-interpreter").arg(&program))
        else {
            continue;
        };
        let (loader, libraries) = places(draft, Path::new(&loader))?;
        command::output(
            patchelf()
                .arg("--set-interpreter")
                .arg(prefix.join(loader))
                .args(["--force-rpath", "--set-rpath"])
                .arg(prefix.join(libraries))
                .arg(&program),
        )?;
    }
    Ok(())
}

/// Where a loader of this name and the libraries are, from the root of what was unpacked.
fn places(draft: &Path, loader: &Path) -> Result<(PathBuf, PathBuf)> {
    let name = loader.file_name().context("a loader without a name")?;
    let libraries = fs::read_dir(draft.join("usr/lib"))?
        .flatten()
        .map(|entry| PathBuf::from("usr/lib").join(entry.file_name()))
        .find(|folder| draft.join(folder).join("libc.so.6").exists())
        .context("the packages have no libc")?;
    let elsewhere = [PathBuf::from("usr/lib64"), PathBuf::from("usr/lib")];
    let found = std::iter::once(&libraries)
        .chain(&elsewhere)
        .map(|folder| folder.join(name))
        .find(|loader| draft.join(loader).exists())
        .with_context(|| format!("the packages have no loader {}", loader.display()))?;
    Ok((found, libraries.clone()))
}

/// `17.12` of `postgresql-17_17.12-0+deb13u1_amd64.deb`, `19rc1` of `postgresql-19_19~rc1-1_amd64.deb`.
fn version_of(package: &Path, major: u32) -> Option<String> {
    let name = package.file_name()?.to_str()?;
    let rest = name.strip_prefix(&format!("postgresql-{major}_"))?;
    let (version, _) = rest.split_once('-')?;
    Some(version.replace(['~'], "").replace("%7e", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_name_of_the_package() {
        let version = |name: &str, major| version_of(Path::new(name), major);
        let seventeen = version("postgresql-17_17.12-0+deb13u1_amd64.deb", 17);
        assert_eq!(seventeen.as_deref(), Some("17.12"));
        let nineteen = version("postgresql-19_19~rc1-1_amd64.deb", 19);
        assert_eq!(nineteen.as_deref(), Some("19rc1"));
        assert_eq!(version("postgresql-client-19_19~rc1-1_amd64.deb", 19), None);
        assert_eq!(version("postgresql-18_18.6-3_amd64.deb", 19), None);
    }
}
