//! The pages in a bitmap that an index fills: the iterator has had another form since 18.

use pgrx::pg_sys;

/// Begins a scan of an index that fills a bitmap.
///
/// # Safety
/// The index is open and the snapshot registered for as long as the scan.
pub unsafe fn begin(
    index: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    keys: i32,
) -> pg_sys::IndexScanDesc {
    // SAFETY: per contract.
    unsafe {
        #[cfg(feature = "pg17")]
        let scan = pg_sys::index_beginscan_bitmap(index, snapshot, keys);
        #[cfg(not(feature = "pg17"))]
        let scan = pg_sys::index_beginscan_bitmap(index, snapshot, std::ptr::null_mut(), keys);
        scan
    }
}

/// An empty bitmap of at most so many bytes.
///
/// # Safety
/// It lives in the current memory context.
pub unsafe fn create(bytes: usize) -> *mut pg_sys::TIDBitmap {
    // SAFETY: allocates.
    #[allow(clippy::cast_possible_wrap)]
    unsafe {
        #[cfg(feature = "pg17")]
        let bytes = bytes as std::ffi::c_long;
        pg_sys::tbm_create(bytes, std::ptr::null_mut())
    }
}

/// Calls `each` with the pages in it, in ascending order.
///
/// # Safety
/// A filled bitmap.
pub unsafe fn each_page(bitmap: *mut pg_sys::TIDBitmap, mut each: impl FnMut(u32)) {
    // SAFETY: per contract; the iterator is ended where it began.
    #[cfg(feature = "pg17")]
    unsafe {
        let iterator = pg_sys::tbm_begin_iterate(bitmap);
        while let Some(page) = pg_sys::tbm_iterate(iterator).as_ref() {
            each(page.blockno);
        }
        pg_sys::tbm_end_iterate(iterator);
    }
    // SAFETY: as above.
    #[cfg(not(feature = "pg17"))]
    unsafe {
        let iterator = pg_sys::tbm_begin_private_iterate(bitmap);
        let mut page = pg_sys::TBMIterateResult::default();
        while pg_sys::tbm_private_iterate(iterator, &mut page) {
            each(page.blockno);
        }
        pg_sys::tbm_end_private_iterate(iterator);
    }
}
