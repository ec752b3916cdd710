//! The tables that random queries read.

/// Tables: three without a key, one with the primary key `a`.
pub const TABLES: [(u32, &str); 4] = [(1, "r"), (2, "s"), (3, "t"), (KEYED, "k")];

/// The one with a key.
pub const KEYED: u32 = 4;

/// Rows of a table; `None` is NULL.
pub type Rows = Vec<Vec<Option<i64>>>;
