//! Row images: the bytes of a row after detoasting, independent of its types' equality.
//!
//! `1.0` and `1.00` are equal numbers but different images, so a change from one to the other is a
//! change. Two rows have the same image exactly if `datum_image_eq` holds for each column, or both
//! are NULL there. The 64-bit hash is stored in indexes: its encoding and function must not change.

use super::fmgr::Call;
use super::row::Row;
use super::unguarded;
use super::varlena::{self, Detoasted};
use crate::error::Error;
use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, FormData_pg_attribute};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// How the values of a column are held: all that an image depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageType {
    len: i16,
    by_value: bool,
}

impl ImageType {
    /// That of a type.
    pub fn of_type(type_oid: pg_sys::Oid) -> Self {
        let (mut len, mut by_value) = (0, false);
        // SAFETY: out parameters are valid; an unknown type is an error of the server's.
        unsafe { pg_sys::get_typlenbyval(type_oid, &mut len, &mut by_value) };
        ImageType { len, by_value }
    }
}

impl From<&FormData_pg_attribute> for ImageType {
    fn from(attribute: &FormData_pg_attribute) -> Self {
        ImageType {
            len: attribute.attlen,
            by_value: attribute.attbyval,
        }
    }
}

/// Appends the image of one value: a presence byte, and the length where the type leaves it open,
/// so that different rows of one row type never have the same bytes.
#[inline]
pub fn append(image: &mut Vec<u8>, value: Datum, is_null: bool, ty: ImageType) {
    if is_null {
        image.push(0);
        return;
    }
    image.push(1);
    if ty.by_value {
        let bytes = value.value().to_le_bytes();
        image.extend_from_slice(match ty.len {
            1 => &bytes[..1],
            2 => &bytes[..2],
            4 => &bytes[..4],
            _ => &bytes,
        });
    } else if ty.len > 0 {
        let data = value.cast_mut_ptr::<u8>();
        // SAFETY: a by-reference value of a fixed-length type points to that many bytes.
        image.extend_from_slice(unsafe { std::slice::from_raw_parts(data, ty.len as usize) });
    } else if ty.len == -1 {
        let detoasted = Detoasted::new(value);
        append_with_length(image, detoasted.bytes());
    } else {
        // SAFETY: the remaining kind, -2, is a C string.
        let text = unsafe { std::ffi::CStr::from_ptr(value.cast_mut_ptr()) };
        append_with_length(image, text.to_bytes());
    }
}

fn append_with_length(image: &mut Vec<u8>, bytes: &[u8]) {
    image.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    image.extend_from_slice(bytes);
}

