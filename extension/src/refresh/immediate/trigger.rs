//! The trigger function on the sources of IMMEDIATE stream tables. It needs no privileges of the writer.

use pgrx::pg_sys;

use super::follow::follow_all;
use super::{followers, graph, running};
use crate::cdc::{TransientWriter, seen};
use crate::error::{Error, Result, or_report};
use crate::pg::capture_trigger::IMMEDIATE;
use crate::pg::fmgr::Call;
use crate::pg::inherit;
use crate::pg::running_writes;
use crate::pg::transition::{RowChange, Rows, Statement, Transition};

crate::sql_function! {
    /// `pgtrickle.follow_immediately() RETURNS trigger`.
    fn pgtrickle_follow_immediately, pg_finfo_pgtrickle_follow_immediately, follow_immediately
}

pgrx::extension_sql!(
    r#"
CREATE FUNCTION pgtrickle.follow_immediately() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'pgtrickle_follow_immediately';
REVOKE ALL ON FUNCTION pgtrickle.follow_immediately() FROM PUBLIC;
COMMENT ON FUNCTION pgtrickle.follow_immediately() IS
    'applies the changes of a statement to IMMEDIATE stream tables';
"#,
    name = "follow_immediately"
);

fn follow_immediately(call: &Call) -> pg_sys::Datum {
    let outcome = if let Some(change) = RowChange::of(call) {
        after_row(&change)
    } else if let Some(table) = Transition::before(call) {
        before(table)
    } else if let Some(event) = Transition::of(call) {
        after(&event)
    } else {
        Err(Error::Internal(
            "follow_immediately is not a trigger of ours here".into(),
        ))
    };
    or_report(outcome);
    pg_sys::Datum::from(0)
}

/// Nothing has been changed yet.
fn before(table: pg_sys::Oid) -> Result<()> {
    let source = inherit::root(table);
    followers::lock_followers(source)?;
    running::begin(source);
    Ok(())
}

/// Replication has changed one row: captured by itself, unless a statement does it, which captures all its rows.
/// The lock comes after the change then, and the snapshot after the lock.
fn after_row(change: &RowChange) -> Result<()> {
    let source = inherit::root(change.table());
    if running::is_running(source) {
        return Ok(());
    }
    seen::row(IMMEDIATE, change);
    followers::lock_followers(source)?;
    let readers = graph::readers_of(source)?;
    if readers.following.is_empty() {
        return Ok(());
    }
    let mut writer = TransientWriter::new(source, &readers.columns, change.tuple_desc())?;
    let width = writer.width();
    for (version, weight) in [
        (change.old_version(width), -1),
        (change.new_version(width), 1),
    ] {
        if let Some(row) = version {
            writer.push(row, weight);
        }
    }
    if let Some(changes) = writer.finish() {
        running::keep(source, readers.following.clone(), changes);
    }
    follow_all()
}

/// All rows have been changed.
fn after(event: &Transition) -> Result<()> {
    let source = inherit::root(event.table());
    running::end(source);
    let (old, new) = (event.old_rows(), event.new_rows());
    seen::statement(IMMEDIATE, event, old.as_ref(), new.as_ref());
    let is_truncate = event.statement() == Statement::Truncate;
    if old.is_some() || new.is_some() || is_truncate {
        keep(event, source, old, new)?;
    }
    follow_all()
}

/// Whether the new versions may be others: by a MERGE that inserts, too, and that began before the library was loaded.
fn may_be_wrong(event: &Transition) -> bool {
    event.statement() == Statement::Update
        && running_writes::has_begun_unseen(event.table())
        && inherit::is_partitioned(event.table())
}

/// Keeps what the statement changed for those that follow.
fn keep(
    event: &Transition,
    source: pg_sys::Oid,
    old: Option<Rows>,
    new: Option<Rows>,
) -> Result<()> {
    let readers = graph::readers_of(source)?;
    if readers.following.is_empty() {
        return Ok(());
    }
    let mut writer = TransientWriter::new(source, &readers.columns, event.tuple_desc())?;
    if event.statement() == Statement::Truncate || may_be_wrong(event) {
        writer.push_recompute();
    }
    for (rows, weight) in [(old, -1), (new, 1)] {
        if let Some(mut rows) = rows {
            let width = writer.width();
            while let Some(row) = rows.next(width) {
                pgrx::check_for_interrupts!();
                writer.push(row, weight);
            }
        }
    }
    if let Some(changes) = writer.finish() {
        running::keep(source, readers.following.clone(), changes);
    }
    Ok(())
}
