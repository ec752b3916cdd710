//! BEFORE ROW triggers. A stream table holds the rows of its query: a trigger may read
//! them, but changing or suppressing a row is an error.

use pgrx::pg_sys;

use super::image;
use super::name;
use super::slot::Slot;
use super::statement_triggers::{self, Change};
use super::tupdesc::attributes;
use super::version::row_writing;
use crate::error::Error;

/// Fires the triggers before the insertion of the slot's row.
///
/// # Safety
/// The state of a writer; the slot has the table's row type.
pub unsafe fn insert(
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    row: &mut Slot,
) {
    // SAFETY: per contract; the description of the triggers is the target's own copy.
    unsafe {
        let triggers = (*target).ri_TrigDesc.as_ref();
        if !triggers.is_some_and(|triggers| triggers.trig_insert_before_row) {
            return;
        }
        let given = image_of(row);
        if !pg_sys::ExecBRInsertTriggers(estate, target, row.as_ptr()) || image_of(row) != given {
            refuse(target, Change::Insert);
        }
    }
}

/// The same before the row at `tid` becomes that of the slot.
///
/// # Safety
/// As [`insert`]; there is a row at the place.
pub unsafe fn update(
    estate: *mut pg_sys::EState,
    epq: *mut pg_sys::EPQState,
    target: *mut pg_sys::ResultRelInfo,
    tid: *mut pg_sys::ItemPointerData,
    row: &mut Slot,
) {
    // SAFETY: per contract; as in `insert`.
    unsafe {
        let triggers = (*target).ri_TrigDesc.as_ref();
        if !triggers.is_some_and(|triggers| triggers.trig_update_before_row) {
            return;
        }
        let given = image_of(row);
        if !row_writing::before_update(estate, epq, target, tid, row.as_ptr())
            || image_of(row) != given
        {
            refuse(target, Change::Update);
        }
    }
}

/// The same before the deletion of the row at `tid`.
///
/// # Safety
/// As [`update`].
pub unsafe fn delete(
    estate: *mut pg_sys::EState,
    epq: *mut pg_sys::EPQState,
    target: *mut pg_sys::ResultRelInfo,
    tid: *mut pg_sys::ItemPointerData,
) {
    // SAFETY: per contract; as in `insert`.
    unsafe {
        let triggers = (*target).ri_TrigDesc.as_ref();
        if triggers.is_some_and(|triggers| triggers.trig_delete_before_row)
            && !row_writing::before_delete(estate, epq, target, tid)
        {
            refuse(target, Change::Delete);
        }
    }
}

fn image_of(row: &mut Slot) -> Vec<u8> {
    // SAFETY: the slot lives as long as `row`, and with it its row type.
    let columns = attributes(unsafe { (*row.as_ptr()).tts_tupleDescriptor });
    let mut bytes = Vec::new();
    for ((value, is_null), column) in row.row().columns().zip(columns) {
        image::append(&mut bytes, value, is_null, column.into());
    }
    bytes
}

/// # Safety
/// As [`insert`].
unsafe fn refuse(target: *mut pg_sys::ResultRelInfo, change: Change) -> ! {
    // SAFETY: per contract; the table is open.
    let (table, triggers) = unsafe {
        (
            (*(*target).ri_RelationDesc).rd_id,
            statement_triggers::names_before_rows((*target).ri_TrigDesc, change),
        )
    };
    let table = name::relation_name(table).unwrap_or_default();
    Error::RowsMeddledWith { table, triggers }.report()
}
