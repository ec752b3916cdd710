//! Locks on pages: in 19 the function of that name is one of its headers, over another with the same modes to take.

use pgrx::pg_sys::Buffer;
use std::ffi::c_int;

unsafe extern "C-unwind" {
    /// `storage/bufmgr.h`
    #[cfg(not(feature = "pg19"))]
    fn LockBuffer(buffer: Buffer, mode: c_int);

    /// `storage/bufmgr.h`
    #[cfg(feature = "pg19")]
    #[link_name = "LockBufferInternal"]
    fn LockBuffer(buffer: Buffer, mode: c_int);
}

/// `BUFFER_LOCK_SHARE` in every version.
const SHARE: c_int = 1;

/// Locks a page against changes.
///
/// # Safety
/// Called within a guard, with a page that is pinned and not locked.
#[inline]
pub unsafe fn share(buffer: Buffer) {
    // SAFETY: per contract.
    unsafe { LockBuffer(buffer, SHARE) }
}
