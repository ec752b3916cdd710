//! The checkers, one invariant in each file. They watch for the whole run and are never relaxed: a fault excuses
//! an error that a checker's own session meets, and the time that recovery takes, but no result.

pub mod frontier;
pub mod history;
pub mod ledger;
pub mod log;
pub mod memory;
pub mod oracle;
pub mod staleness;
pub mod storage;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use harness::client::{Session, SqlError};

use crate::arena::Arena;

/// Looks again and again, with a new session when one is lost.
async fn watch<F, Fut>(arena: Arc<Arena>, who: &'static str, period: Duration, mut look: F)
where
    F: FnMut(Arc<Arena>, Arc<Session>) -> Fut + Send,
    Fut: Future<Output = Result<(), SqlError>> + Send,
{
    while let Some(session) = arena.connect(who).await {
        let session = Arc::new(session);
        while arena.is_running() {
            if let Err(error) = look(Arc::clone(&arena), Arc::clone(&session)).await {
                arena.report(who, &error);
                break;
            }
            arena.rest(period).await;
        }
        if !arena.is_running() {
            return;
        }
    }
}
