//! What a scenario may vary: mode, cadence, writer.

use serde::Deserialize;

/// Refresh mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// By deltas.
    Differential,
    /// From nothing.
    Full,
    /// Whatever the extension picks.
    Auto,
    /// With each statement.
    Immediate,
}

impl Mode {
    /// The modes of an ordinary scenario.
    pub fn all() -> Vec<Self> {
        vec![Self::Differential, Self::Full, Self::Immediate]
    }

    /// As the SQL functions spell it.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Differential => "DIFFERENTIAL",
            Self::Full => "FULL",
            Self::Auto => "AUTO",
            Self::Immediate => "IMMEDIATE",
        }
    }
}

/// When refreshes happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// After each step.
    EachStep,
    /// Once, after the last step.
    AtEnd,
}

impl Cadence {
    /// Both.
    pub fn all() -> Vec<Self> {
        vec![Self::EachStep, Self::AtEnd]
    }
}

/// Who writes the change buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Writer {
    /// The trigger function in Rust.
    Native,
    /// Generated PL/pgSQL.
    Sql,
}

impl Writer {
    /// Both.
    pub fn all() -> Vec<Self> {
        vec![Self::Native, Self::Sql]
    }

    /// The value of `pg_trickle.cdc_trigger_mode`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Sql => "sql",
        }
    }
}
