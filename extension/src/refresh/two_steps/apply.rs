//! Updating an image by the answers of nodes: JSON arrays of shards, each with its generation and position, and rows
//! as text and weight. Here rows with the same text, as the server writes and parses it, are identical.

use std::collections::BTreeSet;

use pgrx::{Spi, pg_sys};
use pgtrickle_dvm::canary;

use super::names::Names;
use crate::catalog::StreamTable;
use crate::error::{Error, Result, SpreadError};
use crate::pg::{name, rows_of};
use crate::refresh::guard;

/// What is taken of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The shard.
    pub shard: i64,
    /// Which of the parts that there were for it.
    pub generation: String,
    /// What of its changes.
    pub position: String,
    /// Whether rows are all that there are, and not changes.
    pub is_whole: bool,
    /// Whether there are rows.
    pub has_rows: bool,
}

impl Taken {
    /// As sent to its node.
    pub fn told(&self) -> String {
        format!("{} {} {}", self.shard, self.generation, self.position)
    }
}

/// The shards in the answers `$1`.
const SHARDS: &str = "
(SELECT (s.value OPERATOR(pg_catalog.->>) 'shard')::bigint AS shard, s.value OPERATOR(pg_catalog.->>) 'generation' AS generation,
    s.value OPERATOR(pg_catalog.->>) 'position' AS position, (s.value OPERATOR(pg_catalog.->>) 'whole')::boolean AS whole,
    s.value OPERATOR(pg_catalog.->) 'rows' AS rows
 FROM unnest($1) AS a(answer), json_array_elements(a.answer::json) AS s) AS s";

/// Their rows, with those of the image that they are.
fn rows() -> String {
    format!(
        "(SELECT (r.value OPERATOR(pg_catalog.->>) 0)::bigint AS weight, t.hash,
    concat('(', s.shard, ',', t.hash, ',', substr(r.value OPERATOR(pg_catalog.->>) 1, 2)) AS text
 FROM {SHARDS}, json_array_elements(s.rows) AS r,
    LATERAL (SELECT hashtextextended(r.value OPERATOR(pg_catalog.->>) 1, 0) AS hash OFFSET 0) AS t) AS r"
    )
}

/// The positions that the image contains.
pub fn positions(names: &Names) -> Result<Vec<Taken>> {
    let sql = format!(
        "SELECT shard, generation, position, false, false FROM {} ORDER BY 1",
        names.taken
    );
    taken(&sql, &[])
}

/// The shards in the answers.
pub fn read(answers: &[String]) -> Result<Vec<Taken>> {
    let sql = format!(
        "SELECT shard, generation, position, whole, json_array_length(rows) > 0 FROM {SHARDS} ORDER BY 1"
    );
    taken(&sql, &[answers.to_vec().into()])
}

fn taken(sql: &str, arguments: &[pgrx::datum::DatumWithOid<'_>]) -> Result<Vec<Taken>> {
    rows_of::latest_rows(sql, arguments, |row| {
        Ok(Some(Taken {
            shard: row.get(1)?.unwrap_or_default(),
            generation: row.get(2)?.unwrap_or_default(),
            position: row.get(3)?.unwrap_or_default(),
            is_whole: row.get(4)?.unwrap_or_default(),
            has_rows: row.get(5)?.unwrap_or_default(),
        }))
    })
}

/// Moves the image from the positions `known` to those in the answers, which cover all shards.
pub fn apply(
    table: &StreamTable,
    names: &Names,
    answers: &[String],
    known: &[Taken],
    taken: &[Taken],
) -> Result<()> {
    let Names {
        image,
        taken: positions,
        ..
    } = names;
    let both = [name::find_relation(image)?, name::find_relation(positions)?];
    let _open = guard::open(&both.map(|table| table.unwrap_or(pg_sys::InvalidOid)));
    let present: BTreeSet<i64> = taken.iter().map(|shard| shard.shard).collect();
    let gone = known.iter().map(|shard| shard.shard);
    let gone: Vec<i64> = gone.filter(|shard| !present.contains(shard)).collect();
    let whole = taken.iter().filter(|shard| shard.is_whole);
    let replaced: Vec<i64> = whole.map(|shard| shard.shard).chain(gone.clone()).collect();
    if !replaced.is_empty() {
        let delete = format!("DELETE FROM {image} WHERE shard = ANY ($1)");
        run(&delete, &[replaced.into()])?;
        run(
            &format!("DELETE FROM {positions} WHERE shard = ANY ($1)"),
            &[gone.into()],
        )?;
    }
    if !taken.iter().any(|shard| shard.has_rows || shard.is_whole) {
        return Ok(());
    }
    delete(table, image, answers)?;
    let rows = rows();
    run(
        &format!(
            "INSERT INTO {image} SELECT (v.row).* FROM (
                SELECT r.text::{image} AS row FROM {rows}, generate_series(1, r.weight) WHERE r.weight > 0 OFFSET 0) AS v"
        ),
        &[answers.to_vec().into()],
    )?;
    let noted = match canary::active(canary::CHANGE_TAKEN_TWICE) {
        true => "whole",
        false => "whole OR json_array_length(rows) > 0",
    };
    run(
        &format!(
            "INSERT INTO {positions} SELECT shard, generation, position FROM {SHARDS} WHERE {noted}
             ON CONFLICT (shard) DO UPDATE SET generation = excluded.generation, position = excluded.position"
        ),
        &[answers.to_vec().into()],
    )
}

/// Deletes the rows that go, each as often as its weight says.
fn delete(table: &StreamTable, image: &str, answers: &[String]) -> Result<()> {
    let rows = rows();
    let sql = format!(
        "WITH gone AS MATERIALIZED (
            SELECT r.text, r.hash, -sum(r.weight) AS times FROM {rows} WHERE r.weight < 0 GROUP BY 1, 2
         ), found AS (
            SELECT i.ctid AS at, g.times, row_number() OVER (PARTITION BY g.text) AS number
            FROM gone AS g JOIN {image} AS i ON i.hash = g.hash AND (i.*)::text = g.text
         ), deleted AS (
            DELETE FROM {image} WHERE ctid = ANY (ARRAY(SELECT at FROM found WHERE number <= times)) RETURNING 1
         )
         SELECT coalesce((SELECT sum(times) FROM gone), 0) = (SELECT count(*) FROM deleted)"
    );
    let is_same = Spi::get_one_with_args::<bool>(&sql, &[answers.to_vec().into()])
        .map_err(|error| Error::Internal(error.to_string()))?;
    match is_same {
        Some(true) => Ok(()),
        _ => Err(SpreadError::ImageDiffers(table.plain_name()).into()),
    }
}

/// Runs a statement that changes an image or its positions.
fn run(sql: &str, arguments: &[pgrx::datum::DatumWithOid<'_>]) -> Result<()> {
    Spi::run_with_args(sql, arguments).map_err(|error| Error::Internal(error.to_string()))
}
