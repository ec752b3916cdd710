//! PostgreSQL from the distribution's source package, for systems that have no binary one.
//!
//! The source comes through apt from the archive that the machine already uses.

use super::apt::{self, Archive, Elsewhere};
use super::packages;
use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

const CONFIGURE: &[&str] = &[
    "--with-icu",
    "--with-openssl",
    "--with-lz4",
    "--with-zstd",
    "--with-libxml",
];

/// Downloads, builds and installs into `<cache>/postgresql-<version>`.
pub fn build(major: u32, progress: &Progress) -> Result<PathBuf> {
    packages::ensure(packages::SOURCE_BUILD, progress)?;
    let work = paths::cache().join("src");
    fs::create_dir_all(&work)?;

    let tarball = download(&work, major, progress)?;
    let version = version_of(&tarball, major)?;
    let prefix = paths::cache().join(format!("postgresql-{version}"));
    let tree = work.join(format!("postgresql-{version}"));
    let sh = Shell::new()?;
    sh.remove_path(&tree)?;
    sh.create_dir(&tree)?;
    progress.phase(&format!("unpacking PostgreSQL {version}"));
    let unpack = cmd!(
        sh,
        "tar xf {tarball} --strip-components=1 --no-same-owner -C {tree}"
    );
    command::logged(unpack, "postgresql-unpack", progress)?;

    // Installed under a name of its own until complete: an interrupted build leaves nothing to find.
    progress.phase("configuring");
    sh.change_dir(&tree);
    let configure = cmd!(sh, "./configure --prefix={prefix} {CONFIGURE...}");
    command::logged(configure, "postgresql-configure", progress)?;
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get());
    let jobs = jobs.to_string();
    progress.phase(&format!("compiling with {jobs} jobs"));
    let make = |what: &[&str], log: &str| {
        let make = cmd!(sh, "make -j{jobs} {what...}");
        // A jobserver of an outer make or cargo would serialise this build.
        let make = make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        command::logged(make, log, progress)
    };
    make(&["world-bin"], "postgresql-make")?;
    progress.phase("installing");
    let staging = work.join("staging");
    sh.remove_path(&staging)?;
    let to = format!("DESTDIR={}", staging.display());
    make(&["install-world-bin", &to], "postgresql-install")?;
    let staged = staging.join(prefix.strip_prefix("/").unwrap_or(&prefix));
    command::output(cmd!(sh, "chmod -R a+rX {staged}"))?;
    sh.remove_path(&prefix)?;
    fs::rename(&staged, &prefix)?;
    fs::remove_dir_all(&staging)?;
    Ok(prefix)
}

/// Fetches the upstream tarball of the source package.
fn download(work: &Path, major: u32, progress: &Progress) -> Result<PathBuf> {
    let release = os_release();
    let codename = release
        .get("VERSION_CODENAME")
        .context("/etc/os-release names no release")?;
    let archive = apt::main_archive(codename)?;
    let suites: &[&str] = match release.get("ID").map(String::as_str) {
        Some("ubuntu") => &["resolute"],
        _ => match major {
            17 => &["trixie"],
            19 => &["experimental"],
            _ => &["forky", "sid"],
        },
    };
    let mut reasons = Vec::new();
    for suite in suites {
        progress.phase(&format!("fetching the source package from suite {suite}"));
        match download_from(work, &archive, suite, major, progress) {
            Ok(tarball) => return Ok(tarball),
            Err(error) => reasons.push(format!("{suite}: {error:#}")),
        }
    }
    bail!(
        "no source package postgresql-{major}; install PostgreSQL {major} with its server headers yourself and \
         set PG_CONFIG to its pg_config\n  {}",
        reasons.join("\n  ")
    )
}

fn download_from(
    work: &Path,
    archive: &Archive,
    suite: &str,
    major: u32,
    progress: &Progress,
) -> Result<PathBuf> {
    let apt = Elsewhere::new(&work.join("apt"), archive, "deb-src", suite)?;
    apt.update(progress)?;
    apt.source(&format!("postgresql-{major}"), progress)?;
    fs::read_dir(apt.downloads())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| version_of(path, major).is_ok())
        .context("the source package holds no upstream tarball")
}

/// The version in a name such as `postgresql-18_18.6.orig.tar.bz2`.
fn version_of(tarball: &Path, major: u32) -> Result<String> {
    tarball
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix(&format!("postgresql-{major}_")))
        .and_then(|rest| rest.split_once(".orig.tar."))
        .filter(|(_, compression)| !compression.contains('.'))
        .map(|(version, _)| version.to_owned())
        .with_context(|| format!("{} is not a source tarball", tarball.display()))
}

pub fn os_release() -> HashMap<String, String> {
    fs::read_to_string("/etc/os-release")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_tarball_and_not_from_its_signature() {
        let version = |name: &str| version_of(Path::new(name), 18).ok();
        assert_eq!(
            version("postgresql-18_18.6.orig.tar.bz2").as_deref(),
            Some("18.6")
        );
        assert_eq!(version("postgresql-18_18.6.orig.tar.bz2.asc"), None);
        assert_eq!(version("postgresql-18_18.6-1.dsc"), None);
    }
}
