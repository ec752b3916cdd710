//! temporary seam
use crate::error::Result;
use crate::pg::slot::Slot;
use pgrx::pg_sys;
#[derive(Debug)]
pub struct BufferWriter;
impl BufferWriter {
    pub fn open(_t: pg_sys::Oid) -> Result<Option<Self>> {
        Ok(None)
    }
    pub fn push(&mut self, _s: &mut Slot, _w: i32) -> Result<()> {
        Ok(())
    }
    pub fn push_recompute(&mut self) {}
    pub fn finish(self) -> Result<()> {
        Ok(())
    }
}
pub fn install(_o: pg_sys::Oid, _a: &[i16]) -> Result<()> {
    Ok(())
}
pub fn install_buffer_only(_o: pg_sys::Oid, _a: &[i16]) -> Result<()> {
    Ok(())
}
pub fn uninstall(_o: pg_sys::Oid) -> Result<()> {
    Ok(())
}
pub fn wants_cleanup(_o: pg_sys::Oid) -> Result<bool> {
    Ok(false)
}
pub fn cleanup(_o: pg_sys::Oid, _f: &[pgtrickle_dvm::frontier::Frontier]) -> Result<()> {
    Ok(())
}
pub fn partitions_signature(_o: pg_sys::Oid) -> Result<i64> {
    Ok(0)
}
pub struct D {
    pub recompute: bool,
    pub raw_rows: u64,
    pub rows: u64,
    pub store: crate::pg::tuplestore::TupleStore,
}
pub fn read_delta(
    _o: pg_sys::Oid,
    _a: &[i16],
    _f: &pgtrickle_dvm::frontier::Frontier,
    context: pg_sys::MemoryContext,
) -> Result<D> {
    let desc = unsafe { pg_sys::CreateTemplateTupleDesc(0) };
    Ok(D {
        recompute: true,
        raw_rows: 0,
        rows: 0,
        store: crate::pg::tuplestore::TupleStore::new(context, desc),
    })
}
