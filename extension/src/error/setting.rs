//! Settings that a stream table cannot keep.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

/// What is wrong with the value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// This server does not take the value.
    #[error("this server does not accept the value \"{value}\" of setting \"{name}\"")]
    Refused {
        /// The setting.
        name: String,
        /// The value.
        value: String,
    },
    /// No value is kept of it.
    #[error("stream tables do not keep setting \"{name}\"")]
    NotKept {
        /// The setting.
        name: String,
        /// Those that are kept.
        kept: Vec<&'static str>,
    },
}

impl SettingError {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> PgSqlErrorCode {
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            SettingError::Refused { name, .. } => format!(
                "Set another value with pgtrickle.alter_stream_table(name, settings => ARRAY['{name}=…'])."
            ),
            SettingError::NotKept { kept, .. } => format!("They keep {}.", kept.join(", ")),
        }
    }
}
