//! Where PostgreSQL's programs are.
//!
//! The only place that knows where to look; `xtask` uses it too. Nothing here needs a server to
//! be there at compile time.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The major version that is used where none is chosen.
pub const MAJOR: u32 = 18;

/// The major versions that the extension is built for.
pub const SERVED: [u32; 3] = [17, 18, 19];

/// What chooses another than [`MAJOR`].
pub const VARIABLE: &str = "PGT_PG";

static CHOSEN: OnceLock<u32> = OnceLock::new();

/// Chooses the major version for this process, whatever the environment says.
pub fn choose(major: u32) {
    CHOSEN.get_or_init(|| major);
}

/// The major version to build for and to run: the chosen one, that of `PGT_PG`, or [`MAJOR`].
pub fn major() -> u32 {
    let named = || env::var(VARIABLE).ok()?.parse().ok();
    *CHOSEN.get_or_init(|| named().unwrap_or(MAJOR))
}

/// What names of files and folders end with: nothing for [`MAJOR`], `-pg17` for 17.
pub fn suffix() -> String {
    suffix_of(major())
}

/// The same for any major version.
pub fn suffix_of(major: u32) -> String {
    match major {
        MAJOR => String::new(),
        other => format!("-pg{other}"),
    }
}

/// A PostgreSQL installation, found by its `pg_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The program that the rest was read from.
    pub pg_config: PathBuf,
    /// Where `postgres`, `initdb` and `psql` are.
    pub bin_dir: PathBuf,
    /// `pg_config --sharedir`.
    pub share_dir: PathBuf,
    /// `pg_config --pkglibdir`.
    pub package_lib_dir: PathBuf,
    /// `pg_config --includedir-server`.
    pub include_dir: PathBuf,
    /// Major version, 18 for 18.6.
    pub major: u32,
    /// The version as the server prints it, `PostgreSQL 18.6`.
    pub version: String,
}

impl Installation {
    /// Reads an installation from its `pg_config`.
    pub fn from_pg_config(pg_config: &Path) -> Result<Self, LocateError> {
        let unusable = |why: String| LocateError::Unusable {
            pg_config: pg_config.to_owned(),
            why,
        };
        let output = Command::new(pg_config)
            .args([
                "--bindir",
                "--sharedir",
                "--pkglibdir",
                "--includedir-server",
                "--version",
            ])
            .output()
            .map_err(|error| unusable(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines().map(str::trim);
        let mut next = || {
            lines
                .next()
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| unusable("its output is incomplete".into()))
        };
        let bin_dir = PathBuf::from(next()?);
        let share_dir = PathBuf::from(next()?);
        let package_lib_dir = PathBuf::from(next()?);
        let include_dir = PathBuf::from(next()?);
        let version = next()?;
        let major = major_version(&version)
            .ok_or_else(|| unusable(format!("cannot read the version in \"{version}\"")))?;
        Ok(Self {
            pg_config: pg_config.to_owned(),
            bin_dir,
            share_dir,
            package_lib_dir,
            include_dir,
            major,
            version,
        })
    }

    /// The path of one of the server's programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// `18.6` of `PostgreSQL 18.6 (Debian …)`.
    pub fn number(&self) -> &str {
        self.version.split_whitespace().nth(1).unwrap_or("?")
    }

    /// Whether a cluster can be made with it; some packages ship `pg_config` without the server.
    pub fn has_server(&self) -> bool {
        ["postgres", "initdb"]
            .iter()
            .all(|name| self.program(name).is_file())
    }

    /// Whether extensions can be built against it.
    pub fn has_headers(&self) -> bool {
        self.include_dir.join("postgres.h").is_file()
    }
}

/// `18` of `PostgreSQL 18.6 (Debian …)`, `PostgreSQL 19devel`.
fn major_version(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Why no server was found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// A `pg_config` is there but does not do what it should.
    #[error("{} cannot be used: {why}", pg_config.display())]
    Unusable {
        /// The program.
        pg_config: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing suitable in any of the places.
    #[error("no PostgreSQL {major} with server programs found; {}", Looked(looked))]
    NotFound {
        /// The version asked for.
        major: u32,
        /// What was looked at, and why it was passed over.
        looked: Vec<String>,
    },
}

/// Prints the places that were tried.
struct Looked<'a>(&'a [String]);

impl fmt::Display for Looked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no pg_config anywhere (run cargo xtask setup)");
        }
        write!(f, "passed over: {}", self.0.join("; "))
    }
}

