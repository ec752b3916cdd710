//! The ways in which a scenario is replayed.

use std::fmt;

use super::axes::{Cadence, Mode, Writer};
use super::format::Scenario;

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
