//! Node trees of the server: tag-checked casts, lists, walking, copying.
//!
//! Invariant: every [`Node`] points into a tree that the server built in a memory context which
//! outlives the call (parse trees live as long as the statement). That is what makes the safe
//! methods here sound; a `Node` must therefore never be stored beyond the analysis of one query.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;
use std::ptr::NonNull;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// A node of unknown kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node(NonNull<pg_sys::Node>);

/// A node of a known kind.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeOf<T>(NonNull<T>);

impl<T> Clone for NodeOf<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for NodeOf<T> {}

/// A struct of the server that starts with a node tag.
pub trait Tagged {
    /// Its tag.
    const TAG: NodeTag;
}

macro_rules! tagged {
    ($($name:ident = $tag:ident),* $(,)?) => {
        $(impl Tagged for pg_sys::$name { const TAG: NodeTag = NodeTag::$tag; })*
    };
}

tagged! {
    Query = T_Query,
    RangeTblEntry = T_RangeTblEntry,
    RangeTblRef = T_RangeTblRef,
    RangeTblFunction = T_RangeTblFunction,
    TableFunc = T_TableFunc,
    RTEPermissionInfo = T_RTEPermissionInfo,
    FromExpr = T_FromExpr,
    JoinExpr = T_JoinExpr,
    TargetEntry = T_TargetEntry,
    SortGroupClause = T_SortGroupClause,
    GroupingSet = T_GroupingSet,
    SetOperationStmt = T_SetOperationStmt,
    CommonTableExpr = T_CommonTableExpr,
    CTECycleClause = T_CTECycleClause,
    SubLink = T_SubLink,
    Var = T_Var,
    Const = T_Const,
    Param = T_Param,
    Aggref = T_Aggref,
    GroupingFunc = T_GroupingFunc,
    WindowFunc = T_WindowFunc,
    WindowClause = T_WindowClause,
    FuncExpr = T_FuncExpr,
    OpExpr = T_OpExpr,
    BoolExpr = T_BoolExpr,
    NullTest = T_NullTest,
    BooleanTest = T_BooleanTest,
    RelabelType = T_RelabelType,
    CollateExpr = T_CollateExpr,
    CoerceToDomain = T_CoerceToDomain,
    CoerceViaIO = T_CoerceViaIO,
    ArrayCoerceExpr = T_ArrayCoerceExpr,
    CaseExpr = T_CaseExpr,
    CaseWhen = T_CaseWhen,
    CaseTestExpr = T_CaseTestExpr,
    JsonConstructorExpr = T_JsonConstructorExpr,
    XmlExpr = T_XmlExpr,
    JsonBehavior = T_JsonBehavior,
    JsonExpr = T_JsonExpr,
    JsonValueExpr = T_JsonValueExpr,
    CoalesceExpr = T_CoalesceExpr,
    MinMaxExpr = T_MinMaxExpr,
    FieldSelect = T_FieldSelect,
    SQLValueFunction = T_SQLValueFunction,
    RowCompareExpr = T_RowCompareExpr,
    RowExpr = T_RowExpr,
    RawStmt = T_RawStmt,
    SelectStmt = T_SelectStmt,
    String = T_String,
}

impl Node {
    /// The node behind a pointer from a server's node tree; `None` for NULL.
    pub fn new<T>(pointer: *mut T) -> Option<Self> {
        NonNull::new(pointer.cast()).map(Self)
    }

    /// Its tag.
    pub fn tag(self) -> NodeTag {
        // SAFETY: every node starts with its tag.
        unsafe { self.0.as_ref().type_ }
    }

    /// The node as a `T`, if it is one.
    pub fn cast<T: Tagged>(self) -> Option<NodeOf<T>> {
        (self.tag() == T::TAG).then(|| NodeOf(self.0.cast()))
    }

    /// Whether the node is a `T`.
    pub fn is<T: Tagged>(self) -> bool {
        self.tag() == T::TAG
    }

    /// Whether a `T` stands in the expression.
    pub fn contains<T: Tagged>(self) -> bool {
        self.walk(&mut |node| match node.is::<T>() {
            true => Walk::Stop,
            false => Walk::Descend,
        })
    }

    /// The pointer.
    pub fn as_ptr(self) -> *mut pg_sys::Node {
        self.0.as_ptr()
    }

    /// Type of an expression.
    pub fn type_oid(self) -> pg_sys::Oid {
        // SAFETY: a valid expression node.
        unsafe { pg_sys::exprType(self.as_ptr()) }
    }

    /// Type modifier of an expression.
    pub fn typmod(self) -> i32 {
        // SAFETY: a valid expression node.
        unsafe { pg_sys::exprTypmod(self.as_ptr()) }
    }

