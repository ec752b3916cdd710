//! Places of row versions: block and offset.

use pgrx::pg_sys;

/// The place of a row version.
pub fn tid(block: u32, offset: u16) -> pg_sys::ItemPointerData {
    pg_sys::ItemPointerData {
        ip_blkid: pg_sys::BlockIdData {
            bi_hi: (block >> 16) as u16,
            bi_lo: block as u16,
        },
        ip_posid: offset,
    }
}

/// The block of a place.
pub fn block_of(tid: pg_sys::ItemPointerData) -> u32 {
    let block = tid.ip_blkid;
    (u32::from(block.bi_hi) << 16) | u32::from(block.bi_lo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_keeps_its_block() {
        assert_eq!(block_of(tid(0x0001_0203, 4)), 0x0001_0203);
    }
}
