//! A stream table must not read itself, neither directly nor through other stream tables.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use pgrx::pg_sys;

use crate::catalog::{self, StreamTable};
use crate::error::{Error, Result};
use crate::pg::name;
use crate::shmem::counters::CYCLES_DETECTED;

/// Refuses `sources` as what `table` reads if they lead back to it.
pub fn check_for_cycles(
    table: &StreamTable,
    sources: impl IntoIterator<Item = pg_sys::Oid>,
) -> Result<()> {
    let mut readers: HashMap<pg_sys::Oid, pg_sys::Oid> = HashMap::new();
    let mut pending: Vec<pg_sys::Oid> = Vec::new();
    for source in sources {
        readers.insert(source, table.relid);
        pending.push(source);
    }
    while let Some(relid) = pending.pop() {
        if relid == table.relid {
            CYCLES_DETECTED.count();
            return Err(Error::CycleDetected {
                name: table.plain_name(),
                path: path_to(relid, &readers),
            });
        }
        if let Some(source) = catalog::load_by_relid(relid)? {
            for dependency in catalog::dependencies(source.pgt_id)? {
                if let Entry::Vacant(entry) = readers.entry(dependency.source) {
                    entry.insert(relid);
                    pending.push(dependency.source);
                }
            }
        }
    }
    Ok(())
}

/// The names from the first source to the table itself.
fn path_to(table: pg_sys::Oid, readers: &HashMap<pg_sys::Oid, pg_sys::Oid>) -> Vec<String> {
    let mut path = Vec::new();
    let mut at = table;
    loop {
        path.push(name::qualified_name(at).unwrap_or_default());
        match readers.get(&at) {
            Some(reader) if *reader != table => at = *reader,
            _ => break,
        }
    }
    path.reverse();
    path
}
