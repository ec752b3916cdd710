//! What an AFTER statement trigger is given: the event, the table and its transition tables.

use super::fmgr::Call;
use super::slot::{Slot, SlotKind};
use super::tuplestore::StoreReader;
use pgrx::pg_sys;

/// The statement that fired the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// INSERT, COPY, or the inserting part of MERGE and ON CONFLICT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE.
    Truncate,
}

/// The event of an AFTER statement trigger.
#[derive(Debug)]
pub struct Transition {
    data: *mut pg_sys::TriggerData,
    statement: Statement,
}

impl Transition {
    /// The event that `call` was fired for, if it is an AFTER statement trigger.
    pub fn of(call: &Call) -> Option<Self> {
        let data = call.trigger()?;
        // SAFETY: the server passes valid trigger data.
        let event = unsafe { (*data).tg_event };
        let is_after_statement = event & pg_sys::TRIGGER_EVENT_TIMINGMASK
            == pg_sys::TRIGGER_EVENT_AFTER
            && event & pg_sys::TRIGGER_EVENT_ROW == 0;
        let statement = match event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Statement::Insert,
            pg_sys::TRIGGER_EVENT_DELETE => Statement::Delete,
            pg_sys::TRIGGER_EVENT_UPDATE => Statement::Update,
            _ => Statement::Truncate,
        };
        is_after_statement.then_some(Transition { data, statement })
    }

    /// The statement.
    pub fn statement(&self) -> Statement {
        self.statement
    }

    /// The table that the trigger is on.
    pub fn table(&self) -> pg_sys::Oid {
        // SAFETY: the table is open while its trigger runs.
        unsafe { (*(*self.data).tg_relation).rd_id }
    }

    /// The row type of the transition tables.
    pub fn tuple_desc(&self) -> pg_sys::TupleDesc {
        // SAFETY: as above.
        unsafe { (*(*self.data).tg_relation).rd_att }
    }

    /// The deleted rows or the old versions, `None` if there are none.
    pub fn old_rows(&self) -> Option<Rows> {
        // SAFETY: as above.
        Rows::of(unsafe { (*self.data).tg_oldtable }, self.tuple_desc())
    }

    /// The inserted rows or the new versions, `None` if there are none.
    pub fn new_rows(&self) -> Option<Rows> {
        // SAFETY: as above.
        Rows::of(unsafe { (*self.data).tg_newtable }, self.tuple_desc())
    }
}

/// A reader of a transition table, which others may read as well.
#[derive(Debug)]
pub struct Rows {
    reader: StoreReader,
    slot: Slot,
}

impl Rows {
    fn of(store: *mut pg_sys::Tuplestorestate, desc: pg_sys::TupleDesc) -> Option<Self> {
        // SAFETY: a transition table that the trigger asked for is a valid store.
        if store.is_null() || unsafe { pg_sys::tuplestore_tuple_count(store) } == 0 {
            return None;
        }
        Some(Rows {
            reader: StoreReader::new(store),
            slot: Slot::new(desc, SlotKind::Minimal),
        })
    }

    /// The first `width` columns of the next row, `None` at the end.
    pub fn next(&mut self, width: usize) -> Option<(&[pg_sys::Datum], &[bool])> {
        if !self.reader.next(&mut self.slot) {
            return None;
        }
        let slot = self.slot.as_ptr();
        // SAFETY: the row type has at least `width` columns, of which all are filled here.
        unsafe {
            pg_sys::slot_getsomeattrs(slot, width as i32);
            Some((
                std::slice::from_raw_parts((*slot).tts_values, width),
                std::slice::from_raw_parts((*slot).tts_isnull, width),
            ))
        }
    }
}
