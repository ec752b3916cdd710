//! The trigger function on the sources of IMMEDIATE stream tables. It needs none of the privileges of
//! the user whose statement it follows.

use pgrx::pg_sys;

use super::follow::follow_all;
use super::{followers, graph, running};
use crate::cdc::TransientWriter;
use crate::error::{Error, Result, or_report};
use crate::pg::fmgr::Call;
use crate::pg::inherit;
use crate::pg::transition::{Rows, Statement, Transition};

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
    let outcome = match (Transition::before(call), Transition::of(call)) {
        (Some(table), _) => before(table),
        (None, Some(event)) => after(&event),
        (None, None) => Err(Error::Internal(
            "follow_immediately is not a statement trigger here".into(),
        )),
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

/// All rows have been changed.
fn after(event: &Transition) -> Result<()> {
    let source = inherit::root(event.table());
    running::end(source);
    let (old, new) = (event.old_rows(), event.new_rows());
    let is_truncate = event.statement() == Statement::Truncate;
    if old.is_some() || new.is_some() || is_truncate {
        keep(event, source, old, new)?;
    }
    follow_all()
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
    if event.statement() == Statement::Truncate {
        writer.push_recompute();
    }
    for (rows, weight) in [(old, -1), (new, 1)] {
        if let Some(mut rows) = rows {
            let width = writer.width();
            while let Some((values, nulls)) = rows.next(width) {
                pgrx::check_for_interrupts!();
                writer.push(values, nulls, weight);
            }
        }
    }
    if let Some(changes) = writer.finish() {
        running::keep(source, readers.following.clone(), changes);
    }
    Ok(())
}
