//! MERGE that moves a row to another partition.
//!
//! The server deletes such a row and inserts it elsewhere, and adds both versions to the transition tables of DELETE and
//! INSERT, which no trigger reads if the MERGE has no such arms; those of UPDATE lack them. Later servers add
//! them to UPDATE's, as the command UPDATE does. On a table with our triggers, versions that would be lost
//! are added there, too. The trigger of an existing arm fires, so no version is lost or shown twice.

use std::ffi::c_void;

use pgrx::pg_sys;

use super::capture_trigger;
use super::merge_versions;

/// Sends what the statement will move where its triggers read it.
///
/// # Safety
/// Called when the server has prepared the statement and before it runs.
pub unsafe fn show_in_updates(query: *mut pg_sys::QueryDesc) {
    // SAFETY: per contract; the second list has the statements of WITH clauses.
    unsafe {
        show(&*(*query).planstate);
        if let Some(list) = (*(*query).estate).es_auxmodifytables.as_ref() {
            let count = usize::try_from(list.length).unwrap_or(0);
            for cell in std::slice::from_raw_parts(list.elements, count) {
                show(&*cell.ptr_value.cast());
            }
        }
    }
}

/// # Safety
/// A prepared node.
unsafe fn show(node: &pg_sys::PlanState) {
    if node.type_ != pg_sys::NodeTag::T_ModifyTableState {
        return;
    }
    // SAFETY: the tag says what it is; the table is open.
    unsafe {
        let node = &*std::ptr::from_ref(node).cast::<pg_sys::ModifyTableState>();
        let arms = node.mt_merge_subcommands as u32;
        if node.operation != pg_sys::CmdType::CMD_MERGE || arms & pg_sys::MERGE_UPDATE == 0 {
            return;
        }
        let table = (*node.rootResultRelInfo).ri_RelationDesc;
        if (*(*table).rd_rel).relkind as u8 != pg_sys::RELKIND_PARTITIONED_TABLE
            || !capture_trigger::is_watched(table)
        {
            return;
        }
        let Some(tables) = node.mt_transition_capture.as_mut() else {
            return;
        };
        if arms & pg_sys::MERGE_INSERT != 0 {
            merge_versions::forget_inserted(node, tables);
        }
        if !has_one_for_each_kind(tables) {
            return;
        }
        if arms & pg_sys::MERGE_DELETE == 0 {
            tables.tcs_delete_private = tables.tcs_update_private;
        }
        if arms & pg_sys::MERGE_INSERT == 0 {
            tables.tcs_insert_private = tables.tcs_update_private;
        }
    }
}

/// Early servers of a major version had one pointer for all kinds of statements, in a smaller struct.
///
/// # Safety
/// Made by the server.
unsafe fn has_one_for_each_kind(tables: &mut pg_sys::TransitionCaptureState) -> bool {
    let start: *mut pg_sys::TransitionCaptureState = tables;
    // SAFETY: per contract, in a chunk of its own.
    unsafe {
        pg_sys::GetMemoryChunkSpace(start.cast::<c_void>())
            >= size_of::<pg_sys::TransitionCaptureState>()
    }
}
