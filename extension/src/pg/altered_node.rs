//! Copies of nodes with another expression in one place.

use pgrx::pg_sys;

use super::make_node::{allocate, list_of};
use super::node::{self, Node, NodeOf};

/// A shallow copy, to be altered.
fn copy<T: Copy>(node: &NodeOf<T>, tag: pg_sys::NodeTag) -> *mut T {
    let new = allocate::<T>(tag);
    // SAFETY: fresh memory for a node of this type, which is what is copied.
    unsafe { new.write(**node) };
    new
}

/// The conversion of this array.
pub fn with_array(conversion: &NodeOf<pg_sys::ArrayCoerceExpr>, array: Node) -> Option<Node> {
    let new = copy(conversion, pg_sys::NodeTag::T_ArrayCoerceExpr);
    // SAFETY: a fresh node of this type.
    unsafe { (*new).arg = array.as_ptr().cast() };
    Node::new(new)
}

/// The call with this argument in that place.
pub fn with_argument(
    call: &NodeOf<pg_sys::FuncExpr>,
    place: usize,
    argument: Node,
) -> Option<Node> {
    let mut arguments = node::list(call.args);
    *arguments.get_mut(place)? = argument;
    let new = copy(call, pg_sys::NodeTag::T_FuncExpr);
    // SAFETY: a fresh node of this type.
    unsafe { (*new).args = list_of(&arguments) };
    Node::new(new)
}

/// The query of this document of JSON.
pub fn with_document(query: &NodeOf<pg_sys::JsonExpr>, document: Node) -> Option<Node> {
    let new = copy(query, pg_sys::NodeTag::T_JsonExpr);
    // SAFETY: a fresh node of this type.
    unsafe { (*new).formatted_expr = document.as_ptr().cast() };
    Node::new(new)
}

/// The rows of JSON_TABLE of this document, which is a query of its own.
pub fn with_rows_of(table: &NodeOf<pg_sys::TableFunc>, document: Node) -> Option<Node> {
    let new = copy(table, pg_sys::NodeTag::T_TableFunc);
    // SAFETY: a fresh node of this type.
    unsafe { (*new).docexpr = document.as_ptr().cast() };
    Node::new(new)
}

/// The item of FROM with this call.
pub fn with_call(item: &NodeOf<pg_sys::RangeTblFunction>, call: Node) -> Option<Node> {
    let new = copy(item, pg_sys::NodeTag::T_RangeTblFunction);
    // SAFETY: a fresh node of this type.
    unsafe { (*new).funcexpr = call.as_ptr().cast() };
    Node::new(new)
}

/// The call of an ordered-set aggregate with these direct arguments.
pub fn with_direct_arguments(
    call: &NodeOf<pg_sys::Aggref>,
    arguments: &[Node],
) -> Option<NodeOf<pg_sys::Aggref>> {
    let new = copy(call, pg_sys::NodeTag::T_Aggref);
    // SAFETY: a fresh node of this type.
    unsafe { (*new).aggdirectargs = list_of(arguments) };
    Node::new(new).and_then(Node::cast)
}
