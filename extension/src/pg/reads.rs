//! What the results of functions, and the texts of values, depend on besides their arguments.
//!
//! `reads.txt` lists it for the server's own functions. Each stream table keeps the settings of `settings.txt`,
//! so a function that reads only these is immutable there.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use pgrx::pg_sys;

use super::settings;
use super::types;

/// How a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As text.
    Text,
    /// As JSON text.
    Json,
    /// As `jsonb`.
    Jsonb,
    /// As XML.
    Xml,
}

/// One thing that a function reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A setting that stream tables keep.
    Setting(&'static str),
    /// What printing its arguments reads.
    Printing(Form),
    /// What reading values of its result's type from text reads.
    Input,
    /// What no stream table keeps.
    Other(Other),
}

/// What no stream table keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// The time.
    Clock,
    /// Who asks, and the session's own state.
    Session,
    /// Objects, statistics, files.
    Catalog,
    /// It is not known.
    Unknown,
}

type Table = HashMap<u32, &'static [Reading]>;

static TABLE: LazyLock<Table> = LazyLock::new(|| table(include_str!("reads.txt")));

fn table(text: &'static str) -> Table {
    let mut table = Table::new();
    let mut readings: &'static [Reading] = &[];
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('[') {
            let words = heading.trim_end_matches(']').split_whitespace();
            let section: Vec<Reading> = words.filter_map(reading).collect();
            // A few dozen sections for the life of the process.
            readings = section.leak();
        } else if let Some(oid) = line.split(' ').next().and_then(|oid| oid.parse().ok()) {
            table.insert(oid, readings);
        }
    }
    table
}

fn reading(word: &'static str) -> Option<Reading> {
    Some(match word {
        "nothing" => return None,
        "text" => Reading::Printing(Form::Text),
        "json" => Reading::Printing(Form::Json),
        "jsonb" => Reading::Printing(Form::Jsonb),
        "input" => Reading::Input,
        "clock" => Reading::Other(Other::Clock),
        "session" => Reading::Other(Other::Session),
        "catalog" => Reading::Other(Other::Catalog),
        setting if settings::is_kept(setting) => Reading::Setting(setting),
        _ => Reading::Other(Other::Unknown),
    })
}

/// What a function reads, volatile ones aside.
pub fn of_function(function: pg_sys::Oid) -> &'static [Reading] {
    let known = TABLE.get(&function.to_u32()).copied();
    match known.filter(|_| types::is_builtin(function)) {
        Some(readings) => readings,
        None if types::function_volatility(function) == b'i' => &[],
        None => &[Reading::Other(Other::Unknown)],
    }
}

/// Whether a function reads nothing but settings that stream tables keep.
pub fn only_settings(function: pg_sys::Oid) -> bool {
    let is_setting = |reading: &Reading| matches!(reading, Reading::Setting(_));
    types::function_volatility(function) != b'v' && of_function(function).iter().all(is_setting)
}

/// What an expression reads besides the values of columns.
#[derive(Debug, Default)]
pub struct Reads {
    /// Settings.
    pub settings: BTreeSet<&'static str>,
    /// Enums with their labels, row types with the names of their fields.
    pub described: Vec<String>,
    /// The relations that the row types belong to.
    pub relations: Vec<pg_sys::Oid>,
    /// What no stream table keeps.
    pub other: Option<Other>,
}

impl Reads {
    /// Adds one thing; what depends on types is for the caller.
    pub fn add(&mut self, reading: Reading) {
        match reading {
            Reading::Setting(name) => {
                self.settings.insert(name);
            }
            Reading::Other(other) => self.other = self.other.or(Some(other)),
            Reading::Printing(_) | Reading::Input => self.add(Reading::Other(Other::Unknown)),
        }
    }

    /// Adds what a function reads.
    pub fn add_function(&mut self, function: pg_sys::Oid) {
        if types::function_volatility(function) == b'v' {
            self.add(Reading::Other(Other::Unknown));
        }
        for reading in of_function(function) {
            self.add(*reading);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_heading_names_kept_settings_or_what_else_is_read() {
        for line in include_str!("reads.txt").lines() {
            let Some(heading) = line.strip_prefix('[') else {
                continue;
            };
            for word in heading.trim_end_matches(']').split_whitespace() {
                let is_unknown = reading(word) == Some(Reading::Other(Other::Unknown));
                assert!(!is_unknown || word == "unknown", "{word}");
            }
        }
    }

    #[test]
    fn a_function_has_the_readings_of_its_heading() {
        let date_trunc = TABLE.get(&pg_sys::F_DATE_TRUNC_TEXT_TIMESTAMPTZ).copied();
        assert_eq!(date_trunc, Some(&[Reading::Setting("TimeZone")][..]));
        let now = TABLE.get(&pg_sys::F_NOW).copied();
        assert_eq!(now, Some(&[Reading::Other(Other::Clock)][..]));
    }
}
