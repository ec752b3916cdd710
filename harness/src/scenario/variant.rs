//! The ways in which a scenario is replayed.

use std::fmt;

use serde::Deserialize;

use super::format::Scenario;

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

/// One way to replay a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Mode of the stream tables that do not say one.
    pub mode: Mode,
    /// When they are refreshed.
    pub cadence: Cadence,
    /// How changes are captured.
    pub writer: Writer,
}

impl Variant {
    /// Every way that the scenario allows. FULL and IMMEDIATE read no change rows, so they run with the
    /// first writer only; to IMMEDIATE the cadence is all one as well.
    pub fn of(scenario: &Scenario) -> Vec<Self> {
        let mut all = Vec::new();
        let Some(&first_cadence) = scenario.cadences.first() else {
            return all;
        };
        for &mode in &scenario.modes {
            for &cadence in &scenario.cadences {
                for (index, &writer) in scenario.writers.iter().enumerate() {
                    let is_new = match mode {
                        Mode::Differential | Mode::Auto => true,
                        Mode::Full => index == 0,
                        Mode::Immediate => index == 0 && cadence == first_cadence,
                    };
                    if is_new {
                        all.push(Self {
                            mode,
                            cadence,
                            writer,
                        });
                    }
                }
            }
        }
        all
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cadence = match self.cadence {
            Cadence::EachStep => "each step",
            Cadence::AtEnd => "at the end",
        };
        let writer = self.writer.setting();
        write!(
            f,
            "{}, refresh {cadence}, {writer} capture",
            self.mode.sql()
        )
    }
}
