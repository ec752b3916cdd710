//! The FROM clause of one query level as a tree of joins.
//!
//! - `L RIGHT JOIN R` = `R LEFT JOIN L`: columns have identities, not positions.
//! - A right side that reads columns of the left one (LATERAL) makes the join a dependent one.
//! - A subquery in the ON condition of an outer join is computed over the side that it reads, before the join, and so
//!   is a condition on the clock. One that reads both makes the null-supplying side depend on the other; a FULL JOIN with one is refused.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{ApplyKind, Column, ColumnId, Expr, Part, Predicate, Relation};

use super::analyzer::Analyzer;
use super::input::Range;
use super::scope::Level;
use super::stage::{Conjuncts, Stage, filtered};
use crate::capability::{INNER_JOIN, OUTER_JOIN, OUTER_JOIN_SUBQUERY, UNKNOWN_CONSTRUCT};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};

/// A part of the FROM clause.
struct Joined {
    relation: Relation,
    /// Columns of others that it reads, some of its own among them.
    reads: BTreeSet<ColumnId>,
}

impl Joined {
    fn nothing() -> Self {
        Self {
            relation: Relation::SingleRow,
            reads: BTreeSet::new(),
        }
    }

    fn reads_any(&self, other: &Relation) -> bool {
        reads_any(&self.reads, other)
    }
}

impl Analyzer {
    /// The FROM clause as a tree: explicit joins, and cross joins between its items.
    pub fn inputs_joined(&mut self, level: &Level<'_>) -> Result<Relation> {
        let from = Node::new(level.query.jointree).and_then(Node::cast::<pg_sys::FromExpr>);
        let items = from.map_or_else(Vec::new, |from| node::list(from.fromlist));
        let mut joined: Option<Joined> = None;
        for item in items {
            let right = self.join_tree(level, item)?;
            joined = Some(match joined {
                None => right,
                Some(left) => {
                    self.note(&INNER_JOIN, "cross join");
                    inner(left, right, Conjuncts::default(), Stage::new(level, None))
                }
            });
        }
        Ok(joined.map_or(Relation::SingleRow, |joined| joined.relation))
    }

    fn join_tree(&mut self, level: &Level<'_>, item: Node) -> Result<Joined> {
        node::check_stack_depth();
        if let Some(reference) = item.cast::<pg_sys::RangeTblRef>() {
            return self.entry(level, reference.rtindex);
        }
        let Some(join) = item.cast::<pg_sys::JoinExpr>() else {
            self.refuse(&UNKNOWN_CONSTRUCT, "item in FROM");
            return Ok(Joined::nothing());
        };
        let left = self.side(level, join.larg)?;
        let right = self.side(level, join.rarg)?;
        self.join(level, join, left, right)
    }

    fn side(&mut self, level: &Level<'_>, side: *mut pg_sys::Node) -> Result<Joined> {
        match Node::new(side) {
            Some(item) => self.join_tree(level, item),
            None => Ok(Joined::nothing()),
        }
    }

    fn entry(&mut self, level: &Level<'_>, index: i32) -> Result<Joined> {
        let Some((range, reads)) = level.range(index) else {
            return Ok(Joined::nothing());
        };
        let mut reads = reads.clone();
        let relation = match range {
            Range::Table { scan, only, .. } => {
                let rows = Relation::Scan(scan.clone());
                match only {
                    Some(only) => Relation::Filter {
                        input: Box::new(rows),
                        predicates: vec![(**only).clone()],
                    },
                    None => rows,
                }
            }
            Range::Derived(derived) => derived.relation.clone(),
            Range::Computed(computed) => {
                let mut stage = Stage::new(level, None);
                let item = self.computed_rows(&mut stage, computed)?;
                reads.extend(item.iter().filter_map(|part| match part {
                    Part::Column(id) => Some(*id),
                    Part::Sql(_) => None,
                }));
                reads.extend(stage.reads());
                let (columns, key) = (computed.columns.clone(), computed.key.clone());
                Relation::expand(stage.over(Relation::SingleRow), item, columns, key)
            }
            Range::Other => Relation::SingleRow,
        };
        let relation = match level.mark(index) {
            Some(mark) => marked(relation, mark),
            None => relation,
        };
        Ok(Joined { relation, reads })
    }

