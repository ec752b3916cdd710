//! Modes and statuses of a stream table, by their names in the catalog and in the API.

use std::str::FromStr;

use crate::error::{Error, Result};

/// The refresh mode that the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedMode {
    /// DIFFERENTIAL where the query can be maintained so, FULL otherwise.
    Auto,
    /// DIFFERENTIAL or an error.
    Differential,
    /// FULL.
    Full,
    /// IMMEDIATE or an error.
    Immediate,
}

/// The refresh mode in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshMode {
    /// From the changes of the sources.
    Differential,
    /// From the query.
    Full,
    /// With each statement that changes a source.
    Immediate,
}

/// Whether the stream table takes part in refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    Active,
    /// Not until it is resumed.
    Suspended,
}

macro_rules! names {
    ($type:ident, $error:ident, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// The name in the catalog and in the API.
            pub fn name(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                $(if text.eq_ignore_ascii_case($name) { return Ok($type::$variant); })+
                Err(Error::$error(text.to_owned()))
            }
        }
    };
}
names!(
    RequestedMode,
    BadMode,
    Auto = "AUTO",
    Differential = "DIFFERENTIAL",
    Full = "FULL",
    Immediate = "IMMEDIATE"
);
names!(
    RefreshMode,
    BadMode,
    Differential = "DIFFERENTIAL",
    Full = "FULL",
    Immediate = "IMMEDIATE"
);
names!(
    Status,
    BadStatus,
    Active = "ACTIVE",
    Suspended = "SUSPENDED"
);
