//! Recomputation: the query runs, and the difference from the stored content is written, so
//! readers are not disturbed and consumers see true changes.
//!
//! Rows are compared as the query returns them, and only those that differ are kept until they are written. An
//! empty table without triggers or readers is filled directly, in batches; its indexes are made afterwards. After very many
//! changes state tables get a new file and are filled the same way, unless someone holds a lock on them.
//!
//! Cost: the query, one pass over the stored rows, and about 70 bytes of memory per stored row.

use std::rc::Rc;

use pgtrickle_dvm::operators::script::Statement;
use pgtrickle_dvm::operators::{output, state};
use pgtrickle_dvm::plan::{Identity, Source};

use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::parse;
use crate::pg::bulk_insert::Filler;
use crate::pg::citus;
use crate::pg::memory::MemoryContext;
use crate::pg::name;
use crate::pg::removal;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::spi::{Connection, Kept};
use crate::pg::tuplestore::TupleStore;
use crate::shmem;
use crate::shmem::progress::{Followed, Phase};

use super::compiled::{Compiled, has_table};
use super::difference::{Stored, check_types};
use super::images;
use super::keyed_table::{Counts, KeyedTable};
use super::lookup::Lookup;
use super::state_names::state_table_oid;

/// Recomputes the state of every node and the stream table. `refills`: so much is expected to differ that state tables
/// are better filled again than compared.
pub fn recompute(
    table: &StreamTable,
    compiled: Option<&Compiled>,
    refills: bool,
    snapshot: &mut ActiveSnapshot,
    memory: &MemoryContext,
) -> Result<Counts> {
    let progress = shmem::follow_recomputation(table.pgt_id);
    let mut content = None;
    if let Some(compiled) = compiled {
        let context = compiled.context();
        for image in &compiled.plan.images {
            let connection = Connection::open()?;
            let statement = images::statement(compiled, image, &connection)?;
            let rows = Rows {
                connection,
                statement,
            };
            rows.replace(compiled.open_image(image)?, None, &progress, memory)?;
            snapshot.show_own_writes();
        }
        for node in compiled.plan.nodes.iter().filter(|n| has_table(n)) {
            let connection = Connection::open()?;
            let kind = (Some(Source::Node(node.id)), Statement::Initial);
            let statement = compiled
                .statements
                .get(&connection, kind, &[], |_| state::initial(context, node))?;
            let state = state_table_oid(context.state_prefix, node.id)?;
            let state = KeyedTable::open(state, &Lookup::Single)?;
            let rows = Rows {
                connection,
                statement,
            };
            match refills.then(|| state.refiller()).flatten() {
                Some(filler) => rows.refill(state, filler, &progress)?,
                None => rows.replace(state, None, &progress, memory).map(drop)?,
            }
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
            let statement = connection.prepare_whole(&whole_query(table)?)?;
            statement.shown_as(&shown())?
        }
    };
    let key = compiled.and_then(|compiled| match compiled.plan.output.identity() {
        Identity::Key { columns, .. } => Some(columns.as_slice()),
        Identity::Image => None,
    });
    let table = KeyedTable::open_recording(table.relid, &Lookup::Single)?;
    let rows = Rows {
        connection,
        statement: Rc::new(statement),
    };
    rows.replace(table, key, &progress, memory)
}

/// What returns the content of a table that has no plan: its view, or the query itself where Citus runs it. Below a view,
/// Citus writes rows that are sorted by an image in one format and reads them in another.
fn whole_query(table: &StreamTable) -> Result<String> {
    let sources = catalog::dependencies(table.pgt_id)?;
    if sources
        .iter()
        .any(|read| citus::kind(read.source).is_some())
    {
        return parse::text_of(table.view, &table.settings);
    }
    let view = name::qualified_name(table.view);
    let view = view.ok_or_else(|| Error::Internal("the internal view does not exist".into()))?;
    Ok(format!("SELECT * FROM {view}"))
}

/// The rows that a statement returns.
#[derive(Debug)]
struct Rows {
    connection: Connection,
    statement: Rc<Kept>,
}

impl Rows {
    /// Writes all of them to an empty table; their number.
    fn fill(&self, mut filler: Filler, progress: &Followed) -> Result<u64> {
        progress.enter(Phase::Query, 0);
        self.connection.run_each(&self.statement, &mut |row| {
            progress.step();
            filler.push(row);
        })?;
        Ok(filler.finish())
    }

    /// Writes all of them to a state table that has been emptied for it.
    fn refill(self, table: KeyedTable, filler: Filler, progress: &Followed) -> Result<()> {
        check_types(&table, self.statement.row_type())?;
        let oid = table.relation().oid();
        self.fill(filler, progress)?;
        // Functions that the indexes call do not run within the query.
        drop(self);
        drop(table);
        progress.enter(Phase::Index, 0);
        removal::reindex(oid);
        Ok(())
    }

    /// Makes the table hold exactly these, writing only the difference. Rows with the same `key` are updated.
    fn replace(
        self,
        mut table: KeyedTable,
        key: Option<&[usize]>,
        progress: &Followed,
        memory: &MemoryContext,
    ) -> Result<Counts> {
        check_types(&table, self.statement.row_type())?;
        let mut stored = Stored::of(&table, progress);
        if stored.is_empty()
            && let Some(filler) = table.filler()
        {
            let inserted = self.fill(filler, progress)?;
            return Ok(Counts {
                inserted,
                ..Counts::NONE
            });
        }
        progress.enter(Phase::Query, 0);
        let mut fresh = TupleStore::new(memory.as_ptr(), table.tuple_desc());
        self.connection.run_each(&self.statement, &mut |row| {
            progress.step();
            if !stored.take(row, table.tuple_desc()) {
                fresh.put(row);
            }
        })?;
        // Triggers that the writes fire do not run within it.
        drop(self);
        let arriving: Vec<usize> = (0..usize::try_from(fresh.rows()).unwrap_or(0)).collect();
        progress.enter(Phase::Compare, 0);
        let difference = stored.replaced_by(&table, vec![fresh], arriving, key)?;
        progress.enter(Phase::Write, difference.arriving());
        difference.write(&mut table, None, progress)?;
        table.finish()
    }
}
