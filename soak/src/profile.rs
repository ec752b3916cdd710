//! How hard a run is.

use std::time::Duration;

use clap::ValueEnum;

/// A name for a set of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// For a machine that does other things as well.
    Light,
    /// For a machine of its own.
    Standard,
    /// As much as it takes.
    Brutal,
}

impl Profile {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Standard => "standard",
            Self::Brutal => "brutal",
        }
    }

    /// Sessions that write to everything.
    pub fn writers(self) -> u64 {
        match self {
            Self::Light => 2,
            Self::Standard => 4,
            Self::Brutal => 10,
        }
    }

    /// How long a writer rests between two transactions; none in a burst.
    pub fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Self::Light => 40,
            Self::Standard => 15,
            Self::Brutal => 2,
        })
    }

    /// Rows of the largest source.
    pub fn rows(self) -> u64 {
        match self {
            Self::Light => 2_000,
            Self::Standard => 10_000,
            Self::Brutal => 50_000,
        }
    }

    /// How long the schedule of faults is before it begins again.
    pub fn cycle(self) -> Duration {
        Duration::from_secs(match self {
            Self::Light | Self::Standard => 600,
            Self::Brutal => 300,
        })
    }

    /// How far a heartbeat may be behind while nothing is broken.
    pub fn staleness_limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Light | Self::Standard => 20,
            Self::Brutal => 60,
        })
    }

    /// How much change buffers may hold together.
    pub fn buffer_limit_bytes(self) -> u64 {
        match self {
            Self::Light => 64 << 20,
            Self::Standard => 128 << 20,
            Self::Brutal => 512 << 20,
        }
    }
}
