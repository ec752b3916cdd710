//! Making what a plan needs before the first snapshot: capture, state tables, indexes.

use std::rc::Rc;

use crate::catalog::{self, RefreshMode, StreamTable};
use crate::cdc;
use crate::error::{Error, Result};
use crate::pg::{replica_identity, report, utility};

use super::compiled::Compiled;
use super::draft::Draft;
use super::plan_cache;
use super::{dependencies, immediate, layout, two_steps};

/// Makes the objects that a stream table needs: capture on its sources first, so that no change
/// after the first fill is lost, then its state tables. For a table in FULL mode there is nothing to
/// make.
pub fn prepare(pgt_id: i64) -> Result<()> {
    prepare_as_decided(pgt_id, None)
}

/// The same for the plan that was decided on, which is not made again.
pub fn prepare_as_decided(pgt_id: i64, draft: Option<Draft>) -> Result<()> {
    let table = catalog::existing(pgt_id)?;
    replica_identity::ensure(table.relid)?;
    if table.refresh_mode == RefreshMode::Full || table.is_spread() {
        return Ok(());
    }
    let decided = draft
        .map(|draft| plan_cache::adopt(&table, draft))
        .transpose()?;
    let compiled = match decided.flatten() {
        Some(compiled) => compiled,
        None => supported(&table)?,
    };
    prepare_compiled(&table, &compiled)?;
    provide_indexes(&compiled)
}

/// Makes missing indexes on images, and reports those on users' tables.
fn provide_indexes(compiled: &Compiled) -> Result<()> {
    for missing in compiled.plan.missing_indexes() {
        if two_steps::is_image(&missing.relation) {
            let (image, column) = (missing.relation, missing.column);
            utility::run_as_extension_owner(&format!("CREATE INDEX ON {image} ({column})"))?;
            continue;
        }
        report::notice(
            &format!(
                "no index on {} leads with {}",
                missing.relation, missing.column
            ),
            Some(&format!(
                "Its {} look-ups scan the whole table.",
                missing.purpose
            )),
            Some(&format!(
                "CREATE INDEX ON {} ({}) makes refreshes cost in proportion to the change.",
                missing.relation, missing.column
            )),
        );
    }
    Ok(())
}

/// Makes them for this plan.
pub fn prepare_compiled(table: &StreamTable, compiled: &Compiled) -> Result<()> {
    let sources: Vec<_> = compiled
        .tables
        .iter()
        .map(|source| (source.oid, source.attnums.as_slice()))
        .collect();
    // Stored first: triggers on what nothing reads are taken for left over when others are made.
    dependencies::sync(table.pgt_id, &sources, true)?;
    for source in &compiled.tables {
        if table.refresh_mode == RefreshMode::Immediate {
            immediate::prepare_source(source.oid)?;
        } else if source.is_stream_table {
            cdc::install_buffer_only(source.oid, &source.attnums)?;
        } else {
            cdc::install(source.oid, &source.attnums)?;
        }
    }
    // Nothing notifies the coordinator of changes on nodes.
    let is_polled = compiled.plan.is_polled() || table.is_in_two_steps();
    if table.is_polled != is_polled {
        catalog::set_polled(table.pgt_id, is_polled)?;
    }
    replica_identity::ensure(table.relid)?;
    layout::drop_key_index(table, Some(compiled))?;
    layout::create_state_tables(table, compiled)
}

/// The plan of a stream table that must have one.
pub fn supported(table: &StreamTable) -> Result<Rc<Compiled>> {
    match plan_cache::get(table)? {
        plan_cache::Outcome::Compiled(compiled) => Ok(compiled),
        plan_cache::Outcome::Unsupported(obstacles) => Err(Error::Unsupported(obstacles)),
    }
}
