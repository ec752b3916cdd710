//! The internal view of a stream table, which holds its query: schema and name.

/// Schema of the internal views.
pub const STATE_SCHEMA: &str = "pgtrickle_state";

/// Name of the internal view of a stream table.
pub fn view_name(pgt_id: i64) -> String {
    format!("view_{pgt_id}")
}

/// The stream table whose internal view has this name.
pub fn id_of_view(name: &str) -> Option<i64> {
    name.strip_prefix("view_")?.parse().ok()
}