thread_local! {
    /// The seed of the hashes that are not stored.
    static SEED: u64 = RandomState::new().hash_one(0);

    /// The bytes of the row being hashed, kept to save an allocation per row.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What the scratch buffer may keep after an unusually wide row.
const SCRATCH_BYTES_MAX: usize = 1 << 16;

fn with_image<R>(
    columns: impl Iterator<Item = (Datum, bool, ImageType)>,
    digest: impl FnOnce(&[u8]) -> R,
) -> R {
    // Taken, not borrowed: detoasting can raise an error, which must not poison the cell.
    let mut image = SCRATCH.take();
    image.clear();
    for (value, is_null, ty) in columns {
        append(&mut image, value, is_null, ty);
    }
    let result = digest(&image);
    image.shrink_to(SCRATCH_BYTES_MAX);
    SCRATCH.set(image);
    result
}

/// The columns of a row with their types.
fn columns<T: Into<ImageType>>(
    row: Row<'_>,
    types: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (Datum, bool, ImageType)> {
    let columns = row.columns().zip(types);
    columns.map(|((value, is_null), ty)| (value, is_null, ty.into()))
}

/// The 64-bit hash of a row's image: what `pgtrickle.row_image_hash` returns.
pub fn hash64<T: Into<ImageType>>(row: Row<'_>, types: impl IntoIterator<Item = T>) -> i64 {
    with_image(columns(row, types), |image| xxh3_64(image) as i64)
}

/// A 128-bit hash of a row's image, taken as the row's identity where rows are consolidated. It is
/// seeded per session, so that rows that collide cannot be prepared.
pub fn hash128<T: Into<ImageType>>(row: Row<'_>, types: impl IntoIterator<Item = T>) -> u128 {
    let seed = SEED.with(|seed| *seed);
    with_image(columns(row, types), |image| xxh3_128_with_seed(image, seed))
}

/// Like [`datum_equal`] for values as tables hold them: two copies of one TOAST pointer are equal
/// without fetching what they point to.
///
/// # Safety
/// Called within [`unguarded::guarded`]; both values are of the type that `ty` describes.
#[inline]
pub unsafe fn stored_equal_unguarded(a: Datum, b: Datum, ty: ImageType) -> bool {
    if ty.len == -1 && varlena::is_same_pointer(a, b) {
        return true;
    }
    // SAFETY: per contract.
    unsafe { unguarded::datum_image_eq(a, b, ty.by_value, i32::from(ty.len)) }
}

/// A map by 128-bit image hashes, which need no further hashing.
pub type ImageMap<V> = HashMap<u128, V, BuildHasherDefault<LowBits>>;

/// Takes the low half of an image hash as it is.
#[derive(Debug, Default)]
pub struct LowBits(u64);

impl Hasher for LowBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for (i, byte) in bytes.iter().take(8).enumerate() {
            self.0 ^= u64::from(*byte) << (8 * i);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// Whether two values that are not NULL have the same image.
pub fn datum_equal(a: Datum, b: Datum, ty: impl Into<ImageType>) -> bool {
    let ty = ty.into();
    // SAFETY: both values are of the type that `ty` describes.
    unsafe { super::ffi::datum_image_eq(a, b, ty.by_value, i32::from(ty.len)) }
}

crate::sql_function! {
    /// `pgtrickle.row_image_hash(VARIADIC "any") RETURNS bigint`: [`hash64`] of the arguments.
    fn pgtrickle_row_image_hash, pg_finfo_pgtrickle_row_image_hash, row_image_hash
}

pgrx::extension_sql!(
    r#"
CREATE FUNCTION pgtrickle.row_image_hash(VARIADIC "any") RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgtrickle_row_image_hash';
COMMENT ON FUNCTION pgtrickle.row_image_hash(VARIADIC "any") IS
    'hash of the binary image of the arguments, NULLs included';
"#,
    name = "row_image_hash"
);

fn row_image_hash(call: &Call) -> Datum {
    let arguments = call.arguments();
    // SAFETY: only this function's own types are remembered, one per argument.
    let types = match unsafe { call.remembered::<ImageType>(arguments.len()) } {
        Some(types) => types,
        None => &argument_types(call, arguments.len()),
    };
    let columns = arguments.iter().zip(types);
    let columns = columns.map(|(argument, ty)| (argument.value, argument.isnull, *ty));
    with_image(columns, |image| xxh3_64(image) as i64).into()
}

/// Looks the arguments' types up and remembers them for the next call.
fn argument_types(call: &Call, count: usize) -> Vec<ImageType> {
    if call.has_variadic_array() {
        Error::VariadicArray("pgtrickle.row_image_hash").report();
    }
    let types: Vec<ImageType> = (0..count)
        .map(|index| ImageType::of_type(call.argument_type(index)))
        .collect();
    call.remember(&types);
    types
}

/// Copies the values of a row into the current memory context.
pub fn copy_row<T: Into<ImageType>>(
    row: Row<'_>,
    types: impl IntoIterator<Item = T>,
) -> Vec<Datum> {
    let copy = |(value, is_null, ty): (Datum, bool, ImageType)| match is_null {
        true => Datum::from(0),
        // SAFETY: the value is of the type that `ty` describes.
        false => unsafe { super::ffi::datumCopy(value, ty.by_value, i32::from(ty.len)) },
    };
    columns(row, types).map(copy).collect()
}
