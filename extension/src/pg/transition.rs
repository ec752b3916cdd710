//! The data of an AFTER trigger: event, table and transition tables of a statement, or the versions of a row.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::capture_trigger::Family;
use super::fmgr::Call;
use super::image::ImageType;
use super::row::Row;
use super::row_version::differ_at;
use super::slot::{Slot, SlotKind};
use super::tupdesc::attributes;
use super::tuplestore::StoreReader;
use super::unguarded;
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

impl Statement {
    fn of(event: pg_sys::TriggerEvent) -> Self {
        match event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Statement::Insert,
            pg_sys::TRIGGER_EVENT_DELETE => Statement::Delete,
            pg_sys::TRIGGER_EVENT_UPDATE => Statement::Update,
            _ => Statement::Truncate,
        }
    }
}

/// The event of an AFTER trigger, for a row or for a statement.
#[derive(Debug)]
pub struct Fired<For> {
    data: *mut pg_sys::TriggerData,
    statement: Statement,
    what: PhantomData<For>,
}

/// The event of an AFTER ROW trigger.
pub type RowChange = Fired<OneRow>;

/// The event of an AFTER statement trigger.
pub type Transition = Fired<AllRows>;

/// For one row.
#[derive(Debug)]
pub struct OneRow;

/// For all rows of a statement.
#[derive(Debug)]
pub struct AllRows;

impl<For> Fired<For> {
    /// The event that `call` was fired for, if it is one of an AFTER trigger for a row, or for a statement.
    fn after(call: &Call, is_row: bool) -> Option<Self> {
        let data = call.trigger()?;
        // SAFETY: the server passes valid trigger data.
        let event = unsafe { (*data).tg_event };
        let is_after = event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_AFTER;
        let is_meant = is_after && (event & pg_sys::TRIGGER_EVENT_ROW != 0) == is_row;
        is_meant.then(|| Fired {
            data,
            statement: Statement::of(event),
            what: PhantomData,
        })
    }

    /// What happened.
    pub fn statement(&self) -> Statement {
        self.statement
    }

    /// Whether the trigger is one of a family.
    pub fn is_of(&self, family: Family) -> bool {
        // SAFETY: the server passes valid trigger data.
        family.has(unsafe { trigger_name(self.data) })
    }

    /// The table that the trigger is on.
    pub fn table(&self) -> pg_sys::Oid {
        // SAFETY: the table is open while its trigger runs.
        unsafe { (*(*self.data).tg_relation).rd_id }
    }

    /// Its row type, also that of the transition tables.
    pub fn tuple_desc(&self) -> pg_sys::TupleDesc {
        // SAFETY: as above.
        unsafe { (*(*self.data).tg_relation).rd_att }
    }
}

impl RowChange {
    /// The event that `call` was fired for, if it is an AFTER ROW trigger.
    pub fn of(call: &Call) -> Option<Self> {
        Self::after(call, true)
    }

    /// The first `width` columns of the deleted row or the old version, which the row type has.
    pub fn old_version(&self, width: usize) -> Option<Row<'_>> {
        // SAFETY: the slot holds the old row in these events.
        (self.statement != Statement::Insert)
            .then(|| unsafe { leading((*self.data).tg_trigslot, width) })
    }

    /// The first `width` columns of the inserted row or the new version.
    pub fn new_version(&self, width: usize) -> Option<Row<'_>> {
        // SAFETY: the server passes valid trigger data.
        let slot = unsafe {
            match self.statement {
                Statement::Insert => (*self.data).tg_trigslot,
                Statement::Update => (*self.data).tg_newslot,
                Statement::Delete | Statement::Truncate => return None,
            }
        };
        // SAFETY: the slot holds the new row in these events.
        Some(unsafe { leading(slot, width) })
    }

    /// Whether a column at one of these positions, below `width`, has changed; so it has where there is one version.
    pub fn differs_in(&self, columns: &[usize], width: usize) -> bool {
        let (Some(old), Some(new)) = (self.old_version(width), self.new_version(width)) else {
            return true;
        };
        let types = attributes(self.tuple_desc());
        let typed = |at: &usize| Some((*at, ImageType::from(types.get(*at)?)));
        let compared: Vec<_> = columns.iter().filter_map(typed).collect();
        // SAFETY: nothing to drop in the guard; the versions are rows of the table.
        unsafe {
            unguarded::guarded(|| (compared.iter()).any(|&(at, ty)| differ_at(at, ty, old, new)))
        }
    }
}

