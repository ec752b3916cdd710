//! The files of a package, laid out once for every kind of it.

use super::licences;
use crate::command;
use crate::paths;
use anyhow::{Context, Result};
use harness::postgres::Installation;
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Where a file goes, among those of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Beside the server's libraries.
    Library,
    /// Beside the server's extensions.
    Extension,
    /// The package's documentation.
    Documentation,
}

/// One file.
#[derive(Debug)]
pub struct File {
    /// Where it goes.
    pub place: Place,
    /// Where it is.
    pub source: PathBuf,
}

impl File {
    /// Its name.
    pub fn name(&self) -> String {
        let name = self.source.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// What a package of one version for one server holds.
#[derive(Debug)]
pub struct Contents {
    /// `postgresql-18-pg-trickle`.
    pub name: String,
    /// Of the extension.
    pub version: String,
    /// The server's major version.
    pub major: u32,
    /// The server's version that the library was built on, as packages name it.
    pub server: String,
    /// The files.
    pub files: Vec<File>,
}

impl Contents {
    /// Collects what a build has laid out, and the licences.
    pub fn gather(server: &Installation, install: &Path, version: &str) -> Result<Self> {
        let major = server.major;
        let name = format!("postgresql-{major}-pg-trickle");
        let work = super::work(&format!("{name}-{version}"))?;
        let library = work.join("pg_trickle.so");
        let (sh, whole) = (Shell::new()?, install.join("lib/pg_trickle.so"));
        command::output(cmd!(sh, "strip --strip-unneeded -o {library} {whole}"))?;
        let mut files = vec![File {
            place: Place::Library,
            source: library,
        }];
        let mut scripts: Vec<PathBuf> = fs::read_dir(install.join("share/extension"))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| belongs(path, version))
            .collect();
        scripts.sort();
        files.extend(scripts.into_iter().map(|source| File {
            place: Place::Extension,
            source,
        }));
        let third_party = work.join("third-party-licences.txt");
        fs::write(&third_party, licences::third_party()?)?;
        for source in [third_party, paths::repository().join("README.md")] {
            files.push(File {
                place: Place::Documentation,
                source,
            });
        }
        Ok(Self {
            name,
            version: version.to_owned(),
            major,
            server: super::server_version(server),
            files,
        })
    }
}

/// Whether a file of an installation is of this version: the control file, its install script, and the updates that
/// lead to it. An installation folder keeps what other versions have left.
fn belongs(path: &Path, version: &str) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let is_update = |script: &str| script.contains("--");
    match name.strip_prefix("pg_trickle--") {
        Some(script) => {
            let script = script.trim_end_matches(".sql");
            script == version || is_update(script)
        }
        None => name == "pg_trickle.control",
    }
}

/// The text of our licence.
pub fn licence() -> Result<String> {
    let path = paths::repository().join("LICENSE");
    fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_other_versions_stay_where_they_are() {
        let belongs = |name: &str| belongs(Path::new(name), "0.2.0");
        assert!(belongs("pg_trickle.control") && belongs("pg_trickle--0.2.0.sql"));
        assert!(belongs("pg_trickle--0.1.0--0.2.0.sql"));
        for name in [
            "pg_trickle--0.1.0.sql",
            "pg_trickle.control.new",
            "other--0.2.0.sql",
        ] {
            assert!(!belongs(name), "{name}");
        }
    }
}
