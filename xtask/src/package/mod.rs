//! `cargo xtask package`: the extension as packages, for servers that somebody else has installed.
//!
//! A `.deb` with the paths of Debian and PostgreSQL's own archive for it, an `.rpm` with those of PostgreSQL's archive
//! for Red Hat's systems, and the distribution for PGXN, which is built where it is installed. The first two are made by
//! `dpkg-deb` and `rpmbuild`: both are there in seconds, where `cargo-deb` and `cargo-generate-rpm` compile for seven
//! minutes of processor time on a machine that has never seen them, and take no dependency from the server's headers.
//!
//! **Invariant:** a package depends on the minor version that its library was built on, or a later one: an older server
//! may lack what the headers of a newer one name.

mod check;
mod deb;
mod files;
mod licences;
mod pgxn;
mod rpm;

use crate::build;
use crate::paths;
use crate::previous;
use crate::setup::{self, Machine, packages};
use crate::ui::Steps;
use anyhow::{Result, bail};
use files::Contents;
use harness::postgres::{self, Installation};
use std::fs;
use std::path::PathBuf;
use xshell::{Shell, cmd};

pub use check::{Verdict, run as check};

/// The person to write to.
const MAINTAINER: &str = "The pg_trickle maintainers <maintainers@pg-trickle.example>";
/// One line on what it is.
const SUMMARY: &str = "incremental view maintenance for PostgreSQL";
/// The rest, without blank lines.
const DESCRIPTION: &str = "\
A stream table is a PostgreSQL table defined by a query and kept exactly equal
to it as its sources change. A refresh costs in proportion to what changed.";

/// What to package.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Options {
    /// How the library is compiled
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    pub profile: Profile,
    /// The previous version, from the history of the repository; only as .deb
    #[arg(long)]
    pub previous: bool,
    /// Only the .deb
    #[arg(long)]
    pub deb: bool,
    /// Install the .deb in a fresh Debian, use it, update it, remove it
    #[arg(long)]
    pub check: bool,
}

/// How a library is compiled.
#[derive(clap::ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// For users
    #[default]
    Release,
    /// As the demo has it: nearly as fast, compiled in half the time
    Demo,
    /// As tests have it: slow, with assertions
    Dev,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Profile::Release => "release",
            Profile::Demo => "demo",
            Profile::Dev => "dev",
        }
    }
}

/// Packages for the chosen major version, or for all of them.
pub fn run(chosen: Option<u32>, options: &Options) -> Result<bool> {
    if chosen.is_none() {
        return all(options);
    }
    let machine = setup::ensure()?;
    if options.check {
        return match check::run(&machine, options, &previous::build(&machine))? {
            Verdict::Works => Ok(true),
            Verdict::Skipped(why) => bail!("{why}"),
        };
    }
    for package in make(&machine, options)? {
        println!("{}", package.display());
    }
    Ok(true)
}

/// Each major version.
fn all(options: &Options) -> Result<bool> {
    for major in postgres::SERVED {
        let mut own = setup::on_version(major, "package")?;
        own.args(["--profile", options.profile.name()]);
        for (flag, is_set) in [("--deb", options.deb), ("--check", options.check)] {
            if is_set {
                own.arg(flag);
            }
        }
        if !own.status()?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the packages for this machine's server, and returns their files.
pub fn make(machine: &Machine, options: &Options) -> Result<Vec<PathBuf>> {
    let build = build::Options {
        release: options.profile == Profile::Release && !options.previous,
        demo: options.profile == Profile::Demo && !options.previous,
        previous: options.previous,
        ..build::Options::default()
    };
    let install = build::run(machine, &build)?;
    let version = match options.previous {
        true => harness::previous::VERSION,
        false => env!("CARGO_PKG_VERSION"),
    };
    let only_deb = options.deb || options.previous;
    let mut steps = Steps::new(if only_deb { 2 } else { 4 });
    let contents = steps.step("what goes into packages", |progress| {
        if !only_deb {
            packages::ensure(packages::RPM, progress)?;
        }
        let contents = Contents::gather(&machine.postgres, &install, version)?;
        let said = format!("{} files", contents.files.len());
        Ok((contents, said))
    })?;
    let mut made = vec![steps.step(".deb", |_| said(deb::make(&contents)?))?];
    if !only_deb {
        made.push(steps.step(".rpm", |_| said(rpm::make(&contents)?))?);
        made.push(steps.step("PGXN", |_| said(pgxn::make(version)?))?);
    }
    Ok(made)
}

fn said(file: PathBuf) -> Result<(PathBuf, String)> {
    let bytes = fs::metadata(&file)?.len();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let said = format!("{name}, {} kB", bytes / 1000);
    Ok((file, said))
}

/// Where packages are put.
pub fn folder() -> Result<PathBuf> {
    let folder = paths::target().join("packages");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// An empty folder to lay things out in.
fn work(name: &str) -> Result<PathBuf> {
    let folder = paths::target().join("package-work").join(name);
    let sh = Shell::new()?;
    sh.remove_path(&folder)?;
    Ok(sh.create_dir(&folder)?)
}

/// The version of the server as packages name it: `18.6`, `19~rc1`.
fn server_version(server: &Installation) -> String {
    let version = server.number();
    match version.find(|letter: char| letter.is_ascii_alphabetic()) {
        Some(end) => format!("{}~{}", &version[..end], &version[end..]),
        None => version.to_owned(),
    }
}

/// The time of the packages: that of the last commit, so that they can be made again.
fn timestamp() -> String {
    let repository = paths::repository();
    let commit =
        Shell::new().and_then(|sh| cmd!(sh, "git -C {repository} log -1 --format=%ct").read());
    commit.unwrap_or_else(|_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs()).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_candidate_sorts_before_the_release() {
        let server = |version: &str| Installation {
            pg_config: PathBuf::new(),
            bin_dir: PathBuf::new(),
            share_dir: PathBuf::new(),
            package_lib_dir: PathBuf::new(),
            include_dir: PathBuf::new(),
            major: 0,
            version: version.to_owned(),
        };
        let version = |of: &str| server_version(&server(of));
        assert_eq!(version("PostgreSQL 18.6 (Debian 18.6-3)"), "18.6");
        assert_eq!(version("PostgreSQL 19rc1 (Debian 19~rc1-1)"), "19~rc1");
    }
}
