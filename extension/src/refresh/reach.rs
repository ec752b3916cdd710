//! One node of a refresh with windows over a whole input: the results that changes affect are recomputed from stored
//! rows, and the difference is written.

use pgtrickle_dvm::operators::script::Statement;
use pgtrickle_dvm::sql::names::{CHANGED, REGIONS, ROWS};

use crate::cdc::weighted::WeightColumn;
use crate::error::{Error, Result};
use crate::pg::row::Row;
use crate::pg::spi::Connection;
use crate::pg::tuplestore::TupleStore;
use crate::shmem::progress::Followed;

use super::consolidated::consolidated;
use super::delta_set::DeltaSet;
use super::difference::Stored;
use super::node::NodeRun;
use super::row_parts::{part, put_ordinal};
use super::row_types;
use super::sink::Sink;

impl NodeRun<'_> {
    /// Brings the state, which has the input's rows with their results, to the snapshot, and hands the changed ones to
    /// `sink`.
    pub fn follow_reach(&self, sink: &mut Sink) -> Result<()> {
        let sources = self.inputs.changed(&self.node.block.sources());
        if sources.is_empty() {
            return Ok(());
        }
        let connection = Connection::open()?;
        self.inputs.register(&connection, &sources)?;
        let Some(deltas) = self.group_deltas(&connection, &sources)? else {
            return Ok(());
        };
        let set = DeltaSet::consolidate(&deltas);
        let Some(changed) = self.rows_of(&set, deltas.tuple_desc())? else {
            return Ok(());
        };
        drop(set);
        connection.register(CHANGED, &changed)?;
        let run = |statement, size| self.run(&connection, statement, size);
        let regions = run(Statement::Regions, changed.count())?;
        if regions.count() == 0 {
            return self.replace_whole(&connection, &deltas, sink);
        }
        connection.register(REGIONS, &regions)?;
        let found = run(Statement::Stored, regions.count())?;
        let around = run(Statement::Around, changed.count())?;
        let rows = self.rows_after(around)?;
        connection.register(ROWS, &rows)?;
        let fresh = run(Statement::Results, rows.count())?;

        let mut table = self.compiled.open_state(self.node)?;
        let width = self.node.columns().len();
        let mut stored = Stored::default();
        let mut scan = found.scan();
        while let Some(slot) = scan.next() {
            let tid = slot.place_at(0).ok_or_else(no_place)?;
            stored.add_at(tid, part(slot.row(), 1, width)?, table.tuple_desc());
        }
        sink.expect(table.tuple_desc(), 0..width)?;
        let row_key = self.node.row_key.as_deref();
        let difference = stored.difference(&table, vec![fresh], row_key)?;
        let mut hear = |row: Row<'_>, weight| sink.weigh(row, weight);
        difference.write(&mut table, Some(&mut hear), &Followed::by_none())?;
        table.finish()?;
        Ok(())
    }

    /// The rows, each as often as its weights say. They may be those of a whole table: they spill to disk.
    fn rows_after(&self, around: TupleStore) -> Result<TupleStore> {
        let mut rows = TupleStore::new(self.memory.as_ptr(), around.tuple_desc());
        let around = consolidated(around, self.memory);
        let width = row_types::width(around.tuple_desc()).saturating_sub(1);
        let weights = WeightColumn::of(around.tuple_desc());
        let mut scan = around.scan();
        while let Some(slot) = scan.next() {
            pgrx::check_for_interrupts!();
            let row = slot.row();
            let weight = weights.read(row).rows();
            if weight < 0 {
                return Err(Error::OutOfStep {
                    relation: self.compiled.open_state(self.node)?.relation().name(),
                    missing: weight.unsigned_abs(),
                });
            }
            let row = part(row, 0, width)?;
            for _ in 0..weight {
                rows.put_weighted(row, 1);
            }
        }
        drop(scan);
        Ok(rows)
    }

    /// All rows are recomputed.
    fn replace_whole(
        &self,
        connection: &Connection,
        deltas: &TupleStore,
        sink: &mut Sink,
    ) -> Result<()> {
        let mut touched = self.touched_store(deltas)?;
        put_ordinal(&mut touched, 0, Row::EMPTY);
        let state = self.compiled.open_state(self.node)?;
        let row_key = self.node.row_key.as_deref();
        self.replace_touched(connection, state, row_key, &touched, sink)?;
        Ok(())
    }
}

fn no_place() -> Error {
    Error::Internal("a stored row without a place".into())
}
