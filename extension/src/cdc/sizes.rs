//! Sizes of buffers and their pending readers, for reports.

use super::buffer;
use crate::error::Result;
use crate::frontier::Frontier;
use crate::pg::change_scan::ChangeScan;
use crate::pg::lock_mode::LockMode;
use crate::pg::relation::Relation;
use pgrx::pg_sys;

/// The size of one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferSize {
    /// The buffer.
    pub buffer: pg_sys::Oid,
    /// Its size on disk, with index and TOAST.
    pub bytes: u64,
    /// Change rows that the active snapshot shows.
    pub rows: u64,
    /// Those that at least one consumer has not consumed.
    pub pending_rows: u64,
}

/// The size of a source's buffer, of which `frontiers` are the consumers'; `None` if it has none.
/// Reads all of it.
pub fn size(source: pg_sys::Oid, frontiers: &[Frontier]) -> Result<Option<BufferSize>> {
    let Some(found) = buffer::find(source)? else {
        return Ok(None);
    };
    let Some(changes) = Relation::try_open(found, LockMode::AccessShare) else {
        return Ok(None);
    };
    let (mut rows, mut pending_rows) = (0, 0);
    let mut scan = ChangeScan::begin(&changes, 0)?;
    while let Some((xid, epoch)) = scan.next_id() {
        rows += 1;
        pending_rows += u64::from(!frontiers.iter().all(|f| f.consumes(xid, epoch)));
    }
    drop(scan);
    Ok(Some(BufferSize {
        buffer: found,
        bytes: changes.total_bytes(),
        rows,
        pending_rows,
    }))
}

/// For each of the frontiers, whether the source's buffer holds a change that it does not contain.
/// Reads until all of them have one.
pub fn has_news(source: pg_sys::Oid, frontiers: &[Frontier]) -> Result<Vec<bool>> {
    let mut news = vec![false; frontiers.len()];
    let Some(changes) =
        buffer::find(source)?.and_then(|oid| Relation::try_open(oid, LockMode::AccessShare))
    else {
        return Ok(news);
    };
    let first = frontiers.iter().map(Frontier::first_unconsumed).min();
    let mut scan = ChangeScan::begin(&changes, first.unwrap_or(0))?;
    while news.contains(&false)
        && let Some((xid, epoch)) = scan.next_id()
    {
        for (frontier, has) in frontiers.iter().zip(&mut news) {
            *has |= !frontier.consumes(xid, epoch);
        }
    }
    Ok(news)
}
