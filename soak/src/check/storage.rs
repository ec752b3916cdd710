//! Change buffers are kept short, and no WAL is held back.

use std::sync::Arc;
use std::time::Duration;

use harness::client::{Session, SqlError};

use crate::arena::Arena;

const WHO: &str = "storage";

/// What the server's own settings allow for WAL, with room for a checkpoint that is late.
pub const WAL_LIMIT_BYTES: u64 = 3 << 30;

/// Bytes and rows of all change buffers, and bytes of WAL.
pub async fn sizes(session: &Session) -> Result<[u64; 3], SqlError> {
    let rows = session
        .rows(
            "SELECT (SELECT coalesce(sum(bytes), 0) FROM pgtrickle.change_buffer_sizes()),
                    (SELECT coalesce(sum(rows), 0) FROM pgtrickle.change_buffer_sizes()),
                    (SELECT sum(size) FROM pg_ls_waldir())",
        )
        .await?;
    let cell = |at: usize| {
        let text = rows.first()?.get(at)?.as_deref()?;
        text.parse::<u64>().ok()
    };
    Ok([0, 1, 2].map(|at| cell(at).unwrap_or(0)))
}

/// Looks again and again.
pub async fn watch(arena: Arc<Arena>) {
    super::watch(arena, WHO, Duration::from_secs(5), |arena, session| async move {
        let [buffer_bytes, rows, wal_bytes] = sizes(&session).await?;
        let limit = arena.profile.buffer_limit_bytes();
        if buffer_bytes > limit && arena.windows.calm_for(arena.profile.staleness_limit()) {
            arena.violation(
                WHO,
                &format!("change buffers hold {rows} rows in {buffer_bytes} bytes; the limit is {limit}"),
            );
        }
        if wal_bytes > WAL_LIMIT_BYTES {
            arena.violation(WHO, &format!("{wal_bytes} bytes of WAL are kept"));
        }
        Ok(())
    })
    .await;
}
