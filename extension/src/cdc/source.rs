//! Which relations can be captured, and which tables belong to a source.

use crate::error::{CaptureError, Result};
use crate::pg::catalog_scan;
use crate::pg::citus;
use crate::pg::inherit;
use crate::pg::lock_mode::LockMode;
use crate::pg::name;
use crate::pg::relation::{Relation, storage};
use crate::pg::running_writes;
use crate::pg::timescale;
use pgrx::pg_sys;

/// `pg_subscription_rel` and its index over relation and subscription.
const SUBSCRIPTION_REL: pg_sys::Oid = pg_sys::Oid::from_u32(6102);
const SUBSCRIPTION_REL_BY_RELATION: pg_sys::Oid = pg_sys::Oid::from_u32(6117);
const SUBSCRIPTION_REL_RELATION: u32 = 2;

/// Why the changes of `source` cannot be captured; `None` if they can. What is below it is not locked.
pub fn obstacle(source: pg_sys::Oid) -> Result<Option<CaptureError>> {
    let table = Relation::open(source, LockMode::AccessShare)?;
    let name = table.name();
    let own = match (table.kind(), table.persistence()) {
        (b'r' | b'p', b'p') => None,
        (b'r' | b'p', b'u') => Some(CaptureError::Unlogged(name.clone())),
        _ => Some(CaptureError::NotATable(name.clone())),
    };
    if own.is_some() {
        return Ok(own);
    }
    if timescale::hypertable_of(source).is_some() {
        return Ok(Some(CaptureError::Chunk(name)));
    }
    let tree = inherit::tree(source, LockMode::None);
    Ok(tree.into_iter().find_map(|member| {
        if let Some(kind) = citus::kind(member) {
            return Some(CaptureError::Citus(name.clone(), kind));
        }
        let child = || name::relation_name(member).unwrap_or_default();
        match storage(member)? {
            (b'f', _) => Some(CaptureError::ForeignChild {
                table: name.clone(),
                child: child(),
            }),
            (_, b'u') => Some(CaptureError::Unlogged(child())),
            _ => None,
        }
    }))
}

/// Whether a table, or one below it, keeps a source that it is or belongs to from being captured. Only what a command has
/// altered can have come to: what is beside it is not looked at, nor is any table locked, since commands on the parts
/// of a source must not wait for each other.
pub fn is_obstacle(altered: pg_sys::Oid, source: pg_sys::Oid) -> bool {
    if altered == source && timescale::hypertable_of(source).is_some() {
        return true;
    }
    inherit::tree(altered, LockMode::None)
        .into_iter()
        .any(|member| {
            let is_one = match storage(member) {
                Some((kind, persistence)) if member == source => {
                    !matches!((kind, persistence), (b'r' | b'p', b'p'))
                }
                Some((kind, persistence)) => kind == b'f' || persistence == b'u',
                None => false,
            };
            is_one || citus::kind(member).is_some()
        })
}

/// The source and all tables below it, locked in that mode, that have triggers: the chunks of a hypertable have none.
pub fn members(source: pg_sys::Oid, lockmode: LockMode) -> Vec<pg_sys::Oid> {
    let tree = inherit::tree(source, lockmode);
    if tree.len() > 1 && timescale::is_hypertable(source) {
        return vec![source];
    }
    tree
}

/// Locks the chunks of a hypertable as [`lock_idle`] does the table itself.
pub fn lock_chunks(source: pg_sys::Oid) {
    if timescale::is_hypertable(source) {
        inherit::tree(source, LockMode::AccessShare);
    }
}

/// What capture of a source depends on: its partitions and children, and the tables above them, through which they may
/// be written. When it changes, capture is reinstalled and the content recomputed. The chunks of a hypertable do not count:
/// new ones are filled by statements on it, and those that go have its readers recomputed. Nothing is locked.
pub fn partitions_signature(source: pg_sys::Oid) -> Result<Vec<u32>> {
    let tree = members(source, LockMode::None);
    let mut signature: Vec<u32> = tree.iter().map(|table| table.to_u32()).collect();
    signature.extend(
        inherit::parents(source)
            .iter()
            .chain(&inherit::parents_outside(source, &tree))
            .map(|parent| parent.to_u32()),
    );
    Ok(signature)
}

/// Locks a source, or a table below one, in the weakest mode. Refuses one that this session is writing, by the
/// statement whose trigger or function asks for the refresh for instance: the table shows its rows already, but its
/// changes are captured only when it ends.
pub fn lock_idle(table: pg_sys::Oid) -> Result<()> {
    match Relation::try_open(table, LockMode::AccessShare) {
        Some(table) => require_idle(&table),
        None => Ok(()),
    }
}

/// Refuses a table that this session is writing.
pub fn require_idle(table: &Relation) -> Result<()> {
    match running_writes::is_written(table) {
        true => Err(CaptureError::InUse(table.name()).into()),
        false => Ok(()),
    }
}

/// Whether the table, or one below it, is the target of a subscription.
pub fn is_subscribed(source: pg_sys::Oid) -> bool {
    inherit::tree(source, LockMode::None)
        .into_iter()
        .any(is_target)
}

fn is_target(table: pg_sys::Oid) -> bool {
    let mut found = false;
    catalog_scan::each(
        SUBSCRIPTION_REL,
        SUBSCRIPTION_REL_BY_RELATION,
        &[catalog_scan::oid_key(SUBSCRIPTION_REL_RELATION, table)],
        |_| {
            found = true;
            false
        },
    );
    found
}
