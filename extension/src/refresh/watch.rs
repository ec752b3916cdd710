//! The watch over sources: it compares the rows that the server counted with those that the triggers saw.
//!
//! Code of other extensions can write tables without firing triggers, and a superuser can switch triggers off. The
//! server's statistics still count these rows. So before a transaction commits, its numbers are compared
//! table by table. They are exact then: both omit rolled back rows, and no reset, crash or delay of the published
//! numbers interferes. If rows bypassed the triggers, the readers are recomputed, and the rows recorded for reports.
//!
//! Two differences mean nothing: an UPDATE that moves a row to another partition counts as a DELETE and an INSERT;
//! and INSERT … ON CONFLICT takes back a row, counted twice, when another session was faster.

use std::collections::BTreeMap;

use pgrx::pg_sys;

use super::chunks;
use super::files;
use super::immediate;
use super::watched::watched;
use crate::catalog::{self, UnseenCause};
use crate::cdc::{self, Marker, seen};
use crate::error::Result;
use crate::pg::capture_trigger::{CAPTURE, EACH, Family, IMMEDIATE};
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::written::{self, RowCounts};
use crate::pg::{inherit, late_triggers, running_writes, transaction_end, transition};

/// Listens to the ends of transactions.
pub fn init() {
    seen::init();
    chunks::init();
    transaction_end::check_before_commit(check);
}

/// What was written to a source and what the two families saw of it.
#[derive(Debug, Default)]
struct Source {
    written: RowCounts,
    captured: RowCounts,
    followed: RowCounts,
    is_captured: bool,
    is_captured_natively: bool,
    is_followed: bool,
    is_off: bool,
}

impl Source {
    fn saw(&mut self, family: Family, rows: RowCounts) {
        match family {
            IMMEDIATE => self.followed.add(rows),
            CAPTURE => self.captured.add(rows),
            _ => {}
        }
    }

    /// Whether a MERGE of which the hooks were not told may have shown inserted rows for updated ones, if it is partitioned.
    fn may_be_merged(&self) -> bool {
        running_writes::was_late() && self.written.inserted > 0 && self.written.updated > 0
    }

    fn cause(&self) -> UnseenCause {
        if self.is_off {
            UnseenCause::TriggersOff
        } else if transition::is_replica() {
            UnseenCause::ReplicationRole
        } else {
            UnseenCause::NoTriggersFired
        }
    }
}

fn check() -> Result<()> {
    let moved = files::moved()?;
    let mut unseen = unseen()?;
    // Who swaps a file may count what is in it as written.
    for source in moved {
        match unseen.iter_mut().find(|(of, ..)| *of == source) {
            Some((.., cause)) => *cause = UnseenCause::FileSwapped,
            None => unseen.push((source, 0, UnseenCause::FileSwapped)),
        }
    }
    for source in chunks::changed()? {
        if watched(source)?.is_some() && !unseen.iter().any(|(of, ..)| *of == source) {
            unseen.push((source, 0, UnseenCause::ChunksChanged));
        }
    }
    let are_abandoned = immediate::note_abandoned()?;
    if unseen.is_empty() && !are_abandoned || !catalog::exists() {
        return Ok(());
    }
    let snapshot = ActiveSnapshot::push();
    for (source, rows, cause) in unseen {
        let why = match cause {
            UnseenCause::FileSwapped | UnseenCause::ChunksChanged => Marker::Rewritten,
            _ => Marker::Unseen,
        };
        cdc::follow_rewrite(source, why)?;
        immediate::note_rewrite(source)?;
        if !cause.is_expected() {
            catalog::record_unseen(source, rows, cause)?;
        }
    }
    drop(snapshot);
    immediate::follow_definitions()?;
    // What the stream tables' own triggers put off until now has missed its turn.
    late_triggers::fire();
    Ok(())
}

/// The sources with rows that no trigger saw: how many, and why.
fn unseen() -> Result<Vec<(pg_sys::Oid, u64, UnseenCause)>> {
    let all_written = written::by_transaction();
    let mut sources: BTreeMap<u32, Source> = BTreeMap::new();
    for (table, rows) in &all_written {
        let Some(watched) = watched(*table)? else {
            continue;
        };
        let source = sources.entry(watched.root.to_u32()).or_default();
        source.written.add(*rows);
        source.is_captured |= watched.is_captured;
        source.is_captured_natively |= watched.is_captured_natively;
        source.is_followed |= watched.is_followed;
        source.is_off |= watched.is_off;
    }
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    for (table, family, rows) in seen::by_transaction() {
        if let Some(watched) = watched(table)?
            && let Some(source) = sources.get_mut(&watched.root.to_u32())
        {
            source.saw(family, rows);
        }
    }
    let may_take_back = running_writes::had_conflict_clause();
    let mut found = unseen_by_rows(&all_written, may_take_back)?;
    for (root, source) in sources {
        let root = pg_sys::Oid::from(root);
        let missed = |saw: RowCounts| beyond(source.written, saw, may_take_back);
        let mut rows = 0;
        if source.is_followed {
            rows = missed(source.followed);
        }
        if source.is_captured_natively {
            rows = rows.max(missed(source.captured));
        } else if source.is_captured {
            rows = rows.max(beyond_generated(root, &source, &all_written)?);
        }
        if rows > 0 {
            found.push((root, rows, source.cause()));
        } else if source.may_be_merged() && inherit::is_partitioned(root) {
            found.push((root, 0, UnseenCause::LoadedLate));
        }
    }
    Ok(found)
}

