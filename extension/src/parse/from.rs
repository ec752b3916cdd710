//! The inputs of one query level, and its FROM clause as a tree of joins.

use std::collections::{BTreeMap, BTreeSet};

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{ColumnId, Relation};

use super::analyzer::{Access, Analyzer, Scope};
use super::computed::Computed;
use super::range::{Range, entry_name};
use crate::capability::{INNER_JOIN, OUTER_JOIN, UNKNOWN_CONSTRUCT};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf, Walk};

/// One query level with its inputs analysed.
pub(super) struct Level {
    /// The query.
    pub query: NodeOf<pg_sys::Query>,
    ranges: Vec<Range>,
    names: Vec<String>,
}

impl Level {
    /// The column that a Var means.
    pub fn column(&self, varno: i32, attnum: i16) -> Option<ColumnId> {
        let range = self
            .ranges
            .get(usize::try_from(varno).ok()?.checked_sub(1)?)?;
        match range {
            Range::Table { columns, .. } => columns.get(&attnum).copied(),
            Range::Derived(derived) => {
                let position = usize::try_from(attnum).ok()?.checked_sub(1)?;
                derived.columns.get(position).copied().flatten()
            }
            Range::Computed(computed) => computed.ids.get(&attnum).copied(),
            Range::Other => None,
        }
    }

    /// The computed item at a range table index, if it is one.
    pub fn computed(&self, varno: i32) -> Option<&Computed> {
        let range = self
            .ranges
            .get(usize::try_from(varno).ok()?.checked_sub(1)?)?;
        match range {
            Range::Computed(computed) => Some(computed),
            Range::Table { .. } | Range::Derived(_) | Range::Other => None,
        }
    }

    /// Whether an input says ORDER BY.
    pub fn has_ordered_input(&self) -> bool {
        self.ranges
            .iter()
            .any(|range| matches!(range, Range::Derived(derived) if derived.ordered))
    }

    /// Whether a range table entry has columns at all.
    pub fn is_readable(&self, varno: i32) -> bool {
        usize::try_from(varno)
            .ok()
            .and_then(|n| self.ranges.get(n.checked_sub(1)?))
            .is_some_and(|range| !matches!(range, Range::Other))
    }

    /// The name of a range table entry, for messages.
    pub fn name_of(&self, varno: i32) -> &str {
        usize::try_from(varno)
            .ok()
            .and_then(|n| self.names.get(n.checked_sub(1)?))
            .map_or("", String::as_str)
    }
}

/// The columns of each range table entry that a level reads, by range table index.
pub(super) type Usage = BTreeMap<i32, BTreeSet<i16>>;

impl Analyzer {
    /// Analyses the inputs of a level; `roots` are its flattened expressions.
    pub fn level(
        &mut self,
        query: NodeOf<pg_sys::Query>,
        scope: &Scope<'_>,
        access: &Access,
        roots: &[Node],
    ) -> Result<Level> {
        let (usage, members) = usage(roots);
        let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
        let mut level = Level {
            query,
            ranges: Vec::with_capacity(entries.len()),
            names: Vec::with_capacity(entries.len()),
        };
        let nothing = BTreeSet::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let index = i as i32 + 1;
            let used = usage.get(&index).unwrap_or(&nothing);
            level.names.push(entry_name(&entry));
            level.ranges.push(if members.contains(&index) {
                self.range(query, entry, used, scope, access)?
            } else {
                Range::Other
            });
        }
        Ok(level)
    }

    /// The FROM clause as a tree: explicit joins, and cross joins between its items.
    pub fn inputs_joined(&mut self, level: &mut Level) -> Relation {
        let from = Node::new(level.query.jointree).and_then(Node::cast::<pg_sys::FromExpr>);
        let items = from.map_or_else(Vec::new, |from| node::list(from.fromlist));
        let mut relation: Option<Relation> = None;
        for item in items {
            let right = self.join_tree(level, item);
            relation = Some(match relation {
                None => right,
                Some(left) if right.is_computed() => right.beside(left),
                Some(left) => {
                    self.note(&INNER_JOIN, "cross join");
                    Relation::Join {
                        left: Box::new(left),
                        right: Box::new(right),
                        predicates: Vec::new(),
                    }
                }
            });
        }
        relation.unwrap_or(Relation::SingleRow)
    }

    /// One item of FROM.
    pub fn join_tree(&mut self, level: &mut Level, item: Node) -> Relation {
        node::check_stack_depth();
        if let Some(reference) = item.cast::<pg_sys::RangeTblRef>() {
            let range = usize::try_from(reference.rtindex)
                .ok()
                .and_then(|n| level.ranges.get(n.checked_sub(1)?));
            return match range {
                Some(Range::Table { scan, .. }) => Relation::Scan(scan.clone()),
                Some(Range::Derived(derived)) => derived.relation.clone(),
                Some(Range::Computed(computed)) => {
                    let item = self.computed_rows(level, computed);
                    Relation::expand(
                        Relation::SingleRow,
                        item,
                        computed.columns.clone(),
                        computed.key.clone(),
                    )
                }
                Some(Range::Other) | None => Relation::SingleRow,
            };
        }
        let Some(join) = item.cast::<pg_sys::JoinExpr>() else {
            self.refuse(&UNKNOWN_CONSTRUCT, "item in FROM");
            return Relation::SingleRow;
        };
        if let Some(relation) = self.join_computed(level, join) {
            return relation;
        }
        let kind = join_kind(join.jointype);
        if join.jointype == pg_sys::JoinType::JOIN_INNER {
            self.note(&INNER_JOIN, kind);
        } else {
            self.refuse(&OUTER_JOIN, kind);
        }
        let mut side = |pointer| {
            Node::new(pointer).map_or(Relation::SingleRow, |node| self.join_tree(level, node))
        };
        let left = Box::new(side(join.larg));
        let right = Box::new(side(join.rarg));
        Relation::Join {
            left,
            right,
            predicates: self.predicates(level, Node::new(join.quals), None),
        }
    }
}

/// Columns read by flattened expressions, and the range table entries that FROM names.
fn usage(roots: &[Node]) -> (Usage, BTreeSet<i32>) {
    let mut usage = Usage::new();
    let mut members = BTreeSet::new();
    for root in roots {
        root.walk(&mut |node| {
            if let Some(var) = node.cast::<pg_sys::Var>() {
                if var.varlevelsup == 0 {
                    usage.entry(var.varno).or_default().insert(var.varattno);
                }
            } else if let Some(reference) = node.cast::<pg_sys::RangeTblRef>() {
                members.insert(reference.rtindex);
            }
            Walk::Descend
        });
    }
    (usage, members)
}

fn join_kind(kind: pg_sys::JoinType::Type) -> &'static str {
    match kind {
        pg_sys::JoinType::JOIN_INNER => "JOIN",
        pg_sys::JoinType::JOIN_LEFT => "LEFT JOIN",
        pg_sys::JoinType::JOIN_RIGHT => "RIGHT JOIN",
        pg_sys::JoinType::JOIN_FULL => "FULL JOIN",
        _ => "join",
    }
}
