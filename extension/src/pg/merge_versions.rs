//! MERGE that inserts rows of a partitioned table and updates others.
//!
//! The server remembers a new row that it has sent to its partition, for the transition table of INSERT, until it sends or
//! moves another. Each row that the statement updates in between enters the transition table of UPDATE with the inserted
//! row as its new version. So on a table with our triggers, the server is made to forget the row when it fetches the
//! next one to merge: of the actions for one row, an INSERT comes last, and remembers its row before showing it.
//!
//! Our function wraps that of the plan node from which the server fetches.

use std::cell::RefCell;
use std::ffi::c_void;

use pgrx::pg_sys;

use super::unguarded;
use crate::error::Error;

type NextRow =
    unsafe extern "C-unwind" fn(node: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot;

/// A node that brings rows to merge.
#[derive(Debug, Clone, Copy)]
struct Bringer {
    node: *mut pg_sys::PlanState,
    next_row: NextRow,
    tables: *mut pg_sys::TransitionCaptureState,
}

thread_local! {
    static BRINGERS: RefCell<Vec<Bringer>> = const { RefCell::new(Vec::new()) };
}

/// Has the MERGE forget an inserted row before it updates others.
///
/// # Safety
/// It has been prepared and does not run yet, and these are its transition tables.
pub unsafe fn forget_inserted(
    merge: &pg_sys::ModifyTableState,
    tables: *mut pg_sys::TransitionCaptureState,
) {
    let node = merge.ps.lefttree;
    // SAFETY: per contract; the node and the callback are in the statement's memory, which tells when it goes.
    unsafe {
        let Some(next_row) = (*node).ExecProcNodeReal else {
            return;
        };
        let memory = (*merge.ps.state).es_query_cxt;
        let size = size_of::<pg_sys::MemoryContextCallback>();
        let callback: *mut pg_sys::MemoryContextCallback =
            unguarded::MemoryContextAlloc(memory, size).cast();
        *callback = pg_sys::MemoryContextCallback {
            func: Some(on_gone),
            arg: node.cast(),
            next: std::ptr::null_mut(),
        };
        pg_sys::MemoryContextRegisterResetCallback(memory, callback);
        BRINGERS.with_borrow_mut(|bringers| {
            bringers.push(Bringer {
                node,
                next_row,
                tables,
            });
        });
        (*node).ExecProcNodeReal = Some(on_next_row);
    }
}

/// The statement's memory goes.
unsafe extern "C-unwind" fn on_gone(node: *mut c_void) {
    BRINGERS.with_borrow_mut(|bringers| bringers.retain(|bringer| bringer.node != node.cast()));
}

/// Nothing is to be dropped while the node's own function runs, so that an error passes through.
unsafe extern "C-unwind" fn on_next_row(
    node: *mut pg_sys::PlanState,
) -> *mut pg_sys::TupleTableSlot {
    let bringer = BRINGERS.with_borrow(|bringers| {
        let found = bringers.iter().rev().find(|bringer| bringer.node == node);
        found.copied()
    });
    // SAFETY: the node is known as long as its statement; its transition tables and its own function are as well.
    unsafe {
        match bringer {
            Some(bringer) => {
                (*bringer.tables).tcs_original_insert_tuple = std::ptr::null_mut();
                (bringer.next_row)(node)
            }
            None => on_lost(),
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_lost() -> *mut pg_sys::TupleTableSlot {
    Error::Internal("a MERGE asks for rows after its end".into()).report()
}
