//! The TOML form of a scenario.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::postgres;

use super::axes::{Cadence, Mode, Writer};

/// A story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending; set on loading.
    #[serde(skip)]
    pub name: String,
    /// One sentence: what must hold.
    pub title: String,
    /// The first major version of PostgreSQL that has what it is about.
    #[serde(default)]
    pub since: u32,
    /// The other extension that it is about: it is replayed where that is there.
    pub beside: Option<Beside>,
    /// How its sources are spread over a cluster of Citus: it is replayed there, too.
    pub citus: Option<OnCitus>,
    /// SQL that makes the sources and fills them.
    pub setup: String,
    /// The modes it makes sense in.
    #[serde(default = "Mode::all")]
    pub modes: Vec<Mode>,
    /// The cadences it makes sense in.
    #[serde(default = "Cadence::all")]
    pub cadences: Vec<Cadence>,
    /// The capture writers it makes sense in.
    #[serde(default = "Writer::all")]
    pub writers: Vec<Writer>,
    /// Whether rows are written that no trigger sees, so that the watch reports them; else it must report nothing.
    #[serde(default)]
    pub unseen: bool,
    /// Stream tables, sources before those that read them.
    #[serde(default, rename = "stream_table")]
    pub stream_tables: Vec<StreamTable>,
    /// What happens.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

/// Another extension.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Its package, of which the report has the version.
    pub package: String,
    /// Libraries that the server has to load with ours when it starts, in this order.
    #[serde(default)]
    pub preload: Vec<String>,
}

/// How sources are spread over a cluster of Citus, and how stream tables over them are kept in DIFFERENTIAL. Each stream
/// table is in one of the lists.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnCitus {
    /// SQL before tables are distributed.
    #[serde(default)]
    pub before: String,
    /// Distributed tables with their columns. Those whose columns have one type are co-located.
    #[serde(default)]
    pub distributed: BTreeMap<String, String>,
    /// Reference tables.
    #[serde(default)]
    pub reference: Vec<String>,
    /// Stream tables that the coordinator keeps over its own shards of reference tables.
    #[serde(default)]
    pub local: Vec<String>,
    /// Stream tables that nodes keep.
    #[serde(default)]
    pub shard_local: Vec<String>,
    /// Stream tables in two steps.
    #[serde(default)]
    pub two_steps: Vec<String>,
    /// Stream tables that are refused, and recomputed in AUTO.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Stream tables that are refused in AUTO, too, since Citus itself does not plan their queries.
    #[serde(default)]
    pub unplanned: Vec<String>,
    /// Steps that Citus refuses, or that refresh within a transaction.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// A stream table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamTable {
    /// Its name, as for `regclass`.
    pub name: String,
    /// Its defining query.
    pub query: String,
    /// The refresh mode, when it is not the variant's.
    pub mode: Option<Mode>,
    /// Fill it on creation.
    #[serde(default = "yes")]
    pub initialize: bool,
}

/// Something that happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it is about.
    pub name: String,
    /// SQL in session `main`.
    pub sql: Option<String>,
    /// The SQLSTATE with which `sql` must fail.
    pub error: Option<String>,
    /// What the error's message, detail and hint must contain, in this order.
    pub error_text: Option<String>,
    /// SQL in other sessions, one after the other.
    #[serde(default)]
    pub run: Vec<Run>,
    /// Whether all stream tables are refreshed and judged afterwards.
    #[serde(default = "yes")]
    pub refresh: bool,
    /// Stream tables that have another name from here on.
    #[serde(default)]
    pub renamed: BTreeMap<String, String>,
    /// Stream tables that are gone from here on.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// What the refresh of this step must report, by stream table.
    #[serde(default)]
    pub expect: BTreeMap<String, Expectation>,
    /// What must be visible afterwards.
    #[serde(default)]
    pub query: Vec<Query>,
}

/// SQL of one session.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The session's name.
    pub session: String,
    /// What it runs.
    pub sql: String,
    /// The SQLSTATE with which it must fail.
    pub error: Option<String>,
}

/// What a refresh must report. Actions, reasons and counts are those of DIFFERENTIAL with one
/// refresh per step; rows hold always.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Rows in the stream table.
    pub rows: Option<u64>,
    /// The action.
    pub action: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// Rows inserted.
    pub inserted: Option<u64>,
    /// Rows updated.
    pub updated: Option<u64>,
    /// Rows deleted.
    pub deleted: Option<u64>,
}

/// A query with its exact result.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The query.
    pub sql: String,
    /// Rows in lines, columns separated by `|`, NULL as nothing.
    pub returns: String,
    /// The session that asks.
    #[serde(default = "main_session")]
    pub session: String,
}

fn yes() -> bool {
    true
}

fn main_session() -> String {
    "main".into()
}

/// Why a scenario could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file system.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The text.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The path.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
}

impl Scenario {
    /// Reads one file.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = fs::read_to_string(path).map_err(|source| ScenarioError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut scenario: Self = toml::from_str(&text).map_err(|source| ScenarioError::Toml {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        scenario.name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(scenario)
    }

    /// The folder of the project's scenarios.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
    }
}

/// Every scenario below the folder that needs no other extension, in the order of their names.
pub fn load_all(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let mut all = load(folder)?;
    all.retain(|scenario| scenario.beside.is_none());
    Ok(all)
}

/// Those that need one.
pub fn load_beside(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let mut all = load(folder)?;
    all.retain(|scenario| scenario.beside.is_some());
    Ok(all)
}

fn load(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    let mut all = (paths.iter())
        .map(|path| Scenario::load(path))
        .collect::<Result<Vec<_>, _>>()?;
    all.retain(|scenario| scenario.since <= postgres::major());
    Ok(all)
}

/// The folder of what happens beside refreshes, which has a format of its own: the test `isolation` plays it.
const ISOLATION: &str = "isolation";

/// Finds the TOML files.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ScenarioError> {
    let entries = fs::read_dir(folder).map_err(|source| ScenarioError::Io {
        path: folder.to_owned(),
        source,
    })?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with(ISOLATION) {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_an_error() {
        let text = "title = 'x'\nsetup = ''\n[[step]]\nname = 'a'\nslq = 'SELECT 1'\n";
        let error = toml::from_str::<Scenario>(text).expect_err("slq is not a field");
        assert!(error.to_string().contains("unknown field `slq`"), "{error}");
    }

    #[test]
    fn the_scenario_of_the_cookbook_can_be_read() {
        let cookbook = include_str!("../../../scenarios/README.md");
        let (_, rest) = cookbook.split_once("```toml\n").expect("an example");
        let (example, _) = rest.split_once("```").expect("its end");
        let scenario = toml::from_str::<Scenario>(example).expect("a scenario");
        assert_eq!(scenario.steps.len(), 2);
    }

    #[test]
    fn every_scenario_of_the_project_can_be_read() {
        let all = load_all(&Scenario::folder()).expect("readable");
        assert!(!all.is_empty());
        for scenario in all {
            assert!(!scenario.title.is_empty(), "{}", scenario.name);
        }
    }
}
