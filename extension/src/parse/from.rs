//! The inputs of one query level. [`super::join`] joins them.

use std::collections::{BTreeMap, BTreeSet};

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use super::derived::Access;
use super::input::Range;
use super::scope::{Input, Level, Offered, Scope};
use crate::error::Result;
use crate::pg::levels;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::query::flatten_lateral;
use crate::pg::whole_row::{MARK, null_supplied};

/// The columns of each range table entry that a level reads, by range table index.
pub(super) type Usage = BTreeMap<i32, BTreeSet<i16>>;

impl Analyzer {
    /// Analyses the inputs of a level; `roots` are its flattened expressions.
    pub fn level<'a>(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        parent: Option<&'a Scope<'a>>,
        access: &Access,
        roots: &[Node],
    ) -> Result<Level<'a>> {
        let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
        let mut roots = roots.to_vec();
        roots.extend(entries.iter().filter_map(|entry| lateral(query, *entry)));
        let (usage, members) = usage(&roots);
        let nulled = null_supplied(query);
        let mut level = Level {
            query,
            parent,
            access: access.clone(),
            ranges: Vec::with_capacity(entries.len()),
            names: Vec::with_capacity(entries.len()),
        };
        let nothing = BTreeSet::new();
        for (index, entry) in (1..).zip(entries) {
            let used = usage.get(&index).unwrap_or(&nothing);
            level.names.push(node::entry_name(&entry));
            let before = self.reads_outside();
            let range = if members.contains(&index) {
                // A LATERAL entry reads what stands before it.
                let scope = Scope {
                    query,
                    parent,
                    offered: Some(Offered {
                        level: &level,
                        grouping: None,
                    }),
                };
                self.range(query, entry, used, &scope, access)?
            } else {
                Range::Other
            };
            // A computed item has it among its columns.
            let is_marked = used.contains(&MARK) && !matches!(range, Range::Computed(_));
            let mark = is_marked.then(|| self.truth("present"));
            if nulled.contains(&index) {
                let marks = mark.iter().map(|mark| mark.id);
                (range.columns().into_iter().chain(marks)).for_each(|id| self.set_nullable(id));
            }
            let reads = self.reads_outside_since(before);
            level.ranges.push(Input { range, reads, mark });
        }
        Ok(level)
    }
}

/// A subquery in FROM that may read the columns before it, flattened.
fn lateral(query: NodeOf<pg_sys::Query>, entry: NodeOf<pg_sys::RangeTblEntry>) -> Option<Node> {
    let subquery = Node::new(entry.subquery)?.cast()?;
    entry
        .lateral
        .then(|| flatten_lateral(query, subquery).node())
}

/// Columns read by flattened expressions, and the range table entries that FROM names.
fn usage(roots: &[Node]) -> (Usage, BTreeSet<i32>) {
    let mut usage = Usage::new();
    let mut members = BTreeSet::new();
    for root in roots {
        levels::walk_levels(*root, &mut |node, level| {
            if let Some(var) = node.cast::<pg_sys::Var>() {
                if var.varlevelsup == level {
                    usage.entry(var.varno).or_default().insert(var.varattno);
                }
            } else if let Some(reference) = node.cast::<pg_sys::RangeTblRef>()
                && level == 0
            {
                members.insert(reference.rtindex);
            }
            Walk::Descend
        });
    }
    (usage, members)
}
