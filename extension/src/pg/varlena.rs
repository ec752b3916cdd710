//! Values of variable length: plain, short, compressed or out of line.

use super::is_aborting;
use pgrx::pg_sys;
use pgrx::varlena::{
    varatt_is_1b_e, varatt_is_4b_c, vardata_any, varsize_any_exhdr, varsize_external, vartag_1b_e,
};

/// A value in memory and uncompressed; a copy, if one had to be made, is freed on drop.
#[derive(Debug)]
pub struct Detoasted {
    plain: *mut pg_sys::varlena,
    is_copy: bool,
}

impl Detoasted {
    /// Fetches and uncompresses a value of variable length if necessary.
    #[inline]
    pub fn new(value: pg_sys::Datum) -> Self {
        let stored = value.cast_mut_ptr::<pg_sys::varlena>();
        if !is_toasted(value) {
            return Detoasted {
                plain: stored,
                is_copy: false,
            };
        }
        // SAFETY: a valid value of variable length.
        let plain = unsafe { pg_sys::pg_detoast_datum_packed(stored) };
        Detoasted {
            plain,
            is_copy: plain != stored,
        }
    }

    /// Its bytes, without header.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: plain has a one- or four-byte header and that many bytes.
        unsafe {
            let data = vardata_any(self.plain).cast::<u8>();
            std::slice::from_raw_parts(data, varsize_any_exhdr(self.plain))
        }
    }
}

impl Drop for Detoasted {
    fn drop(&mut self) {
        if self.is_copy && !is_aborting() {
            // SAFETY: palloc'd by detoasting.
            unsafe { pg_sys::pfree(self.plain.cast()) }
        }
    }
}

/// Whether a value of variable length is compressed, out of line or expanded.
#[inline]
pub fn is_toasted(value: pg_sys::Datum) -> bool {
    let stored = value.cast_mut_ptr::<pg_sys::varlena>();
    // SAFETY: a valid value of variable length; only its header is read.
    unsafe { varatt_is_1b_e(stored) || varatt_is_4b_c(stored) }
}

/// Whether both are the same pointer to a value stored out of line in a table.
pub fn is_same_pointer(a: pg_sys::Datum, b: pg_sys::Datum) -> bool {
    let (a, b) = (
        a.cast_mut_ptr::<pg_sys::varlena>().cast_const(),
        b.cast_mut_ptr::<pg_sys::varlena>().cast_const(),
    );
    // SAFETY: valid values of variable length; a pointer's size follows from its tag.
    unsafe {
        if !varatt_is_1b_e(a) || !varatt_is_1b_e(b) {
            return false;
        }
        let on_disk = pg_sys::vartag_external::VARTAG_ONDISK as u8;
        if vartag_1b_e(a) != on_disk || vartag_1b_e(b) != on_disk {
            return false;
        }
        let size = varsize_external(a);
        std::slice::from_raw_parts(a.cast::<u8>(), size)
            == std::slice::from_raw_parts(b.cast::<u8>(), size)
    }
}
