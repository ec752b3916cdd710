//! Looking at stream tables and at queries.

use pgrx::prelude::*;
use pgtrickle_dvm::plan;

use super::{answer, argument};
use crate::capability::{CITUS_DISTRIBUTED_TABLE, CITUS_IMAGES, Support};
use crate::ddl::spread::{self, Finding};
use crate::error::Result;
use crate::parse::{self, Analysis, Place};
use crate::pg::settings::Settings;
use crate::pg::{acl, name};
use crate::refresh::{self, two_steps};
use crate::{catalog, cdc};

/// The version of the extension's library.
#[pg_extern(schema = "pgtrickle", immutable, parallel_safe)]
fn version() -> &'static str {
    catalog::LIBRARY
}

/// The id of a stream table that the caller may read.
#[pg_extern(schema = "pgtrickle", stable)]
fn pgt_id_of(name: Option<&str>) -> i64 {
    answer(|| argument::readable(name)).pgt_id
}

/// How a stream table is maintained: mode and why, operator tree, nodes, keys, state tables, delta
/// statements.
#[pg_extern(schema = "pgtrickle")]
fn explain_st(
    name: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(section, String),
        name!(item, String),
        name!(detail, String),
    ),
> {
    let lines = answer(|| refresh::explain(argument::readable(name)?.pgt_id));
    TableIterator::new(
        lines
            .into_iter()
            .map(|line| (line.section.to_owned(), line.item, line.detail)),
    )
}

/// How large the change buffers are whose source the caller may read. Reads all of them.
#[pg_extern(schema = "pgtrickle")]
fn change_buffer_sizes() -> TableIterator<
    'static,
    (
        name!(source, String),
        name!(buffer, String),
        name!(bytes, i64),
        name!(rows, i64),
        name!(pending_rows, i64),
    ),
> {
    TableIterator::new(answer(buffer_sizes))
}

type BufferSizeRow = (String, String, i64, i64, i64);

fn buffer_sizes() -> Result<Vec<BufferSizeRow>> {
    let mut sizes = Vec::new();
    for source in catalog::sources()? {
        if !acl::may_read(source) && !acl::may_monitor() {
            continue;
        }
        let frontiers: Vec<_> = catalog::consumers_of(source)?
            .into_iter()
            .filter_map(|consumer| consumer.frontier)
            .collect();
        if let Some(size) = cdc::size(source, &frontiers)? {
            sizes.push((
                name::qualified_name(source).unwrap_or_default(),
                name::qualified_name(size.buffer).unwrap_or_default(),
                size.bytes.cast_signed(),
                size.rows.cast_signed(),
                size.pending_rows.cast_signed(),
            ));
        }
    }
    Ok(sizes)
}

/// What of a query would be maintained how, and for each construct that cannot be: code, reason and
/// remedy.
#[pg_extern(schema = "pgtrickle")]
fn explain_capabilities(
    query: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(construct, String),
        name!(code, String),
        name!(maintained, String),
        name!(reason, Option<String>),
        name!(remedy, Option<String>),
    ),
> {
    TableIterator::new(answer(|| capabilities(query)))
}

type CapabilityRow = (String, String, String, Option<String>, Option<String>);

/// The analysis of a query that nodes of a cluster of Citus would keep, or parts of which; else the one that is given.
fn by_nodes(mut analysis: Analysis, query: &str) -> Result<Analysis> {
    let reads_shards = |found: &parse::Unsupported| found.code == CITUS_DISTRIBUTED_TABLE.code;
    if !analysis.unsupported.iter().any(reads_shards) {
        return Ok(analysis);
    }
    let spread = parse::analyse_query_at(query, Place::Shards)?;
    let finding = spread::examine(spread.clone(), &Settings::of_session(), None);
    if matches!(finding, Finding::Spread(_)) {
        return Ok(spread);
    }
    match two_steps::find_in_text(query)? {
        None => {}
        Some(divided) if divided.holds_rows() => {
            for found in analysis
                .unsupported
                .iter_mut()
                .filter(|found| reads_shards(found))
            {
                *found = parse::Unsupported::new(&CITUS_IMAGES, found.construct.as_str());
            }
        }
        Some(divided) => analysis = divided.analysis,
    }
    Ok(analysis)
}

/// Obstacles first, then what works, each construct once.
fn capabilities(query: Option<&str>) -> Result<Vec<CapabilityRow>> {
    let query = argument::required(query, "query")?;
    let analysis = by_nodes(parse::analyse_query(query)?, query)?;
    let mut rows: Vec<CapabilityRow> = Vec::new();
    for found in analysis.unsupported {
        let mode = if found.hard { "not at all" } else { "FULL" };
        rows.push((
            found.construct,
            found.code.to_owned(),
            mode.to_owned(),
            Some(found.reason.to_owned()),
            Some(found.remedy.to_owned()),
        ));
    }
    if let Some(Err(error)) = analysis.relation.map(plan::compile) {
        let found = refresh::engine_obstacle(&error);
        rows.push((
            "the query as a whole".to_owned(),
            found.code,
            "FULL".to_owned(),
            Some(found.reason),
            Some(found.remedy),
        ));
    }
    for found in analysis.constructs {
        let how = match found.capability.support {
            Support::Maintained { how } => Some(how.to_owned()),
            _ => continue,
        };
        let code = found.capability.code.to_owned();
        rows.push((found.construct, code, "DIFFERENTIAL".to_owned(), how, None));
    }
    let mut seen = std::collections::HashSet::new();
    rows.retain(|row| seen.insert((row.0.clone(), row.1.clone())));
    Ok(rows)
}
