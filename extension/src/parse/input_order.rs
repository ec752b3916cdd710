//! The order that a subquery gives to the rows which an aggregate reads.
//!
//! ```text
//! SELECT json_agg(s) FROM (SELECT a, b FROM t ORDER BY b) s  →  SELECT json_agg(s ORDER BY s.b) FROM …
//! ```
//! Both say the same, but the second in the place where it is maintained. A column by which the subquery
//! sorts without showing it is shown, unless the query reads the subquery's rows as a whole.

use pgrx::pg_sys;

use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::settle::{self, Sorting};
use crate::pg::{levels, make_node};

/// The keys by which the only item of a query's FROM is sorted, as columns of that item, if it is a subquery or a
/// CTE of the query's own. Changes the subquery, which must be our own.
pub(super) fn input_order(query: NodeOf<pg_sys::Query>) -> Option<Vec<(Node, Sorting)>> {
    let from = Node::new(query.jointree)?.cast::<pg_sys::FromExpr>()?;
    let &[item] = node::list(from.fromlist).as_slice() else {
        return None;
    };
    let index = item.cast::<pg_sys::RangeTblRef>()?.rtindex;
    let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
    let entry = entries.get(usize::try_from(index).ok()?.checked_sub(1)?)?;
    let inner = match entry.rtekind {
        pg_sys::RTEKind::RTE_SUBQUERY => Node::new(entry.subquery)?.cast::<pg_sys::Query>()?,
        pg_sys::RTEKind::RTE_CTE if entry.ctelevelsup == 0 => {
            let ctes = node::list_of::<pg_sys::CommonTableExpr>(query.cteList);
            let named = |cte: &NodeOf<pg_sys::CommonTableExpr>| {
                node::text(cte.ctename) == node::text(entry.ctename)
            };
            let cte = ctes.into_iter().find(named)?;
            Node::new(cte.ctequery)?.cast::<pg_sys::Query>()?
        }
        _ => return None,
    };
    let is_subquery = entry.rtekind == pg_sys::RTEKind::RTE_SUBQUERY;
    if hides_a_key(inner) {
        if !is_subquery || reads_whole(query, index) {
            return None;
        }
        settle::show_all(inner, *entry);
    }
    let keys = settle::sorting(inner).into_iter().map(|(target, sorting)| {
        let column = make_node::make_column(index, target.resno, Node::new(target.expr)?)?;
        Some((column, sorting))
    });
    keys.collect::<Option<Vec<_>>>()
        .filter(|keys| !keys.is_empty())
}

/// Whether a query sorts by what it does not show.
fn hides_a_key(query: NodeOf<pg_sys::Query>) -> bool {
    settle::sorting(query)
        .iter()
        .any(|(target, _)| target.resjunk)
}

/// Whether the query, or a subquery in its expressions, reads the rows of an item as a whole.
fn reads_whole(query: NodeOf<pg_sys::Query>, index: i32) -> bool {
    let mut found = false;
    levels::walk_levels(query.node(), &mut |node, level| {
        let var = node.cast::<pg_sys::Var>();
        // A query is not inside of itself.
        found |= var.is_some_and(|var| {
            var.varno == index && var.varattno == 0 && var.varlevelsup + 1 == level
        });
        if found { Walk::Stop } else { Walk::Descend }
    });
    found
}
