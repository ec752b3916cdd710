//! Subqueries in expressions: each becomes a dependent join under the stage, and a parameter for the
//! column that the join adds.
//!
//! | written | join | value |
//! |---|---|---|
//! | `EXISTS (q)` | Exists | the mark |
//! | `x op ANY (q)`, `x IN (q)` | Any of `x op y` | the result |
//! | `x op ALL (q)` | Any of `NOT x op y` | NOT the result |
//! | `(q)` | Scalar | the value |
//! | `(x, …) op (q)` | Scalar for each column of q | the comparison |
//! | `ARRAY (q)` | Scalar of `array_agg` over q | the value |
//!
//! A scalar with several rows is an error, as for the server.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{
    Aggregate, AggregateKind, ApplyKind, Column, ColumnId, Expr, Part, Relation, SortKey,
};

use super::analyzer::Analyzer;
use super::bind::placeholder;
use super::derived::{Derived, Needed};
use super::display_scale::Scale;
use super::expression::split;
use super::settle::relies_on_order;
use super::stage::{Added, Pending, Stage};
use crate::capability::{
    ARRAY_SUBQUERY, EXISTS, IN_SUBQUERY, ORDERED_INPUT, SCALAR_SUBQUERY, UNKNOWN_CONSTRUCT,
};
use crate::error::Result;
use crate::pg::make_node;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::{deparse, query, types};

/// A boolean, as a shape of a column.
const BOOLEAN: (pg_sys::Oid, i32, pg_sys::Oid) = (pg_sys::BOOLOID, -1, pg_sys::InvalidOid);

/// A subquery analysed for a stage.
struct Subquery {
    derived: Derived,
    reads: BTreeSet<ColumnId>,
}

impl Analyzer {
    /// What stands in place of a subquery in an expression.
    pub(super) fn sublink(
        &mut self,
        stage: &mut Stage<'_>,
        link: NodeOf<pg_sys::SubLink>,
    ) -> Result<Option<Node>> {
        use pg_sys::SubLinkType as T;
        if let Some(bound) = stage.known(link.node()) {
            return Ok(Some(bound));
        }
        let Some(subselect) = Node::new(link.subselect).and_then(Node::cast::<pg_sys::Query>)
        else {
            self.refuse(&UNKNOWN_CONSTRUCT, "subquery");
            return Ok(placeholder(link.node()));
        };
        let bound = match link.subLinkType {
            T::EXISTS_SUBLINK => self.exists(stage, subselect)?,
            T::ANY_SUBLINK => self.any(stage, link, subselect, false)?,
            T::ALL_SUBLINK => self.any(stage, link, subselect, true)?,
            T::EXPR_SUBLINK => {
                self.note(&SCALAR_SUBQUERY, "(SELECT …)");
                self.scalar(stage, subselect, 1)?
            }
            T::ROWCOMPARE_SUBLINK => self.row_comparison(stage, link, subselect)?,
            T::ARRAY_SUBLINK => self.array(stage, link, subselect)?,
            _ => None,
        };
        if bound.is_none() {
            self.refuse(&UNKNOWN_CONSTRUCT, "subquery in an expression");
            return Ok(placeholder(link.node()));
        }
        stage.known.extend(bound.map(|bound| (link.node(), bound)));
        Ok(bound)
    }

    fn exists(
        &mut self,
        stage: &mut Stage<'_>,
        subselect: NodeOf<pg_sys::Query>,
    ) -> Result<Option<Node>> {
        self.note(&EXISTS, "EXISTS (SELECT …)");
        let subquery = self.subquery(stage, subselect, &Needed::Only(BTreeSet::new()))?;
        let present = self.add_column("exists", BOOLEAN, false, Scale::Unknown);
        let parameter = self.parameter(present.id);
        stage
            .pending
            .push(subquery.pending(ApplyKind::Exists { present }));
        Ok(parameter)
    }

