//! Functions by name.

use super::name::c_string;
use crate::error::{Error, Result};
use pgrx::pg_sys;

/// The function `schema.name()` without arguments, if there is one.
pub fn without_arguments(schema: &str, name: &str) -> Result<Option<pg_sys::Oid>> {
    find(schema, name, &[])
}

/// The function `schema.name` with arguments of these types, if there is one.
pub fn find(schema: &str, name: &str, arguments: &[pg_sys::Oid]) -> Result<Option<pg_sys::Oid>> {
    let (schema, name) = (c_string(schema)?, c_string(name)?);
    // SAFETY: a look-up by a list of two String nodes and so many types.
    let oid = unsafe {
        let mut names = std::ptr::null_mut();
        for part in [&schema, &name] {
            let node = pg_sys::makeString(pg_sys::pstrdup(part.as_ptr()));
            names = pg_sys::lappend(names, node.cast());
        }
        pg_sys::LookupFuncName(names, arguments.len() as i32, arguments.as_ptr(), true)
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
