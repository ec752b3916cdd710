//! Whether a query uses what is temporary: before 19 the server looks at its relations only.

use pgrx::pg_sys;

/// Whether it does.
///
/// # Safety
/// An analysed query.
pub unsafe fn is_used_by(query: *mut pg_sys::Query) -> bool {
    // SAFETY: per contract.
    #[cfg(not(feature = "pg19"))]
    unsafe {
        pg_sys::isQueryUsingTempRelation(query)
    }
    // SAFETY: per contract; the server says which object it is.
    #[cfg(feature = "pg19")]
    unsafe {
        let mut object = pg_sys::ObjectAddress::default();
        pg_sys::query_uses_temp_object(query, &mut object)
    }
}
