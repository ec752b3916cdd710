//! The engine's refusals, as reports show them.

use crate::capability::{APART_NOT_IMMEDIATE, CITUS_NOT_IMMEDIATE, ROW_POLICY_NOT_IMMEDIATE};
use crate::cdc;
use crate::error::Obstacle;
use crate::parse;
use crate::pg::{citus, name};

/// Why the engine cannot maintain a tree.
pub fn engine_obstacle(error: &pgtrickle_dvm::Error) -> Obstacle {
    let (code, remedy) = match error {
        pgtrickle_dvm::Error::AmbiguousOrder { .. } => (
            "UNSETTLED_ORDER",
            "Add columns to ORDER BY until no two rows are equal in it, such as a primary key, or use a frame of ROWS.",
        ),
        pgtrickle_dvm::Error::TooWide { .. } => (
            "TOO_WIDE",
            "Split its columns among several stream tables, and join those in a view.",
        ),
        pgtrickle_dvm::Error::CannotUnnest { .. } => (
            "CANNOT_UNNEST",
            "Use an inner join, or store such values in columns of a type with an order.",
        ),
    };
    Obstacle {
        code: code.to_owned(),
        reason: error.to_string(),
        remedy: remedy.to_owned(),
    }
}

/// Why an IMMEDIATE stream table cannot follow what is maintained otherwise.
pub fn not_immediate(analysis: &parse::Analysis) -> Option<Obstacle> {
    let by_nodes = analysis.sources.iter().map(|source| source.oid);
    let of_citus = by_nodes.filter(|table| citus::kind(*table).is_some());
    let replaced = analysis.spread.replaced.iter().copied();
    if let Some(table) = replaced.chain(of_citus).next() {
        let name = name::relation_name(table).unwrap_or_default();
        let found = parse::Unsupported::new(&CITUS_NOT_IMMEDIATE, name);
        return Some(Obstacle::from(&found));
    }
    let is_secured = |source: &&parse::SourceTable| analysis.secured.contains(&source.oid.to_u32());
    if let Some(source) = analysis.sources.iter().find(is_secured) {
        let found = parse::Unsupported::new(&ROW_POLICY_NOT_IMMEDIATE, source.relation.clone());
        return Some(Obstacle::from(&found));
    }
    let is_apart = |source: &&parse::SourceTable| cdc::is_told_by_rows(source.oid, &source.columns);
    let source = analysis.sources.iter().find(is_apart)?;
    let found = parse::Unsupported::new(&APART_NOT_IMMEDIATE, source.relation.clone());
    Some(Obstacle::from(&found))
}
