//! Versions of a row, as triggers are given them.

use super::image::{self, ImageType};
use super::row::Row;

/// Whether two versions of a row differ in the column at this position.
///
/// # Safety
/// Called within [`super::unguarded::guarded`]; both are rows whose column there has this type.
pub unsafe fn differ_at(at: usize, ty: ImageType, before: Row<'_>, after: Row<'_>) -> bool {
    match (before.get(at), after.get(at)) {
        (Some((a, false)), Some((b, false))) => {
            // SAFETY: both are values of the column at `at`.
            !unsafe { image::stored_equal_unguarded(a, b, ty) }
        }
        (a, b) => a.map(|(_, is_null)| is_null) != b.map(|(_, is_null)| is_null),
    }
}
