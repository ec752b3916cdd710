//! Functions by name.

use super::name::c_string;
use crate::error::{Error, Result};
use pgrx::pg_sys;

/// The function `schema.name()` without arguments, if there is one.
pub fn without_arguments(schema: &str, name: &str) -> Result<Option<pg_sys::Oid>> {
    find(schema, name, &[])
}

/// The function `schema.name` with arguments of these types, if there is one. The caller needs no rights to the schema: a role that
/// drops a table has none to the objects kept for it.
pub fn find(schema: &str, name: &str, arguments: &[pg_sys::Oid]) -> Result<Option<pg_sys::Oid>> {
    let (schema, name) = (c_string(schema)?, c_string(name)?);
    // SAFETY: syscache look-ups by names that outlive them, and by an array that is a copy.
    let oid = unsafe {
        let namespace = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        let arguments = pg_sys::buildoidvector(arguments.as_ptr(), arguments.len() as i32);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as pg_sys::AttrNumber,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(arguments),
            pg_sys::Datum::from(namespace),
            pg_sys::Datum::from(0),
        )
    };
    Ok((oid != pg_sys::InvalidOid).then_some(oid))
}

/// The text of a function's body.
pub fn source_text(function: pg_sys::Oid) -> Result<String> {
    let text = pgrx::Spi::get_one_with_args::<String>(
        "SELECT prosrc FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.=) $1",
        &[function.into()],
    );
    match text {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Ok(String::new()),
        Err(error) => Err(Error::Internal(error.to_string())),
    }
}
