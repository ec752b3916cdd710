//! The native writer: an AFTER statement trigger that copies the transition tables into the buffer,
//! without SQL and without needing privileges of the writer. As an AFTER ROW trigger it captures
//! rows that replication applies; in that role the statement trigger does nothing.

use super::marker::Marker;
use super::seen;
use super::target::{self, Target};
use super::writer;
use crate::error::{Error, Result};
use crate::pg::capture_trigger::{self, CAPTURE, EACH};
use crate::pg::change_insert::{ChangedPairs, Pick};
use crate::pg::fmgr::Call;
use crate::pg::image::ImageType;
use crate::pg::inherit;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::timescale;
use crate::pg::transition::{self, RowChange, Rows, Statement, Transition};
use crate::pg::tupdesc::attributes;
use pgrx::pg_sys;

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
    if let Some(change) = RowChange::of(call) {
        return match change.is_of(EACH) {
            true => capture_each(&change),
            false => capture_row(&change),
        };
    }
    let Some(event) = Transition::of(call) else {
        return Err(Error::Internal(
            "capture_native is not an AFTER STATEMENT trigger here".into(),
        ));
    };
    if event.is_of(EACH) {
        return capture_truncate(&event);
    }
    if event.statement() != Statement::Truncate
        && transition::is_replica()
        && is_told_by_rows(&event)
    {
        return Ok(());
    }
    let (old, new) = (event.old_rows(), event.new_rows());
    seen::statement(CAPTURE, &event, old.as_ref(), new.as_ref());
    if old.is_none() && new.is_none() && event.statement() != Statement::Truncate {
        return Ok(());
    }
    let Some(target) = target::of(event.table(), event.tuple_desc())? else {
        return Ok(());
    };
    if event.statement() == Statement::Truncate {
        return writer::push_recompute(&target, Marker::Truncated);
    }
    if target.is_outdated {
        return writer::push_recompute(&target, Marker::Rewritten);
    }
    match (old, new) {
        (Some(old), Some(new)) => copy_changed(&event, &target, old, new),
        (Some(old), None) => copy_all(&target, old, -1),
        (None, Some(new)) => copy_all(&target, new, 1),
        (None, None) => Ok(()),
    }
}

/// Whether row triggers also capture the statement: on a partitioned table, those of its partitions. The chunks of a
/// hypertable have none.
fn is_told_by_rows(event: &Transition) -> bool {
    let tells = |table: &pg_sys::Oid| {
        Relation::try_open(*table, LockMode::AccessShare)
            .is_some_and(|table| capture_trigger::has_row_triggers(CAPTURE, &table))
    };
    inherit::tree(event.table(), LockMode::AccessShare)
        .iter()
        .any(tells)
        && !timescale::is_hypertable(event.table())
}

/// Copies a row that replication applies.
fn capture_row(change: &RowChange) -> Result<()> {
    seen::row(CAPTURE, change);
    match target::of(change.table(), change.tuple_desc())? {
        Some(target) => copy_row(change, &target),
        None => Ok(()),
    }
}

/// Copies a row for sources that are captured row by row.
fn capture_each(change: &RowChange) -> Result<()> {
    seen::row(EACH, change);
    let targets = target::by_rows(change.table(), change.tuple_desc())?;
    (targets.iter()).try_for_each(|target| copy_row(change, target))
}

/// Tells the readers of sources captured row by row to recompute.
fn capture_truncate(event: &Transition) -> Result<()> {
    seen::statement(EACH, event, None, None);
    let targets = target::by_rows(event.table(), event.tuple_desc())?;
    (targets.iter()).try_for_each(|target| writer::push_recompute(target, Marker::Truncated))
}

/// Copies the versions of one row, unless no captured column has changed.
fn copy_row(change: &RowChange, target: &Target) -> Result<()> {
    if target.is_outdated {
        return writer::push_recompute(target, Marker::Rewritten);
    }
    let picked = target.columns.iter().copied();
    let captured: Vec<usize> = picked.filter_map(Pick::position).collect();
    if !change.differs_in(&captured, target.width) {
        return Ok(());
    }
    let mut insert = writer::open(target)?;
    for (version, weight) in [
        (change.old_version(target.width), -1),
        (change.new_version(target.width), 1),
    ] {
        if let Some(row) = version {
            insert.push(row, weight);
        }
    }
    insert.finish();
    Ok(())
}

fn copy_all(target: &Target, rows: Rows, weight: i32) -> Result<()> {
    let width = target.width;
    let mut insert = writer::open(target)?;
    insert.copy(rows, width, weight);
    insert.finish();
    Ok(())
}

/// Copies both versions of the rows that changed in a captured column.
fn copy_changed(event: &Transition, target: &Target, old: Rows, new: Rows) -> Result<()> {
    let types = attributes(event.tuple_desc());
    let captured = target.columns.iter().copied().filter_map(Pick::position);
    let compared: Vec<(usize, ImageType)> = captured
        .filter_map(|at| Some((at, ImageType::from(types.get(at)?))))
        .collect();
    let Some(pairs) = ChangedPairs::first(old, new, target.width, &compared) else {
        return Ok(());
    };
    let mut insert = writer::open(target)?;
    insert.copy_changed(pairs);
    insert.finish();
    Ok(())
}
