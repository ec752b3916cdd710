//! Changes that the transaction itself applies: they never reach a buffer.
//!
//! Invariant: a store of them vanishes with the rollback of the subtransaction that filled it; its holder must
//! drop it then.

use super::buffer;
use super::consolidation::{Consolidation, SourceDelta, weight_column};
use super::marker::Marker;
use crate::error::Result;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::row::{OwnedRow, Row};
use crate::pg::tupdesc::{Column, attribute_name, attributes};
use crate::pg::tuplestore::TupleStore;
use pgrx::pg_sys;

/// Changes of one source, in the columns that its readers read, as often as they happened.
#[derive(Debug)]
pub struct TransientChanges {
    /// The columns `a<attnum>`, then the weight.
    store: TupleStore,
    attnums: Vec<i16>,
    /// The changes are incomplete (a TRUNCATE).
    recompute: bool,
}

impl TransientChanges {
    /// The changes of several statements as one delta, in the columns `attnums`, in `context`. `None` if
    /// there are no statements.
    pub fn consolidate<'a>(
        all: impl Iterator<Item = &'a TransientChanges>,
        attnums: &[i16],
        context: pg_sys::MemoryContext,
    ) -> Result<Option<SourceDelta>> {
        let mut delta: Option<Consolidation> = None;
        for changes in all {
            let positions: Vec<usize> = attnums
                .iter()
                .filter_map(|wanted| changes.attnums.iter().position(|there| there == wanted))
                .collect();
            let columns = attributes(changes.store.tuple_desc());
            let delta = match &mut delta {
                Some(delta) => delta,
                none => none.insert(Consolidation::new(columns, &positions, context)?),
            };
            if changes.recompute || positions.len() < attnums.len() {
                delta.add(Row::EMPTY, Marker::Truncated.weight());
                continue;
            }
            delta.read_from(positions);
            let mut rows = changes.store.scan();
            while let Some(row) = rows.next() {
                let row = row.row();
                let weight = row.values.last().map_or(0, |weight| weight.value() as i32);
                delta.add(row, weight);
            }
        }
        Ok(delta.map(Consolidation::finish))
    }
}

/// Fills [`TransientChanges`] with rows of the source, or of a partition or child of it.
#[derive(Debug)]
pub struct TransientWriter {
    changes: TransientChanges,
    /// For each column the position in the rows that come.
    from: Vec<Option<usize>>,
    /// How many leading columns of these are needed.
    width: usize,
    filled: OwnedRow,
}

impl TransientWriter {
    /// A writer for rows of type `desc`, of which readers want the source's columns `attnums`.
    pub fn new(source: pg_sys::Oid, attnums: &[i16], desc: pg_sys::TupleDesc) -> Result<Self> {
        let (mut columns, from, kept) = map_columns(source, attnums, desc)?;
        columns.push(weight_column());
        Ok(TransientWriter {
            changes: TransientChanges {
                store: TupleStore::of_subtransaction(&columns)?,
                attnums: kept,
                recompute: false,
            },
            width: from.iter().flatten().max().map_or(0, |last| last + 1),
            from,
            filled: OwnedRow::blank(columns.len()),
        })
    }

    /// How many leading columns of a row are needed.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Adds a change of the row whose leading columns are given.
    pub fn push(&mut self, row: Row<'_>, weight: i32) {
        for ((value, is_null), from) in self.filled.columns_mut().zip(&self.from) {
            let given = from.and_then(|at| row.get(at));
            (*value, *is_null) = given.unwrap_or((pg_sys::Datum::from(0), true));
        }
        self.filled.set(self.from.len(), weight);
        self.changes.store.put(self.filled.row());
    }

    /// Has the readers recompute.
    pub fn push_recompute(&mut self) {
        self.changes.recompute = true;
    }

    /// The changes; `None` if there are none.
    pub fn finish(self) -> Option<TransientChanges> {
        let is_something = self.changes.recompute || self.changes.store.rows() > 0;
        is_something.then_some(self.changes)
    }
}

/// The source's columns `attnums` that are still there, named as in a buffer; for each the position in a
/// row of type `desc`; and its number.
type Mapping = (Vec<Column>, Vec<Option<usize>>, Vec<i16>);

fn map_columns(source: pg_sys::Oid, attnums: &[i16], desc: pg_sys::TupleDesc) -> Result<Mapping> {
    let table = Relation::open(source, LockMode::AccessShare)?;
    let (of_source, of_table) = (attributes(table.tuple_desc()), attributes(desc));
    let mut columns = Vec::with_capacity(attnums.len() + 1);
    let mut from = Vec::with_capacity(attnums.len());
    let mut kept = Vec::with_capacity(attnums.len());
    for attnum in attnums {
        let Some(wanted) = usize::try_from(attnum - 1)
            .ok()
            .and_then(|at| of_source.get(at))
            .filter(|a| !a.attisdropped)
        else {
            continue;
        };
        let name = attribute_name(wanted);
        from.push(
            of_table
                .iter()
                .position(|a| !a.attisdropped && attribute_name(a) == name),
        );
        columns.push(Column {
            name: buffer::column_name(*attnum),
            ..Column::from(wanted)
        });
        kept.push(*attnum);
    }
    Ok((columns, from, kept))
}
