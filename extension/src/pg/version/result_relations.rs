//! What a statement writes: 19 keeps it as a set of places in the range table, 17 and 18 as a list of them.

use pgrx::pg_sys;

/// The tables that a planned statement writes.
///
/// # Safety
/// A complete statement.
pub unsafe fn of(statement: *mut pg_sys::PlannedStmt) -> Vec<pg_sys::Oid> {
    // SAFETY: per contract: places from 1 on, and the entries that they are those of.
    unsafe {
        let entries = (*statement).rtable;
        let relid = |place: i32| {
            let entries = entries.as_ref()?;
            let at = usize::try_from(place).ok()?.checked_sub(1)?;
            if at >= usize::try_from(entries.length).ok()? {
                return None;
            }
            let entry = (*entries.elements.add(at)).ptr_value as *const pg_sys::RangeTblEntry;
            Some((*entry).relid)
        };
        places(statement).into_iter().filter_map(relid).collect()
    }
}

/// # Safety
/// As [`of`].
unsafe fn places(statement: *mut pg_sys::PlannedStmt) -> Vec<i32> {
    let mut places = Vec::new();
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg19")]
        {
            let set = (*statement).resultRelationRelids;
            let mut place = pg_sys::bms_next_member(set, -1);
            while place >= 0 {
                places.push(place);
                place = pg_sys::bms_next_member(set, place);
            }
        }
        #[cfg(not(feature = "pg19"))]
        if let Some(list) = (*statement).resultRelations.as_ref() {
            let count = usize::try_from(list.length).unwrap_or(0);
            let cells = std::slice::from_raw_parts(list.elements, count);
            places.extend(cells.iter().map(|cell| cell.int_value));
        }
    }
    places
}
