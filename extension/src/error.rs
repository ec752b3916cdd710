//! Every error of the extension, and the one place that turns them into `ereport`.

mod capture;
mod detail;
mod hint;
mod obstacle;
mod setting;
mod spread;
mod sqlstate;

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

pub use capture::{CaptureError, CitusTable};
pub use obstacle::Obstacle;
pub use setting::SettingError;
pub use spread::SpreadError;

/// An error with its SQLSTATE, primary message, DETAIL and HINT, in PostgreSQL's style.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invariant of the extension itself is broken.
    #[error("{0}")]
    Internal(String),
    /// The changes of a source cannot be captured or read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A stream table that the nodes of a cluster keep.
    #[error(transparent)]
    Spread(#[from] SpreadError),
    /// A setting has a value that cannot be kept or used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// `VARIADIC array` was passed where single arguments are needed.
    #[error("function {0} cannot take its arguments as a VARIADIC array")]
    VariadicArray(&'static str),
    /// The extension's catalog is not there.
    #[error("relation \"pgtrickle.{0}\" does not exist")]
    NotInstalled(String),
    /// No relation of this name.
    #[error("stream table \"{0}\" does not exist")]
    UnknownStreamTable(String),
    /// It was dropped while we waited for its lock.
    #[error("stream table was dropped concurrently")]
    Vanished,
    /// A relation was dropped before we had its lock.
    #[error("relation with OID {} does not exist", .0.to_u32())]
    RelationVanished(pgrx::pg_sys::Oid),
    /// The relation is of another kind.
    #[error("\"{0}\" is not a stream table")]
    NotAStreamTable(String),
    /// The caller is neither owner nor superuser.
    #[error("must be owner of stream table \"{0}\"")]
    NotOwner(String),
    /// No materialized view of this name.
    #[error("materialized view \"{0}\" does not exist")]
    UnknownView(String),
    /// The relation to be converted is of another kind.
    #[error("\"{0}\" is not a materialized view")]
    NotAMaterializedView(String),
    /// The caller may not replace the materialized view.
    #[error("must be owner of materialized view \"{0}\"")]
    NotOwnerOfView(String),
    /// Something would lose the materialized view that it reads.
    #[error("cannot convert materialized view \"{view}\" because other objects depend on it")]
    ViewHasDependents {
        /// The materialized view.
        view: String,
        /// What depends on it, as the server describes it.
        dependents: Vec<String>,
    },
    /// The query is not one that can define a table.
    #[error("the query of a stream table must be exactly one SELECT")]
    BadQuery(String),
    /// An output column whose collation is ambiguous.
    #[error("could not determine which collation to use for column \"{0}\"")]
    UnknownCollation(String),
    /// The schedule is not in a known form.
    #[error("invalid schedule \"{text}\"")]
    BadSchedule {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The refresh mode is unknown.
    #[error("invalid refresh mode \"{0}\"")]
    BadMode(String),
    /// The status is unknown.
    #[error("invalid status \"{0}\"")]
    BadStatus(String),
    /// DIFFERENTIAL was asked for, and the query has constructs that it cannot maintain.
    #[error("the query cannot be maintained in DIFFERENTIAL mode")]
    Unsupported(Vec<Obstacle>),
    /// IMMEDIATE was asked for, and the query has constructs that it cannot maintain.
    #[error("the query cannot be maintained in IMMEDIATE mode")]
    NotImmediate(Vec<Obstacle>),
    /// A source of an IMMEDIATE stream table was changed so that the mode can no longer maintain it.
    #[error("stream table \"{0}\" could no longer be maintained in IMMEDIATE mode")]
    CannotFollow(String, Vec<Obstacle>),
    /// A statement on a source stopped before its end, and its transaction continues.
    #[error("cannot commit: a statement on table \"{0}\" has not run to completion")]
    UnfinishedStatement(String),
    /// The meaning of an IMMEDIATE stream table's query has changed without an event.
    #[error("the definition of stream table \"{0}\" has changed")]
    DefinitionChanged(String),
    /// The query has constructs that no refresh mode supports.
    #[error("the query cannot define a stream table")]
    Refused(Vec<Obstacle>),
    /// An argument that must have a value is NULL.
    #[error("argument \"{0}\" must not be null")]
    NullArgument(&'static str),
    /// The caller may neither read the stream table nor owns it.
    #[error("permission denied for stream table \"{0}\"")]
    ReadDenied(String),
    /// The caller is not a superuser.
    #[error("must be superuser to {0}")]
    NotSuperuser(&'static str),
    /// ALTER TABLE would give the stream table other columns than its query.
    #[error("cannot change the columns of stream table \"{0}\"")]
    ColumnsFixed(String),
    /// The stream table would be temporary.
    #[error("stream table \"{0}\" cannot be temporary")]
    TemporaryName(String),
    /// The query reads a temporary table or view.
    #[error("a stream table must not use temporary tables, views, functions or types")]
    TemporarySource,
    /// The query reads the stream table itself.
    #[error("cycle detected: stream table \"{name}\" would read itself")]
    CycleDetected {
        /// The stream table.
        name: String,
        /// The relations on the way back to it.
        path: Vec<String>,
    },
    /// A scheduled refresh has more changes before it than the fuse allows.
    #[error("{rows} change rows for stream table \"{name}\" exceed the limit of its fuse")]
    FuseBlown {
        /// The stream table.
        name: String,
        /// How many there are.
        rows: u64,
        /// How many may be.
        ceiling: u64,
    },
    /// The caller may not stop and start refreshes.
    #[error("permission denied to {0}")]
    SignalDenied(&'static str),
    /// A time to wait is negative.
    #[error("invalid timeout: {0}")]
    BadTimeout(i64),
    /// The worker has been told to stop.
    #[error("terminating refresh worker due to administrator command")]
    Stopping,
    /// What is asked for needs the library preloaded.
    #[error("cannot {0} without shared memory")]
    NotPreloaded(&'static str),
    /// Changes of the source may not be captured by the stream table's owner.
    #[error("permission denied to capture changes of table \"{0}\"")]
    CaptureDenied(String),
    /// A query with other columns would cost what has been declared on the stream table.
    #[error(
        "cannot change the columns of stream table \"{table}\" because other objects depend on it"
    )]
    CannotKeep {
        /// The stream table.
        table: String,
        /// What, as the server describes it.
        lost: Vec<String>,
    },
    /// The catalog is of another version than this library.
    #[error("pg_trickle in database \"{database}\" and its library have different versions")]
    NotUpdated {
        /// The database.
        database: String,
        /// The version of its catalog.
        catalog: String,
        /// The version of the library.
        library: &'static str,
    },
    /// The stream table came with a dump, or with a copied database.
    #[error("stream table \"{0}\" has been restored or copied but not rebuilt")]
    NotRestored(String),
    /// The transaction's snapshot is older than the content.
    #[error("could not serialize access to stream table \"{0}\" due to a concurrent refresh")]
    SnapshotTooOld(String),
    /// A partition of a source came or went between the snapshot and the end of the refresh.
    #[error(
        "could not serialize access to the sources of stream table \"{0}\" due to a concurrent change of their partitions"
    )]
    PartitionsChanged(String),
    /// A row that the delta removes is not stored.
    #[error("stream table \"{relation}\" lacks {missing} of the rows that its delta removes")]
    OutOfStep {
        /// The table.
        relation: String,
        /// How many rows are missing.
        missing: u64,
    },
    /// Two rows of a delta have the same key.
    #[error("the key of stream table \"{relation}\" does not identify its rows")]
    KeyNotUnique {
        /// The table.
        relation: String,
    },
    /// The columns no longer match those of the query.
    #[error("the columns of stream table \"{relation}\" differ from those of its query")]
    ShapeChanged {
        /// The table.
        relation: String,
    },
    /// DROP TRIGGER or ALTER TRIGGER on one of the extension's.
    #[error("cannot change trigger \"{trigger}\" of table \"{table}\"")]
    TriggerNeeded {
        /// The trigger.
        trigger: String,
        /// Its table.
        table: String,
    },
    /// Another name for a schema of the extension.
    #[error("cannot rename schema \"{0}\" because extension pg_trickle requires it")]
    SchemaNeeded(String),
    /// A stream table would be where the extension keeps its own.
    #[error("stream table \"{table}\" cannot be in schema \"{schema}\"")]
    SchemaTaken {
        /// The stream table.
        table: String,
        /// The schema.
        schema: String,
    },
    /// There is a relation of this name where the stream table would be.
    #[error("relation \"{0}\" already exists")]
    NameTaken(String),
    /// An event trigger has altered the table of a stream table while that was created.
    #[error("table of stream table \"{0}\" was altered while it was created")]
    AlteredAtCreation(String),
    /// An output column has the name of one that every table has.
    #[error("column name \"{0}\" conflicts with a system column name")]
    SystemColumn(String),
    /// Another type for a column that stream tables use.
    #[error("cannot alter type of a column used by a stream table")]
    TypeNeeded {
        /// The column.
        column: String,
        /// The stream tables.
        users: Vec<String>,
    },
    /// An index of ours would go, or be known by another name.
    #[error("cannot {action} {index} of stream table \"{table}\"")]
    IndexNeeded {
        /// What a statement would do to it.
        action: &'static str,
        /// The index.
        index: String,
        /// The stream table.
        table: String,
    },
    /// An index by which rows are found is gone: without event triggers nothing keeps it.
    #[error("an index of stream table \"{0}\" is missing")]
    IndexMissing(String),
    /// A stream table would get a parent or a child.
    #[error("stream table \"{0}\" cannot take part in inheritance or partitioning")]
    NotAlone(String),
    /// A foreign key would delete or change rows of a stream table.
    #[error(
        "foreign key constraint \"{constraint}\" would change rows of stream table \"{table}\""
    )]
    ForeignKeyActs {
        /// The constraint.
        constraint: String,
        /// The stream table.
        table: String,
    },
    /// Citus has taken over a stream table.
    #[error("stream table \"{0}\" cannot become a Citus table")]
    Distributed(String),
    /// Citus would recreate a source and lose its reader.
    #[error("cannot recreate a table that stream table \"{0}\" reads")]
    LostToCitus(String),
    /// A trigger before rows has changed one, or left it out.
    #[error("a BEFORE trigger changes or suppresses rows of stream table \"{table}\"")]
    RowsMeddledWith {
        /// The stream table.
        table: String,
        /// The triggers, of which at least one did so.
        triggers: Vec<String>,
    },
    /// Text to be made a date or time says what the clock decides.
    #[error("cannot store the date or time of \"{0}\", which depends on the clock")]
    ClockWord(String),
    /// A user statement on a stream table or on its state.
    #[error("cannot change stream table \"{0}\" directly")]
    Guarded(String),
}

/// The code of [`Error::ClockWord`]: a data exception that the server does not use itself.
pub const CLOCK_WORD: PgSqlErrorCode = PgSqlErrorCode::ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST;

/// Result with the extension's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Raises the error in the server. Does not return.
    pub fn report(self) -> ! {
        let mut report =
            pgrx::pg_sys::panic::ErrorReport::new(self.sqlstate(), self.to_string(), "pg_trickle");
        if let Some(detail) = self.detail() {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint() {
            report = report.set_hint(hint);
        }
        report.report(pgrx::PgLogLevel::ERROR);
        unreachable!("an ERROR report does not return")
    }
}

/// The value, or the error raised in the server.
pub fn or_report<T>(outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|error| error.report())
}

#[cfg(test)]
mod tests;
