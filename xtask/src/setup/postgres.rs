//! PostgreSQL 18: the first that works of one that is there, the system's packages, and its source.

use super::{apt, source_build};
use crate::command;
use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The major version that the extension is built for.
pub const MAJOR: u32 = 18;

/// An installation with a server, its headers and a client.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// The `pg_config` that describes it.
    pub pg_config: PathBuf,
    /// Where `postgres`, `initdb` and `psql` are.
    pub bindir: PathBuf,
    /// Its version, such as `18.6`.
    pub version: String,
}

/// What a search came to: the first that works, and why others before it did not.
pub struct Search {
    /// The first that works.
    pub found: Option<Postgres>,
    /// `path: reason` of the candidates that were passed over.
    pub rejected: Vec<String>,
}

/// Looks in `PG_CONFIG`, on the PATH, in the usual places and in the cache.
pub fn find() -> Search {
    let mut rejected = Vec::new();
    for pg_config in candidates() {
        match examine(&pg_config) {
            Ok(postgres) => {
                return Search {
                    found: Some(postgres),
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

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["PG_CONFIG", "PGRX_PG_CONFIG_PATH"]
        .iter()
        .filter_map(env::var_os)
        .map(PathBuf::from)
        .collect();
    found.extend(paths::all_on_path("pg_config"));
    found.extend(
        [
            format!("/usr/lib/postgresql/{MAJOR}/bin/pg_config"),
            format!("/usr/pgsql-{MAJOR}/bin/pg_config"),
            "/usr/local/pgsql/bin/pg_config".to_owned(),
        ]
        .map(PathBuf::from)
        .into_iter()
        .filter(|path| path.is_file()),
    );
    found.extend(source_build::installed().map(|prefix| prefix.join("bin/pg_config")));
    found.dedup();
    found
}

/// Whether a `pg_config` belongs to an installation that can be built against and run.
fn examine(pg_config: &Path) -> Result<Postgres> {
    let ask = |what: &str| command::output(Command::new(pg_config).arg(what));
    let version = ask("--version")?;
    let version = version
        .strip_prefix("PostgreSQL ")
        .and_then(|rest| rest.split_whitespace().next())
        .context("it does not state a version")?
        .to_owned();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    if digits != MAJOR.to_string() {
        bail!("it is PostgreSQL {version}");
    }
    let headers = PathBuf::from(ask("--includedir-server")?);
    if !headers.join("postgres.h").is_file() {
        bail!("server headers are not installed");
    }
    let bindir = PathBuf::from(ask("--bindir")?);
    for program in ["postgres", "initdb", "pg_ctl", "psql"] {
        if !bindir.join(program).is_file() {
            bail!("`{program}` is not installed");
        }
    }
    if paths::is_root() && !paths::reachable_by_others(&bindir) {
        bail!("only root can read it, and PostgreSQL does not run as root");
    }
    Ok(Postgres {
        pg_config: pg_config.to_path_buf(),
        bindir,
        version,
    })
}

/// Finds PostgreSQL 18 or brings it.
pub fn ensure(progress: &Progress) -> Result<Postgres> {
    let search = find();
    if let Some(found) = search.found {
        return Ok(found);
    }
    for reason in &search.rejected {
        progress.phase(&format!("passed over {reason}"));
    }
    if let Err(error) = from_packages(progress) {
        progress.phase(&format!("not from packages: {error:#}"));
        progress.phase("building it from source: about 5 minutes on two cores");
        source_build::build(progress)?;
    }
    find()
        .found
        .context("PostgreSQL was installed, but is not found where it should be")
}

/// Installs the distribution's packages, without letting them start a server of their own.
fn from_packages(progress: &Progress) -> Result<()> {
    let server = format!("postgresql-{MAJOR}");
    let headers = format!("postgresql-server-dev-{MAJOR}");
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
        let error = examine(Path::new("/bin/true")).unwrap_err();
        assert_eq!(error.to_string(), "it does not state a version");
    }
}
