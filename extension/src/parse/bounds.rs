//! Values of the rows compared with one that follows the clock: `ts > now() - interval '1 hour'`,
//! `day = CURRENT_DATE`. As a conjunct it filters, anywhere else it is a column of its own, a condition.
//!
//! Each leaves one moving value, the bound, which the engine handles. A value that stays the same for days may also stand
//! by itself, `CURRENT_DATE - due`: it is joined to the rows, all of which change with it.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Condition, Expr, Opaque, Predicate, Relation};

use super::analyzer::Analyzer;
use super::clock::{TimeFilter, follows_days};
use super::clock_conditions::condition;
use super::display_scale::Scale;
use super::stage::{Added, Pending, Stage};
use crate::capability::{Capability, TIME_CONDITION, TIME_FILTER, TIME_STEP, TIME_VALUE};
use crate::error::Result;
use crate::pg::node::Node;
use crate::pg::{deparse, types};

impl Analyzer {
    /// The rows of `input` that satisfy the comparison, whose value prints as given.
    pub fn follow_clock(&mut self, input: Relation, filter: &TimeFilter, value: Expr) -> Relation {
        let bound = self.bound(filter, &TIME_FILTER);
        let operator = types::operator_text(filter.operator);
        match filter.side {
            Some(side) => Relation::Bounded {
                input: Box::new(input),
                value,
                operator,
                side,
                bound: Box::new(bound),
            },
            None => {
                let expr = bound.columns.first().map(Expr::of);
                let predicates = expr.map(|bound| self.equals(filter, value, bound));
                Relation::Join {
                    left: Box::new(input),
                    right: Box::new(Relation::Opaque(bound)),
                    predicates: predicates.into_iter().collect(),
                }
            }
        }
    }

    /// What stands in place of a condition on the clock, or of a value that follows it in steps, if the node is one: a column
    /// that the stage adds.
    pub(super) fn clock_condition(
        &mut self,
        stage: &mut Stage<'_>,
        node: Node,
    ) -> Result<Option<Node>> {
        let apart = |node| is_apart(stage, node);
        let Some(written) = condition(node, &apart) else {
            return Ok(None);
        };
        if let Some(known) = stage.known(node) {
            return Ok(Some(known));
        }
        let is_condition = node.type_oid() == pg_sys::BOOLOID;
        let capability = match is_condition {
            true => &TIME_CONDITION,
            false => &TIME_STEP,
        };
        let followed = self.followed(written.bound, None, capability);
        let stands_for = followed.columns.first().map(|column| column.id);
        let Some(bound) = stands_for.and_then(|id| self.parameter(id)) else {
            return Ok(None);
        };
        let expr = written.with_bound(bound, &apart);
        let expr = self.bind(stage, expr)?;
        let expr = self.expression(expr);
        let found_by = match written.found_by {
            Some((value, crossing)) => {
                let value = self.bind(stage, value)?;
                Some((self.expression(value), crossing))
            }
            None => None,
        };
        let ty = (node.type_oid(), node.typmod(), node.collation());
        let column = self.add_column("condition", ty, true, Scale::Unknown);
        let found = self.parameter(column.id);
        let condition = Condition {
            column,
            expr,
            found_by,
            bound: followed,
        };
        stage.pending.push(Pending {
            reads: condition.reads(),
            what: Added::Condition(condition),
        });
        stage.known.extend(found.map(|found| (node, found)));
        Ok(found)
    }

    /// What stands in place of a value that follows the days, if the node is one: a column that the stage adds.
    pub(super) fn clock_value(&mut self, stage: &mut Stage<'_>, node: Node) -> Option<Node> {
        if !follows_days(node) {
            return None;
        }
        if let Some(known) = stage.known(node) {
            return Some(known);
        }
        let value = self.followed(node, None, &TIME_VALUE);
        let found = self.parameter(value.columns.first()?.id);
        stage.pending.push(Pending {
            reads: BTreeSet::new(),
            what: Added::Value(value),
        });
        stage.known.extend(found.map(|found| (node, found)));
        found
    }

    fn bound(&mut self, filter: &TimeFilter, capability: &'static Capability) -> Opaque {
        self.followed(filter.bound, Some(filter.operator), capability)
    }

    /// What follows the clock, as a query of one row; `operator` is what compares it.
    fn followed(
        &mut self,
        value: Node,
        operator: Option<pg_sys::Oid>,
        capability: &'static Capability,
    ) -> Opaque {
        let text = deparse::expression(value);
        self.note(capability, text.clone());
        self.check_bound(value, operator);
        let ty = (value.type_oid(), value.typmod(), value.collation());
        Opaque {
            recursion: None,
            query: format!("SELECT {text}"),
            columns: vec![self.add_column("bound", ty, true, Scale::Unknown)],
            sources: Vec::new(),
            polled: true,
        }
    }

    fn equals(&mut self, filter: &TimeFilter, value: Expr, bound: Expr) -> Predicate {
        use pgtrickle_dvm::tree::Part::Sql;
        let operator = types::operator_text(filter.operator);
        let is_default = filter.value.type_oid() == filter.bound.type_oid();
        let mut parts = vec![Sql("((".into())];
        parts.extend(value.parts.iter().cloned());
        parts.push(Sql(format!(") {operator} ")));
        parts.extend(bound.parts.iter().cloned());
        parts.push(Sql(")".into()));
        let ty = self
            .types
            .column_type(pg_sys::BOOLOID, -1, pg_sys::InvalidOid, Scale::Unknown);
        Predicate {
            expr: Expr {
                parts,
                ty,
                nullable: true,
            },
            equality: is_default.then_some((value, bound)),
        }
    }
}

/// Whether the stage binds a node as a whole, whatever is in it.
pub(super) fn is_apart(stage: &Stage<'_>, node: Node) -> bool {
    let is_grouped = || {
        let here = stage.grouping.and_then(|grouping| grouping.find(node, 0));
        let around = || stage.level.parent.and_then(|scope| scope.grouped(node));
        here.or_else(around).is_some()
    };
    node.is::<pg_sys::SubLink>()
        || node.is::<pg_sys::WindowFunc>()
        || node.is::<pg_sys::Aggref>()
        || is_grouped()
}