/// The cache folder outside the repository, where set-up keeps what it built. `PG_TRICKLE_CACHE`
/// puts it elsewhere.
pub fn cache_dir() -> PathBuf {
    if let Some(dir) = env::var_os("PG_TRICKLE_CACHE").filter(|dir| !dir.is_empty()) {
        return PathBuf::from(dir);
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/cache/pg_trickle");
    }
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("pg_trickle")
}

/// Every `pg_config` worth asking, best first: the environment, the PATH, the usual places, the
/// cache folder.
pub fn candidates(major: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for variable in ["PG_CONFIG", "PGRX_PG_CONFIG_PATH"] {
        if let Some(path) = env::var_os(variable).filter(|value| !value.is_empty()) {
            found.push(PathBuf::from(path));
        }
    }
    if let Some(path) = env::var_os("PATH") {
        found.extend(env::split_paths(&path).map(|dir| dir.join("pg_config")));
    }
    for pattern in [
        "/usr/lib/postgresql/{major}/bin",
        "/usr/pgsql-{major}/bin",
        "/usr/local/pgsql/bin",
        "/usr/local/pgsql-{major}/bin",
        "/opt/postgresql/{major}/bin",
        "/opt/homebrew/opt/postgresql@{major}/bin",
        "/usr/local/opt/postgresql@{major}/bin",
    ] {
        let dir = pattern.replace("{major}", &major.to_string());
        found.push(Path::new(&dir).join("pg_config"));
    }
    let mut cached: Vec<PathBuf> = std::fs::read_dir(cache_dir())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&format!("postgresql-{major}"))
        })
        .map(|path| path.join("bin/pg_config"))
        .collect();
    cached.sort();
    found.extend(cached.into_iter().rev());
    found.retain(|path| path.is_file());
    let mut seen = std::collections::HashSet::new();
    found.retain(|path| seen.insert(path.clone()));
    found
}

/// The first installation of this major version that has the server's programs.
pub fn locate(major: u32) -> Result<Installation, LocateError> {
    let mut looked = Vec::new();
    for pg_config in candidates(major) {
        match Installation::from_pg_config(&pg_config) {
            Ok(found) if found.major != major => {
                looked.push(format!("{} is {}", pg_config.display(), found.version));
            }
            Ok(found) if !found.has_server() => looked.push(format!(
                "{} has no postgres and initdb in {}",
                pg_config.display(),
                found.bin_dir.display()
            )),
            Ok(found) => return Ok(found),
            Err(error) => looked.push(error.to_string()),
        }
    }
    Err(LocateError::NotFound { major, looked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_release_and_development_versions() {
        assert_eq!(major_version("PostgreSQL 18.6"), Some(18));
        assert_eq!(
            major_version("PostgreSQL 18.6 (Debian 18.6-1.pgdg12+1)"),
            Some(18)
        );
        assert_eq!(major_version("PostgreSQL 19devel"), Some(19));
        assert_eq!(major_version("PostgreSQL"), None);
    }

    #[test]
    fn the_error_says_what_was_passed_over() {
        let error = LocateError::NotFound {
            major: 18,
            looked: vec!["/usr/bin/pg_config is PostgreSQL 15.4".into()],
        };
        assert_eq!(
            error.to_string(),
            "no PostgreSQL 18 with server programs found; \
             passed over: /usr/bin/pg_config is PostgreSQL 15.4"
        );
    }
}
