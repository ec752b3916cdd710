//! Watching the runtime: waiting for what it does by itself.

use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::client::{Session, SqlError};
use crate::cluster::{Cluster, ClusterError, ClusterOptions, ExtensionDir};
use crate::oracle;

/// How long anything may take that a busy machine may delay.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster with schedulers, and these settings.
pub fn scheduled_cluster(settings: &[(&str, &str)]) -> Result<Cluster, ClusterError> {
    let mut options = ClusterOptions::new()
        .extension(ExtensionDir::installed()?)
        .scheduled();
    for (name, value) in settings {
        options = options.setting(*name, *value);
    }
    Cluster::start(&options)
}

/// Waits until the query returns `t`, and says how long that took.
pub async fn wait_for(session: &Session, condition: &str) -> Result<Duration, SqlError> {
    wait_for_value(session, condition, "t").await
}

/// Waits until the query returns this value; the last one is in the error.
pub async fn wait_for_value(
    session: &Session,
    query: &str,
    wanted: &str,
) -> Result<Duration, SqlError> {
    let start = Instant::now();
    loop {
        let found = session.scalar(query).await?;
        if found == wanted {
            return Ok(start.elapsed());
        }
        if start.elapsed() > PATIENCE {
            return Err(SqlError {
                sqlstate: "57014".into(),
                message: format!("waited in vain for {wanted}, found {found}"),
                detail: None,
                hint: None,
                context: None,
                sql: query.to_owned(),
            });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until no change of any source is pending for this stream table, then asks the oracle.
pub async fn follows(session: &Session, name: &str) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let verdict = oracle::check(session, name)
            .await
            .map_err(|error| error.to_string())?;
        if verdict.is_exact() {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            let states =
                "SELECT string_agg(to_jsonb(s)::text, E'\\n') FROM pgtrickle.pgt_status() s";
            let states = session.scalar(states).await.unwrap_or_default();
            return Err(format!("{name} does not follow: it is {verdict}\n{states}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A session with the extension created.
pub async fn connect(server: &dyn Backend, database: &str) -> Result<Session, SqlError> {
    let session = Session::connect(server, database).await?;
    session
        .execute("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS pg_trickle")
        .await?;
    Ok(session)
}

/// A trigger function `gate()`: whoever writes a row of a table with it waits while somebody else
/// holds the advisory lock 42. So a refresh stops at a known point, and goes on when told to.
pub const GATE: &str = "
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(42);
    RETURN NEW;
END $$";

/// Waits until some worker stands at the gate.
pub async fn wait_for_gate(session: &Session) -> Result<Duration, SqlError> {
    wait_for(
        session,
        "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.objid = 42 AND NOT l.granted \
           AND a.backend_type = 'pg_trickle worker'",
    )
    .await
}
