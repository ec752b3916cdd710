//! The SQLSTATE of each error.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

use super::{CLOCK_WORD, Error};

impl Error {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> PgSqlErrorCode {
        use PgSqlErrorCode as Code;
        match self {
            Error::Capture(error) => error.sqlstate(),
            Error::Spread(error) => error.sqlstate(),
            Error::Setting(error) => error.sqlstate(),
            Error::VariadicArray(_) => Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            Error::Internal(_) => Code::ERRCODE_INTERNAL_ERROR,
            Error::NotInstalled(_)
            | Error::UnknownStreamTable(_)
            | Error::UnknownView(_)
            | Error::RelationVanished(_)
            | Error::Vanished => Code::ERRCODE_UNDEFINED_TABLE,
            Error::ViewHasDependents { .. }
            | Error::CannotKeep { .. }
            | Error::TriggerNeeded { .. }
            | Error::IndexNeeded { .. }
            | Error::SchemaNeeded(_)
            | Error::LostToCitus(_) => Code::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            Error::SchemaTaken { .. } => Code::ERRCODE_RESERVED_NAME,
            Error::NameTaken(_) => Code::ERRCODE_DUPLICATE_TABLE,
            Error::SystemColumn(_) => Code::ERRCODE_DUPLICATE_COLUMN,
            Error::NotAMaterializedView(_)
            | Error::NotAStreamTable(_)
            | Error::Guarded(_)
            | Error::NotAlone(_)
            | Error::ForeignKeyActs { .. }
            | Error::AlteredAtCreation(_)
            | Error::ColumnsFixed(_) => Code::ERRCODE_WRONG_OBJECT_TYPE,
            Error::NullArgument(_) => Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Error::NotOwner(_)
            | Error::NotOwnerOfView(_)
            | Error::CaptureDenied(_)
            | Error::ReadDenied(_)
            | Error::SignalDenied(_)
            | Error::NotSuperuser(_) => Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
            Error::BadQuery(_) => Code::ERRCODE_SYNTAX_ERROR,
            Error::UnknownCollation(_) => Code::ERRCODE_INDETERMINATE_COLLATION,
            Error::BadSchedule { .. }
            | Error::BadMode(_)
            | Error::BadStatus(_)
            | Error::BadTimeout(_) => Code::ERRCODE_INVALID_PARAMETER_VALUE,
            Error::Unsupported(_)
            | Error::NotImmediate(_)
            | Error::CannotFollow(..)
            | Error::Refused(_)
            | Error::TypeNeeded { .. }
            | Error::Distributed(_)
            | Error::TemporarySource => Code::ERRCODE_FEATURE_NOT_SUPPORTED,
            Error::TemporaryName(_) => Code::ERRCODE_INVALID_TABLE_DEFINITION,
            Error::RowsMeddledWith { .. } => Code::ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION,
            Error::CycleDetected { .. } => Code::ERRCODE_INVALID_RECURSION,
            Error::FuseBlown { .. } => Code::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            Error::Stopping => Code::ERRCODE_ADMIN_SHUTDOWN,
            Error::NotPreloaded(_) => Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Error::NotUpdated { .. }
            | Error::NotRestored(_)
            | Error::UnfinishedStatement(_)
            | Error::IndexMissing(_)
            | Error::DefinitionChanged(_) => Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Error::SnapshotTooOld(_) | Error::PartitionsChanged(_) => {
                Code::ERRCODE_T_R_SERIALIZATION_FAILURE
            }
            Error::OutOfStep { .. } | Error::KeyNotUnique { .. } => Code::ERRCODE_DATA_CORRUPTED,
            Error::ShapeChanged { .. } => Code::ERRCODE_INVALID_TABLE_DEFINITION,
            Error::ClockWord(_) => CLOCK_WORD,
        }
    }
}
