//! After `pg_restore` or `CREATE DATABASE … TEMPLATE`: the catalog names the right relations,
//! because `regclass` is dumped by name; buffers, state, triggers and frontiers are those of what was
//! dumped, and are discarded and rebuilt.

use std::collections::HashSet;

use pgrx::prelude::*;

use super::rebuild::rebuild;
use super::remove;
use crate::catalog::{self, Home, StreamTable};
use crate::cdc;
use crate::error::Result;
use crate::pg::settings::Settings;
use crate::pg::{depend, rows_of};
use crate::refresh;

/// Rebuilds every stream table that a dump or a copied database has brought. Returns how many. Forgets those that were
/// dropped while event triggers were off.
pub fn restore() -> Result<usize> {
    let (present, gone): (Vec<StreamTable>, Vec<StreamTable>) = catalog::all()?
        .into_iter()
        .partition(|table| depend::owner_of(table.relid).is_some());
    gone.iter()
        .try_for_each(|table| remove::forget(table.pgt_id))?;
    let restored: Vec<StreamTable> = present
        .into_iter()
        .filter(|table| table.require_home().is_err())
        .collect();
    for table in &restored {
        catalog::lock(table.pgt_id)?;
        refresh::drop_state_tables(table.pgt_id)?;
        refresh::forget(table.pgt_id);
    }
    discard_capture(&restored)?;
    for table in in_order_of_dependency(&restored)? {
        depend::detach(table.view);
        depend::make_part_of(table.view, table.relid);
        if !refresh::guard::is_attached(table.relid)? {
            refresh::guard::attach(table.relid)?;
        }
        catalog::set_home(table.pgt_id, Home::of(table.relid))?;
        if table.settings.is_empty() {
            catalog::set_settings(table.pgt_id, &Settings::of_session())?;
        }
        rebuild(table.pgt_id, table.requested_mode)?;
        if table.is_populated {
            refresh::run(
                table.pgt_id,
                refresh::Request {
                    force_full: true,
                    ..Default::default()
                },
            )?;
        }
    }
    Ok(restored.len())
}

/// Removes what a dump has brought of the other database's capture, but not what stream tables of
/// this one need. Objects of capture bear the number of their source.
fn discard_capture(restored: &[StreamTable]) -> Result<()> {
    let restored: HashSet<i64> = restored.iter().map(|table| table.pgt_id).collect();
    let mut needed = HashSet::new();
    for source in catalog::sources()? {
        let is_needed = catalog::consumers_of(source)?
            .iter()
            .any(|consumer| !restored.contains(&consumer.pgt_id));
        if is_needed {
            needed.insert(source.to_u32());
        } else {
            cdc::uninstall(source)?;
        }
    }
    for (kind, object, name) in objects_of_capture()? {
        let is_needed = name
            .rsplit('_')
            .next()
            .and_then(|number| number.parse().ok())
            .is_some_and(|number: u32| needed.contains(&number));
        match kind {
            _ if is_needed => {}
            Kind::Buffer => depend::drop_relation(object, false),
            Kind::Writer => depend::drop_object(pg_sys::ProcedureRelationId, object),
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Buffer,
    Writer,
}

/// What is in the schema of capture.
fn objects_of_capture() -> Result<Vec<(Kind, pg_sys::Oid, String)>> {
    let sql = "SELECT true, oid, relname::pg_catalog.text FROM pg_catalog.pg_class
                WHERE relkind = 'r' AND relnamespace = 'pgtrickle_changes'::pg_catalog.regnamespace
               UNION ALL
               SELECT false, oid, proname::pg_catalog.text FROM pg_catalog.pg_proc
                WHERE pronamespace = 'pgtrickle_changes'::pg_catalog.regnamespace";
    rows_of::latest_rows(sql, &[], |row| {
        let kind = row.get(1)?.map(|is_table| match is_table {
            true => Kind::Buffer,
            false => Kind::Writer,
        });
        let named = row.get(2)?.zip(row.get(3)?);
        Ok(kind.zip(named).map(|(kind, (oid, name))| (kind, oid, name)))
    })
}

/// Stream tables that others read come before their readers.
fn in_order_of_dependency(tables: &[StreamTable]) -> Result<Vec<&StreamTable>> {
    let mut ordered: Vec<&StreamTable> = Vec::with_capacity(tables.len());
    let mut waiting: Vec<(&StreamTable, HashSet<pg_sys::Oid>)> = Vec::new();
    for table in tables {
        let sources = catalog::dependencies(table.pgt_id)?;
        waiting.push((table, sources.into_iter().map(|d| d.source).collect()));
    }
    while !waiting.is_empty() {
        let unfinished: HashSet<pg_sys::Oid> = waiting.iter().map(|(t, _)| t.relid).collect();
        let (ready, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, sources)| sources.is_disjoint(&unfinished));
        if ready.is_empty() {
            ordered.extend(rest.into_iter().map(|(table, _)| table));
            break;
        }
        ordered.extend(ready.into_iter().map(|(table, _)| table));
        waiting = rest;
    }
    Ok(ordered)
}
