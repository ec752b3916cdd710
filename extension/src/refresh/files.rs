//! The files that a stream table's content was read from.
//!
//! Code that gives a table the file of another one, as `REFRESH MATERIALIZED VIEW` does, changes its rows without
//! writing any. So a stream table stores a hash of the files of each source, and is recomputed when they differ.
//! VACUUM FULL, CLUSTER, REPACK and ALTER TABLE update the stored hash with the file, since they keep the rows or report
//! them; a swap by a tool like pg_repack, which keeps them silently, costs one recomputation.
//!
//! The server's own function for swaps calls a hook, which updates IMMEDIATE stream tables at once.
//!
//! **Invariant:** a file changes under a lock that excludes every refresh that reads the table.

use std::collections::BTreeMap;

use pgrx::Spi;
use pgrx::pg_sys;

use super::compiled::Compiled;
use super::watched::watched;
use crate::catalog;
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::file_moves;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use crate::pg::snapshot::ActiveSnapshot;
use crate::pg::user::OwnerContext;

/// What the content was read from, and what is there.
#[derive(Debug, Default)]
pub struct Files {
    sources: Vec<(pg_sys::Oid, Option<i64>, i64)>,
}

impl Files {
    /// Looks at the sources of a plan, which are locked. Stream tables record their own changes.
    pub fn of(pgt_id: i64, compiled: &Compiled) -> Result<Self> {
        let stored = catalog::dependencies(pgt_id)?;
        let mut files = Files::default();
        for source in compiled.tables.iter().filter(|s| !s.is_stream_table) {
            let dependency = stored.iter().find(|d| d.source == source.oid);
            let known = dependency.and_then(|dependency| dependency.files);
            files.sources.push((source.oid, known, present(source.oid)));
        }
        Ok(files)
    }

    /// Whether a source has other files than the content was read from.
    pub fn differ(&self) -> bool {
        let differ = |(_, known, present): &(_, Option<i64>, i64)| {
            known.is_some_and(|known| known != *present)
        };
        self.sources.iter().any(differ)
    }

    /// The content has been read from those that are there.
    pub fn store(&self, pgt_id: i64) -> Result<()> {
        for (source, known, present) in &self.sources {
            if *known != Some(*present) {
                catalog::set_files(pgt_id, *source, *present)?;
            }
        }
        Ok(())
    }
}

/// The hash of a table's files, which are those of the table and of all below it but the chunks of a hypertable, which
/// TimescaleDB rewrites as it likes: an exclusive or, so that one file can
/// be put in the place of another.
fn present(source: pg_sys::Oid) -> i64 {
    let of = |table| {
        Relation::try_open(table, LockMode::AccessShare).map_or(0, |open| hash(table, open.file()))
    };
    let hash = cdc::members(source, LockMode::AccessShare)
        .into_iter()
        .fold(0, |all, table| all ^ of(table));
    hash.cast_signed()
}

/// A hash of one file; 0 for none.
fn hash(table: pg_sys::Oid, file: u32) -> u64 {
    if file == 0 {
        return 0;
    }
    let mut mixed = (u64::from(table.to_u32()) << 32 | u64::from(file)) + 0x9e37_79b9_7f4a_7c15;
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 31)
}

const MOVE_ON: &str = "
UPDATE pgtrickle.pgt_dependencies SET files = $3
WHERE source_relid OPERATOR(pg_catalog.=) $1 AND files OPERATOR(pg_catalog.=) $2";

/// Looks at what the current transaction has done to files, before it commits: sources whose files something has
/// swapped. Where the rows are the same, their readers are told of the other file.
pub fn moved() -> Result<Vec<pg_sys::Oid>> {
    let is_watched = |table| matches!(watched(table), Ok(Some(_)));
    let mut swapped = Vec::new();
    let mut kept: BTreeMap<u32, u64> = BTreeMap::new();
    for moved in file_moves::of_transaction(&is_watched) {
        let Some(watched) = watched(moved.table)? else {
            continue;
        };
        if moved.is_harmless {
            *kept.entry(watched.root.to_u32()).or_default() ^=
                hash(moved.table, moved.from) ^ hash(moved.table, moved.to);
        } else {
            swapped.push(watched.root);
        }
    }
    if kept.is_empty() || !catalog::exists() || !catalog::is_current()? {
        return Ok(swapped);
    }
    let _owner = OwnerContext::extension_owner()?;
    let _snapshot = ActiveSnapshot::push();
    for (root, change) in kept {
        let root = pg_sys::Oid::from(root);
        let now = present(root);
        let before = now ^ change.cast_signed();
        Spi::run_with_args(MOVE_ON, &[root.into(), before.into(), now.into()])
            .map_err(|error| Error::Internal(error.to_string()))?;
    }
    Ok(swapped)
}
