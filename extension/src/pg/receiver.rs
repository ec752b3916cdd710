//! Receiving the rows of a statement one by one.

use super::row::Row;
use pgrx::pg_sys;

/// Is shown each row, which is valid until it returns.
pub type EachRow<'a> = &'a mut dyn FnMut(Row<'_>);

/// A destination of the executor's that shows each row. The server knows it by its first field.
#[repr(C)]
pub struct Receiver<'a> {
    callbacks: pg_sys::DestReceiver,
    each: EachRow<'a>,
}

impl<'a> Receiver<'a> {
    /// Shows each row to `each`.
    pub fn new(each: EachRow<'a>) -> Self {
        Receiver {
            callbacks: pg_sys::DestReceiver {
                receiveSlot: Some(receive),
                rStartup: Some(start_up),
                rShutdown: Some(nothing),
                rDestroy: Some(nothing),
                mydest: pg_sys::CommandDest::DestTuplestore,
            },
            each,
        }
    }

    /// For one call to the server.
    pub fn as_ptr(&mut self) -> *mut pg_sys::DestReceiver {
        (&raw mut *self).cast()
    }
}

/// # Safety
/// Called by the executor with a row and the destination that it was given, a [`Receiver`].
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    destination: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: per contract. After slot_getallattrs both arrays have natts initialised elements.
    unsafe {
        let receiver = &mut *destination.cast::<Receiver<'_>>();
        pg_sys::slot_getallattrs(slot);
        let natts = (*(*slot).tts_tupleDescriptor).natts as usize;
        (receiver.each)(Row {
            values: std::slice::from_raw_parts((*slot).tts_values, natts),
            nulls: std::slice::from_raw_parts((*slot).tts_isnull, natts),
        });
    }
    true
}

/// # Safety
/// Called by the executor.
unsafe extern "C-unwind" fn start_up(
    _destination: *mut pg_sys::DestReceiver,
    _operation: std::ffi::c_int,
    _row_type: pg_sys::TupleDesc,
) {
}

/// # Safety
/// Called by the executor.
unsafe extern "C-unwind" fn nothing(_destination: *mut pg_sys::DestReceiver) {}
