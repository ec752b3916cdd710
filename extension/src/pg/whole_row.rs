//! References to whole rows: as rows of columns to read them, and with names to print them; and what else
//! is NULL only because the whole row is missing.
//!
//! - `t` becomes `ROW(t.a, t.b)`, of the type of its rows.
//! - Where an outer join supplies NULLs, a missing row is NULL, and not a row of NULLs:
//!   `CASE WHEN t.mark THEN ROW(t.a, t.b) END`, with a mark that is true in each row of `t`.
//! - A row of a named type is printed with the type, `ROW($1, $2)::s.t`; one without, whose fields have
//!   names, as `(SELECT r FROM (SELECT $1, $2) r(a, b))`.

use std::collections::BTreeSet;
use std::ffi::CString;

use pgrx::pg_sys;

use super::levels::{shift_levels, walk_levels};
use super::make_node;
use super::node::{self, Node, NodeOf, Walk};
use super::table::TableFacts;
use super::version;

/// Attribute number of the mark that is true in each row of an item: one that no column has.
pub const MARK: i16 = i16::MAX;

/// The expression with references to whole rows of the query's items replaced by rows of their columns,
/// also in the subqueries inside of it.
pub fn expand(query: NodeOf<pg_sys::Query>, expr: Node) -> Node {
    let mut found = false;
    walk_levels(expr, &mut |node, level| {
        let var = node.cast::<pg_sys::Var>();
        found |= var.is_some_and(|var| is_whole_row(&var) && var.varlevelsup == level);
        if found { Walk::Stop } else { Walk::Descend }
    });
    if !found {
        return expr;
    }
    let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
    let nulled = null_supplied(query);
    replace_at(expr, 0, &|var| {
        if !is_whole_row(&var) {
            return None;
        }
        let entry = entries.get(usize::try_from(var.varno).ok()?.checked_sub(1)?)?;
        let row = row_of(var, *entry)?;
        if nulled.contains(&var.varno) {
            where_present(var.varno, row)
        } else {
            Some(row)
        }
    })
}

/// The expression with the virtual generated columns of an item, to which an outer join can supply NULLs,
/// made NULL in a missing row.
pub fn mark_virtual(expr: Node, table: pg_sys::Oid, item: i32) -> Node {
    let facts = TableFacts::load(table);
    let is_virtual = |attnum| {
        let attribute = facts.as_ref().and_then(|facts| facts.attribute(attnum));
        attribute.is_some_and(|attribute| attribute.is_virtual)
    };
    replace_at(expr, 0, &|var| {
        let is_meant = var.varno == item && is_virtual(var.varattno);
        let here = shift_levels(var.node(), -(var.varlevelsup as i32));
        is_meant.then(|| where_present(item, here)).flatten()
    })
}

/// The value in the rows of an item, NULL where it is missing.
fn where_present(item: i32, value: Node) -> Option<Node> {
    let mark = make_node::make_var(item, MARK, pg_sys::BOOLOID)?;
    let missing = make_node::make_null(value.type_oid(), value.typmod(), value.collation())?;
    make_node::make_case(&[(mark, value)], Some(missing), value)
}

/// The range table entries to which an outer join can supply NULLs.
pub fn null_supplied(query: NodeOf<pg_sys::Query>) -> BTreeSet<i32> {
    use pg_sys::JoinType::{JOIN_FULL, JOIN_LEFT, JOIN_RIGHT};
    let mut nulled = BTreeSet::new();
    let Some(from) = Node::new(query.jointree) else {
        return nulled;
    };
    from.walk(&mut |node| {
        if let Some(join) = node.cast::<pg_sys::JoinExpr>() {
            let left = matches!(join.jointype, JOIN_RIGHT | JOIN_FULL);
            let right = matches!(join.jointype, JOIN_LEFT | JOIN_FULL);
            for side in [left.then_some(join.larg), right.then_some(join.rarg)] {
                side.and_then(Node::new)
                    .into_iter()
                    .for_each(|side| add_members(side, &mut nulled));
            }
        }
        Walk::Descend
    });
    nulled
}

fn add_members(tree: Node, members: &mut BTreeSet<i32>) {
    tree.walk(&mut |node| {
        if let Some(reference) = node.cast::<pg_sys::RangeTblRef>() {
            members.insert(reference.rtindex);
        }
        Walk::Descend
    });
}

fn is_whole_row(var: &pg_sys::Var) -> bool {
    var.varattno == 0
}

/// A copy of the expression with columns of the level that is `level` queries further out replaced, for
/// which `replace` has something as it reads at that level.
fn replace_at(
    expr: Node,
    level: u32,
    replace: &dyn Fn(NodeOf<pg_sys::Var>) -> Option<Node>,
) -> Node {
    node::check_stack_depth();
    expr.replace(&mut |found| {
        if let Some(query) = found.cast::<pg_sys::Query>() {
            let inner = &mut |part| replace_at(part, level + 1, replace);
            return Some(node::map_expressions(query, inner).node());
        }
        let var = found.cast::<pg_sys::Var>()?;
        let here = (var.varlevelsup == level).then(|| replace(var)).flatten();
        here.map(|new| shift_levels(new, level as i32))
    })
}

/// The row as the server itself expands it, for the level of its item.
fn row_of(var: NodeOf<pg_sys::Var>, entry: NodeOf<pg_sys::RangeTblEntry>) -> Option<Node> {
    // SAFETY: a reference to this entry.
    Node::new(unsafe { version::row_variable::expand(var.as_ptr(), entry.as_ptr()) })
}

/// The expression, or the query, as it has to be printed for its rows to keep types and names.
pub fn named(expr: Node) -> Node {
    expr.replace(&mut |found| {
        if let Some(query) = found.cast::<pg_sys::Query>() {
            return Some(node::map_expressions(query, &mut named).node());
        }
        let row = found.cast::<pg_sys::RowExpr>()?;
        let fields: Vec<Node> = node::list(row.args).into_iter().map(named).collect();
        if row.row_typeid != pg_sys::RECORDOID {
            return make_node::make_row(&fields, row.row_typeid);
        }
        let names = field_names(&row);
        if are_default(&names) {
            return None;
        }
        let names: Option<Vec<CString>> = names
            .iter()
            .map(|n| CString::new(n.as_str()).ok())
            .collect();
        make_node::make_record(&fields, &names?)
    })
}

/// Whether the row stands for a reference to a whole row.
pub fn stands_for_one(row: &pg_sys::RowExpr) -> bool {
    row.row_format == pg_sys::CoercionForm::COERCE_IMPLICIT_CAST
        && (row.row_typeid != pg_sys::RECORDOID || !are_default(&field_names(row)))
}

/// Whether the names are those of `ROW(…)`.
fn are_default(names: &[String]) -> bool {
    (1..).zip(names).all(|(n, name)| *name == format!("f{n}"))
}

/// Whether two fields of a row without a named type have the same name, which cannot be printed.
pub fn repeats_a_name(row: &pg_sys::RowExpr) -> bool {
    let names = field_names(row);
    let different: BTreeSet<&String> = names.iter().collect();
    different.len() < names.len()
}

fn field_names(row: &pg_sys::RowExpr) -> Vec<String> {
    node::string_list(row.colnames)
}
