//! Constructs that use an operator without naming it, and implicit conversions.
//!
//! `a IS DISTINCT FROM b`, `NULLIF(a, b)` and `CASE a WHEN b` are printed as such, and parsed with
//! the operator on the search path. For a type whose equality is outside `pg_catalog`
//! (`citext`) that may be the wrong one, so they are written with searched CASE, which names it:
//!
//! - `NULLIF(a, b)` → `CASE WHEN a = b THEN NULL ELSE a END`
//! - `a IS DISTINCT FROM b` →
//!   `CASE WHEN a IS NULL THEN b IS NOT NULL WHEN b IS NULL THEN true ELSE NOT a = b END`
//! - `CASE a WHEN b THEN x …` → `CASE WHEN a = b THEN x …`
//!
//! Operands are immutable here, so they may be printed twice.
//!
//! `ROW(a, b) = ROW(c, d)` is parsed as a comparison column by column, in which NULL equals nothing. Comparisons
//! of records, in which NULL equals NULL, are written as `ROW(a, b)::record`.
//!
//! Text becomes a date or time through a function ([`super::clock_words`], [`super::clock_documents`]).

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag::{T_ArrayCoerceExpr, T_DistinctExpr, T_NullIfExpr};

use super::clock_documents;
use super::clock_words::{guarded, guarded_array};
use crate::pg::make_node;
use crate::pg::node::{self, Node, Walk};
use crate::pg::{types, whole_row};

/// The expression, or the query, with what it implies written out: operators outside `pg_catalog`, and functions around
/// text.
pub(super) fn spell_out(expr: Node) -> Node {
    expr.replace(&mut |node| match node.tag() {
        T_DistinctExpr => distinct(node),
        T_NullIfExpr => null_if(node),
        pg_sys::NodeTag::T_OpExpr => rows(node),
        pg_sys::NodeTag::T_CaseExpr => case(node),
        pg_sys::NodeTag::T_CoerceViaIO => conversion(node),
        T_ArrayCoerceExpr => array_conversion(node),
        pg_sys::NodeTag::T_Query => {
            Some(node::map_expressions(node.cast()?, &mut spell_out).node())
        }
        _ => clock_documents::guarded(node).map(spell_out),
    })
}

/// The foreign equality of a node that is laid out as an operator call: its condition, and its
/// operands spelt out.
fn equality(node: Node) -> Option<(Node, [Node; 2])> {
    let call = node.as_operator_call()?;
    if types::is_builtin(call.opno) {
        return None;
    }
    let operands = node::list(call.args);
    let &[left, right] = operands.as_slice() else {
        return None;
    };
    let operands = [spell_out(left), spell_out(right)];
    let condition = make_node::make_condition(call.opno, operands, call.inputcollid)?;
    Some((condition, operands))
}

fn null_if(node: Node) -> Option<Node> {
    let (equal, [left, _]) = equality(node)?;
    let null = make_node::make_null(left.type_oid(), left.typmod(), left.collation())?;
    make_node::make_case(&[(equal, null)], Some(left), left)
}

fn distinct(node: Node) -> Option<Node> {
    let (equal, [left, right]) = equality(node)?;
    let arms = [
        (
            make_node::make_null_test(left, true)?,
            make_node::make_null_test(right, false)?,
        ),
        (
            make_node::make_null_test(right, true)?,
            make_node::make_true()?,
        ),
    ];
    make_node::make_case(&arms, Some(make_node::make_not(equal)?), equal)
}

fn case(node: Node) -> Option<Node> {
    let names_foreign = |condition: Node| {
        let call = condition.cast::<pg_sys::OpExpr>();
        call.is_some_and(|call| !types::is_builtin(call.opno))
    };
    searched(node, names_foreign).map(spell_out)
}

/// A simple CASE as a searched one, if any of its conditions is of this kind.
pub(super) fn searched(node: Node, is_meant: impl Fn(Node) -> bool) -> Option<Node> {
    let case = node.cast::<pg_sys::CaseExpr>()?;
    let value = Node::new(case.arg)?;
    let arms = node::list_of::<pg_sys::CaseWhen>(case.args)
        .iter()
        .map(|when| {
            let condition = with_value(Node::new(when.expr)?, value);
            Some((condition, Node::new(when.result)?))
        })
        .collect::<Option<Vec<_>>>()?;
    if !arms.iter().any(|(condition, _)| is_meant(*condition)) {
        return None;
    }
    make_node::make_case(&arms, Node::new(case.defresult), node)
}

/// A conversion of text that may say what the clock decides.
fn conversion(node: Node) -> Option<Node> {
    let conversion = node.cast::<pg_sys::CoerceViaIO>()?;
    guarded(&conversion, spell_out(Node::new(conversion.arg)?))
}

/// A conversion of an array whose elements may say such words.
fn array_conversion(node: Node) -> Option<Node> {
    let conversion = node.cast::<pg_sys::ArrayCoerceExpr>()?;
    guarded_array(&conversion, spell_out(Node::new(conversion.arg)?))
}

/// Whether an expression reads text that may say what the clock decides.
pub(super) fn may_say_clock(expr: Node) -> bool {
    expr.walk(&mut |node| {
        let may = conversion(node).is_some()
            || array_conversion(node).is_some()
            || clock_documents::guarded(node).is_some();
        if may { Walk::Stop } else { Walk::Descend }
    })
}

/// The comparison of two rows as such.
fn rows(node: Node) -> Option<Node> {
    let call = node.cast::<pg_sys::OpExpr>()?;
    let operands = node::list(call.args);
    let &[left, right] = operands.as_slice() else {
        return None;
    };
    let operands = [as_one_value(left)?, spell_out(right)];
    let reads_fields = right.is::<pg_sys::RowExpr>();
    reads_fields.then(|| make_node::make_condition(call.opno, operands, call.inputcollid))?
}

/// A row that is written out, as a value that no comparison takes apart.
pub(super) fn as_one_value(expr: Node) -> Option<Node> {
    let row = expr.cast::<pg_sys::RowExpr>()?;
    if row.row_typeid != pg_sys::RECORDOID || whole_row::stands_for_one(&row) {
        return None;
    }
    let fields = node::list(row.args).into_iter().map(spell_out);
    make_node::make_row(&fields.collect::<Vec<_>>(), pg_sys::RECORDOID)
}

/// The condition of a simple CASE with its placeholder replaced by the value.
pub(super) fn with_value(condition: Node, value: Node) -> Node {
    condition.replace(&mut |node| {
        if node.is::<pg_sys::CaseTestExpr>() {
            return Some(value);
        }
        // These have placeholders of their own.
        let has_own = node.tag() == T_ArrayCoerceExpr
            || node
                .cast::<pg_sys::CaseExpr>()
                .is_some_and(|case| !case.arg.is_null());
        has_own.then_some(node)
    })
}
