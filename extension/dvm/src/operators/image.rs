//! Subqueries that are computed whole (recursion, foreign tables, materialized views).
//!
//! ```text
//! ΔO = O⁺ − O⁻
//! ```
//! where O⁺ is the subquery's result at the snapshot, and O⁻ its image from the last refresh. The
//! difference of two bags of rows is exact for any subquery, so everything above it is maintained by
//! deltas.
//!
//! State: the image. Cost: the subquery and one pass over the image, when one of its sources
//! changed, or at each refresh if changes cannot be captured.

use crate::plan::Image;
use crate::sql::names::column;

/// The subquery's rows under the names of its image's columns.
pub fn content(image: &Image) -> String {
    let names: Vec<String> = (0..image.opaque.columns.len()).map(column).collect();
    let (query, names) = (&image.opaque.query, names.join(", "));
    match names.is_empty() {
        true => format!("SELECT FROM ({query}) AS q"),
        false => format!("SELECT {names} FROM ({query}) AS q({names})"),
    }
}
