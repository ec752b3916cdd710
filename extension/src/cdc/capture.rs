//! The native writer: an AFTER statement trigger that copies the transition tables into the buffer,
//! without SQL and without the privileges of the user whose statement it follows.

use super::target::{self, Target};
use super::writer::ChangeWriter;
use crate::error::{Error, Result};
use crate::image;
use crate::pg::fmgr::Call;
use crate::pg::transition::{Rows, Statement, Transition};
use crate::pg::tupdesc::attributes;
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
    while let Some((values, nulls)) = rows.next(width) {
        writer.push(values, nulls, weight);
    }
    writer.finish();
    Ok(())
}

/// Copies both versions of the rows that changed in a captured column. The two tables are read in
/// step; should they not correspond row by row, equal pairs cancel out all the same.
fn copy_changed(
    event: &Transition,
    target: Rc<Target>,
    mut old: Rows,
    mut new: Rows,
) -> Result<()> {
    // SAFETY: the table is open while its trigger runs.
    let types = unsafe { attributes(event.tuple_desc()) };
    let width = target.width;
    let compared: Vec<usize> = target.columns.iter().flatten().copied().collect();
    let mut writer = None;
    loop {
        let (before, after) = (old.next(width), new.next(width));
        if before.is_none() && after.is_none() {
            break;
        }
        if let (Some(before), Some(after)) = (&before, &after)
            && compared.iter().all(|&at| same(*before, *after, at, types))
        {
            continue;
        }
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(ChangeWriter::open(Rc::clone(&target))?),
        };
        for (row, weight) in [(before, -1), (after, 1)] {
            if let Some((values, nulls)) = row {
                writer.push(values, nulls, weight);
            }
        }
    }
    if let Some(writer) = writer {
        writer.finish();
    }
    Ok(())
}

type Row<'a> = (&'a [pg_sys::Datum], &'a [bool]);

/// Whether the column at a position is the same in both rows.
fn same(a: Row<'_>, b: Row<'_>, at: usize, types: &[pg_sys::FormData_pg_attribute]) -> bool {
    match (
        a.0.get(at),
        a.1.get(at),
        b.0.get(at),
        b.1.get(at),
        types.get(at),
    ) {
        (Some(x), Some(false), Some(y), Some(false), Some(ty)) => image::stored_equal(*x, *y, ty),
        (_, a_null, _, b_null, _) => a_null == b_null,
    }
}
