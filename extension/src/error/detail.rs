//! What helps to understand an error.

use super::{Error, Obstacle};

impl Error {
    /// Facts that help to understand the error.
    pub fn detail(&self) -> Option<String> {
        match self {
            Error::Capture(error) => error.detail(),
            Error::Spread(error) => error.detail(),
            Error::VariadicArray(_) => {
                Some("An array has one type, a row's columns have many.".into())
            }
            Error::RelationVanished(_) => Some("It was dropped concurrently.".into()),
            Error::BadQuery(fact) => Some(fact.clone()),
            Error::BadSchedule { reason, .. } => Some(reason.clone()),
            Error::Unsupported(obstacles)
            | Error::NotImmediate(obstacles)
            | Error::CannotFollow(_, obstacles)
            | Error::Refused(obstacles) => Some(Obstacle::reasons(obstacles)),
            Error::TemporaryName(_) => {
                Some("Its refreshes run in sessions other than the one that creates it.".into())
            }
            Error::TemporarySource => Some(
                "Its refreshes run in sessions other than the one that creates it (TEMP_TABLE)."
                    .into(),
            ),
            Error::UnfinishedStatement(_) => {
                Some("Its triggers have not fired, so stream tables would miss its changes.".into())
            }
            Error::DefinitionChanged(_) => {
                Some("It is in IMMEDIATE mode and has not been recomputed since.".into())
            }
            Error::SnapshotTooOld(_) => {
                Some("Its content is newer than this transaction's snapshot.".into())
            }
            Error::FuseBlown { ceiling, .. } => {
                Some(format!("The setting pg_trickle.fuse_ceiling is {ceiling}."))
            }
            Error::NotPreloaded(_) => Some("This server has no scheduler.".into()),
            Error::ClockWord(_) => {
                Some("A stream table would show its value at one moment.".into())
            }
            Error::AlteredAtCreation(_) => Some(
                "An event trigger has given it other columns, or made it unlogged. A stream table has exactly the columns of \
                 its query, and is logged."
                    .into(),
            ),
            Error::TriggerNeeded { .. } => Some("Stream tables depend on it.".into()),
            Error::RowsMeddledWith { triggers, .. } => Some(format!(
                "It would differ from its query. Its BEFORE ROW triggers: {}.",
                triggers.join(", ")
            )),
            Error::ForeignKeyActs { .. } => Some(
                "Only refreshes change a stream table. The action runs for each row that is deleted or changes its key, \
                 even if no row refers to it."
                    .into(),
            ),
            Error::IndexNeeded { .. } | Error::IndexMissing(_) => {
                Some("Its refreshes find rows by it.".into())
            }
            Error::SchemaTaken { .. } => Some("It belongs to extension pg_trickle.".into()),
            Error::TypeNeeded { column, users } => {
                let users = users
                    .iter()
                    .map(|user| format!("Stream table \"{user}\" depends on column \"{column}\"."));
                Some(users.collect::<Vec<_>>().join("\n"))
            }
            Error::LostToCitus(_) => {
                Some("Citus drops the old table and all its readers.".into())
            }
            Error::Distributed(_) => {
                Some("Refreshes write to the table itself, not to its shards.".into())
            }
            Error::NotAlone(_) => Some(
                "Statements on its parents or children would change it, or what it shows.".into(),
            ),
            Error::CycleDetected { path, .. } => {
                Some(format!("It reads {}.", path.join(", which reads ")))
            }
            Error::CannotKeep { lost, .. }
            | Error::ViewHasDependents {
                dependents: lost, ..
            } => {
                let lost = lost.iter().map(|what| format!("{what} depends on it."));
                Some(lost.collect::<Vec<_>>().join("\n"))
            }
            Error::NotUpdated {
                catalog, library, ..
            } => Some(format!(
                "The extension has version {catalog}, the library {library}."
            )),
            Error::NotRestored(_) => Some(
                "Its change buffers, state and frontier belong to the stream table that it is a copy of."
                    .into(),
            ),
            _ => None,
        }
    }
}
