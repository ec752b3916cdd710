//! A heartbeat arrives in its stream table, and at the end of a chain of four, within a bound while nothing is broken.

use std::sync::Arc;
use std::time::Duration;

use harness::client::{Session, SqlError};

use crate::arena::Arena;

const WHO: &str = "staleness";

/// Seconds by which the copy and the end of the chain are behind the clock.
pub async fn behind_s(session: &Session) -> Result<(f64, f64), SqlError> {
    let rows = session
        .rows(
            "SELECT EXTRACT(epoch FROM clock_timestamp() - (SELECT at FROM beat_copy)),
                    EXTRACT(epoch FROM clock_timestamp() - (SELECT at FROM beat_deep))",
        )
        .await?;
    let cell = |at: usize| {
        let text = rows.first()?.get(at)?.as_deref()?;
        text.parse::<f64>().ok()
    };
    Ok((cell(0).unwrap_or(f64::MAX), cell(1).unwrap_or(f64::MAX)))
}

/// Looks again and again. Right after a fault there may be something to catch up with.
pub async fn watch(arena: Arc<Arena>) {
    super::watch(arena, WHO, Duration::from_secs(1), |arena, session| async move {
        let limit = arena.profile.staleness_limit();
        let (copy_s, deep_s) = behind_s(&session).await?;
        if copy_s.max(deep_s) > limit.as_secs_f64() && arena.windows.calm_for(limit) {
            arena.violation(
                WHO,
                &format!("the heartbeat is {copy_s:.1} s behind, {deep_s:.1} s at the end of the chain; the limit is {limit:?}"),
            );
        }
        Ok(())
    })
    .await;
}
