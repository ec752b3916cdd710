//! What to do about an error.

use super::{Error, Obstacle};

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Capture(error) => error.hint(),
            Error::Spread(error) => error.hint(),
            Error::Setting(error) => Some(error.hint()),
            Error::ReadDenied(name) => Some(format!("Ask its owner to GRANT SELECT ON {name}.")),
            Error::CaptureDenied(name) => Some(format!(
                "Ask the owner to GRANT TRIGGER ON {name}, or use refresh_mode => 'FULL'."
            )),
            Error::Unsupported(obstacles) | Error::NotImmediate(obstacles) => Some(format!(
                "{}\nOr use refresh_mode => 'AUTO' or 'FULL'.",
                Obstacle::remedies(obstacles)
            )),
            Error::Refused(obstacles) => Some(Obstacle::remedies(obstacles)),
            other => other.advice().map(Into::into),
        }
    }

    /// The hint of an error that always has the same.
    fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Error::Internal(_) => "This is a bug in pg_trickle; please report it with the query.",
            Error::VariadicArray(_) => "Pass the columns one by one.",
            Error::NotInstalled(_) => "Run CREATE EXTENSION pg_trickle.",
            Error::UnknownStreamTable(_) => "pgtrickle.pgt_status() lists the stream tables.",
            Error::NotAStreamTable(_) => {
                "Use pgtrickle.create_stream_table() to create a stream table."
            }
            Error::BadQuery(_) => "Give a single SELECT, VALUES or TABLE that only reads.",
            Error::UnknownView(_) => "pg_matviews lists the materialized views.",
            Error::NotAMaterializedView(_) => {
                "Only a materialized view has a query to take over. Use \
                 pgtrickle.create_stream_table() with your own query."
            }
            Error::ViewHasDependents { .. } => {
                "Drop them first, convert, and create them again over the stream table."
            }
            Error::NotOwner(_) | Error::NotOwnerOfView(_) => {
                "Run this as its owner or as a member of that role."
            }
            Error::NullArgument(_) => "Only arguments with a default can be left out.",
            Error::CycleDetected { .. } => "Let it read the base tables instead.",
            Error::FuseBlown { .. } => {
                "If you expect that many, accept them with pgtrickle.resume_stream_table(name)."
            }
            Error::SignalDenied(_) => {
                "Run this as a superuser or as a member of pg_signal_backend."
            }
            Error::NotPreloaded(_) => {
                "Add pg_trickle to shared_preload_libraries and restart the server."
            }
            Error::TemporarySource => "Use permanent ones instead.",
            Error::UnknownCollation(_) => "Use the COLLATE clause to set the collation explicitly.",
            Error::BadSchedule { .. } => {
                "Use an interval ('500ms', '5s', '1h30m', '5 minutes'), a number of seconds, a cron \
                 expression ('*/5 * * * *', '@hourly') or 'calculated'."
            }
            Error::BadMode(_) => "Use 'AUTO', 'DIFFERENTIAL', 'FULL' or 'IMMEDIATE'.",
            Error::BadTimeout(_) => "Give a number of seconds; 0 does not wait.",
            Error::BadStatus(_) => "Use 'ACTIVE' or 'SUSPENDED'.",
            Error::UnfinishedStatement(_) => "Fetch all rows of a statement with RETURNING.",
            Error::DefinitionChanged(_) => "Run pgtrickle.refresh_stream_table() on it.",
            Error::CannotFollow(..) => "Alter it to refresh_mode => 'AUTO' first, or drop it.",
            Error::ColumnsFixed(_) => {
                "Its query determines them. Use pgtrickle.alter_stream_table(), or drop the \
                 stream table and create it again."
            }
            Error::TemporaryName(_) => "Name a permanent schema.",
            Error::TriggerNeeded { .. } => {
                "It is removed with the last stream table that needs it."
            }
            Error::SchemaNeeded(_) => "Stream tables find their parts by it. Keep its name.",
            Error::SchemaTaken { .. } => "Choose another schema.",
            Error::NameTaken(_) => {
                "Choose another name. pgtrickle.alter_stream_table() gives a stream table another query."
            }
            Error::AlteredAtCreation(_) => {
                "Have the event trigger leave it alone: its command tag is CREATE TABLE AS."
            }
            Error::SystemColumn(_) => "Give the column another name with AS.",
            Error::RowsMeddledWith { .. } => {
                "Make the change in the query. A trigger that only observes returns NEW or OLD unchanged."
            }
            Error::ClockWord(_) => {
                "Store the date itself, exclude such rows in WHERE, or use refresh_mode => 'AUTO', which runs the query \
                 while there are any."
            }
            Error::IndexNeeded { .. } => {
                "It is dropped with the stream table. Drop that first, or give it another query."
            }
            Error::IndexMissing(_) => {
                "Run pgtrickle.refresh_stream_table(name, force_full => true), which makes it again."
            }
            Error::TypeNeeded { .. } => {
                "Drop it, or give it a query without the column, and create it again afterwards."
            }
            Error::LostToCitus(_) => "Drop the stream table first, and create it again afterwards.",
            Error::Distributed(_) => "Keep it, or recreate it, as a local table.",
            Error::ForeignKeyActs { .. } => "Declare it without ON DELETE and ON UPDATE actions.",
            Error::NotAlone(_) => "Combine them in a view with UNION ALL.",
            Error::SnapshotTooOld(_) | Error::PartitionsChanged(_) => {
                "The transaction might succeed if retried."
            }
            Error::OutOfStep { .. } | Error::KeyNotUnique { .. } | Error::ShapeChanged { .. } => {
                "Recompute it with pgtrickle.refresh_stream_table(name, force_full => true); if \
                 you changed nothing by hand, please report it with the query."
            }
            Error::CannotKeep { .. } => "Drop these objects first, or only add columns at the end.",
            Error::NotUpdated { .. } => {
                "Run ALTER EXTENSION pg_trickle UPDATE; if you already have, restart the server to \
                 load the new library."
            }
            Error::NotRestored(_) => "Run SELECT pgtrickle.restore_stream_tables().",
            Error::Guarded(_) => {
                "Change the tables that its query reads, then use pgtrickle.refresh_stream_table()."
            }
            _ => return None,
        })
    }
}
