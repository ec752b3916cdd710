//! Bound expressions as the tree's [`Expr`], conditions as conjuncts.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Expr, Predicate, Relation};

use super::analyzer::Analyzer;
use super::clock::TimeFilter;
use super::clock_forms::time_filter;
use super::implied::{as_one_value, spell_out};
use super::stage::{Conjuncts, Stage, filtered};
use crate::capability::{RECORD, REPEATED_FIELD, UNPRINTABLE_OPERATOR, UNSURE_EQUALITY, WHOLE_ROW};
use crate::error::Result;
use crate::pg::node::{self, Node, Walk};
use crate::pg::{deparse, query, types, whole_row};

impl Analyzer {
    /// The printed form of a bound expression.
    pub fn expression(&mut self, bound: Node) -> Expr {
        let bound = as_one_value(bound).unwrap_or_else(|| spell_out(bound));
        self.check_volatility(bound);
        self.check_json_value(bound);
        self.check_collations(bound);
        if !self.check_printable(bound) {
            return Expr::constant("NULL", self.type_of(bound), true);
        }
        let printed = Expr::from_printed(
            &deparse::expression(bound),
            self.type_of(bound),
            self.is_nullable(bound),
        );
        self.contain_collations(bound, printed)
    }

    /// The conjuncts of a condition over the stage.
    pub fn conjuncts(
        &mut self,
        stage: &mut Stage<'_>,
        condition: Option<Node>,
    ) -> Result<Conjuncts> {
        let parts = parts_of(stage, condition);
        self.bound_conjuncts(stage, parts)
    }

    fn bound_conjuncts(&mut self, stage: &mut Stage<'_>, parts: Vec<Node>) -> Result<Conjuncts> {
        let mut conjuncts = Conjuncts::default();
        for part in parts {
            let bound = self.bind(stage, part)?;
            let predicate = self.predicate(bound);
            if stage.adds_to(&predicate.expr) {
                conjuncts.dependent.push(predicate);
            } else {
                conjuncts.plain.push(predicate);
            }
        }
        Ok(conjuncts)
    }

    /// The rows of `input` that satisfy a condition: first what needs no subquery, last what follows the
    /// clock.
    pub fn filter(
        &mut self,
        mut stage: Stage<'_>,
        input: Relation,
        condition: Option<Node>,
    ) -> Result<Relation> {
        let mut parts = parts_of(&stage, condition);
        let filters: Vec<TimeFilter> = parts.iter().copied().filter_map(time_filter).collect();
        parts.retain(|part| time_filter(*part).is_none());
        let conjuncts = self.bound_conjuncts(&mut stage, parts)?;
        let mut values = Vec::with_capacity(filters.len());
        for filter in filters {
            let bound = self.bind(&mut stage, filter.value)?;
            values.push((filter, self.expression(bound)));
        }
        let input = filtered(input, conjuncts.plain);
        let input = filtered(stage.over(input), conjuncts.dependent);
        Ok(values.into_iter().fold(input, |input, (filter, value)| {
            self.follow_clock(input, &filter, value)
        }))
    }

    /// A bound condition.
    pub fn predicate(&mut self, bound: Node) -> Predicate {
        let equality = self.equality(bound);
        Predicate {
            expr: self.expression(bound),
            equality,
        }
    }

    /// Refuses values that one plan may take for equal and another not.
    fn check_collations(&mut self, bound: Node) {
        let mut refused = None;
        bound.walk(&mut |node| {
            let has_collation = node == bound
                || node.is::<pg_sys::Param>()
                || node.is::<pg_sys::CollateExpr>()
                || node.is::<pg_sys::RelabelType>();
            if has_collation && types::may_compare_otherwise(node.type_oid(), node.collation()) {
                refused = Some(node);
                return Walk::Skip;
            }
            Walk::Descend
        });
        if let Some(value) = refused {
            let name = deparse::type_name(value.type_oid(), -1);
            self.refuse(
                &UNSURE_EQUALITY,
                format!("{name} under a nondeterministic collation"),
            );
        }
    }

    fn type_of(&mut self, bound: Node) -> pgtrickle_dvm::tree::ColumnType {
        let scale = self.scale(bound);
        self.types
            .column_type(bound.type_oid(), bound.typmod(), bound.collation(), scale)
    }

