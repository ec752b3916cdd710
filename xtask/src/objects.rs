//! The SQL that creates the extension's objects, read out of the built library.
//!
//! Pgrx leaves a description of each object in a section of the library; its own crate puts them in order and writes
//! them as SQL. That is all we would need `cargo-pgrx` for, which takes minutes to build.

use anyhow::{Context, Result, anyhow};
use object::{Object, ObjectSection};
use pgrx_sql_entity_graph::section::{decode_entities, is_schema_section_name};
use pgrx_sql_entity_graph::{ControlFile, PgrxSql, SqlGraphEntity};

/// The script of `CREATE EXTENSION`. `control` is the control file, with the version filled in.
///
/// # Errors
/// The library is none of pgrx's, or of another version of it.
pub fn sql(library: &[u8], control: &str, package: &str) -> Result<String> {
    let control = ControlFile::from_str(control).context("the control file")?;
    let mut entities = vec![SqlGraphEntity::ExtensionRoot(control)];
    entities.extend(
        decode_entities(section(library)?)
            .map_err(|error| anyhow!("what describes the SQL objects is unreadable: {error:#}"))?,
    );
    PgrxSql::build(entities.into_iter(), package.to_owned(), false)
        .and_then(|objects| objects.to_sql())
        .map_err(|error| anyhow!("the SQL objects have no order: {error:#}"))
}

fn section(library: &[u8]) -> Result<&[u8]> {
    let file = object::File::parse(library).context("the library is no library")?;
    file.sections()
        .find(|section| section.name().is_ok_and(is_schema_section_name))
        .context("the library does not describe its SQL objects")?
        .data()
        .context("what describes the SQL objects is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_pgrx_did_not_build_describes_nothing() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let error = sql(
            &program,
            "comment = 'x'\ndefault_version = '1'\nrelocatable = false\nsuperuser = true\n",
            "x",
        );
        let error = format!("{:#}", error.unwrap_err());
        assert_eq!(error, "the library does not describe its SQL objects");
    }
}
