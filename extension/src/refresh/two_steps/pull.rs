//! Fetching the changes of parts from the nodes.

use std::cell::RefCell;
use std::collections::BTreeSet;

use pgrx::pg_sys;

use super::apply::{self, Taken};
use super::division::{self, Divided, PartQuery};
use super::layout;
use super::names::names;
use crate::catalog::StreamTable;
use crate::citus::{self, Argument};
use crate::error::{Error, Result, SpreadError};
use crate::pg::transaction;
use crate::pg::user::OwnerContext;
use crate::pg::{citus as shards, depend};
use crate::refresh::Task;
use crate::refresh::spread::{heard_from_all, require_beside};

/// The function that the nodes are asked for.
const FUNCTION: &str = "take_part";

thread_local! {
    /// A transaction, and the stream tables that were pulled in it.
    static PULLED: RefCell<(u32, BTreeSet<i64>)> = const { RefCell::new((0, BTreeSet::new())) };
}

/// Brings the images of a stream table up to date with the parts on the nodes; from nothing if `is_forced`.
///
/// A node deletes what is reported as applied. So a transaction reports nothing that it has stored itself: it asks once.
pub fn pull(table: &StreamTable, is_forced: bool) -> Result<()> {
    let is_first = PULLED.with_borrow_mut(|(transaction, pulled)| {
        let present = transaction::local_id();
        if *transaction != present {
            (*transaction, *pulled) = (present, BTreeSet::new());
        }
        pulled.insert(table.pgt_id)
    });
    if !is_first {
        return Ok(());
    }
    let Ok(divided) = division::present(table)? else {
        // The query has another meaning now, and is recomputed.
        return Ok(());
    };
    // The next time nodes forget what this time is taken.
    transaction::commit_durably();
    layout::follow(table, &divided)?;
    let Divided { parts, .. } = divided;
    for (number, part) in parts.iter().enumerate() {
        pull_part(table, number, part, is_forced)?;
    }
    Ok(())
}

fn pull_part(table: &StreamTable, number: usize, part: &PartQuery, is_forced: bool) -> Result<()> {
    let names = &names(table.pgt_id, number);
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let anchor = layout::find_anchor(table.pgt_id, number)?.ok_or(Error::Vanished)?;
    require_beside(table, anchor, std::iter::once(part.beside))?;
    let known = {
        let _owner = OwnerContext::enter(owner, &table.settings)?;
        apply::positions(names)?
    };
    let told: Vec<String> = match is_forced {
        true => Vec::new(),
        false => known.iter().map(Taken::told).collect(),
    };
    let task = match is_forced {
        true => Task::Recompute,
        false => Task::Refresh,
    };
    let arguments = [
        Argument::Text(&names.anchor),
        Argument::Text(&part.text),
        Argument::Text(&table.schedule),
        Argument::Text(table.status.name()),
        Argument::Texts(&table.settings.items()),
        Argument::Text(task.name()),
        Argument::Texts(&told),
    ];
    let answers = citus::call(&citus::nodes_of(anchor)?, owner, FUNCTION, &arguments)?;
    let answers = heard_from_all(table, answers, Ok)?;
    let _owner = OwnerContext::enter(owner, &table.settings)?;
    let taken = apply::read(&answers)?;
    require_each_once(table, anchor, &taken)?;
    apply::apply(table, names, &answers, &known, &taken)
}

/// Each shard is on one node. One that is moving may be on none for a moment.
fn require_each_once(table: &StreamTable, anchor: pg_sys::Oid, taken: &[Taken]) -> Result<()> {
    let mut wanted: BTreeSet<i64> = shards::shards(anchor)
        .iter()
        .map(|shard| shard.id)
        .collect();
    let mut unclear = Vec::new();
    for shard in taken {
        if !wanted.remove(&shard.shard) {
            unclear.push(shard.shard);
        }
    }
    unclear.extend(wanted);
    if unclear.is_empty() {
        return Ok(());
    }
    let shards: Vec<_> = unclear.iter().map(i64::to_string).collect();
    Err(SpreadError::ShardsUnclear {
        table: table.plain_name(),
        shards: shards.join(", "),
    }
    .into())
}
