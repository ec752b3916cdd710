//! Names of types and collations as SQL text that means the same under every `search_path`.

use super::{make_node, name};
use crate::error::{Error, Result};
use pgrx::pg_sys;
use std::ffi::CString;

/// A type with its modifier, qualified unless the standard has a name of its own for it.
pub fn type_name(type_oid: pg_sys::Oid, typmod: i32) -> String {
    let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_FORCE_QUALIFY;
    // SAFETY: returns a fresh C string for any existing type.
    unsafe {
        let text = pg_sys::format_type_extended(type_oid, typmod, flags as u16);
        std::ffi::CStr::from_ptr(text)
            .to_string_lossy()
            .into_owned()
    }
}

/// A column's type with its modifier and its collation, as they stand in its definition.
pub fn definition(type_oid: pg_sys::Oid, typmod: i32, collation: pg_sys::Oid) -> Result<String> {
    let mut text = type_name(type_oid, typmod);
    if collation != pg_sys::InvalidOid {
        text.push_str(" COLLATE ");
        text.push_str(&collation_name(collation)?);
    }
    Ok(text)
}

/// A collation, qualified.
pub fn collation_name(collation: pg_sys::Oid) -> Result<String> {
    // SAFETY: a look-up by OID; the names are copied before the tuple is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::COLLOID as i32,
            pg_sys::Datum::from(collation),
        );
        if tuple.is_null() {
            return Err(Error::Internal(format!(
                "collation {} is gone",
                collation.to_u32()
            )));
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_collation>();
        let text = |name: *const std::ffi::c_char| {
            name::quote(&std::ffi::CStr::from_ptr(name).to_string_lossy())
        };
        let own = text(form.collname.data.as_ptr());
        let schema = pg_sys::get_namespace_name(form.collnamespace);
        let qualified = if schema.is_null() {
            own
        } else {
            format!("{}.{own}", text(schema))
        };
        pg_sys::ReleaseSysCache(tuple);
        Ok(qualified)
    }
}

/// The type of this name, with or without a modifier, on the search path; `None` where the server knows none.
pub fn parse(name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    let (mut type_oid, mut typmod) = (pg_sys::InvalidOid, -1);
    // SAFETY: the context, a node of its own, makes the server return false instead of raising.
    let is_known = unsafe {
        let tag = pg_sys::NodeTag::T_ErrorSaveContext;
        let context = make_node::allocate::<pg_sys::ErrorSaveContext>(tag);
        pg_sys::parseTypeString(name.as_ptr(), &mut type_oid, &mut typmod, context.cast())
    };
    (is_known && type_oid != pg_sys::InvalidOid).then_some(type_oid)
}
