//! One partition node of a refresh: touched partitions are recomputed, and the difference from
//! their stored rows is written.

use pgtrickle_dvm::operators::script::Statement;
use pgtrickle_dvm::sql::names::TOUCHED;

use std::collections::HashSet;

use crate::error::Result;
use crate::pg::image;
use crate::pg::row::{OwnedRow, Row};
use crate::pg::spi::Connection;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;

use crate::shmem::progress::Followed;

use super::difference::{Listener, Stored};
use super::keyed_table::{Counts, KeyedTable};
use super::node::NodeRun;
use super::row_parts::part;
use super::sink::Sink;

/// Fewer partitions are looked up one by one.
const SCANNED_FOR_MIN: u64 = 256;
/// How many rows are read in a pass in the time that it takes to look a partition up.
const ROWS_PER_LOOKUP: u64 = 20;

impl NodeRun<'_> {
    /// Brings the rows of `table`, which holds the node's partitions, to the snapshot, and hands the changed
    /// ones to `sink`. None when no partition is touched. `row_key` are positions of its columns that identify a row.
    pub fn replace_partitions(
        &self,
        table: KeyedTable,
        row_key: Option<&[usize]>,
        sink: &mut Sink,
    ) -> Result<Option<Counts>> {
        let changed = self.inputs.changed(&self.node.block.sources());
        if changed.is_empty() {
            return Ok(None);
        }
        let connection = Connection::open()?;
        self.inputs.register(&connection, &changed)?;
        let Some(deltas) = self.group_deltas(&connection, &changed)? else {
            return Ok(None);
        };
        if deltas.count() == 0 {
            return Ok(None);
        }
        let touched = self.all_touched(&deltas)?;
        self.replace_touched(&connection, table, row_key, &touched, sink)
    }

    /// The same for these partitions.
    pub(super) fn replace_touched(
        &self,
        connection: &Connection,
        mut table: KeyedTable,
        row_key: Option<&[usize]>,
        touched: &TupleStore,
        sink: &mut Sink,
    ) -> Result<Option<Counts>> {
        let fresh = self.fresh(connection, touched)?;
        let stored = self.stored(&mut table, touched)?;
        sink.expect(table.tuple_desc(), 0..self.stage.emit.exprs.len())?;
        let difference = stored.difference(&table, fresh, row_key)?;
        let is_heard = !matches!(sink, Sink::Nowhere);
        let mut hear = |row: Row<'_>, weight| sink.weigh(row, weight);
        let listener: Option<Listener<'_>> = if is_heard { Some(&mut hear) } else { None };
        difference.write(&mut table, listener, &Followed::by_none())?;
        table.finish().map(Some)
    }

    /// The stored rows of the touched partitions: each looked up, or in one pass over all rows if those are few in
    /// comparison.
    fn stored(&self, table: &mut KeyedTable, touched: &TupleStore) -> Result<Stored> {
        let mut stored = Stored::default();
        let mut scan = touched.scan();
        let columns = table.lookup_columns().to_vec();
        let are_few = touched.count() < SCANNED_FOR_MIN
            || (touched.count() * ROWS_PER_LOOKUP) as f64 <= table.relation().estimated_rows();
        let have_images = self.node.keys.iter().all(|key| key.ty.image_equality);
        if columns.is_empty() || are_few || !have_images {
            while let Some(slot) = scan.next() {
                let key = part(slot.row(), 1, self.node.keys.len())?;
                table.visit(key, &mut |row, desc| stored.add(row, desc));
            }
            return Ok(stored);
        }
        let mut hashes = HashSet::new();
        let all = attributes(table.tuple_desc());
        let of_key = || columns.iter().filter_map(|at| all.get(*at));
        while let Some(slot) = scan.next() {
            let key = part(slot.row(), 1, self.node.keys.len())?;
            hashes.insert(image::hash128(key, of_key()));
        }
        table.visit_all(&mut |row, desc| {
            let key = OwnedRow::columns_of(row.row(), &columns);
            if hashes.contains(&image::hash128(key.row(), of_key())) {
                stored.add(row, desc);
            }
        });
        Ok(stored)
    }

    /// The rows of the touched partitions, one statement per combination of NULL keys.
    fn fresh(&self, connection: &Connection, touched: &TupleStore) -> Result<Vec<TupleStore>> {
        let mut fresh = Vec::new();
        for (null_keys, part_of) in self.by_null_keys(touched)? {
            connection.register(TOUCHED, &part_of)?;
            let again = Statement::Recompute(null_keys);
            fresh.push(self.run(connection, again, part_of.count())?);
            connection.unregister(TOUCHED)?;
        }
        Ok(fresh)
    }
}
