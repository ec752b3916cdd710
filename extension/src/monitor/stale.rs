//! Which stream tables may be behind.

use std::collections::{HashMap, HashSet};

use crate::catalog::{self, RefreshMode, Status};
use crate::cdc;
use crate::error::Result;

/// The ids of the stream tables that a source has committed changes for, that have not been filled, that
/// are IMMEDIATE and suspended, or that read such a stream table; ascending. Reads change buffers.
pub fn stale() -> Result<Vec<i64>> {
    let tables = catalog::all()?;
    let mut stale: HashSet<i64> = tables
        .iter()
        .filter(|table| {
            let does_not_follow =
                (table.refresh_mode, table.status) == (RefreshMode::Immediate, Status::Suspended);
            !table.is_populated || does_not_follow
        })
        .map(|table| table.pgt_id)
        .collect();
    for source in catalog::sources()? {
        let (ids, frontiers): (Vec<i64>, Vec<_>) = catalog::consumers_of(source)?
            .into_iter()
            .filter_map(|consumer| Some((consumer.pgt_id, consumer.frontier?)))
            .unzip();
        let news = cdc::has_news(source, &frontiers)?;
        stale.extend(
            ids.iter()
                .zip(news)
                .filter_map(|(id, has)| has.then_some(*id)),
        );
    }
    let by_relid: HashMap<u32, i64> = tables
        .iter()
        .map(|table| (table.relid.to_u32(), table.pgt_id))
        .collect();
    let mut reads = Vec::new();
    for table in &tables {
        for dependency in catalog::dependencies(table.pgt_id)? {
            if let Some(read) = by_relid.get(&dependency.source.to_u32()) {
                reads.push((table.pgt_id, *read));
            }
        }
    }
    loop {
        let behind: Vec<i64> = reads
            .iter()
            .filter(|(reader, read)| stale.contains(read) && !stale.contains(reader))
            .map(|(reader, _)| *reader)
            .collect();
        if behind.is_empty() {
            break;
        }
        stale.extend(behind);
    }
    let mut stale: Vec<i64> = stale.into_iter().collect();
    stale.sort_unstable();
    Ok(stale)
}
