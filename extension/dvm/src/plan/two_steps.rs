//! Queries over distributed tables in two steps: nodes compute what is local to their groups of shards, and the
//! rest is computed from images of that.
//!
//! A *part* is a relation whose result is the union of its results over the groups ([`super::locality`]). Its image is
//! an ordinary table with these rows, so that the rest is an ordinary query over ordinary tables:
//!
//! ```text
//! R local                       image(R)
//! γ over R local, by any keys   γ' over image(γ″ R): each group has one row per group of shards
//!   count(x) = sum(count″)      sum(x) = sum(sum″)      avg(x) = sum(sum″) / sum(count″)
//!   min, max, bool_and, bool_or = the same of the same
//! anything else                 the same over the rewritten inputs
//! ```

mod combine;

use std::collections::BTreeMap;

use self::combine::{Twice, is_combinable};
use super::locality::{Crossing, Spread, is_local};
use crate::rewrite::ColumnAllocator;
use crate::tree::{
    Aggregate, Column, ColumnType, Expr, Index, Opaque, Relation, Scan, ScanColumn, Visible,
};

/// A relation that groups of shards compute for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What each computes.
    pub relation: Relation,
    /// Whether its rows are those of tables, and not of groups.
    pub holds_rows: bool,
}

/// Where the rows of a part are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTable {
    /// OID of the table.
    pub oid: u32,
    /// Its name, qualified and quoted.
    pub relation: String,
    /// Attribute number of the column with the first of the part's.
    pub first: i16,
    /// Columns that it has an index on, alone.
    pub indexed: Vec<i16>,
}

/// A query in two steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwoSteps {
    /// The first.
    pub parts: Vec<Part>,
    /// The second, over their images.
    pub rest: Relation,
}

/// Divides a query. `images` has a table for each part, in their order.
///
/// # Errors
/// What is neither local nor made of what is.
pub fn two_steps(
    relation: Relation,
    tables: &BTreeMap<u32, Spread>,
    images: &[ImageTable],
) -> Result<TwoSteps, Crossing> {
    let mut division = Division {
        tables,
        images,
        columns: ColumnAllocator::above(&relation),
        parts: Vec::new(),
    };
    let rest = division.rest(relation)?;
    match division.parts.is_empty() {
        true => Err(Crossing::Whole),
        false => Ok(TwoSteps {
            parts: division.parts,
            rest,
        }),
    }
}

struct Division<'a> {
    tables: &'a BTreeMap<u32, Spread>,
    images: &'a [ImageTable],
    columns: ColumnAllocator,
    parts: Vec<Part>,
}

impl Division<'_> {
    fn rest(&mut self, relation: Relation) -> Result<Relation, Crossing> {
        if !self.reads_shards(&relation) {
            return Ok(relation);
        }
        if relation.free().is_empty() && relation.is_plain() {
            if is_local(&relation, self.tables) {
                let holds_rows = !is_grouped(&relation);
                let columns = relation.columns();
                return Ok(self.image(relation, columns, holds_rows));
            }
            if let Relation::Aggregate {
                input,
                keys,
                aggregates,
            } = &relation
                && is_local(input, self.tables)
                && aggregates.iter().all(is_combinable)
            {
                return Ok(self.grouped_twice(input, keys, aggregates));
            }
        }
        if let Relation::Opaque(_) = relation {
            return Err(Crossing::Opaque);
        }
        relation.try_map_inputs(&mut |input| self.rest(input))
    }

    fn reads_shards(&self, relation: &Relation) -> bool {
        let is_split = |oid: u32| matches!(self.tables.get(&oid), Some(Spread::By(_)));
        let reads = |opaque: &Opaque| opaque.sources.iter().any(|source| is_split(source.oid));
        match relation {
            Relation::Scan(scan) => is_split(scan.oid),
            Relation::Opaque(opaque) => reads(opaque),
            Relation::Bounded { input, bound, .. } => reads(bound) || self.reads_shards(input),
            Relation::Conditioned { input, condition } => {
                reads(&condition.bound) || self.reads_shards(input)
            }
            _ => relation.inputs().iter().any(|i| self.reads_shards(i)),
        }
    }

    /// The image of a part, showing these columns in the place of the part's.
    fn image(&mut self, relation: Relation, shown: Vec<Column>, holds_rows: bool) -> Relation {
        let table = self.images.get(self.parts.len());
        let first = table.map_or(1, |table| table.first);
        let columns = shown.into_iter().zip(first..);
        let indexed = table.map_or(&[][..], |table| table.indexed.as_slice());
        let indexes = indexed.iter().map(|attnum| Index {
            attnums: vec![Some(*attnum)],
            identifies_row: false,
        });
        let scan = Scan {
            oid: table.map_or(0, |table| table.oid),
            relation: table.map_or_else(String::new, |table| table.relation.clone()),
            columns: columns
                .map(|(column, attnum)| ScanColumn {
                    column,
                    attnum,
                    quoted: image_column(attnum - first),
                })
                .collect(),
            indexes: indexes.collect(),
            visible: Visible::default(),
        };
        // A table without columns has no rows to tell apart, and a query needs one.
        let relation = match relation.columns().is_empty() {
            false => relation,
            true => Relation::Project {
                input: Box::new(relation),
                columns: vec![(
                    self.columns.truth("present"),
                    Expr::constant("true", ColumnType::boolean(), false),
                )],
            },
        };
        self.parts.push(Part {
            relation,
            holds_rows,
        });
        Relation::Scan(scan)
    }

    /// A grouping of the groups of each part.
    fn grouped_twice(
        &mut self,
        input: &Relation,
        keys: &[(Column, Expr)],
        aggregates: &[Aggregate],
    ) -> Relation {
        let mut twice = Twice::new(&mut self.columns);
        let results = aggregates.iter().map(|aggregate| {
            let result = twice.combine(aggregate);
            (aggregate.column.clone(), result)
        });
        let results: Vec<_> = results.collect();
        let Twice {
            partial, combined, ..
        } = twice;
        let part = Relation::Aggregate {
            input: Box::new(input.clone()),
            keys: keys.to_vec(),
            aggregates: partial,
        };
        // The keys of the rest have the identities of the query's, so that the image's need others.
        let mut shown = part.columns();
        let grouped = keys.iter().zip(&mut shown).map(|((key, _), shown)| {
            let own = (self.columns).column(key.name.clone(), key.ty.clone(), key.nullable);
            *shown = own;
            (key.clone(), Expr::of(shown))
        });
        let grouped: Vec<_> = grouped.collect();
        let passed = keys.iter().map(|(key, _)| (key.clone(), Expr::of(key)));
        let columns = passed.chain(results).collect();
        let image = self.image(part, shown, false);
        Relation::Project {
            input: Box::new(Relation::Aggregate {
                input: Box::new(image),
                keys: grouped,
                aggregates: combined,
            }),
            columns,
        }
    }
}

/// Whether rows of the relation stand for several rows of tables.
fn is_grouped(relation: &Relation) -> bool {
    match relation {
        Relation::Aggregate { .. } | Relation::Distinct { .. } => true,
        Relation::Filter { input, .. } | Relation::Project { input, .. } => is_grouped(input),
        _ => false,
    }
}

/// The name of a column of an image, by position.
pub fn image_column(position: i16) -> String {
    format!("c{position}")
}

#[cfg(test)]
mod tests;