/// The name of the trigger that is called.
///
/// # Safety
/// The data is that of a call, and outlives the result.
unsafe fn trigger_name<'a>(data: *mut pg_sys::TriggerData) -> &'a CStr {
    // SAFETY: per contract; a trigger has a name.
    unsafe { CStr::from_ptr((*(*data).tg_trigger).tgname) }
}

/// The first columns of the row in a slot.
///
/// # Safety
/// The slot holds a row with at least `width` columns, and outlives the result.
unsafe fn leading<'a>(slot: *mut pg_sys::TupleTableSlot, width: usize) -> Row<'a> {
    // SAFETY: per contract; nothing to drop in the guard.
    unsafe {
        if ((*slot).tts_nvalid as usize) < width {
            unguarded::guarded(|| unguarded::slot_getsomeattrs_int(slot, width as i32));
        }
        Row {
            values: std::slice::from_raw_parts((*slot).tts_values, width),
            nulls: std::slice::from_raw_parts((*slot).tts_isnull, width),
        }
    }
}

/// Whether the session acts for another server, whose changes fire row triggers.
pub fn is_replica() -> bool {
    // SAFETY: reads a setting of this session.
    unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 }
}

impl Transition {
    /// The event that `call` was fired for, if it is an AFTER statement trigger.
    pub fn of(call: &Call) -> Option<Self> {
        Self::after(call, false)
    }

    /// The table whose BEFORE statement trigger `call` is, if it is one.
    pub fn before(call: &Call) -> Option<pg_sys::Oid> {
        let data = call.trigger()?;
        // SAFETY: the server passes valid trigger data; the table is open.
        unsafe {
            let event = (*data).tg_event;
            let is_before_statement = event & pg_sys::TRIGGER_EVENT_TIMINGMASK
                == pg_sys::TRIGGER_EVENT_BEFORE
                && event & pg_sys::TRIGGER_EVENT_ROW == 0;
            is_before_statement.then_some((*(*data).tg_relation).rd_id)
        }
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

/// A reader of a transition table, which others may read as well, but not at the same time.
#[derive(Debug)]
pub struct Rows {
    store: *mut pg_sys::Tuplestorestate,
    count: usize,
    slot: Slot,
}

impl Rows {
    fn of(store: *mut pg_sys::Tuplestorestate, desc: pg_sys::TupleDesc) -> Option<Self> {
        if store.is_null() {
            return None;
        }
        // SAFETY: a transition table that the trigger asked for is a valid store.
        let count = unsafe { pg_sys::tuplestore_tuple_count(store) };
        if count == 0 {
            return None;
        }
        // The reader selects its own read pointer, and no other is selected while it is in use.
        StoreReader::new(store);
        Some(Rows {
            store,
            count: usize::try_from(count).unwrap_or(usize::MAX),
            slot: Slot::new(desc, SlotKind::Minimal),
        })
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first `width` columns of the next row, which the row type has; `None` at the end.
    pub fn next(&mut self, width: usize) -> Option<Row<'_>> {
        // SAFETY: one guard for both, with nothing to drop between.
        unsafe {
            let is_there = unguarded::guarded(|| {
                let is_there = self.advance_unguarded();
                if is_there {
                    self.row_unguarded(width);
                }
                is_there
            });
            // Deformed already.
            is_there.then(|| self.row_unguarded(width))
        }
    }

    /// Moves to the next row; false at the end.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`].
    #[inline]
    pub unsafe fn advance_unguarded(&mut self) -> bool {
        // SAFETY: per contract; the store outlives its trigger.
        unsafe { unguarded::tuplestore_gettupleslot(self.store, true, false, self.slot.as_ptr()) }
    }

    /// The first `width` columns of the current row.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`], after [`Rows::advance_unguarded`] said true. The row
    /// type has at least `width` columns.
    #[inline]
    pub unsafe fn row_unguarded(&mut self, width: usize) -> Row<'_> {
        let slot = self.slot.as_ptr();
        // SAFETY: per contract.
        unsafe {
            if ((*slot).tts_nvalid as usize) < width {
                unguarded::slot_getsomeattrs_int(slot, width as i32);
            }
            Row {
                values: std::slice::from_raw_parts((*slot).tts_values, width),
                nulls: std::slice::from_raw_parts((*slot).tts_isnull, width),
            }
        }
    }
}
