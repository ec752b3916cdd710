//! The layout of an installation: `lib` and `share/extension`.
//!
//! A cluster finds it through `dynamic_library_path` and `extension_control_path`. Files are replaced by rename: a running
//! server keeps the library that it has mapped. Clusters copy the layout to where their user can read it.

use crate::objects;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The extension's package.
pub const PACKAGE: &str = "pg_trickle";
/// What cargo makes of it.
pub const LIBRARY: &str = "libpg_trickle.so";
/// Where its SQL is, in an installation.
pub const EXTENSION: &str = "share/extension";

/// Lays out a library and what its installation says, unless that is there: of this version, built from the sources at
/// `tree`.
pub fn lay_out(tree: &Path, version: &str, built: &Path, install: &Path) -> Result<()> {
    let library = install.join("lib").join(format!("{PACKAGE}.so"));
    let extension = install.join(EXTENSION);
    let sql = extension.join(format!("{PACKAGE}--{version}.sql"));
    for dir in [library.parent(), Some(extension.as_path())]
        .into_iter()
        .flatten()
    {
        fs::create_dir_all(dir)?;
    }
    if is_newer(built, &sql) || !library.exists() {
        let control = fs::read_to_string(tree.join(format!("extension/{PACKAGE}.control")))?
            .replace("@CARGO_VERSION@", version);
        let objects = objects::sql(&fs::read(built)?, &control, PACKAGE)
            .context("could not read the extension's SQL from its library")?;
        replace(&sql, |path| fs::write(path, &objects))?;
        let name = format!("{PACKAGE}.control");
        replace(&extension.join(name), |path| fs::write(path, &control))?;
        replace(&library, |path| fs::copy(built, path).map(|_| ()))?;
    }
    Ok(())
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    match (modified(file), modified(than)) {
        (Ok(file), Ok(than)) => file > than,
        _ => true,
    }
}

/// Writes a file beside `path` and renames it over it.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let draft = path.with_extension("new");
    write(&draft).with_context(|| format!("could not write {}", draft.display()))?;
    fs::rename(&draft, path)?;
    Ok(())
}