    /// ANY, or ALL as its negation.
    fn any(
        &mut self,
        stage: &mut Stage<'_>,
        link: NodeOf<pg_sys::SubLink>,
        subselect: NodeOf<pg_sys::Query>,
        all: bool,
    ) -> Result<Option<Node>> {
        let written = if all {
            "… ALL (SELECT …)"
        } else {
            "… IN or ANY (SELECT …)"
        };
        self.note(&IN_SUBQUERY, written);
        let Some(test) = Node::new(link.testexpr) else {
            return Ok(None);
        };
        let mut subquery = self.subquery(stage, subselect, &Needed::All)?;
        let test = self.with_row(test, &subquery.derived);
        let mut conjuncts = Vec::new();
        split(if all { query::negate(test) } else { test }, &mut conjuncts);
        let mut tests = Vec::with_capacity(conjuncts.len());
        let before = stage.pending.len();
        for conjunct in conjuncts {
            let bound = self.bind(stage, conjunct)?;
            tests.push(self.predicate(bound));
        }
        subquery.compare(stage, before);
        subquery
            .reads
            .extend(tests.iter().flat_map(|test| test.expr.columns()));
        let can_be_null = tests.iter().any(|test| test.expr.nullable);
        let result = self.add_column("any", BOOLEAN, can_be_null, Scale::Unknown);
        let parameter = self.parameter(result.id);
        stage
            .pending
            .push(subquery.pending(ApplyKind::Any { tests, result }));
        Ok(match parameter {
            Some(parameter) if all => make_node::make_not(parameter),
            parameter => parameter,
        })
    }

    /// The test of a subquery with its columns in their places.
    fn with_row(&self, test: Node, derived: &Derived) -> Node {
        test.replace(&mut |node| {
            // The subqueries inside have placeholders of their own.
            if node.is::<pg_sys::SubLink>() {
                return Some(node);
            }
            let position = sublink_column(node)?;
            let id = derived.columns.get(position).copied().flatten();
            id.and_then(|id| self.parameter(id))
                .or_else(|| placeholder(node))
        })
    }

    /// The value of one column (from 1) of a subquery of at most one row.
    fn scalar(
        &mut self,
        stage: &mut Stage<'_>,
        subselect: NodeOf<pg_sys::Query>,
        column: i16,
    ) -> Result<Option<Node>> {
        let subquery = self.subquery(stage, subselect, &Needed::Only([column].into()))?;
        Ok(self.value_of(stage, subquery, column))
    }

    fn value_of(&mut self, stage: &mut Stage<'_>, subquery: Subquery, column: i16) -> Option<Node> {
        let position = usize::try_from(column).ok()?.checked_sub(1)?;
        let id = subquery.derived.columns.get(position).copied().flatten()?;
        let slot = self.slot(id)?.clone();
        let shape = (slot.type_oid, slot.typmod, slot.collation);
        let value = self.add_column(slot.column.name.clone(), shape, true, slot.scale);
        self.set_explicit_collation(value.id, slot.explicit_collation);
        let parameter = self.parameter(value.id);
        let relation = only(subquery.derived.relation, id);
        stage.pending.push(Pending {
            what: Added::Subquery(relation, ApplyKind::Scalar { value }),
            reads: subquery.reads,
        });
        parameter
    }

    fn row_comparison(
        &mut self,
        stage: &mut Stage<'_>,
        link: NodeOf<pg_sys::SubLink>,
        subselect: NodeOf<pg_sys::Query>,
    ) -> Result<Option<Node>> {
        self.note(&SCALAR_SUBQUERY, "(…, …) = (SELECT …)");
        let Some(test) = Node::new(link.testexpr) else {
            return Ok(None);
        };
        let mut values = Vec::new();
        for position in 1..=width(subselect) {
            values.push(self.scalar(stage, subselect, position)?);
        }
        let test = test.replace(&mut |node| {
            if node.is::<pg_sys::SubLink>() {
                return Some(node);
            }
            let position = sublink_column(node)?;
            values
                .get(position)
                .copied()
                .flatten()
                .or_else(|| placeholder(node))
        });
        self.bind(stage, test).map(Some)
    }

    /// `ARRAY (SELECT x … ORDER BY y)`: `array_agg(x ORDER BY y)` over the subquery, or an empty array.
    fn array(
        &mut self,
        stage: &mut Stage<'_>,
        link: NodeOf<pg_sys::SubLink>,
        subselect: NodeOf<pg_sys::Query>,
    ) -> Result<Option<Node>> {
        self.note(&ARRAY_SUBQUERY, "ARRAY (SELECT …)");
        if relies_on_order(subselect) {
            self.refuse(&ORDERED_INPUT, "ARRAY (SELECT …) without ORDER BY");
        }
        let sorted = query::with_sort_columns_shown(subselect);
        let mut subquery = self.subquery(stage, sorted, &Needed::All)?;
        let Some(parts) = self.array_call(sorted, &subquery.derived.columns) else {
            return Ok(None);
        };
        let ty = (
            link.node().type_oid(),
            link.node().typmod(),
            link.node().collation(),
        );
        let aggregate = self.add_column("array_agg", ty, true, Scale::Unknown);
        self.check_storable(&aggregate);
        let array = self.add_column("array", ty, false, Scale::Unknown);
        let name = deparse::type_name(ty.0, ty.1);
        let filled = Expr {
            parts: vec![
                Part::Sql("COALESCE(".into()),
                Part::Column(aggregate.id),
                Part::Sql(format!(", '{{}}'::{name})")),
            ],
            ty: array.ty.clone(),
            nullable: false,
        };
        let call = Expr {
            parts,
            ty: aggregate.ty.clone(),
            nullable: true,
        };
        subquery.derived.relation = Relation::Project {
            input: Box::new(Relation::Aggregate {
                input: Box::new(subquery.derived.relation),
                keys: Vec::new(),
                aggregates: vec![Aggregate {
                    column: aggregate,
                    kind: AggregateKind::Recompute,
                    call,
                    argument: None,
                    filter: None,
                    distinct: false,
                }],
            }),
            columns: vec![(array.clone(), filled)],
        };
        subquery.derived.columns = vec![Some(array.id)];
        Ok(self.value_of(stage, subquery, 1))
    }