    fn join(
        &mut self,
        level: &Level<'_>,
        join: NodeOf<pg_sys::JoinExpr>,
        left: Joined,
        right: Joined,
    ) -> Result<Joined> {
        use pg_sys::JoinType::{JOIN_FULL, JOIN_INNER, JOIN_LEFT, JOIN_RIGHT};
        let mut stage = Stage::new(level, None);
        let on = self.conjuncts(&mut stage, Node::new(join.quals))?;
        if join.jointype == JOIN_INNER {
            self.note(&INNER_JOIN, "JOIN");
            return Ok(inner(left, right, on, stage));
        }
        let (left, right) = self.with_subqueries(stage, join.jointype, left, right);
        let mut reads = left.reads.clone();
        reads.extend(right.reads.iter().copied());
        let relation = match join.jointype {
            JOIN_LEFT => {
                self.note(&OUTER_JOIN, "LEFT JOIN");
                left_join(left, right, on.all())
            }
            JOIN_RIGHT => {
                self.note(&OUTER_JOIN, "RIGHT JOIN");
                left_join(right, left, on.all())
            }
            JOIN_FULL => {
                self.note(&OUTER_JOIN, "FULL JOIN");
                Relation::FullJoin {
                    left: Box::new(left.relation),
                    right: Box::new(right.relation),
                    predicates: on.all(),
                }
            }
            _ => {
                self.refuse(&UNKNOWN_CONSTRUCT, "join");
                Relation::SingleRow
            }
        };
        Ok(Joined { relation, reads })
    }

    /// The sides of an outer join with what its condition has added, each over the side that it reads.
    fn with_subqueries(
        &mut self,
        stage: Stage<'_>,
        kind: pg_sys::JoinType::Type,
        mut left: Joined,
        mut right: Joined,
    ) -> (Joined, Joined) {
        for pending in stage.pending {
            let reads_left = reads_any(&pending.reads, &left.relation);
            let reads_right = reads_any(&pending.reads, &right.relation);
            let is_of_left = match (reads_left, reads_right) {
                (true, true) => {
                    if kind == pg_sys::JoinType::JOIN_FULL {
                        self.refuse(&OUTER_JOIN_SUBQUERY, "a condition in ON");
                    }
                    kind == pg_sys::JoinType::JOIN_RIGHT
                }
                (reads_left, _) => reads_left,
            };
            let side = if is_of_left { &mut left } else { &mut right };
            side.reads.extend(pending.reads.iter().copied());
            let input = std::mem::replace(&mut side.relation, Relation::SingleRow);
            side.relation = pending.over(input);
        }
        (left, right)
    }
}

/// The relation with a column that is true in each of its rows.
fn marked(relation: Relation, mark: &Column) -> Relation {
    let truth = (mark.clone(), Expr::constant("true", mark.ty.clone(), false));
    let columns = relation.columns().into_iter().map(|column| {
        let expr = Expr::of(&column);
        (column, expr)
    });
    Relation::Project {
        columns: columns.chain([truth]).collect(),
        input: Box::new(relation),
    }
}

fn inner(left: Joined, right: Joined, on: Conjuncts, stage: Stage<'_>) -> Joined {
    let depends = right.reads_any(&left.relation);
    let mut reads = left.reads;
    reads.extend(right.reads);
    reads.extend(stage.reads());
    let (left, right) = (left.relation, right.relation);
    let joined = if right.is_computed() {
        filtered(right.beside(left), on.plain)
    } else if depends {
        let rows = Relation::Apply {
            input: Box::new(left),
            subquery: Box::new(right),
            kind: ApplyKind::Cross,
        };
        filtered(rows, on.plain)
    } else {
        Relation::Join {
            left: Box::new(left),
            right: Box::new(right),
            predicates: on.plain,
        }
    };
    Joined {
        relation: filtered(stage.over(joined), on.dependent),
        reads,
    }
}

fn left_join(left: Joined, right: Joined, predicates: Vec<Predicate>) -> Relation {
    let depends = right.reads_any(&left.relation);
    let left = left.relation;
    match right.relation {
        Relation::Expand {
            input,
            item,
            columns,
            key,
        } if *input == Relation::SingleRow => {
            Relation::expand_left(left, item.parts, columns, key, &predicates)
        }
        right if depends => Relation::Apply {
            input: Box::new(left),
            subquery: Box::new(right),
            kind: ApplyKind::Left { predicates },
        },
        right => Relation::LeftJoin {
            left: Box::new(left),
            right: Box::new(right),
            predicates,
            present: None,
        },
    }
}

fn reads_any(reads: &BTreeSet<ColumnId>, relation: &Relation) -> bool {
    relation.columns().iter().any(|c| reads.contains(&c.id))
}
