//! Recomputation: the content is computed again and the difference to what is stored is written, so
//! that readers are not disturbed and consumers see true changes.
//!
//! Cost: the query, one pass over the stored rows, and about 50 bytes of memory per stored row.

use pgtrickle_dvm::operators::{output, state};
use pgtrickle_dvm::plan::Identity;

use crate::catalog::StreamTable;
use crate::error::{Error, Result};
use crate::pg::memory::MemoryContext;
use crate::pg::name;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::spi::Connection;
use crate::pg::tuplestore::TupleStore;
use crate::shmem::progress::{Followed, Phase};

use super::compiled::{Compiled, has_table};
use super::difference::{Listener, Stored};
use super::images;
use super::keyed_table::{Counts, KeyedTable, Lookup};
use super::layout;
use super::statements::Kind;

/// Recomputes the state of every node and the stream table.
pub fn recompute(
    table: &StreamTable,
    compiled: Option<&Compiled>,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Counts> {
    let progress = Followed::begin(table.pgt_id);
    let mut content = None;
    if let Some(compiled) = compiled {
        let context = compiled.context();
        for image in &compiled.plan.images {
            let rows = images::compute(compiled, image, memory)?;
            let table = compiled.open_image(image)?;
            replace(table, rows, None, &progress, &mut |_, _| Ok(()))?;
            progress.enter(Phase::Query, 0);
            snapshot.show_own_writes();
        }
        for node in compiled.plan.nodes.iter().filter(|n| has_table(n)) {
            let connection = Connection::open()?;
            let statement =
                compiled
                    .statements
                    .get(&connection, Kind::InitialState(node.id), &[], || {
                        state::initial(context, node)
                    })?;
            let rows = connection.run(&statement, memory.as_ptr())?;
            drop(connection);
            let table = layout::state_table_oid(context.state_prefix, node.id)?;
            let table = KeyedTable::open(table, &Lookup::Single)?;
            replace(table, rows, None, &progress, &mut |_, _| Ok(()))?;
            progress.enter(Phase::Query, 0);
            snapshot.show_own_writes();
        }
        content = output::initial(context);
    }
    let connection = Connection::open()?;
    let shown = || format!("query of stream table {}", table.plain_name());
    let query = compiled.and_then(|compiled| compiled.query.as_deref());
    let statement = match (content, query) {
        (Some(sql), _) => connection.prepare_whole(&sql)?,
        (None, Some(query)) => connection.prepare_whole(query)?.shown_as(&shown())?,
        (None, None) => {
            let view = name::qualified_name(table.view)
                .ok_or_else(|| Error::Internal("the internal view does not exist".into()))?;
            let statement = connection.prepare_whole(&format!("SELECT * FROM {view}"))?;
            statement.shown_as(&shown())?
        }
    };
    let rows = connection.run(&statement, memory.as_ptr())?;
    drop(connection);
    let key = compiled.and_then(|compiled| match compiled.plan.output.identity() {
        Identity::Key { columns, .. } => Some(columns.as_slice()),
        Identity::Image => None,
    });
    replace(
        KeyedTable::open_recording(table.relid, &Lookup::Single)?,
        rows,
        key,
        &progress,
        &mut |_, _| Ok(()),
    )
}

/// Makes the table hold exactly these rows, writing only the difference. Rows with the same `key` are updated.
pub(super) fn replace(
    mut table: KeyedTable,
    rows: TupleStore,
    key: Option<&[usize]>,
    progress: &Followed,
    listener: Listener<'_>,
) -> Result<Counts> {
    progress.enter(Phase::Compare, 0);
    let mut stored = Stored::default();
    table.visit_all(&mut |row, desc| {
        progress.step();
        stored.add(row, desc);
    });
    let difference = stored.difference(&table, vec![rows], key)?;
    progress.enter(Phase::Write, difference.arriving());
    difference.write(&mut table, &mut |row, weight| {
        if weight > 0 {
            progress.step();
        }
        listener(row, weight)
    })?;
    table.finish()
}
