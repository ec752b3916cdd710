//! The name of the relation that holds a shard, as Citus forms it.

use pgrx::pg_sys;

use super::name::c_string;
use crate::error::Result;

/// The longest name, in bytes, that a relation can have.
const NAME_MAX: usize = pg_sys::NAMEDATALEN as usize - 1;
/// How long the hash in a name is, with the underscore in front of it.
const HASH: usize = 9;

/// The name of a shard of the table of this name: `name_shard`, and for a name that is too long for that,
/// `begin_hash_shard`.
pub fn of(table: &str, shard: i64) -> Result<String> {
    let suffix = format!("_{shard}");
    if table.len() + suffix.len() <= NAME_MAX {
        return Ok(format!("{table}{suffix}"));
    }
    let name = c_string(table)?;
    let kept = NAME_MAX.saturating_sub(suffix.len() + HASH);
    // SAFETY: a NUL-terminated string of the length that is passed.
    let (hash, length) = unsafe {
        let bytes = name.as_ptr();
        let length = table.len() as i32;
        let hash = pg_sys::hash_bytes(bytes.cast(), length);
        (hash, pg_sys::pg_mbcliplen(bytes, length, kept as i32))
    };
    let begin = table.get(..length.max(0) as usize).unwrap_or_default();
    Ok(format!("{begin}_{hash:08x}{suffix}"))
}