    /// Collation of an expression's value.
    pub fn collation(self) -> pg_sys::Oid {
        // SAFETY: a valid expression node.
        unsafe { pg_sys::exprCollation(self.as_ptr()) }
    }

    /// Sets the collation of a coercion that the server has left open.
    pub fn set_collation(self, collation: pg_sys::Oid) {
        if self.is::<pg_sys::RelabelType>() || self.is::<pg_sys::FuncExpr>() {
            // SAFETY: an expression node of a kind that has a collation, in a tree of our own.
            unsafe { pg_sys::exprSetCollation(self.as_ptr(), collation) }
        }
    }

    /// A node that is laid out as an operator call: the call itself, IS DISTINCT FROM, NULLIF.
    pub fn as_operator_call(self) -> Option<NodeOf<pg_sys::OpExpr>> {
        use NodeTag::{T_DistinctExpr, T_NullIfExpr, T_OpExpr};
        matches!(self.tag(), T_OpExpr | T_DistinctExpr | T_NullIfExpr)
            .then(|| NodeOf(self.0.cast()))
    }

    /// Whether two trees mean the same (locations do not count).
    pub fn same_as(self, other: Node) -> bool {
        // SAFETY: two valid nodes.
        unsafe { pg_sys::equal(self.as_ptr().cast(), other.as_ptr().cast()) }
    }

    /// Visits the tree top-down. Subqueries are visited as nodes but not entered.
    pub fn walk(self, visit: &mut dyn FnMut(Node) -> Walk) -> bool {
        let mut visit = visit;
        // SAFETY: the callback gets back exactly the pointer to `visit` given here, which outlives
        // the call.
        unsafe { walk_callback(self.as_ptr(), (&raw mut visit).cast()) }
    }

    /// A copy of the tree with the nodes replaced for which `replace` has something.
    pub fn replace(self, replace: &mut dyn FnMut(Node) -> Option<Node>) -> Node {
        let mut replace = replace;
        // SAFETY: as in `walk`.
        let copy = unsafe { replace_callback(self.as_ptr(), (&raw mut replace).cast()) };
        Node::new(copy).unwrap_or(self)
    }
}

impl<T> NodeOf<T> {
    /// The same node, kind forgotten.
    pub fn node(self) -> Node {
        Node(self.0.cast())
    }

    /// The pointer.
    pub fn as_ptr(self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Deref for NodeOf<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the tag was checked, and the tree outlives the analysis (module invariant).
        unsafe { self.0.as_ref() }
    }
}

/// What to do after visiting a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// Visit its children.
    Descend,
    /// Go on beside it.
    Skip,
    /// End the whole walk.
    Stop,
}

