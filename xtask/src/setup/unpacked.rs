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
use xshell::{Shell, cmd};

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

/// Other extensions, and a pooler, for the tests beside them: packages of Debian, `{}` being the major version.
const NEIGHBOURS: &[&str] = &[
    "postgresql-{}-age",
    "postgresql-{}-cron",
    "postgresql-{}-debversion",
    "postgresql-{}-hll",
    "postgresql-{}-ip4r",
    "postgresql-{}-partman",
    "postgresql-{}-pg-hint-plan",
    "postgresql-{}-pg-ivm",
    "postgresql-{}-pgaudit",
    "postgresql-{}-pglogical",
    "postgresql-{}-pgvector",
    "postgresql-{}-postgis-3",
    "postgresql-{}-postgis-3-scripts",
    "postgresql-{}-repack",
    "postgresql-{}-roaringbitmap",
    "postgresql-{}-semver",
    "postgresql-{}-squeeze",
    "postgresql-{}-tdigest",
    "postgresql-{}-timescaledb",
    "pgbouncer",
];

/// The list of what was unpacked, a name and a version on each line.
const LIST: &str = "packages.txt";

/// Downloads and unpacks into `<cache>/postgresql-<version>`.
pub fn lay_out(major: u32, progress: &Progress) -> Result<PathBuf> {
    unpack(major, &[], "postgresql", progress)
}

/// The same with other extensions, into `<cache>/beside-<version>`; what is there already stays.
pub fn lay_out_neighbours(major: u32, progress: &Progress) -> Result<PathBuf> {
    let there = fs::read_dir(paths::cache())?.flatten().find(|entry| {
        let name = entry.file_name();
        name.to_string_lossy()
            .starts_with(&format!("beside-{major}."))
            && entry.path().join(LIST).exists()
    });
    if let Some(there) = there {
        return Ok(there.path());
    }
    let neighbours: Vec<String> = NEIGHBOURS
        .iter()
        .map(|name| name.replace("{}", &major.to_string()))
        .collect();
    let names: Vec<&str> = neighbours.iter().map(String::as_str).collect();
    unpack(major, &names, "beside", progress)
}

fn unpack(major: u32, more: &[&str], folder: &str, progress: &Progress) -> Result<PathBuf> {
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
    let work = paths::cache()
        .join("packages")
        .join(format!("{folder}-{major}"));
    let archive = apt::main_archive(codename)?;
    let apt = apt::Elsewhere::new(&work, &archive, "deb", suites)?;
    progress.phase(&format!("fetching packages of {suites}"));
    apt.update(progress)?;
    let server = [
        format!("postgresql-{major}"),
        format!("postgresql-client-{major}"),
    ];
    let packages: Vec<&str> = server
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    let wanted = apt.with_libraries(&packages)?;
    let headers = format!("postgresql-server-dev-{major}");
    apt.download(wanted.iter().chain([&headers]), progress)?;

    let sh = Shell::new()?;
    let files = sh.read_dir(apt.downloads())?;
    let version = files
        .iter()
        .find_map(|file| version_of(file, major))
        .with_context(|| format!("there is no package postgresql-{major}"))?;
    let prefix = paths::cache().join(format!("{folder}-{version}"));
    let draft = paths::cache().join(format!("unpacking-{folder}-{major}"));
    sh.remove_path(&prefix)?;
    sh.remove_path(&draft)?;
    sh.create_dir(&draft)?;
    progress.phase(&format!("unpacking {folder} {version}"));
    for file in &files {
        command::output(cmd!(sh, "dpkg-deb -x {file} {draft}"))?;
    }
    let programs = format!("usr/lib/postgresql/{major}/bin");
    relocate(&draft, &prefix, &programs)?;
    if draft.join("usr/sbin").exists() {
        relocate(&draft, &prefix, "usr/sbin")?;
    }
    name_controls(&draft.join(format!("usr/share/postgresql/{major}/extension")))?;
    let list: String = files.iter().filter_map(|file| listed(file)).collect();
    fs::write(draft.join(LIST), list)?;
    symlink(&programs, draft.join("bin"))?;
    command::output(cmd!(sh, "chmod -R a+rX {draft}"))?;
    fs::rename(&draft, &prefix)?;
    fs::remove_dir_all(&work)?;
    Ok(prefix)
}

/// Has the programs use the unpacked loader and libraries. They lie in `draft`, and will in `prefix`.
fn relocate(draft: &Path, prefix: &Path, programs: &str) -> Result<()> {
    let sh = Shell::new()?;
    sh.set_var("LC_ALL", "C");
    for program in sh.read_dir(draft.join(programs))? {
        // Scripts have none.
        let Ok(loader) = command::output(cmd!(sh, "patchelf --print-interpreter {program}")) else {
            continue;
        };
        let (loader, libraries) = places(draft, Path::new(&loader))?;
        let (loader, libraries) = (prefix.join(loader), prefix.join(libraries));
        let places = cmd!(
            sh,
            "patchelf --set-interpreter {loader} --force-rpath --set-rpath {libraries}"
        );
        command::output(places.arg(program))?;
    }
    Ok(())
}

/// Gives control files the names that Debian's alternatives system would: `postgis-3.control` is that of `postgis`.
fn name_controls(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        if let Some(extension) = name
            .to_str()
            .and_then(|name| name.strip_suffix("-3.control"))
            && !folder.join(format!("{extension}.control")).exists()
        {
            symlink(&name, folder.join(format!("{extension}.control")))?;
        }
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

/// `pgbouncer 1.26.1-1` of `pgbouncer_1.26.1-1_amd64.deb`, as a line.
fn listed(package: &Path) -> Option<String> {
    let mut words = package.file_name()?.to_str()?.split('_');
    let (name, version) = (words.next()?, words.next()?);
    let version = version.replace("%3a", ":").replace("%7e", "~");
    Some(format!("{name} {version}\n"))
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
    fn a_package_is_listed_with_its_version() {
        let line = listed(Path::new("postgresql-18-age_1.8.0~rc0-2_amd64.deb"));
        assert_eq!(line.as_deref(), Some("postgresql-18-age 1.8.0~rc0-2\n"));
    }

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
