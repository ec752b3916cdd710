//! Databases with the engine in them, and what must be left of it at the end: nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::backend::Backend;
use crate::client::{Session, SqlError, quote_ident};

/// The database that others are copied from.
const TEMPLATE: &str = "pgt_template";

/// A server with a template database.
#[derive(Debug)]
pub struct World<'a> {
    /// The server.
    pub server: &'a dyn Backend,
    next: AtomicU32,
}

impl<'a> World<'a> {
    /// Makes the template; `install` is what turns an empty database into one with stream tables.
    pub async fn new(server: &'a dyn Backend, install: &str) -> Result<Self, SqlError> {
        let admin = Session::connect(server, "postgres").await?;
        admin
            .execute(&format!("CREATE DATABASE {TEMPLATE}"))
            .await?;
        Session::connect(server, TEMPLATE)
            .await?
            .execute(install)
            .await?;
        Ok(Self {
            server,
            next: AtomicU32::new(0),
        })
    }

    /// The template with the extension in it.
    pub async fn with_extension(server: &'a dyn Backend) -> Result<Self, SqlError> {
        Self::new(server, "CREATE EXTENSION pg_trickle").await
    }

    /// A new database; settings apply to every session in it.
    pub async fn database(
        &self,
        prefix: &str,
        settings: &[(&str, &str)],
    ) -> Result<String, SqlError> {
        let name = format!("{prefix}_{}", self.next.fetch_add(1, Ordering::Relaxed));
        let quoted = quote_ident(&name);
        let admin = self.admin().await?;
        // A session of the template that is just ending makes this fail for a moment.
        let create = format!("CREATE DATABASE {quoted} TEMPLATE {TEMPLATE}");
        let mut result = admin.execute(&create).await;
        for _ in 0..50 {
            match &result {
                Err(error) if error.sqlstate == "55006" => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    result = admin.execute(&create).await;
                }
                _ => break,
            }
        }
        result?;
        for (setting, value) in settings {
            let value = crate::client::quote_literal(value);
            admin
                .execute(&format!("ALTER DATABASE {quoted} SET {setting} = {value}"))
                .await?;
        }
        Ok(name)
    }

    /// Removes a database and ends its sessions.
    pub async fn remove(&self, database: &str) -> Result<(), SqlError> {
        let quoted = quote_ident(database);
        self.admin()
            .await?
            .execute(&format!("DROP DATABASE IF EXISTS {quoted} WITH (FORCE)"))
            .await
    }

    /// A session beside the databases. Waits while the server recovers from a crash that some
    /// scenario caused, so that the others go on.
    async fn admin(&self) -> Result<Session, SqlError> {
        let mut session = Session::connect(self.server, "postgres").await;
        for _ in 0..200 {
            match &session {
                Err(error) if error.is_connection_loss() => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    session = Session::connect(self.server, "postgres").await;
                }
                _ => break,
            }
        }
        session
    }
}

/// What a database still has of stream tables. Empty once all of them are dropped.
pub async fn orphans(session: &Session) -> Result<Vec<String>, SqlError> {
    let rows = session
        .rows(
            "SELECT format('%s %I.%I', c.relkind, n.nspname, c.relname)
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname IN ('pgtrickle_state', 'pgtrickle_changes')
                AND c.relkind IN ('r', 'v', 'p', 'm')
             UNION ALL
             SELECT format('function %I.%I', n.nspname, p.proname)
               FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname IN ('pgtrickle_state', 'pgtrickle_changes')
             UNION ALL
             SELECT format('trigger %I on %s', tgname, tgrelid::regclass)
               FROM pg_catalog.pg_trigger
              WHERE tgname ~ '^pgt_(cdc|guard|immediate)'
             UNION ALL
             SELECT format('pgt_stream_tables: %s', pgt_id) FROM pgtrickle.pgt_stream_tables
             UNION ALL
             SELECT format('pgt_last_writers: %s', pgt_id) FROM pgtrickle.pgt_last_writers
             UNION ALL
             SELECT format('pgt_dependencies: %s on %s', pgt_id, source_relid)
               FROM pgtrickle.pgt_dependencies
             ORDER BY 1",
        )
        .await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// What was written to sources that no trigger saw, as the extension's watch has it. Empty unless triggers were off or
/// code wrote by itself: the watch must raise no false alarm.
pub async fn unseen_writes(session: &Session) -> Result<Vec<String>, SqlError> {
    let rows = session
        .rows(
            "SELECT format('%s rows of %s, %s', rows, source_relid, cause)
               FROM pgtrickle.pgt_unseen_writes ORDER BY written_at",
        )
        .await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}
