//! One node of partitions of a refresh: the touched partitions are computed again, and the difference to
//! their stored rows is written.

use pgtrickle_dvm::operators::partition;
use pgtrickle_dvm::plan::Partition;
use pgtrickle_dvm::plan::Source;
use pgtrickle_dvm::sql::names::TOUCHED;

use crate::error::Result;
use crate::pg::spi::Connection;
use crate::pg::tuplestore::TupleStore;

use super::difference::Stored;
use super::keyed_table::{Counts, KeyedTable};
use super::node::{NodeRun, part};
use super::sink::Sink;
use super::statements::Kind;

impl NodeRun<'_> {
    /// Brings the rows of `table`, which holds the node's partitions, to the snapshot, and hands the changed
    /// ones to `sink`. None when no partition is touched. `row_key` are positions of its columns that identify a row.
    pub fn replace_partitions(
        &self,
        rule: &Partition,
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
        self.replace_touched(&connection, rule, table, row_key, &touched, sink)
    }

    /// The same for these partitions.
    pub(super) fn replace_touched(
        &self,
        connection: &Connection,
        rule: &Partition,
        mut table: KeyedTable,
        row_key: Option<&[usize]>,
        touched: &TupleStore,
        sink: &mut Sink,
    ) -> Result<Option<Counts>> {
        let fresh = self.fresh(connection, rule, touched)?;
        let mut stored = Stored::default();
        let mut scan = touched.scan();
        while let Some(slot) = scan.next() {
            let key = part(slot.values(), 1, self.node.keys.len())?;
            table.visit(key, &mut |row, desc| stored.add(row, desc));
        }
        sink.expect(table.tuple_desc(), 0..self.emit.exprs.len())?;
        let difference = stored.difference(&table, fresh, row_key)?;
        difference.write(&mut table, &mut |row, weight| sink.weigh(row, weight))?;
        table.finish().map(Some)
    }

    /// The rows of the touched partitions, one statement per combination of NULL keys.
    fn fresh(
        &self,
        connection: &Connection,
        rule: &Partition,
        touched: &TupleStore,
    ) -> Result<Vec<TupleStore>> {
        let mut fresh = Vec::new();
        for (null_keys, part_of) in self.by_null_keys(touched)? {
            connection.register(TOUCHED, &part_of)?;
            let size = [(Source::Node(self.node.id), part_of.count())];
            let kind = Kind::Recompute(self.node.id, null_keys.clone());
            let statement = self.compiled.statements.get(connection, kind, &size, || {
                let context = self.compiled.context();
                partition::recompute(context, self.node, rule, &self.emit, &null_keys)
            })?;
            fresh.push(connection.run(&statement, self.memory.as_ptr())?);
            connection.unregister(TOUCHED)?;
        }
        Ok(fresh)
    }
}