type Visit<'a> = &'a mut dyn FnMut(Node) -> Walk;
type Replace<'a> = &'a mut dyn FnMut(Node) -> Option<Node>;

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn walk_callback(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    let Some(found) = Node::new(node) else {
        return false;
    };
    // SAFETY: `context` is the visitor that `Node::walk` or `walk_query` passed in.
    let action = unsafe { (*context.cast::<Visit<'_>>())(found) };
    match action {
        Walk::Stop => true,
        Walk::Skip => false,
        Walk::Descend if found.is::<pg_sys::Query>() => false,
        // SAFETY: a valid node, and the same callback and context.
        Walk::Descend => unsafe {
            pg_sys::expression_tree_walker_impl(node, Some(walk_callback), context)
        },
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn replace_callback(
    node: *mut pg_sys::Node,
    context: *mut c_void,
) -> *mut pg_sys::Node {
    let Some(found) = Node::new(node) else {
        return node;
    };
    // SAFETY: `context` is the closure that `Node::replace` passed in.
    let replacement = unsafe { (*context.cast::<Replace<'_>>())(found) };
    match replacement {
        Some(new) => new.as_ptr(),
        None if found.is::<pg_sys::Query>() => node,
        // SAFETY: a valid node, and the same callback and context.
        None => unsafe {
            pg_sys::expression_tree_mutator_impl(node, Some(replace_callback), context)
        },
    }
}

/// Visits the parts of one query level: its range table entries, expressions, subqueries and CTEs,
/// each as one node.
pub fn walk_query(query: NodeOf<pg_sys::Query>, visit: &mut dyn FnMut(Node) -> Walk) -> bool {
    let mut visit = visit;
    // SAFETY: as in `Node::walk`.
    unsafe {
        pg_sys::query_tree_walker_impl(
            query.as_ptr(),
            Some(walk_callback),
            (&raw mut visit).cast(),
            (pg_sys::QTW_EXAMINE_RTES_BEFORE | pg_sys::QTW_IGNORE_JOINALIASES) as i32,
        )
    }
}

/// A copy of one query level with its expressions, and the queries in it, replaced. In expressions,
/// `replace` finds the queries that stand inside of them.
pub fn map_expressions(
    query: NodeOf<pg_sys::Query>,
    replace: &mut dyn FnMut(Node) -> Node,
) -> NodeOf<pg_sys::Query> {
    let mut whole = |node: Node| Some(replace(node));
    let mut visit: Replace<'_> = &mut whole;
    // SAFETY: as in `Node::replace`; the copy is of the same kind.
    let copy = unsafe {
        pg_sys::query_tree_mutator_impl(
            query.as_ptr(),
            Some(replace_callback),
            (&raw mut visit).cast(),
            0,
        )
    };
    NonNull::new(copy).map_or(query, NodeOf)
}

/// A deep copy of a query.
pub fn copy_query(query: NodeOf<pg_sys::Query>) -> NodeOf<pg_sys::Query> {
    // SAFETY: a valid node; the copy is of the same kind.
    let copy = unsafe { pg_sys::copyObjectImpl(query.as_ptr().cast()) };
    NonNull::new(copy.cast()).map_or(query, NodeOf)
}

/// The nodes of a list that came from a node tree.
pub fn list(list: *mut pg_sys::List) -> Vec<Node> {
    each(list).collect()
}

/// The same, one by one: for look-ups in lists that may be as long as a table has columns.
pub fn each(list: *mut pg_sys::List) -> impl Iterator<Item = Node> {
    // SAFETY: null, or a list of the server.
    debug_assert!(unsafe { list.as_ref() }.is_none_or(|list| list.type_ == NodeTag::T_List));
    // SAFETY: a pointer list holds nodes.
    cells(list).filter_map(|cell| Node::new(unsafe { cell.ptr_value }.cast::<pg_sys::Node>()))
}

fn cells(list: *mut pg_sys::List) -> impl Iterator<Item = pg_sys::ListCell> {
    // SAFETY: null, or a list of the server with `length` elements.
    (0..list_length(list)).map(move |at| unsafe { *(*list).elements.add(at) })
}

/// The nodes of a list that are of one kind.
pub fn list_of<T: Tagged>(nodes: *mut pg_sys::List) -> Vec<NodeOf<T>> {
    list(nodes).into_iter().filter_map(Node::cast).collect()
}

/// The elements of an OID list.
pub fn oid_list(list: *mut pg_sys::List) -> Vec<pg_sys::Oid> {
    // SAFETY: an OID list of the server.
    cells(list).map(|cell| unsafe { cell.oid_value }).collect()
}

/// The texts of a list of string nodes.
pub fn string_list(strings: *mut pg_sys::List) -> Vec<String> {
    list_of::<pg_sys::String>(strings)
        .into_iter()
        .map(|string| text(string.sval))
        .collect()
}

/// The elements of an integer list.
pub fn int_list(list: *mut pg_sys::List) -> Vec<i32> {
    // SAFETY: an integer list of the server.
    cells(list).map(|cell| unsafe { cell.int_value }).collect()
}

/// Number of elements of a list.
pub fn list_length(list: *mut pg_sys::List) -> usize {
    // SAFETY: null, or a valid list of the server.
    unsafe { list.as_ref() }.map_or(0, |list| list.length as usize)
}

/// The members of a bitmap set, in rising order.
pub fn bitmap_members(set: *const pg_sys::Bitmapset) -> Vec<i32> {
    let mut members = Vec::new();
    let mut last = -1;
    loop {
        // SAFETY: a valid set (or NULL, which is the empty one).
        last = unsafe { pg_sys::bms_next_member(set, last) };
        if last < 0 {
            return members;
        }
        members.push(last);
    }
}

/// The text of a C string of the server; empty for NULL. Bytes outside UTF-8 are replaced, which
/// only matters for names in databases with another encoding.
pub fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        String::new()
    } else {
        // SAFETY: a NUL-terminated string of the server.
        unsafe { CStr::from_ptr(pointer) }
            .to_string_lossy()
            .into_owned()
    }
}

/// The name by which a query knows an entry of its range table; empty if it has none.
pub fn entry_name(entry: &pg_sys::RangeTblEntry) -> String {
    if entry.eref.is_null() {
        return String::new();
    }
    // SAFETY: `eref` is an Alias node.
    text(unsafe { (*entry.eref).aliasname })
}

/// Checks the depth of the C stack; recursive callers call it on each level.
pub fn check_stack_depth() {
    // SAFETY: only looks at the stack pointer, and reports an error when it is too deep.
    unsafe { pg_sys::check_stack_depth() }
}
