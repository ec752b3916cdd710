//! Names of relations: from text to OID and back.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::catalog_scan;
use super::lock_mode::LockMode;
use crate::error::{Error, Result};

/// A relation that is to be created: its schema, chosen as `CREATE TABLE` would, and its name.
#[derive(Debug, Clone)]
pub struct NewName {
    /// Schema.
    pub namespace: pg_sys::Oid,
    /// Name without the schema.
    pub name: String,
    /// Name with the schema, quoted.
    pub qualified: String,
}

/// Text as a C string.
pub fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Internal("a text contains a zero byte".into()))
}

/// A name as one identifier, quoted where it has to be.
pub fn quote(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}

fn range_var(name: &str) -> Result<*mut pg_sys::RangeVar> {
    let text = c_string(name)?;
    // SAFETY: the parser of regclass's input; it raises "invalid name syntax".
    unsafe {
        let names = pg_sys::stringToQualifiedNameList(text.as_ptr(), std::ptr::null_mut());
        Ok(pg_sys::makeRangeVarFromNameList(names))
    }
}

/// The relation that a possibly qualified, possibly quoted name denotes, as a cast to `regclass`
/// finds it. Takes no lock.
pub fn find_relation(name: &str) -> Result<Option<pg_sys::Oid>> {
    let relation = range_var(name)?;
    // SAFETY: the RangeVar is fresh.
    let oid = unsafe {
        pg_sys::RangeVarGetRelidExtended(
            relation,
            LockMode::None.raw(),
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    };
    Ok((oid != pg_sys::InvalidOid).then_some(oid))
}

/// Where `CREATE TABLE` would put a table of this name. Refuses a temporary schema.
pub fn new_relation(name: &str) -> Result<NewName> {
    let relation = range_var(name)?;
    // SAFETY: the RangeVar is fresh; its name is a valid C string.
    let (namespace, name, is_temporary) = unsafe {
        let namespace = pg_sys::RangeVarGetCreationNamespace(relation);
        let name = CStr::from_ptr((*relation).relname)
            .to_string_lossy()
            .into_owned();
        (namespace, name, pg_sys::isAnyTempNamespace(namespace))
    };
    if is_temporary {
        return Err(Error::TemporaryName(name));
    }
    let qualified = format!("{}.{}", quote(&namespace_name(namespace)), quote(&name));
    Ok(NewName {
        namespace,
        name,
        qualified,
    })
}

/// The relation with this name in this schema.
pub fn relation_in(namespace: pg_sys::Oid, name: &str) -> Result<Option<pg_sys::Oid>> {
    let name = c_string(name)?;
    // SAFETY: a syscache look-up.
    let oid = unsafe { pg_sys::get_relname_relid(name.as_ptr(), namespace) };
    Ok((oid != pg_sys::InvalidOid).then_some(oid))
}

/// The schema with this name.
pub fn find_namespace(name: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up.
    let oid = unsafe { pg_sys::get_namespace_oid(name.as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

fn namespace_name(namespace: pg_sys::Oid) -> String {
    // SAFETY: a palloc'd C string, or null when the schema is gone.
    unsafe { text_of(pg_sys::get_namespace_name(namespace)) }.unwrap_or_default()
}

/// The relation's name without its schema; `None` when it is gone.
pub fn relation_name(relid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a palloc'd C string, or null.
    unsafe { text_of(pg_sys::get_rel_name(relid)) }
}

/// The name of a column; `None` if there is none with this number.
pub fn column_name(relid: pg_sys::Oid, attnum: i16) -> Option<String> {
    // SAFETY: a palloc'd C string, or null.
    unsafe { text_of(pg_sys::get_attname(relid, attnum, true)) }
}

/// The relation's name with its schema, quoted; `None` when it is gone.
pub fn qualified_name(relid: pg_sys::Oid) -> Option<String> {
    let name = relation_name(relid)?;
    // SAFETY: a syscache look-up.
    let namespace = unsafe { pg_sys::get_rel_namespace(relid) };
    Some(format!(
        "{}.{}",
        quote(&namespace_name(namespace)),
        quote(&name)
    ))
}

/// The schema of the relation; `None` when it is gone.
pub fn namespace_of(relid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up.
    let namespace = unsafe { pg_sys::get_rel_namespace(relid) };
    (namespace != pg_sys::InvalidOid).then_some(namespace)
}

/// Whether the relation is in this schema.
pub fn is_in(relid: pg_sys::Oid, schema: &str) -> bool {
    // SAFETY: a syscache look-up.
    namespace_name(unsafe { pg_sys::get_rel_namespace(relid) }) == schema
}

/// # Safety
/// Null or a C string.
pub(super) unsafe fn text_of(text: *const std::ffi::c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, hence a C string.
    Some(
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// `pg_class` and its index over names, as `catalog/pg_class.h` has them.
const CLASS: pg_sys::Oid = pg_sys::Oid::from_u32(1259);
const CLASS_BY_NAME: pg_sys::Oid = pg_sys::Oid::from_u32(2663);

/// The tables in `schema` whose names begin with `stem` and an underscore.
pub fn tables_with_stem(schema: &str, stem: &str) -> Result<Vec<pg_sys::Oid>> {
    let Some(namespace) = find_namespace(&c_string(schema)?) else {
        return Ok(Vec::new());
    };
    let low = name_data(&c_string(&format!("{stem}_"))?);
    // The character after the underscore.
    let high = name_data(&c_string(&format!("{stem}`"))?);
    let mut found = Vec::new();
    catalog_scan::each(
        CLASS,
        CLASS_BY_NAME,
        &catalog_scan::name_range(2, &low, &high),
        |row| {
            // SAFETY: a row of pg_class, of which the columns with a fixed length are read.
            let row = unsafe { &*row.cast::<pg_sys::FormData_pg_class>() };
            if row.relnamespace == namespace && row.relkind as u8 == pg_sys::RELKIND_RELATION {
                found.push(row.oid);
            }
            true
        },
    );
    Ok(found)
}

/// A name as catalogs store it.
fn name_data(name: &CStr) -> pg_sys::NameData {
    let mut data = pg_sys::NameData::default();
    // SAFETY: a C string, cut to what fits.
    unsafe { pg_sys::namestrcpy(&mut data, name.as_ptr()) };
    data
}

/// The name of a role; `None` if it is gone.
pub fn role(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a catalog look-up that gives a palloc'd C string, or null.
    unsafe { text_of(pg_sys::GetUserNameFromId(oid, true)) }
}