    /// Both sides of a condition that is the default equality of the left side's type.
    fn equality(&mut self, bound: Node) -> Option<(Expr, Expr)> {
        let operator = bound.cast::<pg_sys::OpExpr>()?;
        let arguments = node::list(operator.args);
        let &[left, right] = arguments.as_slice() else {
            return None;
        };
        let family = types::ordering(left.type_oid())?.family;
        if !types::is_equality_in(operator.opno, family)
            || left.is::<pg_sys::RowExpr>()
            || !left.contains::<pg_sys::Param>()
            || !right.contains::<pg_sys::Param>()
            || self.collations_clash(bound)
        {
            return None;
        }
        Some((
            self.expression(without_relabel(left)),
            self.expression(without_relabel(right)),
        ))
    }

    /// Whether the server prints the expression so that it means the same when read back. Records
    /// what it does not.
    pub fn check_printable(&mut self, bound: Node) -> bool {
        let mut refused = Vec::new();
        let mut is_whole_row = false;
        bound.walk(&mut |node| {
            if let Some(select) = node.cast::<pg_sys::FieldSelect>() {
                // A call names the fields that it returns.
                let of_record = Node::new(select.arg).is_some_and(|arg| {
                    arg.type_oid() == pg_sys::RECORDOID && !arg.is::<pg_sys::FuncExpr>()
                });
                if of_record {
                    refused.push((&RECORD, "a field of a row of unnamed type".to_owned()));
                }
            }
            if let Some(row) = node.cast::<pg_sys::RowExpr>() {
                if whole_row::repeats_a_name(&row) {
                    refused.push((&REPEATED_FIELD, "a row of columns".to_owned()));
                }
                is_whole_row |= whole_row::stands_for_one(&row);
            }
            if compares_foreign_rows(node) {
                refused.push((&UNPRINTABLE_OPERATOR, "comparison of rows".to_owned()));
            }
            Walk::Descend
        });
        if is_whole_row {
            self.note(&WHOLE_ROW, "a whole row");
        }
        let printable = refused.is_empty();
        for (capability, construct) in refused {
            self.refuse(capability, construct);
        }
        printable
    }
}

/// The flattened conjuncts of a condition.
fn parts_of(stage: &Stage<'_>, condition: Option<Node>) -> Vec<Node> {
    let mut parts = Vec::new();
    if let Some(condition) = condition {
        let flat = query::flatten(stage.level.query, condition);
        split(query::common_conjuncts(flat), &mut parts);
    }
    parts
}

/// The conjuncts of a condition, constant truths left out.
pub(super) fn split(condition: Node, conjuncts: &mut Vec<Node>) {
    node::check_stack_depth();
    if let Some(logic) = condition.cast::<pg_sys::BoolExpr>()
        && logic.boolop == pg_sys::BoolExprType::AND_EXPR
    {
        for part in node::list(logic.args) {
            split(part, conjuncts);
        }
    } else if !is_true(condition) {
        conjuncts.push(condition);
    }
}

fn is_true(condition: Node) -> bool {
    condition.cast::<pg_sys::Const>().is_some_and(|c| {
        c.consttype == pg_sys::BOOLOID && !c.constisnull && c.constvalue.value() != 0
    })
}

/// The expression without coercions that change neither the value nor the meaning of equality.
fn without_relabel(expr: Node) -> Node {
    let mut inner = expr;
    while let Some(relabel) = inner.cast::<pg_sys::RelabelType>()
        && let Some(argument) = Node::new(relabel.arg)
        && argument.collation() == inner.collation()
        && same_equality(argument.type_oid(), inner.type_oid())
    {
        inner = argument;
    }
    inner
}

fn same_equality(a: pg_sys::Oid, b: pg_sys::Oid) -> bool {
    match (types::ordering(a), types::ordering(b)) {
        (Some(a), Some(b)) => a.family == b.family && a.equality == b.equality,
        _ => false,
    }
}

/// An operator outside `pg_catalog` in a comparison of rows, which is printed with the name of its
/// first operator only.
fn compares_foreign_rows(node: Node) -> bool {
    node.cast::<pg_sys::RowCompareExpr>()
        .is_some_and(|compare| {
            node::oid_list(compare.opnos)
                .into_iter()
                .any(|operator| !types::is_builtin(operator))
        })
}
