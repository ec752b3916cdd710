//! PostgreSQL: the first that works of one that is there, the system's packages, those of another release, and its
//! source.

use super::{apt, source_build, unpacked};
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result, bail};
use harness::postgres::{self, Installation};
use std::path::Path;

/// What a search came to: the first that works, and why others before it did not.
pub struct Search {
    /// The first that works.
    pub found: Option<Installation>,
    /// `path: reason` of the candidates that were passed over.
    pub rejected: Vec<String>,
}

/// Looks in `PG_CONFIG`, on the PATH, in the usual places and in the cache.
pub fn find() -> Search {
    let major = postgres::major();
    let mut rejected = Vec::new();
    for pg_config in postgres::candidates(major) {
        match examine(&pg_config, major) {
            Ok(installation) => {
                return Search {
                    found: Some(installation),
                    rejected,
                };
            }
            Err(reason) => rejected.push(format!("{}: {reason}", pg_config.display())),
        }
    }
    Search {
        found: None,
        rejected,
    }
}

/// Whether a `pg_config` belongs to an installation that can be built against and run.
fn examine(pg_config: &Path, major: u32) -> Result<Installation> {
    let installation = Installation::from_pg_config(pg_config)?;
    if installation.major != major {
        bail!("it is {}", installation.version);
    }
    if !installation.has_headers() {
        bail!("server headers are not installed");
    }
    for program in ["postgres", "initdb", "pg_ctl", "psql"] {
        if !installation.program(program).is_file() {
            bail!("`{program}` is not installed");
        }
    }
    if paths::is_root() && !paths::reachable_by_others(&installation.bin_dir) {
        bail!("only root can read it, and PostgreSQL does not run as root");
    }
    Ok(installation)
}

/// Finds PostgreSQL of the chosen major version or brings it.
pub fn ensure(progress: &Progress) -> Result<Installation> {
    let search = find();
    if let Some(found) = search.found {
        return Ok(found);
    }
    for reason in &search.rejected {
        progress.phase(&format!("passed over {reason}"));
    }
    let major = postgres::major();
    if let Err(error) = from_packages(major, progress) {
        progress.phase(&format!("not from packages: {error:#}"));
        if let Err(error) = unpacked::lay_out(major, progress) {
            progress.phase(&format!("not from packages of another release: {error:#}"));
            progress.phase("building it from source: about 5 minutes on two cores");
            source_build::build(major, progress)?;
        }
    }
    find()
        .found
        .context("PostgreSQL was installed, but is not found where it should be")
}

/// Installs the distribution's packages, without letting them start a server of their own.
fn from_packages(major: u32, progress: &Progress) -> Result<()> {
    let server = format!("postgresql-{major}");
    let headers = format!("postgresql-server-dev-{major}");
    if paths::on_path("apt-get").is_none() {
        bail!("there is no apt-get");
    }
    if paths::is_root() {
        apt::update(progress)?;
    }
    if !apt::offers(&server) || !apt::offers(&headers) {
        bail!("this system has no package {server}");
    }
    if !paths::is_root() {
        bail!("installing needs root: sudo apt-get install -y {server} {headers}");
    }
    let dir = Path::new("/etc/postgresql-common/createcluster.d");
    let no_cluster = dir.join("pg_trickle.conf");
    std::fs::create_dir_all(dir)?;
    std::fs::write(&no_cluster, "create_main_cluster = false\n")?;
    let result = apt::install(&[&server, &headers], progress);
    std::fs::remove_file(&no_cluster)?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_that_is_not_pg_config_is_passed_over_with_a_reason() {
        assert!(examine(Path::new("/bin/true"), 18).is_err());
        assert!(examine(Path::new("/nowhere/pg_config"), 18).is_err());
    }
}
