//! Items in FROM that read no table: functions, XMLTABLE, JSON_TABLE, VALUES.

use pgrx::pg_sys;
use pgrx::pg_sys::RTEKind;

use super::deparse;
use super::make_node::make_query;
use super::node::{self, Node, NodeOf, text};
use super::version;

/// A column of an item.
#[derive(Debug, Clone)]
pub struct ItemColumn {
    /// Attribute number.
    pub attnum: i16,
    /// Name, not quoted.
    pub name: String,
    /// A reference to it, in a query whose only item it is.
    pub var: Node,
}

/// The expressions that the item is made of: one node, perhaps a list.
pub fn content(entry: &pg_sys::RangeTblEntry) -> Option<Node> {
    match entry.rtekind {
        RTEKind::RTE_FUNCTION => Node::new(entry.functions),
        RTEKind::RTE_TABLEFUNC => Node::new(entry.tablefunc),
        RTEKind::RTE_VALUES => Node::new(entry.values_lists),
        _ => None,
    }
}

/// The columns of the item, without those dropped from a row type that it returns.
pub fn columns(entry: NodeOf<pg_sys::RangeTblEntry>) -> Vec<ItemColumn> {
    // SAFETY: a valid entry.
    let vars = unsafe { version::range_table::expand(entry.as_ptr()) };
    node::list_of::<pg_sys::Var>(vars)
        .into_iter()
        .map(|var| ItemColumn {
            attnum: var.varattno,
            // SAFETY: an attribute number of the entry.
            name: text(unsafe { pg_sys::get_rte_attribute_name(entry.as_ptr(), var.varattno) }),
            var: var.node(),
        })
        .collect()
}

/// `SELECT columns FROM item`, as text, with other expressions in the place of the item's.
pub fn select(
    entry: NodeOf<pg_sys::RangeTblEntry>,
    content: Node,
    columns: &[ItemColumn],
) -> Option<String> {
    // SAFETY: a shallow copy of the entry, of which only pointers are replaced, by nodes of the kinds
    // that were there.
    let copy = unsafe {
        let copy = pg_sys::palloc(size_of::<pg_sys::RangeTblEntry>()).cast();
        std::ptr::copy_nonoverlapping(entry.as_ptr(), copy, 1);
        (*copy).lateral = false;
        match (*copy).rtekind {
            RTEKind::RTE_FUNCTION => (*copy).functions = content.as_ptr().cast(),
            RTEKind::RTE_TABLEFUNC => (*copy).tablefunc = content.as_ptr().cast(),
            _ => (*copy).values_lists = content.as_ptr().cast(),
        }
        Node::new(copy)?
    };
    let outputs: Vec<Node> = columns.iter().map(|column| column.var).collect();
    Some(deparse::query(make_query(copy, &outputs)?))
}
