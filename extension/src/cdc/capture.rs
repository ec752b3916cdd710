//! The native writer: an AFTER statement trigger that copies the transition tables into the buffer,
//! without SQL and without the privileges of the user whose statement it follows.

use super::target::{self, Target};
use super::writer::ChangeWriter;
use crate::error::{Error, Result};
use crate::image::{self, ImageType};
use crate::pg::fmgr::Call;
use crate::pg::transition::{Rows, Statement, Transition};
use crate::pg::tupdesc::attributes;
use crate::pg::unguarded;
use pgrx::pg_sys;
use std::rc::Rc;

crate::sql_function! {
    /// `pgtrickle.capture_native() RETURNS trigger`.
    fn pgtrickle_capture_native, pg_finfo_pgtrickle_capture_native, capture_native
}

pgrx::extension_sql!(
    r#"
CREATE FUNCTION pgtrickle.capture_native() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgtrickle_capture_native';
REVOKE ALL ON FUNCTION pgtrickle.capture_native() FROM PUBLIC;
COMMENT ON FUNCTION pgtrickle.capture_native() IS
    'writes the changes of a statement to the change buffer of its table';
"#,
    name = "capture_native"
);

fn capture_native(call: &Call) -> pg_sys::Datum {
    if let Err(error) = capture(call) {
        error.report();
    }
    pg_sys::Datum::from(0)
}

fn capture(call: &Call) -> Result<()> {
    let Some(event) = Transition::of(call) else {
        return Err(Error::Internal(
            "capture_native is not an AFTER STATEMENT trigger here".into(),
        ));
    };
    let (old, new) = (event.old_rows(), event.new_rows());
    if old.is_none() && new.is_none() && event.statement() != Statement::Truncate {
        return Ok(());
    }
    let Some(target) = target::of(event.table(), event.tuple_desc())? else {
        return Ok(());
    };
    if target.is_outdated || event.statement() == Statement::Truncate {
        let mut writer = ChangeWriter::open(target)?;
        writer.push_recompute();
        writer.finish();
        return Ok(());
    }
    match (old, new) {
        (Some(old), Some(new)) => copy_changed(&event, target, old, new),
        (Some(old), None) => copy_all(target, old, -1),
        (None, Some(new)) => copy_all(target, new, 1),
        (None, None) => Ok(()),
    }
}

fn copy_all(target: Rc<Target>, mut rows: Rows, weight: i32) -> Result<()> {
    let width = target.width;
    let mut writer = ChangeWriter::open(target)?;
    writer.batch().reserve(rows.count());
    loop {
        // SAFETY: nothing to drop in the loop; a row is added only while there is room.
        let at_end = unsafe {
            unguarded::guarded(|| {
                while writer.batch().free() > 0 {
                    if !rows.advance_unguarded() {
                        return true;
                    }
                    let (values, nulls) = rows.values_unguarded(width);
                    writer.push_unguarded(values, nulls, weight);
                }
                false
            })
        };
        if at_end {
            break;
        }
        writer.batch().flush();
    }
    writer.finish();
    Ok(())
}

/// Copies both versions of the rows that changed in a captured column.
fn copy_changed(event: &Transition, target: Rc<Target>, old: Rows, new: Rows) -> Result<()> {
    // SAFETY: the table is open while its trigger runs.
    let types = unsafe { attributes(event.tuple_desc()) };
    let captured = target.columns.iter().flatten();
    let compared: Vec<(usize, ImageType)> = captured
        .filter_map(|&at| Some((at, ImageType::from(types.get(at)?))))
        .collect();
    let mut pairs = Pairs {
        old,
        new,
        width: target.width,
        compared: &compared,
    };
    // SAFETY: nothing to drop in `next_changed`.
    let mut pair = unsafe { unguarded::guarded(|| pairs.next_changed()) };
    if pair == Pair::END {
        return Ok(());
    }
    let mut writer = ChangeWriter::open(target)?;
    writer
        .batch()
        .reserve(2 * pairs.old.count().max(pairs.new.count()));
    while pair != Pair::END {
        // SAFETY: nothing to drop in the loop; rows are added only while there is room for two.
        pair = unsafe {
            unguarded::guarded(|| {
                let mut pair = pair;
                while pair != Pair::END && writer.batch().free() >= 2 {
                    if pair.old {
                        let (values, nulls) = pairs.old.values_unguarded(pairs.width);
                        writer.push_unguarded(values, nulls, -1);
                    }
                    if pair.new {
                        let (values, nulls) = pairs.new.values_unguarded(pairs.width);
                        writer.push_unguarded(values, nulls, 1);
                    }
                    pair = pairs.next_changed();
                }
                pair
            })
        };
        writer.batch().flush();
    }
    writer.finish();
    Ok(())
}

/// Old and new versions, read in step. Should the two tables not correspond row by row, equal pairs
/// cancel out all the same, and so may be left out.
struct Pairs<'a> {
    old: Rows,
    new: Rows,
    width: usize,
    compared: &'a [(usize, ImageType)],
}

/// Which of the two tables has a present row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    old: bool,
    new: bool,
}

impl Pair {
    const END: Pair = Pair {
        old: false,
        new: false,
    };
}

impl Pairs<'_> {
    /// Moves to the next pair that differs in a captured column.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`].
    unsafe fn next_changed(&mut self) -> Pair {
        loop {
            // SAFETY: per contract.
            let pair = unsafe {
                unguarded::check_for_interrupts();
                Pair {
                    old: self.old.advance_unguarded(),
                    new: self.new.advance_unguarded(),
                }
            };
            // SAFETY: per contract; both have a row then.
            if !(pair.old && pair.new) || unsafe { self.differ() } {
                return pair;
            }
        }
    }

    /// Whether the present rows differ in a captured column.
    ///
    /// # Safety
    /// Called within [`unguarded::guarded`], with a present row in both tables.
    unsafe fn differ(&mut self) -> bool {
        // SAFETY: per contract.
        let (before, after) = unsafe {
            (
                self.old.values_unguarded(self.width),
                self.new.values_unguarded(self.width),
            )
        };
        self.compared.iter().any(|&(at, ty)| {
            match (
                before.0.get(at),
                before.1.get(at),
                after.0.get(at),
                after.1.get(at),
            ) {
                (Some(a), Some(false), Some(b), Some(false)) => {
                    // SAFETY: both are values of the column at `at`.
                    !unsafe { image::stored_equal_unguarded(*a, *b, ty) }
                }
                (_, a_is_null, _, b_is_null) => a_is_null != b_is_null,
            }
        })
    }
}
