//! Server functions that the generated bindings lack, declared as in the server's headers.

#![allow(non_snake_case)]

use pgrx::pg_sys::{Datum, LOCKMODE, List, Oid, Query, TupleDesc};
use pgrx::pg_sys::{DestReceiver, MemoryContext, Tuplestorestate};
use std::ffi::{c_char, c_int};

#[pgrx::pg_guard]
#[allow(improper_ctypes)]
unsafe extern "C-unwind" {
    /// `utils/datum.h`
    pub fn datumCopy(value: Datum, typ_by_val: bool, typ_len: c_int) -> Datum;

    /// `utils/datum.h`
    pub fn datum_image_eq(value1: Datum, value2: Datum, typ_by_val: bool, typ_len: c_int) -> bool;

    /// `catalog/pg_inherits.h`: the relation itself first, then all below it, locked.
    pub fn find_all_inheritors(
        parent: Oid,
        lockmode: LOCKMODE,
        num_parents: *mut *mut List,
    ) -> *mut List;

    /// `catalog/pg_inherits.h`
    pub fn has_superclass(relation: Oid) -> bool;

    /// `executor/tstoreReceiver.h`
    pub fn CreateTuplestoreDestReceiver() -> *mut DestReceiver;

    /// `executor/tstoreReceiver.h`
    pub fn SetTuplestoreDestReceiverParams(
        receiver: *mut DestReceiver,
        store: *mut Tuplestorestate,
        context: MemoryContext,
        detoast: bool,
        target: TupleDesc,
        map_failure_message: *const c_char,
    );

    /// `commands/sequence.h`: the next value, with or without a check of the caller's privilege.
    pub fn nextval_internal(sequence: Oid, check_permissions: bool) -> i64;

    /// `commands/view.h`: stores the `_RETURN` rule of a view.
    pub fn StoreViewQuery(view: Oid, query: *mut Query, replace: bool);
}
