//! Walking expressions and their subqueries, with the query level of each node.

use pgrx::pg_sys;

use super::node::{Node, Walk, check_stack_depth, walk_query};

/// Visits the tree top-down, subqueries included: the number says how many queries a node is inside
/// of, which is what `varlevelsup` and `agglevelsup` count. A query itself is not inside of itself;
/// entries of range tables are not visited, only what is in them.
pub fn walk_levels(node: Node, visit: &mut dyn FnMut(Node, u32) -> Walk) {
    walk_from(node, 0, visit);
}

fn walk_from(node: Node, level: u32, visit: &mut dyn FnMut(Node, u32) -> Walk) -> bool {
    check_stack_depth();
    node.walk(&mut |found| {
        if found.is::<pg_sys::RangeTblEntry>() {
            return Walk::Skip;
        }
        match (visit(found, level), found.cast::<pg_sys::Query>()) {
            (Walk::Descend, Some(query)) => {
                let stopped = walk_query(query, &mut |part| {
                    if part.is::<pg_sys::RangeTblEntry>() {
                        Walk::Skip
                    } else if walk_from(part, level + 1, visit) {
                        Walk::Stop
                    } else {
                        Walk::Skip
                    }
                });
                if stopped { Walk::Stop } else { Walk::Skip }
            }
            (action, _) => action,
        }
    })
}

/// A copy of an expression as it reads `levels` queries further in, or out where negative.
pub fn shift_levels(expr: Node, levels: i32) -> Node {
    // SAFETY: a valid expression; its levels are changed in the copy only.
    unsafe {
        let copy = pg_sys::copyObjectImpl(expr.as_ptr().cast()).cast::<pg_sys::Node>();
        pg_sys::IncrementVarSublevelsUp(copy, levels, 0);
        Node::new(copy).unwrap_or(expr)
    }
}
