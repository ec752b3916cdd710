//! Columns of an expression become parameters: `$n` stands for the column with identity `n`. So do
//! subqueries, after becoming dependent joins of the stage ([`super::sublink`]), and conditions on the clock
//! ([`super::bounds`]).

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use super::bounds::is_apart;
use super::clock_conditions::condition;
use super::clock_forms::age_of_today;
use super::implied::{searched, with_value};
use super::scope::Level;
use super::stage::Stage;
use crate::capability::{SYSTEM_COLUMN, UNKNOWN_CONSTRUCT};
use crate::error::Result;
use crate::pg::make_node;
use crate::pg::node::{Node, NodeOf};

impl Analyzer {
    /// A copy of a flattened expression in which parameters stand for columns. Above a grouping,
    /// they stand for its keys and aggregates.
    pub fn bind(&mut self, stage: &mut Stage<'_>, expr: Node) -> Result<Node> {
        let mut failed = None;
        let bound = expr.replace(&mut |node| match self.bind_node(stage, node) {
            Ok(replacement) => replacement,
            Err(error) => {
                failed = Some(error);
                placeholder(node)
            }
        });
        failed.map_or(Ok(bound), Err)
    }

    /// What stands in place of a node; `None` when its parts are to be bound.
    fn bind_node(&mut self, stage: &mut Stage<'_>, node: Node) -> Result<Option<Node>> {
        if node.is::<pg_sys::WindowFunc>() {
            let known = stage.windows.iter().find(|(known, _)| known.same_as(node));
            return Ok(known.and_then(|(_, id)| self.parameter(*id)));
        }
        if let Some(id) = stage.grouping.and_then(|g| g.find(node, 0)) {
            return Ok(self.parameter(id));
        }
        if let Some(id) = stage.level.parent.and_then(|scope| scope.grouped(node)) {
            self.read_outside(id);
            return Ok(self.parameter(id));
        }
        if let Some(var) = node.cast::<pg_sys::Var>() {
            return Ok(self.bind_var(stage.level, &var));
        }
        if let Some(link) = node.cast::<pg_sys::SubLink>() {
            return self.sublink(stage, link);
        }
        if let Some(condition) = self.clock_condition(stage, node)? {
            return Ok(Some(condition));
        }
        if let Some(value) = self.clock_value(stage, node) {
            return Ok(Some(value));
        }
        if let Some(age) = age_of_today(node) {
            return self.bind(stage, age).map(Some);
        }
        let is_timed = |arm| condition(arm, &|node| is_apart(stage, node)).is_some();
        if let Some(case) = searched(node, is_timed) {
            return self.bind(stage, case).map(Some);
        }
        if let Some(json) = node.cast::<pg_sys::JsonConstructorExpr>() {
            return self.json_aggregate(stage, &json);
        }
        let is_outer = node
            .cast::<pg_sys::Aggref>()
            .is_some_and(|call| call.agglevelsup > 0);
        if is_outer || node.is::<pg_sys::GroupingFunc>() {
            self.refuse(
                &UNKNOWN_CONSTRUCT,
                "an aggregate or grouping() of an outer query",
            );
            return Ok(placeholder(node));
        }
        if node.is::<pg_sys::Query>() {
            return Ok(placeholder(node));
        }
        Ok(None)
    }

    /// `JSON_ARRAYAGG` and `JSON_OBJECTAGG` as the function that they call: around what stands in its
    /// place, the server could not print them.
    fn json_aggregate(
        &mut self,
        stage: &mut Stage<'_>,
        json: &NodeOf<pg_sys::JsonConstructorExpr>,
    ) -> Result<Option<Node>> {
        use pg_sys::JsonConstructorType::{JSCTOR_JSON_ARRAYAGG, JSCTOR_JSON_OBJECTAGG};
        let is_aggregate = [JSCTOR_JSON_ARRAYAGG, JSCTOR_JSON_OBJECTAGG].contains(&json.type_);
        let Some(call) = Node::new(json.func).filter(|_| is_aggregate) else {
            return Ok(None);
        };
        let value = self.bind(stage, call)?;
        Ok(Some(match Node::new(json.coercion) {
            Some(coercion) => with_value(coercion, value),
            None => value,
        }))
    }

    fn bind_var(&mut self, level: &Level<'_>, var: &NodeOf<pg_sys::Var>) -> Option<Node> {
        if var.varlevelsup > 0 {
            let offered = level
                .parent
                .and_then(|scope| scope.offered_at(var.varlevelsup));
            // Above a grouping there is nothing but what `grouped` finds.
            if let Some(outer) = offered.filter(|outer| outer.grouping.is_none()) {
                let bound = self.bind_column(outer.level, var);
                if let Some(id) = outer.level.column(var.varno, var.varattno) {
                    self.read_outside(id);
                }
                return bound;
            }
            self.refuse(&UNKNOWN_CONSTRUCT, "a column of an outer query");
            return placeholder(var.node());
        }
        self.bind_column(level, var)
    }

    fn bind_column(&mut self, level: &Level<'_>, var: &NodeOf<pg_sys::Var>) -> Option<Node> {
        if let Some(id) = level.column(var.varno, var.varattno) {
            return self.parameter(id);
        }
        let name = level.name_of(var.varno);
        if var.varattno < 0 {
            self.refuse(&SYSTEM_COLUMN, format!("system column of {name}"));
        } else if level.is_readable(var.varno) {
            self.refuse(
                &UNKNOWN_CONSTRUCT,
                format!("column {} of {name}", var.varattno),
            );
        }
        placeholder(var.node())
    }
}

/// Something of the right type in place of what was refused.
pub(super) fn placeholder(node: Node) -> Option<Node> {
    if node.is::<pg_sys::Query>() {
        return Some(node);
    }
    make_node::make_null(node.type_oid(), node.typmod(), node.collation())
}
