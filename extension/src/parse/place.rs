//! The shards that replace Citus tables: if a table has a single shard, this node's copy of it,
//! captured and read like any table. Tables in several shards are left to the nodes that hold them.

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use super::implied::spell_out;
use super::spread::Place;
use crate::capability::{
    CITUS_DISTRIBUTED_TABLE, CITUS_LOCAL_SHARD, CITUS_LOCAL_TABLE, CITUS_REFERENCE_TABLE,
    CITUS_SHARD_LOCAL, CITUS_TWO_STEPS,
};
use crate::error::{CitusTable, Result};
use crate::pg::citus;
use crate::pg::deparse::{self, PrintSettings};
use crate::pg::node::{self, NodeOf};
use crate::pg::settings::{Level, Settings};
use crate::pg::table::TableFacts;
use crate::pg::{query, shards};

impl Analyzer {
    /// The query of a view that the query reads.
    pub fn view_query(&mut self, view: pg_sys::Oid) -> Result<NodeOf<pg_sys::Query>> {
        let query = query::of_view(view)?;
        self.read_shards(query)?;
        Ok(query)
    }

    /// Puts the shards of this node in the place of tables.
    pub fn read_shards(&mut self, query: NodeOf<pg_sys::Query>) -> Result<()> {
        if self.place == Place::Shards || !citus::is_installed() {
            return Ok(());
        }
        for table in shards::replace(query, &single_shard)? {
            self.define_by(table);
            if !self.spread.replaced.contains(&table) {
                self.spread.replaced.push(table);
            }
            if let Some(facts) = self.table(table) {
                self.note(&CITUS_LOCAL_SHARD, facts.qualified.clone());
            }
        }
        Ok(())
    }

    /// Takes note of a table for which no shard of this node stands, or refuses it.
    pub fn citus_table(&mut self, facts: &TableFacts, kind: CitusTable) {
        let name = facts.qualified.clone();
        if self.place == Place::Shards
            && kind != CitusTable::Local
            && let Some(found) = citus::distribution(facts.oid)
        {
            self.note(&CITUS_SHARD_LOCAL, name);
            self.spread.tables.insert(facts.oid.to_u32(), found);
            return;
        }
        if self.place == Place::Both
            && kind == CitusTable::Distributed
            && let Some(found) = citus::distribution(facts.oid)
            && found.column.is_some()
        {
            self.note(&CITUS_TWO_STEPS, name);
            self.spread.tables.insert(facts.oid.to_u32(), found);
            return;
        }
        let capability = match kind {
            CitusTable::Distributed => &CITUS_DISTRIBUTED_TABLE,
            CitusTable::Reference => &CITUS_REFERENCE_TABLE,
            CitusTable::Local => &CITUS_LOCAL_TABLE,
        };
        self.refuse(capability, name);
    }
}

/// The relation that holds all rows of a table of Citus on this node.
fn single_shard(table: pg_sys::Oid) -> Result<Option<pg_sys::Oid>> {
    match citus::kind(table) {
        Some(CitusTable::Reference | CitusTable::Local) => citus::local_copy(table),
        Some(CitusTable::Distributed) | None => Ok(None),
    }
}

/// The query of a view as a text that reads the shards of this node, so that Citus has no part in its execution.
pub fn text_on_this_node(view: pg_sys::Oid, settings: &Settings) -> Result<String> {
    printed(view, settings, &is_spread, |query| {
        shards::replace(query, &single_shard)?;
        Ok(query)
    })
}

/// The query of a view as a text. Citus plans what is on top of a query otherwise than below.
pub fn text_of(view: pg_sys::Oid, settings: &Settings) -> Result<String> {
    printed(view, settings, &|_| false, Ok)
}

/// The query of a view as a text that reads tables of Citus, and no view over them.
pub fn text_over_tables(view: pg_sys::Oid, settings: &Settings) -> Result<String> {
    printed(view, settings, &is_spread, Ok)
}

/// The query of a view as a text that names no view, with everything in it as it is maintained.
pub fn text_as_maintained(view: pg_sys::Oid, settings: &Settings) -> Result<String> {
    printed(view, settings, &|_| true, |query| {
        Ok(node::map_expressions(query, &mut spell_out))
    })
}

fn is_spread(table: pg_sys::Oid) -> bool {
    citus::kind(table).is_some()
}

/// The query with the views expanded that read such tables, and changed.
fn printed(
    view: pg_sys::Oid,
    settings: &Settings,
    is_expanded: &dyn Fn(pg_sys::Oid) -> bool,
    change: impl Fn(NodeOf<pg_sys::Query>) -> Result<NodeOf<pg_sys::Query>>,
) -> Result<String> {
    let _level = Level::for_reading(settings)?;
    let _settings = PrintSettings::pin();
    let query = query::of_view(view)?;
    shards::expand_views(query, is_expanded)?;
    Ok(deparse::query(change(query)?))
}
