//! The columns that updates change, for `UPDATE OF column` triggers and for the row locks that foreign keys need.

use pgrx::pg_sys;

use super::image;
use super::slot::Slot;
use super::tupdesc::attributes;

/// What triggers receive: the columns of the current row, at the end those of all rows.
#[derive(Debug)]
pub struct ChangedColumns {
    desc: pg_sys::TupleDesc,
    permission: *mut pg_sys::RTEPermissionInfo,
    context: pg_sys::MemoryContext,
    of_any_row: Vec<i32>,
}

impl ChangedColumns {
    /// For a table with triggers of updates. Called in the memory of the writes.
    ///
    /// # Safety
    /// `permission` is the target's.
    pub unsafe fn wanted(
        target: *mut pg_sys::ResultRelInfo,
        permission: *mut pg_sys::RTEPermissionInfo,
    ) -> Option<Self> {
        // SAFETY: per contract.
        unsafe {
            let triggers = (*target).ri_TrigDesc.as_ref()?;
            let wanted = triggers.trig_update_before_row
                || triggers.trig_update_after_row
                || triggers.trig_update_after_statement;
            wanted.then(|| ChangedColumns {
                desc: (*(*target).ri_RelationDesc).rd_att,
                permission,
                context: pg_sys::CurrentMemoryContext,
                of_any_row: Vec::new(),
            })
        }
    }

    /// An update of this kind comes.
    pub fn note(&mut self, stored: &mut Slot, row: &mut Slot) {
        let columns = attributes(self.desc);
        let pairs = stored.row().columns().zip(row.row().columns());
        let changed: Vec<i32> = columns
            .iter()
            .zip(pairs)
            .filter(|(column, ((old, old_null), (new, new_null)))| {
                old_null != new_null || !(*old_null || image::datum_equal(*old, *new, *column))
            })
            .map(|(column, _)| i32::from(column.attnum))
            .collect();
        for attnum in &changed {
            if !self.of_any_row.contains(attnum) {
                self.of_any_row.push(*attnum);
            }
        }
        self.tell(&changed);
    }

    /// All updates have been made.
    pub fn show_all(&mut self) {
        let all = std::mem::take(&mut self.of_any_row);
        self.tell(&all);
    }

    fn tell(&mut self, attnums: &[i32]) {
        // SAFETY: the permission info lives as long as the writes; the set is ours, in their memory.
        unsafe {
            let previous = pg_sys::MemoryContextSwitchTo(self.context);
            pg_sys::bms_free((*self.permission).updatedCols);
            let mut set = std::ptr::null_mut();
            for attnum in attnums {
                set = pg_sys::bms_add_member(
                    set,
                    attnum - pg_sys::FirstLowInvalidHeapAttributeNumber,
                );
            }
            (*self.permission).updatedCols = set;
            pg_sys::MemoryContextSwitchTo(previous);
        }
    }
}
