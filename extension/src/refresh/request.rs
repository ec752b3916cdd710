//! A request for a refresh.

use crate::cdc::SharedDeltas;

/// What is asked of a refresh.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Recompute, whatever the changes.
    pub force_full: bool,
    /// Refresh at the active snapshot, which belongs to a group of stream tables that the caller
    /// has locked with [`super::lock_before_snapshot`], and leave the buffers for [`super::clean_up_after`]. What these
    /// have read of their sources.
    pub group: Option<&'a SharedDeltas>,
    /// Fail rather than apply more change rows than this.
    pub fuse_rows: Option<u64>,
}
