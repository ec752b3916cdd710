//! Named sessions over the cluster's Unix socket.
//!
//! Everything goes through the simple query protocol: several statements at once, results as the
//! text that psql would show, errors with their SQLSTATE.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::backend::Backend;

/// A row as text; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// An error that the server, or the connection to it, reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// The SQLSTATE; `08006` when the connection broke.
    pub sqlstate: String,
    /// Primary message.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// CONTEXT.
    pub context: Option<String>,
    /// The statement or statements that were sent.
    pub sql: String,
}

/// The SQLSTATE of a broken connection.
pub const CONNECTION_FAILURE: &str = "08006";

/// The SQLSTATE of a serialization failure.
pub const SERIALIZATION_FAILURE: &str = "40001";

impl SqlError {
    /// Reads the server's error.
    fn new(error: &tokio_postgres::Error, sql: &str) -> Self {
        let sql = sql.to_owned();
        match error.as_db_error() {
            Some(db) => Self {
                sqlstate: db.code().code().to_owned(),
                message: db.message().to_owned(),
                detail: db.detail().map(str::to_owned),
                hint: db.hint().map(str::to_owned),
                context: db.where_().map(str::to_owned),
                sql,
            },
            None => Self {
                sqlstate: CONNECTION_FAILURE.into(),
                message: error.to_string(),
                detail: None,
                hint: None,
                context: None,
                sql,
            },
        }
    }

    /// Whether the session is gone.
    pub fn is_connection_loss(&self) -> bool {
        // 57P01…57P03: terminated by an administrator, by a crash, cannot connect now.
        self.sqlstate == CONNECTION_FAILURE || self.sqlstate.starts_with("57P0")
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)?;
        for (label, text) in [
            ("DETAIL", &self.detail),
            ("HINT", &self.hint),
            ("CONTEXT", &self.context),
        ] {
            if let Some(text) = text {
                write!(f, "\n{label}: {text}")?;
            }
        }
        write!(f, "\nin: {}", self.sql)
    }
}

impl std::error::Error for SqlError {}

/// The rows of a statement with its column names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// The value in this row's column, by name.
    pub fn value(&self, row: usize, column: &str) -> Option<&str> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(index)?.as_deref()
    }
}

/// One session.
pub struct Session {
    client: Client,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects as the superuser.
    pub async fn connect(server: &dyn Backend, database: &str) -> Result<Self, SqlError> {
        Self::connect_as(server, database, crate::cluster::SUPERUSER).await
    }

    /// Connects as this role. Must be called in a tokio runtime.
    pub async fn connect_as(
        server: &dyn Backend,
        database: &str,
        role: &str,
    ) -> Result<Self, SqlError> {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(server.socket_dir())
            .port(server.port())
            .user(role)
            .dbname(database)
            .application_name("harness");
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| SqlError::new(&error, "connect"))?;
        // Its end is seen by the client.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { client })
    }

    /// Runs statements, without their results.
    pub async fn execute(&self, sql: &str) -> Result<(), SqlError> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| SqlError::new(&error, sql))
    }

    /// Runs statements and returns the result of the last one that has columns.
    pub async fn table(&self, sql: &str) -> Result<Table, SqlError> {
        let messages = self
            .client
            .simple_query(sql)
            .await
            .map_err(|error| SqlError::new(&error, sql))?;
        let mut table = Table::default();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    table = Table {
                        columns: columns.iter().map(|c| c.name().to_owned()).collect(),
                        rows: Vec::new(),
                    };
                }
                SimpleQueryMessage::Row(row) => table.rows.push(
                    (0..row.len())
                        .map(|index| row.get(index).map(str::to_owned))
                        .collect(),
                ),
                _ => {}
            }
        }
        Ok(table)
    }

    /// The rows of the last statement.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Row>, SqlError> {
        Ok(self.table(sql).await?.rows)
    }

    /// The first column of the first row; an empty string when there is none or it is NULL.
    pub async fn scalar(&self, sql: &str) -> Result<String, SqlError> {
        let rows = self.rows(sql).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten())
            .unwrap_or_default())
    }

    /// The backend's process id.
    pub async fn backend_pid(&self) -> Result<i32, SqlError> {
        let pid = self.scalar("SELECT pg_backend_pid()").await?;
        Ok(pid.parse().unwrap_or(0))
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks the server to cancel what the session runs.
    pub async fn cancel(&self) {
        // A cancel request has no answer; what it did shows in the session itself.
        let _ = self.client.cancel_token().cancel_query(NoTls).await;
    }
}

/// Sessions by name, opened when first used.
#[derive(Debug)]
pub struct Sessions<'a> {
    server: &'a dyn Backend,
    database: String,
    open: BTreeMap<String, Arc<Session>>,
}

impl<'a> Sessions<'a> {
    /// No session yet.
    pub fn new(server: &'a dyn Backend, database: impl Into<String>) -> Self {
        Self {
            server,
            database: database.into(),
            open: BTreeMap::new(),
        }
    }

    /// The session of this name.
    pub async fn get(&mut self, name: &str) -> Result<Arc<Session>, SqlError> {
        if let Some(session) = self.open.get(name).filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::connect(self.server, &self.database).await?);
        self.open.insert(name.to_owned(), Arc::clone(&session));
        Ok(session)
    }

    /// Closes all of them.
    pub fn close(&mut self) {
        self.open.clear();
    }
}

/// A string as an SQL literal.
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A name as an SQL identifier.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
