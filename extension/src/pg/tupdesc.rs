//! Row types: building them, and reading their columns.

use super::memory::Switched;
use super::version;
use crate::error::{Error, Result};
use pgrx::pg_sys;
use std::ffi::{CStr, CString};

/// One column of a row type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_oid: pg_sys::Oid,
    /// Its type modifier, -1 if none.
    pub typmod: i32,
    /// Its collation, 0 if none.
    pub collation: pg_sys::Oid,
}

impl From<&pg_sys::FormData_pg_attribute> for Column {
    fn from(attribute: &pg_sys::FormData_pg_attribute) -> Self {
        Column {
            name: attribute_name(attribute).to_string_lossy().into_owned(),
            type_oid: attribute.atttypid,
            typmod: attribute.atttypmod,
            collation: attribute.attcollation,
        }
    }
}

/// A row type of our own, in a memory context of the caller's. Copies share it.
#[derive(Debug, Clone, Copy)]
pub struct OwnTupleDesc {
    raw: pg_sys::TupleDesc,
}

impl OwnTupleDesc {
    /// Builds it in `context`, where it lives as long as the context.
    pub fn build(context: pg_sys::MemoryContext, columns: &[Column]) -> Result<Self> {
        let names: Vec<CString> = columns
            .iter()
            .map(|column| CString::new(column.name.as_str()))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Error::Internal("a column name contains NUL".into()))?;
        let _switched = Switched::to(context);
        // SAFETY: attribute numbers run from 1 to the natts given; the server copies the names.
        let raw = unsafe { pg_sys::CreateTemplateTupleDesc(columns.len() as i32) };
        for (i, (column, name)) in columns.iter().zip(&names).enumerate() {
            let attnum = (i + 1) as pg_sys::AttrNumber;
            // SAFETY: as above.
            unsafe {
                pg_sys::TupleDescInitEntry(
                    raw,
                    attnum,
                    name.as_ptr(),
                    column.type_oid,
                    column.typmod,
                    0,
                );
                pg_sys::TupleDescInitEntryCollation(raw, attnum, column.collation);
            }
        }
        // SAFETY: every attribute number has been given its column.
        unsafe { version::row_type::complete(raw) };
        Ok(OwnTupleDesc { raw })
    }

    /// For calls to the server.
    pub fn as_ptr(&self) -> pg_sys::TupleDesc {
        self.raw
    }
}

/// The attributes of a row type, which comes from something that the caller holds open for as long as it
/// reads them.
pub fn attributes<'a>(desc: pg_sys::TupleDesc) -> &'a [pg_sys::FormData_pg_attribute] {
    // SAFETY: a row type of the server's; it keeps the attributes in one array.
    unsafe {
        match (*desc).natts {
            0 => &[],
            natts => std::slice::from_raw_parts(version::attributes::first(desc), natts as usize),
        }
    }
}

/// The name of an attribute.
pub fn attribute_name(attribute: &pg_sys::FormData_pg_attribute) -> &CStr {
    // SAFETY: attname is NUL-terminated.
    unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) }
}
