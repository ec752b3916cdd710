//! Dividing the query of a view.

use std::collections::{BTreeMap, HashMap};

use pgrx::pg_sys;
use pgtrickle_dvm::plan::{self, Spread};
use pgtrickle_dvm::sql::query_text;
use pgtrickle_dvm::tree::Relation;

use super::names;
use crate::capability::CITUS_DISTRIBUTED_TABLE;
use crate::catalog::StreamTable;
use crate::error::{CitusTable, Result};
use crate::parse::{self, Analysis, Place, Unsupported};
use crate::pg::settings::Settings;
use crate::pg::{citus, depend, name};

/// A part, as sent to nodes.
#[derive(Debug, Clone)]
pub struct PartQuery {
    /// The query, over tables.
    pub text: String,
    /// Whether its rows are those of tables, and not of groups.
    pub holds_rows: bool,
    /// A distributed table that it reads, beside whose shards it is kept.
    pub beside: pg_sys::Oid,
}

/// A query in two steps.
#[derive(Debug, Clone)]
pub struct Divided {
    /// The first.
    pub parts: Vec<PartQuery>,
    /// The second.
    pub rest: Relation,
    /// The same as a text over images.
    pub rest_text: String,
    /// What was found of the query.
    pub analysis: Analysis,
}

impl Divided {
    /// Whether parts have rows of tables, and not of groups.
    pub fn holds_rows(&self) -> bool {
        self.parts.iter().any(|part| part.holds_rows)
    }

    fn is_maintained(&self) -> bool {
        plan::compile(self.rest.clone()).is_ok()
    }
}

/// Divides the query of a view. The images of its parts are those of a stream table, if it has one. On the other hand the
/// analysis, with the reason why it cannot be divided.
pub fn divide(
    view: pg_sys::Oid,
    owner: pg_sys::Oid,
    settings: &Settings,
    pgt_id: Option<i64>,
) -> Result<std::result::Result<Divided, Analysis>> {
    divide_analysed(
        parse::analyse_at(view, owner, settings, Place::Both)?,
        pgt_id,
    )
}

/// Divides a query that is given as a text, if it can be maintained.
pub fn find_in_text(query: &str) -> Result<Option<Divided>> {
    let divided = divide_analysed(parse::analyse_query_at(query, Place::Both)?, None)?;
    Ok(divided.ok().filter(Divided::is_maintained))
}

fn divide_analysed(
    mut analysis: Analysis,
    pgt_id: Option<i64>,
) -> Result<std::result::Result<Divided, Analysis>> {
    let Some(relation) = analysis.relation.take() else {
        return Ok(Err(analysis));
    };
    let tables = Tables::of(&analysis)?;
    let images = match pgt_id {
        Some(pgt_id) => names::images(pgt_id)?,
        None => Vec::new(),
    };
    let refused = |mut analysis: Analysis, why: String| {
        let found = Unsupported::new(&CITUS_DISTRIBUTED_TABLE, why);
        analysis.unsupported.push(found);
        Ok(Err(analysis))
    };
    let divided = match plan::two_steps(relation, &tables.spread, &images) {
        Ok(divided) => divided,
        Err(crossing) => return refused(analysis, crossing.to_string()),
    };
    let names = analysis.columns.iter();
    let names: Vec<_> = names.map(|column| name::quote(&column.name)).collect();
    let parts = divided.parts.iter().map(|part| tables.part(part));
    let parts = parts.collect::<Option<Vec<_>>>();
    match (parts, query_text(&divided.rest, &names)) {
        (Some(parts), Some(rest_text)) => Ok(Ok(Divided {
            parts,
            rest: divided.rest,
            rest_text,
            analysis,
        })),
        _ => refused(analysis, "a part of the query".to_owned()),
    }
}

/// Divides the query of a view that is to become a stream table, if that can be maintained.
pub fn find(view: pg_sys::Oid, owner: pg_sys::Oid, settings: &Settings) -> Result<Option<Divided>> {
    let divided = divide(view, owner, settings, None)?.ok();
    Ok(divided.filter(Divided::is_maintained))
}

/// The analysis of what the coordinator maintains, and the query to read its content by.
pub fn rest_of(table: &StreamTable, owner: pg_sys::Oid) -> Result<(Analysis, Option<String>)> {
    match divide(table.view, owner, &table.settings, Some(table.pgt_id))? {
        Err(analysis) => Ok((analysis, None)),
        Ok(divided) => {
            let analysis = Analysis {
                relation: Some(divided.rest),
                ..divided.analysis
            };
            Ok((analysis, Some(divided.rest_text)))
        }
    }
}

/// The tables of Citus that a tree reads.
struct Tables {
    spread: BTreeMap<u32, Spread>,
    /// The names of tables for which shards of this node stand.
    names: HashMap<u32, String>,
}

impl Tables {
    fn of(analysis: &Analysis) -> Result<Self> {
        let mut tables = Tables {
            spread: BTreeMap::new(),
            names: HashMap::new(),
        };
        for (oid, found) in &analysis.spread.tables {
            if let Some(column) = found.column {
                tables.spread.insert(*oid, Spread::By(column));
            }
        }
        for table in &analysis.spread.replaced {
            if citus::kind(*table) == Some(CitusTable::Reference)
                && let Some(here) = citus::local_copy(*table)?
                && let Some(name) = name::qualified_name(*table)
            {
                tables.spread.insert(here.to_u32(), Spread::Whole);
                tables.names.insert(here.to_u32(), name);
            }
        }
        Ok(tables)
    }

    fn part(&self, part: &plan::Part) -> Option<PartQuery> {
        let mut relation = part.relation.clone();
        let mut beside = None;
        self.name(&mut relation, &mut beside);
        let width = i16::try_from(relation.columns().len()).ok()?;
        let names: Vec<String> = (0..width).map(plan::image_column).collect();
        Some(PartQuery {
            text: query_text(&relation, &names)?,
            holds_rows: part.holds_rows,
            beside: beside?,
        })
    }

    /// Has a tree read tables in the place of this node's shards.
    fn name(&self, relation: &mut Relation, beside: &mut Option<pg_sys::Oid>) {
        if let Relation::Scan(scan) = relation {
            if let Some(name) = self.names.get(&scan.oid) {
                scan.relation.clone_from(name);
            }
            if let Some(Spread::By(_)) = self.spread.get(&scan.oid) {
                *beside = Some(pg_sys::Oid::from(scan.oid));
            }
        }
        for input in relation.inputs_mut() {
            self.name(input, beside);
        }
    }
}

/// The division of a stream table's query as it is now.
pub(super) fn present(table: &StreamTable) -> Result<std::result::Result<Divided, Analysis>> {
    let owner = depend::owner_of(table.relid).ok_or(crate::error::Error::Vanished)?;
    divide(table.view, owner, &table.settings, Some(table.pgt_id))
}
