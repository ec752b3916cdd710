//! What to do about an error.

use super::{Error, Obstacle};

impl Error {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Internal(_) => {
                Some("This is a bug in pg_trickle; please report it with the query.".into())
            }
            Error::Capture(error) => error.hint(),
            Error::Spread(error) => error.hint(),
            Error::Setting(error) => Some(error.hint()),
            Error::VariadicArray(_) => Some("Pass the columns one by one.".into()),
            Error::NotInstalled(_) => Some("Run CREATE EXTENSION pg_trickle.".into()),
            Error::UnknownStreamTable(_) => {
                Some("pgtrickle.pgt_status() lists the stream tables.".into())
            }
            Error::NotAStreamTable(_) => {
                Some("Use pgtrickle.create_stream_table() to create a stream table.".into())
            }
            Error::BadQuery(_) => Some("Give a single SELECT, VALUES or TABLE that only reads.".into()),
            Error::UnknownView(_) => Some("pg_matviews lists the materialized views.".into()),
            Error::NotAMaterializedView(_) => Some(
                "Only a materialized view has a query to take over. Use \
                 pgtrickle.create_stream_table() with a query of yours."
                    .into(),
            ),
            Error::ViewHasDependents(_) => Some(
                "Drop them first, convert, and create them again over the stream table.".into(),
            ),
            Error::NotOwner(_) | Error::NotOwnerOfView(_) => Some("Run this as its owner or as a member of that role.".into()),
            Error::ReadDenied(name) => Some(format!("Have its owner GRANT SELECT ON {name}.")),
            Error::NullArgument(_) => Some("Only arguments with a default can be left out.".into()),
            Error::CycleDetected { .. } => Some("Let it read the base tables instead.".into()),
            Error::FuseBlown { .. } => Some(
                "If that many are expected, let them pass with pgtrickle.resume_stream_table(name).".into(),
            ),
            Error::SignalDenied(_) => {
                Some("Run this as a superuser or as a member of pg_signal_backend.".into())
            }
            Error::NotPreloaded(_) => Some(
                "Add pg_trickle to shared_preload_libraries and restart the server.".into(),
            ),
            Error::TemporarySource => Some("Use permanent ones instead.".into()),
            Error::UnknownCollation(_) => {
                Some("Use the COLLATE clause to set the collation explicitly.".into())
            }
            Error::BadSchedule { .. } => Some(
                "Use an interval ('500ms', '5s', '1h30m', '5 minutes'), a number of seconds, a cron \
                 expression ('*/5 * * * *', '@hourly') or 'calculated'."
                    .into(),
            ),
            Error::BadMode(_) => Some("Use 'AUTO', 'DIFFERENTIAL', 'FULL' or 'IMMEDIATE'.".into()),
            Error::BadTimeout(_) => Some("Give a number of seconds; 0 does not wait.".into()),
            Error::BadStatus(_) => Some("Use 'ACTIVE' or 'SUSPENDED'.".into()),
            Error::UnfinishedStatement(_) => {
                Some("Fetch all rows of a statement with RETURNING.".into())
            }
            Error::DefinitionChanged(_) => {
                Some("Run pgtrickle.refresh_stream_table() on it.".into())
            }
            Error::Unsupported(obstacles) | Error::NotImmediate(obstacles) => Some(format!(
                "{}\nOr use refresh_mode => 'AUTO' or 'FULL'.",
                Obstacle::remedies(obstacles)
            )),
            Error::CannotFollow(..) => Some(
                "Alter it to refresh_mode => 'AUTO' first, or drop it.".into(),
            ),
            Error::Refused(obstacles) => Some(Obstacle::remedies(obstacles)),
            Error::ColumnsFixed(_) => Some(
                "They are those of its query. Use pgtrickle.alter_stream_table(), or drop the \
                 stream table and create it again."
                    .into(),
            ),
            Error::TemporaryName(_) => Some("Name a permanent schema.".into()),
            Error::TriggerNeeded { .. } => {
                Some("It is removed with the last stream table that needs it.".into())
            }
            Error::RowsMeddledWith { .. } => {
                Some("Let the query do it. What only looks on can return NEW or OLD as it is.".into())
            }
            Error::ClockWord(_) => Some(
                "Store the date itself, leave such rows out in WHERE, or use refresh_mode => 'AUTO', which runs the query \
                 as long as there are any."
                    .into(),
            ),
            Error::IndexNeeded { .. } => Some(
                "It goes with the stream table. Drop that first, or give it another query.".into(),
            ),
            Error::TypeNeeded { .. } => Some(
                "Drop it, or give it a query without the column, and create it again afterwards."
                    .into(),
            ),
            Error::LostToCitus(_) => {
                Some("Drop the stream table first, and create it again afterwards.".into())
            }
            Error::Distributed(_) => Some("Keep it, or recreate it, as a local table.".into()),
            Error::NotAlone(_) => Some("Put them together in a view with UNION ALL.".into()),
            Error::SnapshotTooOld(_) | Error::PartitionsChanged(_) => {
                Some("The transaction might succeed if retried.".into())
            }
            Error::OutOfStep { .. } | Error::KeyNotUnique { .. } | Error::ShapeChanged { .. } => {
                Some(
                    "Recompute it with pgtrickle.refresh_stream_table(name, force_full => true); if \
                     you changed nothing by hand, please report it with the query."
                        .into(),
                )
            }
            Error::CaptureDenied(name) => Some(format!(
                "Have the owner GRANT TRIGGER ON {name}, or use refresh_mode => 'FULL'."
            )),
            Error::CannotKeep { .. } => Some(
                "Drop these first, or only add columns at the end, which keeps everything.".into(),
            ),
            Error::NotUpdated { .. } => Some(
                "Run ALTER EXTENSION pg_trickle UPDATE; if that has been done, restart the server, \
                 which loads the new library."
                    .into(),
            ),
            Error::NotRestored(_) => Some("Run SELECT pgtrickle.restore_stream_tables().".into()),
            Error::Guarded(_) => Some(
                "Change the tables that its query reads, then use \
                 pgtrickle.refresh_stream_table()."
                    .into(),
            ),
            _ => None,
        }
    }
}