    /// `array_agg` of the first of a query's columns, in the query's order.
    fn array_call(
        &self,
        sorted: NodeOf<pg_sys::Query>,
        columns: &[Option<ColumnId>],
    ) -> Option<Vec<Part>> {
        let element = columns.first().copied().flatten()?;
        let mut parts = vec![Part::Sql("array_agg(".into()), Part::Column(element)];
        let mut before = " ORDER BY ";
        for (position, operator, nulls_first) in query::sort_columns(sorted) {
            let id = columns.get(position).copied().flatten()?;
            parts.push(Part::Sql(before.into()));
            parts.push(Part::Column(id));
            parts.push(Part::Sql(format!(
                " USING {} NULLS {}",
                types::operator_text(operator),
                if nulls_first { "FIRST" } else { "LAST" }
            )));
            before = ", ";
        }
        let images: Vec<&Column> = query::image_columns(sorted)
            .into_iter()
            .filter_map(|position| {
                let id = columns.get(position).copied().flatten()?;
                self.slot(id).map(|slot| &slot.column)
            })
            .collect();
        if !images.is_empty() {
            let key = SortKey::by_image(&images);
            parts.push(Part::Sql(before.into()));
            parts.extend(key.expr.parts);
            parts.push(Part::Sql(format!(" {}", key.direction)));
        }
        parts.push(Part::Sql(")".into()));
        Some(parts)
    }

    fn subquery(
        &mut self,
        stage: &Stage<'_>,
        subselect: NodeOf<pg_sys::Query>,
        needed: &Needed,
    ) -> Result<Subquery> {
        let before = self.reads_outside();
        let scope = stage.scope();
        let derived = self.query(subselect, Some(&scope), &stage.level.access, needed)?;
        for column in derived.relation.columns() {
            self.check_storable(&column);
        }
        Ok(Subquery {
            derived,
            reads: self.reads_outside_since(before),
        })
    }
}

impl Subquery {
    fn pending(self, kind: ApplyKind) -> Pending {
        Pending {
            what: Added::Subquery(self.derived.relation, kind),
            reads: self.reads,
        }
    }

    /// Takes over what the stage has met since and what reads rows of the subquery: conditions in its test.
    fn compare(&mut self, stage: &mut Stage<'_>, since: usize) {
        let own = self.derived.relation.ids();
        for pending in stage.pending.split_off(since) {
            if pending.reads.is_disjoint(&own) {
                stage.pending.push(pending);
            } else {
                self.reads.extend(pending.reads.iter().copied());
                let rows = std::mem::replace(&mut self.derived.relation, Relation::SingleRow);
                self.derived.relation = pending.over(rows);
            }
        }
    }
}

/// The relation with this column alone.
fn only(relation: Relation, id: ColumnId) -> Relation {
    let columns = relation.columns();
    match columns.as_slice() {
        [_] => relation,
        _ => Relation::Project {
            columns: columns
                .into_iter()
                .filter(|column| column.id == id)
                .map(|column| {
                    let expr = Expr::of(&column);
                    (column, expr)
                })
                .collect(),
            input: Box::new(relation),
        },
    }
}

/// The column, from 0, for which a placeholder in a test stands.
fn sublink_column(node: Node) -> Option<usize> {
    let param = node.cast::<pg_sys::Param>()?;
    let is_placeholder = param.paramkind == pg_sys::ParamKind::PARAM_SUBLINK;
    usize::try_from(param.paramid)
        .ok()
        .filter(|_| is_placeholder)?
        .checked_sub(1)
}

/// Number of output columns.
fn width(query: NodeOf<pg_sys::Query>) -> i16 {
    node::list_of::<pg_sys::TargetEntry>(query.targetList)
        .iter()
        .filter(|target| !target.resjunk)
        .count() as i16
}