/// The same of tables that row triggers tell of, each by itself: for all sources that have their rows so.
fn unseen_by_rows(
    all_written: &[(pg_sys::Oid, RowCounts)],
    may_take_back: bool,
) -> Result<Vec<(pg_sys::Oid, u64, UnseenCause)>> {
    let all_seen = seen::by_transaction();
    let mut found: Vec<(pg_sys::Oid, u64, UnseenCause)> = Vec::new();
    for (table, written) in all_written {
        let Some(watched) = watched(*table)?.filter(|watched| watched.is_told_by_rows) else {
            continue;
        };
        let mut saw = RowCounts::default();
        for (_, _, rows) in (all_seen.iter()).filter(|(of, by, _)| of == table && *by == EACH) {
            saw.add(*rows);
        }
        let rows = beyond(*written, saw, may_take_back);
        if rows == 0 {
            continue;
        }
        let source = Source {
            is_off: watched.is_off,
            ..Source::default()
        };
        for by_rows in cdc::sources_by_rows(*table)? {
            match found.iter_mut().find(|(of, ..)| *of == by_rows) {
                Some((_, all, _)) => *all += rows,
                None => found.push((by_rows, rows, source.cause())),
            }
        }
    }
    Ok(found)
}

/// How many rows were written that were not seen.
fn beyond(written: RowCounts, seen: RowCounts, may_take_back: bool) -> u64 {
    if written.truncated {
        // One that was seen has the readers recomputed, whatever else there was.
        return if seen.truncated {
            0
        } else {
            written.rows().max(1)
        };
    }
    let moved = seen.updated.saturating_sub(written.updated);
    let mut inserted = written.inserted.saturating_sub(seen.inserted + moved);
    let mut deleted = written.deleted.saturating_sub(seen.deleted + moved);
    if may_take_back {
        let taken_back = inserted.min(deleted);
        inserted -= taken_back;
        deleted -= taken_back;
    }
    inserted + deleted + written.updated.saturating_sub(seen.updated)
}

/// The same of a source whose changes a generated function captures, which does not count what it is given: whether
/// rows came or went and not one change row was written.
fn beyond_generated(
    root: pg_sys::Oid,
    source: &Source,
    all: &[(pg_sys::Oid, RowCounts)],
) -> Result<u64> {
    let Some(buffer) = cdc::buffer_of(root)? else {
        return Ok(0);
    };
    let has_change_rows = all.iter().any(|(table, _)| *table == buffer);
    // What was there when capture began is all that it counts.
    let (written, before) = (source.written, source.captured);
    let inserted = written.inserted.saturating_sub(before.inserted);
    let deleted = written.deleted.saturating_sub(before.deleted);
    let is_sure = written.truncated && !before.truncated || inserted != deleted;
    Ok(if is_sure && !has_change_rows {
        (inserted + deleted).max(1)
    } else {
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(inserted: u64, updated: u64, deleted: u64) -> RowCounts {
        RowCounts {
            inserted,
            updated,
            deleted,
            truncated: false,
        }
    }

    #[test]
    fn what_no_trigger_saw_is_counted_by_kind() {
        assert_eq!(beyond(rows(3, 2, 1), rows(3, 2, 1), false), 0);
        assert_eq!(beyond(rows(3, 2, 1), rows(1, 2, 1), false), 2);
        assert_eq!(beyond(rows(3, 2, 1), rows(0, 0, 0), false), 6);
        assert_eq!(beyond(rows(0, 0, 0), rows(5, 5, 5), false), 0);
    }

    #[test]
    fn a_row_that_moves_to_another_partition_was_seen() {
        assert_eq!(beyond(rows(2, 1, 2), rows(0, 3, 0), false), 0);
        assert_eq!(beyond(rows(3, 1, 2), rows(0, 3, 0), false), 1);
    }

    #[test]
    fn a_row_that_met_a_faster_one_is_taken_back() {
        assert_eq!(beyond(rows(2, 0, 1), rows(1, 0, 0), true), 0);
        assert_eq!(beyond(rows(2, 0, 1), rows(1, 0, 0), false), 2);
        assert_eq!(beyond(rows(3, 0, 1), rows(1, 0, 0), true), 1);
    }

    #[test]
    fn a_truncate_was_seen_with_all_around_it_or_not() {
        let emptied = RowCounts {
            truncated: true,
            ..rows(4, 0, 0)
        };
        let told = RowCounts {
            truncated: true,
            ..RowCounts::default()
        };
        assert_eq!(beyond(emptied, told, false), 0);
        assert_eq!(beyond(emptied, rows(4, 0, 0), false), 4);
    }
}
