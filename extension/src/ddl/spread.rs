//! Spreading a new stream table over the nodes of a cluster.
//!
//! The creating transaction makes it a distributed table co-located with its sources, and Citus fills it: a failure
//! leaves nothing on any node. The first refresh afterwards turns its shards into stream tables of their nodes, like any
//! shard that reaches a node later; until then they only hold rows.

use std::collections::BTreeMap;

use pgrx::pg_sys;
use pgtrickle_dvm::plan;

use crate::capability::CITUS_SHARD_LOCAL;
use crate::catalog::RequestedMode;
use crate::citus;
use crate::error::{CitusTable, Result, SpreadError};
use crate::parse::{self, Analysis, Place, SourceTable};
use crate::pg::citus::{Distribution, is_installed};
use crate::pg::settings::Settings;
use crate::pg::table::TableFacts;
use crate::pg::{replica_identity, report, utility};

use super::internal_view::STATE_SCHEMA;
use super::mode::Decision;

/// How a stream table is spread.
#[derive(Debug, Clone)]
pub struct Spread {
    /// The column whose hash says in which shard a row is.
    pub column: String,
    /// A table that it reads, beside which its shards are.
    pub beside: pg_sys::Oid,
    /// The tables that it reads.
    pub sources: Vec<SourceTable>,
    /// Settings that the result depends on, with their values.
    pub settings: Vec<String>,
}

/// Whether a query can be kept by the nodes that have the shards.
#[derive(Debug, Clone)]
pub enum Finding {
    /// It reads no distributed table, or is not to be.
    Local,
    /// Its rows are made of several shards: how.
    Crosses(String),
    /// It can.
    Spread(Spread),
}

/// Looks at the query in `view`, of which `column` is to be the distribution column, if any is named.
pub fn find(
    view: pg_sys::Oid,
    owner: pg_sys::Oid,
    settings: &Settings,
    requested: RequestedMode,
    column: Option<&str>,
) -> Result<Finding> {
    let may_spread = matches!(requested, RequestedMode::Auto | RequestedMode::Differential);
    let found = match may_spread && is_installed() {
        true => {
            let analysis = parse::analyse_at(view, owner, settings, Place::Shards)?;
            examine(analysis, settings, column)
        }
        false => Finding::Local,
    };
    let refused = |why: &str| {
        let column = column.unwrap_or_default().to_owned();
        let why = why.to_owned();
        Err(SpreadError::BadColumn { column, why }.into())
    };
    match &found {
        Finding::Local if column.is_some() => {
            refused("The nodes of a Citus cluster do not maintain it.")
        }
        Finding::Crosses(why) if column.is_some() => refused(&format!("Here, {why}.")),
        _ => Ok(found),
    }
}

/// Judges a query by its analysis over shards.
pub fn examine(mut analysis: Analysis, settings: &Settings, column: Option<&str>) -> Finding {
    let tables = std::mem::take(&mut analysis.spread.tables);
    let mut distributed = tables
        .iter()
        .filter(|(_, found)| found.kind == CitusTable::Distributed);
    let (Some((beside, first)), Some(relation)) = (distributed.next(), analysis.relation.take())
    else {
        return Finding::Local;
    };
    if distributed.any(|(_, other)| other.colocation != first.colocation) {
        return Finding::Crosses("its tables are not co-located".into());
    }
    let Some(spread) = spread_of(&tables) else {
        return Finding::Crosses(
            "a table is not distributed by the hash of a column, or its shards have several placements".into(),
        );
    };
    let positions = match plan::spread_of(&relation, &spread) {
        Ok(positions) => positions,
        Err(crossing) => return Finding::Crosses(crossing.to_string()),
    };
    if plan::compile(relation).is_err() {
        return Finding::Local;
    }
    let beside = pg_sys::Oid::from(*beside);
    let names = alike(&analysis, &positions, beside, first);
    let chosen = match column {
        Some(wanted) => names.iter().find(|name| *name == wanted),
        None => names.first(),
    };
    match chosen {
        None if names.is_empty() => Finding::Crosses(plan::Crossing::Output.to_string()),
        None => Finding::Crosses(format!("it can be distributed by {}", names.join(", "))),
        Some(column) => Finding::Spread(Spread {
            column: column.clone(),
            beside,
            settings: settings.items_of(&analysis.settings),
            sources: analysis.sources,
        }),
    }
}

fn spread_of(tables: &BTreeMap<u32, Distribution>) -> Option<BTreeMap<u32, plan::Spread>> {
    let spread = tables.iter().map(|(oid, table)| match table.kind {
        CitusTable::Distributed => Some((*oid, plan::Spread::By(table.column?))),
        CitusTable::Reference | CitusTable::Local => Some((*oid, plan::Spread::Whole)),
    });
    spread.collect()
}

/// The output columns at these positions that have the type of the distribution column, by which Citus puts tables
/// beside each other.
fn alike(
    analysis: &Analysis,
    positions: &[usize],
    beside: pg_sys::Oid,
    distribution: &Distribution,
) -> Vec<String> {
    let facts = TableFacts::load(beside);
    let key = distribution
        .column
        .and_then(|attnum| facts.as_ref()?.attribute(attnum));
    let Some(key) = key else {
        return Vec::new();
    };
    let columns = positions.iter().filter_map(|at| analysis.columns.get(*at));
    columns
        .filter(|column| column.type_oid == key.type_oid && column.collation == key.collation)
        .map(|column| column.name.clone())
        .collect()
}

impl Spread {
    /// Why the stream table is spread, in words.
    pub fn reason(&self) -> String {
        format!(
            "the nodes that hold the shards maintain it, distributed by column \"{}\"",
            self.column
        )
    }

    /// The decision to have nodes keep it.
    pub fn decision(&self, requested: RequestedMode) -> Decision {
        Decision::by_nodes(requested, self.sources.clone(), self.settings.clone())
    }

    /// Distributes the table, which is empty, and fills it if that is wanted.
    pub fn apply(
        &self,
        table: pg_sys::Oid,
        qualified: &str,
        view_name: &str,
        fill: bool,
    ) -> Result<()> {
        replica_identity::ensure(table)?;
        citus::spread(table, &self.column, self.beside)?;
        if fill {
            utility::run(&format!(
                "INSERT INTO {qualified} SELECT * FROM {STATE_SCHEMA}.{view_name}"
            ))?;
        }
        Ok(())
    }

    /// Tells the user.
    pub fn announce(&self, name: &str) {
        report::notice(
            &format!(
                "stream table \"{name}\" is distributed by column \"{}\"",
                self.column
            ),
            Some("The nodes that hold its shards maintain it, each with its own scheduler."),
            None,
        );
    }

    /// The code under which the catalog knows it.
    pub const CODE: &str = CITUS_SHARD_LOCAL.code;
}
