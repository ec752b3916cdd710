//! A reference to a whole row as the row of its columns. Before 18 the server has the function for expressions only.

use pgrx::pg_sys;

/// The row, for the level of its item, each column a reference to it.
///
/// # Safety
/// A reference to a whole row of this entry.
pub unsafe fn expand(
    variable: *mut pg_sys::Var,
    entry: *mut pg_sys::RangeTblEntry,
) -> *mut pg_sys::Node {
    let columns = std::ptr::null_mut();
    let keep = pg_sys::ReplaceVarsNoMatchOption::REPLACEVARS_CHANGE_VARNO;
    // SAFETY: per contract. Without a target list each column stays as it is. The copy is of the entry's own level.
    #[cfg(feature = "pg17")]
    unsafe {
        let here = pg_sys::copyObjectImpl(variable.cast()).cast::<pg_sys::Var>();
        (*here).varlevelsup = 0;
        let item = (*here).varno;
        let no_sublinks = std::ptr::null_mut();
        pg_sys::ReplaceVarsFromTargetList(
            here.cast(),
            item,
            0,
            entry,
            columns,
            keep,
            item,
            no_sublinks,
        )
    }
    // SAFETY: as above.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        pg_sys::ReplaceVarFromTargetList(variable, entry, columns, 0, keep, (*variable).varno)
    }
}
