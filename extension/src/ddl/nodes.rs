//! Reports of nodes on the stream tables that they maintain at least in part.

use pgrx::Spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use crate::catalog::{self, StreamTable};
use crate::citus::{self as cluster, Answer, Argument};
use crate::error::{Error, Result};
use crate::pg::{citus, depend, name};
use crate::refresh::two_steps;

use super::parts;

/// The function that the nodes are asked for.
const FUNCTION: &str = "shards_here";

/// What a node has of a stream table.
#[derive(Debug, Clone)]
pub struct Held {
    /// The stream table.
    pub table: String,
    /// Host and port of the node.
    pub node: String,
    /// Its shards there, of all parts; none if the node does not answer.
    pub shards: Option<i64>,
    /// Whether all of them are kept, and have been filled.
    pub is_populated: Option<bool>,
    /// When the oldest of them was last changed by a refresh.
    pub data_timestamp: Option<TimestampWithTimeZone>,
    /// Captured changes that wait for a refresh there.
    pub pending_rows: Option<i64>,
    /// Why the node does not answer, or what was wrong with the last refresh there.
    pub error: Option<String>,
}

/// What `$1`, the stream tables of a node, come to.
const HERE: &str = "
SELECT pg_catalog.json_build_object(
    'shards', $2::bigint,
    'populated', pg_catalog.count(*) FILTER (WHERE t.is_populated) OPERATOR(pg_catalog.=) $2::bigint,
    'data_timestamp', pg_catalog.min(t.data_timestamp),
    'pending_rows', (SELECT COALESCE(pg_catalog.sum(b.pending_rows), 0) FROM pgtrickle.change_buffer_sizes() b
        WHERE pg_catalog.to_regclass(b.source)::pg_catalog.oid OPERATOR(pg_catalog.=) ANY (SELECT d.source_relid::pg_catalog.oid FROM pgtrickle.pgt_dependencies d
            JOIN pgtrickle.pgt_stream_tables r ON r.pgt_id OPERATOR(pg_catalog.=) d.pgt_id
            WHERE r.pgt_relid::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1))),
    'error', (SELECT f.message FROM pgtrickle.refresh_failures() f JOIN pgtrickle.pgt_stream_tables r
        ON r.pgt_id OPERATOR(pg_catalog.=) f.pgt_id WHERE r.pgt_relid::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1) LIMIT 1)
)::pg_catalog.text
FROM pgtrickle.pgt_stream_tables t WHERE t.pgt_relid::pg_catalog.oid OPERATOR(pg_catalog.=) ANY ($1)";

const READ: &str = "
SELECT (j OPERATOR(pg_catalog.->>) 'shards')::bigint, (j OPERATOR(pg_catalog.->>) 'populated')::boolean,
    (j OPERATOR(pg_catalog.->>) 'data_timestamp')::timestamptz, (j OPERATOR(pg_catalog.->>) 'pending_rows')::bigint,
    j OPERATOR(pg_catalog.->>) 'error'
FROM (SELECT $1::pg_catalog.json AS j) AS answer";

/// What this node has of a distributed stream table, or of a part, as [`held`] reads it.
pub fn here(table: pg_sys::Oid) -> Result<String> {
    let (mut shards, mut relations) = (0_i64, Vec::new());
    for shard in citus::shards(table) {
        if !citus::is_here(shard.id) {
            continue;
        }
        shards += 1;
        let own = citus::relation_of(table, shard.id)?;
        relations.extend(own);
        if let Some(own) = own {
            relations.extend(name::find_relation(&parts::rows_of(own))?);
        }
    }
    // As a query: a standby answers, too.
    let told = Spi::connect(|client| {
        let found = client.select(HERE, Some(1), &[relations.into(), shards.into()])?;
        found.first().get_one::<String>()
    });
    let told = told.map_err(|error| Error::Internal(error.to_string()))?;
    told.ok_or_else(|| Error::Internal("a sum has no row".into()))
}

/// What nodes have of a stream table; a row for each node.
pub fn held(table: &StreamTable) -> Result<Vec<Held>> {
    let relations = match table.is_spread() {
        true => vec![table.relid],
        false => two_steps::anchors(table.pgt_id)?,
    };
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let mut all: Vec<Held> = Vec::new();
    for relation in relations {
        let qualified = name::qualified_name(relation).ok_or(Error::Vanished)?;
        let nodes = cluster::nodes_of(relation)?;
        for answer in cluster::call(&nodes, owner, FUNCTION, &[Argument::Text(&qualified)])? {
            let of_part = read(table, answer)?;
            match all.iter_mut().find(|held| held.node == of_part.node) {
                Some(held) => held.add(of_part),
                None => all.push(of_part),
            }
        }
    }
    Ok(all)
}

/// All stream tables that nodes keep, or parts of which.
pub fn of_nodes() -> Result<Vec<StreamTable>> {
    let mut all = catalog::all()?;
    all.retain(|table| {
        (table.is_spread() || table.is_in_two_steps()) && table.require_home().is_ok()
    });
    Ok(all)
}

impl Held {
    fn add(&mut self, part: Held) {
        self.shards = self.shards.zip(part.shards).map(|(all, more)| all + more);
        self.pending_rows =
            (self.pending_rows.zip(part.pending_rows)).map(|(all, more)| all + more);
        self.is_populated =
            (self.is_populated.zip(part.is_populated)).map(|(all, more)| all && more);
        self.data_timestamp =
            (self.data_timestamp.zip(part.data_timestamp)).map(|(one, other)| one.min(other));
        self.error = self.error.take().or(part.error);
    }
}

fn read(table: &StreamTable, answer: Answer) -> Result<Held> {
    let mut held = Held {
        table: table.qualified_name(),
        node: format!("{}:{}", answer.node.host, answer.node.port),
        shards: None,
        is_populated: None,
        data_timestamp: None,
        pending_rows: None,
        error: None,
    };
    match answer.result {
        Err(why) => held.error = Some(why.trim().to_owned()),
        Ok(told) => Spi::connect(|client| {
            if let Some(row) = client.select(READ, Some(1), &[told.into()])?.next() {
                held.shards = row.get(1)?;
                held.is_populated = row.get(2)?;
                held.data_timestamp = row.get(3)?;
                held.pending_rows = row.get(4)?;
                held.error = row.get(5)?;
            }
            Ok::<_, pgrx::spi::Error>(())
        })
        .map_err(|error| Error::Internal(error.to_string()))?,
    }
    Ok(held)
}
