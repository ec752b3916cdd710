//! No row of the history says that something is still going on, and no stream table is given up.

use std::sync::Arc;
use std::time::Duration;

use crate::arena::Arena;

const WHO: &str = "history";

const UNFINISHED: &str =
    "SELECT coalesce(string_agg(h::text, ' '), '') FROM pgtrickle.pgt_refresh_history h
    WHERE finished_at IS NULL OR finished_at < started_at OR status NOT IN ('COMPLETED', 'FAILED')";

const SUSPENDED: &str =
    "SELECT coalesce(string_agg(name || ': ' || coalesce(last_error, ''), ' '), '')
    FROM pgtrickle.pgt_status() WHERE status = 'SUSPENDED'";

/// Looks again and again.
pub async fn watch(arena: Arc<Arena>) {
    super::watch(
        arena,
        WHO,
        Duration::from_secs(3),
        |arena, session| async move {
            for (sql, what) in [(UNFINISHED, "unfinished"), (SUSPENDED, "suspended")] {
                let found = session.scalar(sql).await?;
                if !found.is_empty() {
                    arena.violation(WHO, &format!("{what}: {found}"));
                }
            }
            Ok(())
        },
    )
    .await;
}
