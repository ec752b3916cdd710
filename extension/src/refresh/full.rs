//! Recomputation: the content is computed anew and the difference to what is stored is written, so
//! that readers are not disturbed and consumers see true changes.
//!
//! Cost: the query, one pass over the stored rows, and about 50 bytes of memory per stored row.

use std::collections::HashMap;

use pgrx::pg_sys;
use pgtrickle_dvm::operators::{aggregate, output};

use crate::catalog::StreamTable;
use crate::error::{Error, Result};
use crate::image;
use crate::pg::memory::MemoryContext;
use crate::pg::name;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::spi::Connection;
use crate::pg::table_scan::TableScan;
use crate::pg::tupdesc::attributes;
use crate::pg::tuplestore::TupleStore;
use crate::shmem::progress::{Followed, Phase};

use super::compiled::{Compiled, has_table};
use super::images;
use super::keyed_table::{Counts, KeyedTable, Lookup};
use super::layout;
use super::statements::Kind;

type Row<'r> = (&'r [pg_sys::Datum], &'r [bool]);

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
            replace(
                compiled.open_image(image)?,
                &rows,
                &progress,
                &mut |_, _| Ok(()),
            )?;
            progress.enter(Phase::Query, 0);
            snapshot.show_own_writes();
        }
        for node in compiled.plan.nodes.iter().filter(|n| has_table(n)) {
            let connection = Connection::open()?;
            let statement =
                compiled
                    .statements
                    .get(&connection, Kind::InitialState(node.id), &[], || {
                        aggregate::initial(context, node)
                    })?;
            let rows = connection.run(&statement, memory.as_ptr())?;
            drop(connection);
            let state = layout::state_table_oid(context.state_prefix, node.id)?;
            let state = KeyedTable::open(state, &Lookup::Single)?;
            replace(state, &rows, &progress, &mut |_, _| Ok(()))?;
            progress.enter(Phase::Query, 0);
            snapshot.show_own_writes();
        }
        content = output::initial(context);
    }
    let connection = Connection::open()?;
    let sql = match content {
        Some(sql) => sql,
        None => {
            let view = name::qualified_name(table.view)
                .ok_or_else(|| Error::Internal("the internal view does not exist".into()))?;
            format!("SELECT * FROM {view}")
        }
    };
    let statement = connection.prepare(&sql)?;
    let rows = connection.run(&statement, memory.as_ptr())?;
    drop(connection);
    replace(
        KeyedTable::open_recording(table.relid, &Lookup::Single)?,
        &rows,
        &progress,
        &mut |_, _| Ok(()),
    )
}

/// Makes the table hold exactly these rows, writing only the difference. `moved` hears of each row that
/// goes (−1) or comes (+1).
pub(super) fn replace(
    mut table: KeyedTable,
    rows: &TupleStore,
    progress: &Followed,
    moved: &mut dyn FnMut(Row<'_>, i32) -> Result<()>,
) -> Result<Counts> {
    check_types(&table, rows)?;
    progress.enter(Phase::Compare, 0);
    let mut stored: HashMap<u128, Vec<pg_sys::ItemPointerData>> = HashMap::new();
    let desc = table.tuple_desc();
    // SAFETY: desc belongs to the open table.
    let columns = unsafe { attributes(desc) };
    let mut scan = TableScan::begin(table.relation());
    while let Some(row) = scan.next() {
        progress.step();
        let tid = row.tid();
        let (values, nulls) = row.values();
        let hash = image::hash128(values, nulls, columns);
        stored.entry(hash).or_default().push(tid);
    }
    drop(scan);
    let mut arriving = rows.scan();
    let mut fresh = Vec::new();
    let mut position = 0_usize;
    while let Some(row) = arriving.next() {
        let (values, nulls) = row.values();
        let hash = image::hash128(values, nulls, columns);
        match stored.get_mut(&hash).map(|tids| tids.pop().is_some()) {
            Some(true) => {}
            _ => fresh.push(position),
        }
        position += 1;
    }
    progress.enter(Phase::Write, fresh.len() as u64);
    // Rows that go leave first, so that unique keys are free for the rows that come.
    let mut row = TableScan::row_slot(table.relation());
    for tid in stored.values().flatten() {
        if TableScan::fetch(table.relation(), *tid, &mut row) {
            moved(row.values(), -1)?;
            table.delete_stored(&mut row)?;
        }
    }
    let mut arriving = rows.scan();
    let mut fresh = fresh.into_iter().peekable();
    let mut position = 0_usize;
    while let Some(row) = arriving.next() {
        if fresh.peek() == Some(&position) {
            fresh.next();
            let (values, nulls) = row.values();
            moved((values, nulls), 1)?;
            table.insert(values, nulls)?;
            progress.step();
        }
        position += 1;
    }
    table.finish()
}

/// The content is written without a cast, so that types must agree.
fn check_types(table: &KeyedTable, rows: &TupleStore) -> Result<()> {
    // SAFETY: both row types live as long as what they describe.
    let (wanted, given) = unsafe {
        (
            attributes(table.tuple_desc()),
            attributes(rows.tuple_desc()),
        )
    };
    if wanted.len() != given.len()
        || wanted
            .iter()
            .zip(given)
            .any(|(w, g)| w.atttypid != g.atttypid || w.attisdropped)
    {
        return Err(Error::ShapeChanged {
            relation: table.relation().name(),
        });
    }
    Ok(())
}
