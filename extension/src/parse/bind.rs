//! Columns of an expression become parameters: `$n` stands for the column with identity `n`.

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use super::from::Level;
use super::grouping::Grouping;
use crate::capability::{
    LATERAL, SUBLINK, SYSTEM_COLUMN, UNKNOWN_CONSTRUCT, WHOLE_ROW, WINDOW_FUNCTION,
};
use crate::pg::make_node;
use crate::pg::node::{Node, NodeOf};
use crate::pg::types;

impl Analyzer {
    /// A copy of a flattened expression in which parameters stand for columns. Above a grouping,
    /// they stand for its keys and aggregates.
    pub fn bind(&mut self, level: &Level, expr: Node, grouping: Option<&Grouping>) -> Node {
        expr.replace(&mut |node| {
            if let Some(id) = grouping.and_then(|g| g.find(node)) {
                return self.parameter(id);
            }
            if let Some(var) = node.cast::<pg_sys::Var>() {
                return self.bind_var(level, &var);
            }
            if let Some(link) = node.cast::<pg_sys::SubLink>() {
                self.refuse(&SUBLINK, sublink_kind(&link));
                return placeholder(node);
            }
            if let Some(call) = node.cast::<pg_sys::WindowFunc>() {
                self.refuse(
                    &WINDOW_FUNCTION,
                    format!("window function {}", types::function_name(call.winfnoid)),
                );
                return placeholder(node);
            }
            if node.is::<pg_sys::GroupingFunc>() {
                // With one grouping, every argument is grouped. Several are refused elsewhere.
                return make_node::make_zero();
            }
            if node.is::<pg_sys::Query>() {
                return placeholder(node);
            }
            None
        })
    }

    fn bind_var(&mut self, level: &Level, var: &NodeOf<pg_sys::Var>) -> Option<Node> {
        if var.varlevelsup > 0 {
            self.refuse(&LATERAL, "a reference to a neighbour in FROM");
            return placeholder(var.node());
        }
        if let Some(id) = level.column(var.varno, var.varattno) {
            return self.parameter(id);
        }
        let name = level.name_of(var.varno);
        if var.varattno == 0 {
            self.refuse(&WHOLE_ROW, format!("whole row of {name}"));
        } else if var.varattno < 0 {
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
fn placeholder(node: Node) -> Option<Node> {
    if node.is::<pg_sys::Query>() {
        return Some(node);
    }
    make_node::make_null(node.type_oid(), node.typmod(), node.collation())
}

fn sublink_kind(link: &pg_sys::SubLink) -> &'static str {
    use pg_sys::SubLinkType as T;
    match link.subLinkType {
        T::EXISTS_SUBLINK => "EXISTS (SELECT …)",
        T::ALL_SUBLINK => "… ALL (SELECT …)",
        T::ANY_SUBLINK => "… IN or ANY (SELECT …)",
        T::ROWCOMPARE_SUBLINK => "row comparison with (SELECT …)",
        T::ARRAY_SUBLINK => "ARRAY (SELECT …)",
        _ => "scalar subquery (SELECT …)",
    }
}
