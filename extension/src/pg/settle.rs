//! Extending the sort clauses of our copy of a query.

use std::ffi::CString;

use pgrx::pg_sys;

use super::make_node;
use super::node::{self, Node, NodeOf};
use super::types;

/// `pg_catalog.*<` and `pg_catalog.*=` over rows, as `pg_operator.dat` numbers them.
const IMAGE_LESS: pg_sys::Oid = pg_sys::Oid::from_u32(3190);
const IMAGE_EQUAL: pg_sys::Oid = pg_sys::Oid::from_u32(3188);

/// What sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operators {
    less: pg_sys::Oid,
    equal: pg_sys::Oid,
    hashable: bool,
}

impl Operators {
    /// The order of row images.
    pub const IMAGE: Operators = Operators {
        less: IMAGE_LESS,
        equal: IMAGE_EQUAL,
        hashable: false,
    };

    /// The default btree order of a type.
    pub fn of_type(type_oid: pg_sys::Oid) -> Option<Self> {
        types::ordering(type_oid)?;
        let flags = pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_EQ_OPR;
        // SAFETY: the type exists; entries of the type cache live as long as the session.
        let entry = unsafe { &*pg_sys::lookup_type_cache(type_oid, flags as i32) };
        Some(Operators {
            less: entry.lt_opr,
            equal: entry.eq_opr,
            hashable: types::is_hashable(type_oid),
        })
    }
}

/// How a key sorts.
#[derive(Clone, Copy)]
pub enum Sorting {
    /// From the least value on, NULLs last.
    Rising(Operators),
    /// Like another key.
    Like(NodeOf<pg_sys::SortGroupClause>),
}

/// Whether the clause sorts by image.
pub fn is_by_image(clause: &pg_sys::SortGroupClause) -> bool {
    clause.sortop == IMAGE_LESS
}

/// A list of target entries and the clauses that refer to it.
struct Sorted {
    targets: *mut *mut pg_sys::List,
    clauses: *mut *mut pg_sys::List,
}

impl Sorted {
    /// Appends a key, unless one with the same operator, or its opposite, is there.
    fn append(&self, expr: Node, by: Sorting) {
        // SAFETY: lists of a query of our own.
        unsafe {
            let targets = node::list_of::<pg_sys::TargetEntry>(*self.targets);
            let known = targets
                .iter()
                .find(|t| Node::new(t.expr).is_some_and(|e| e.same_as(expr)));
            let target = match known {
                Some(target) => target.as_ptr(),
                None => {
                    let copy = pg_sys::copyObjectImpl(expr.as_ptr().cast());
                    let resno = (targets.len() + 1) as i16;
                    let made =
                        pg_sys::makeTargetEntry(copy.cast(), resno, std::ptr::null_mut(), true);
                    *self.targets = pg_sys::lappend(*self.targets, made.cast());
                    made
                }
            };
            if (*target).ressortgroupref == 0 {
                let references = targets.iter().map(|t| t.ressortgroupref);
                (*target).ressortgroupref = references.max().unwrap_or(0) + 1;
            }
            let mut clauses = node::list_of::<pg_sys::SortGroupClause>(*self.clauses).into_iter();
            if clauses.any(|clause| clause.tleSortGroupRef == (*target).ressortgroupref) {
                return;
            }
            let clause = match by {
                Sorting::Rising(by) => {
                    let tag = pg_sys::NodeTag::T_SortGroupClause;
                    let clause = make_node::allocate::<pg_sys::SortGroupClause>(tag);
                    (*clause).eqop = by.equal;
                    (*clause).sortop = by.less;
                    (*clause).hashable = by.hashable;
                    clause
                }
                Sorting::Like(clause) => pg_sys::copyObjectImpl(clause.as_ptr().cast()).cast(),
            };
            (*clause).tleSortGroupRef = (*target).ressortgroupref;
            *self.clauses = pg_sys::lappend(*self.clauses, clause.cast());
        }
    }
}

/// Sorts the query's rows by one more key.
pub fn sort_query(query: NodeOf<pg_sys::Query>, expr: Node, by: Operators) {
    sort_query_like(query, expr, Sorting::Rising(by));
}

/// Sorts the query's rows by one more key, like another.
pub fn sort_query_like(query: NodeOf<pg_sys::Query>, expr: Node, by: Sorting) {
    // SAFETY: addresses of fields of a query of our own.
    let sorted = unsafe {
        Sorted {
            targets: &raw mut (*query.as_ptr()).targetList,
            clauses: &raw mut (*query.as_ptr()).sortClause,
        }
    };
    sorted.append(expr, by);
}

/// Sorts a window of the query by one more key.
pub fn sort_window(
    query: NodeOf<pg_sys::Query>,
    window: NodeOf<pg_sys::WindowClause>,
    expr: Node,
    by: Operators,
) {
    // SAFETY: addresses of fields of nodes of our own.
    let sorted = unsafe {
        Sorted {
            targets: &raw mut (*query.as_ptr()).targetList,
            clauses: &raw mut (*window.as_ptr()).orderClause,
        }
    };
    sorted.append(expr, Sorting::Rising(by));
}

/// Sorts the input of an aggregate by one more key.
pub fn sort_aggregate(call: NodeOf<pg_sys::Aggref>, expr: Node, by: Sorting) {
    // SAFETY: addresses of fields of a node of our own.
    let sorted = unsafe {
        Sorted {
            targets: &raw mut (*call.as_ptr()).args,
            clauses: &raw mut (*call.as_ptr()).aggorder,
        }
    };
    sorted.append(expr, by);
}

/// What a query sorts by, up to the first image, and how.
pub fn sorting(query: NodeOf<pg_sys::Query>) -> Vec<(NodeOf<pg_sys::TargetEntry>, Sorting)> {
    let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
    let target = |clause: &NodeOf<pg_sys::SortGroupClause>| {
        let mut targets = targets.iter().copied();
        targets.find(|target| target.ressortgroupref == clause.tleSortGroupRef)
    };
    node::list_of::<pg_sys::SortGroupClause>(query.sortClause)
        .into_iter()
        .take_while(|clause| !is_by_image(clause))
        .filter_map(|clause| Some((target(&clause)?, Sorting::Like(clause))))
        .collect()
}

/// Makes a subquery show everything that it computes; `entry` is what names it.
pub fn show_all(query: NodeOf<pg_sys::Query>, entry: NodeOf<pg_sys::RangeTblEntry>) {
    for target in node::list_of::<pg_sys::TargetEntry>(query.targetList) {
        if target.resjunk {
            // SAFETY: nodes of a query of our own; an entry names the columns in the order of the targets.
            unsafe {
                let name = pg_sys::pstrdup(c"hidden".as_ptr());
                (*target.as_ptr()).resjunk = false;
                (*target.as_ptr()).resname = name;
                let names = &raw mut (*entry.eref).colnames;
                *names = pg_sys::lappend(*names, pg_sys::makeString(name).cast());
            }
        }
    }
}

/// Sorts by all keys of DISTINCT ON, as the order that follows it must.
pub fn sort_by_distinct_keys(query: NodeOf<pg_sys::Query>) {
    let sorted = node::list_of::<pg_sys::SortGroupClause>(query.sortClause);
    for key in node::list_of::<pg_sys::SortGroupClause>(query.distinctClause) {
        if !sorted
            .iter()
            .any(|clause| clause.tleSortGroupRef == key.tleSortGroupRef)
        {
            // SAFETY: a clause of the query's own, copied into a list of its own.
            unsafe {
                let copy = pg_sys::copyObjectImpl(key.as_ptr().cast());
                let list = &raw mut (*query.as_ptr()).sortClause;
                *list = pg_sys::lappend(*list, copy);
            }
        }
    }
}

/// Makes every window of the query say what it is, without reference to another.
pub fn part_windows(query: NodeOf<pg_sys::Query>) {
    for window in node::list_of::<pg_sys::WindowClause>(query.windowClause) {
        // SAFETY: a node of our own.
        unsafe {
            (*window.as_ptr()).refname = std::ptr::null_mut();
            (*window.as_ptr()).copiedOrder = false;
        }
    }
}

/// A window like this one, without a name, for calls that are given to it.
pub fn copy_window(
    query: NodeOf<pg_sys::Query>,
    window: NodeOf<pg_sys::WindowClause>,
    calls: &[NodeOf<pg_sys::WindowFunc>],
) -> Option<NodeOf<pg_sys::WindowClause>> {
    let windows = node::list_of::<pg_sys::WindowClause>(query.windowClause);
    let number = windows.iter().map(|w| w.winref).max().unwrap_or(0) + 1;
    // SAFETY: a copy of a node of our own, added to a query of our own.
    unsafe {
        let copy = pg_sys::copyObjectImpl(window.as_ptr().cast()).cast::<pg_sys::WindowClause>();
        (*copy).name = std::ptr::null_mut();
        (*copy).winref = number;
        let list = &raw mut (*query.as_ptr()).windowClause;
        *list = pg_sys::lappend(*list, copy.cast());
        for call in calls {
            (*call.as_ptr()).winref = number;
        }
        Node::new(copy)?.cast()
    }
}

/// Whether the values that a key takes for equal are those that its type does.
pub fn is_own_equality(key: &pg_sys::SortGroupClause) -> bool {
    // SAFETY: the operator of a key exists; entries of the type cache live as long as the session.
    unsafe {
        let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        pg_sys::op_input_types(key.eqop, &mut left, &mut right);
        let entry = pg_sys::lookup_type_cache(left, pg_sys::TYPECACHE_EQ_OPR as i32);
        (*entry).eq_opr == key.eqop
    }
}

/// Makes a window a partition of peers: its order divides it instead, and its frame is all of it.
pub fn part_by_order(window: NodeOf<pg_sys::WindowClause>) {
    let known = node::list_of::<pg_sys::SortGroupClause>(window.partitionClause);
    for key in node::list_of::<pg_sys::SortGroupClause>(window.orderClause) {
        if known
            .iter()
            .all(|k| k.tleSortGroupRef != key.tleSortGroupRef)
        {
            // SAFETY: a clause of the window's own, moved from one of its lists to another.
            unsafe {
                let list = &raw mut (*window.as_ptr()).partitionClause;
                *list = pg_sys::lappend(*list, key.as_ptr().cast());
            }
        }
    }
    // SAFETY: a node of our own.
    unsafe {
        (*window.as_ptr()).orderClause = std::ptr::null_mut();
    }
    frame_whole_partition(window);
}

/// Makes the frame of a window the whole partition, as it is without an order.
pub fn frame_whole_partition(window: NodeOf<pg_sys::WindowClause>) {
    // SAFETY: a node of our own.
    unsafe {
        (*window.as_ptr()).startOffset = std::ptr::null_mut();
        (*window.as_ptr()).endOffset = std::ptr::null_mut();
        (*window.as_ptr()).frameOptions = (pg_sys::FRAMEOPTION_NONDEFAULT
            | pg_sys::FRAMEOPTION_BETWEEN
            | pg_sys::FRAMEOPTION_RANGE
            | pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING
            | pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING)
            as i32;
    }
}

/// `ROW(fields)`, of no named type.
pub fn row_of(fields: &[Node]) -> Option<Node> {
    let row = make_node::make_row(fields, pg_sys::RECORDOID)?;
    // SAFETY: a fresh node of this type.
    unsafe {
        let row = row.as_ptr().cast::<pg_sys::RowExpr>();
        (*row).row_format = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
        for number in 1..=fields.len() {
            let name = CString::new(format!("f{number}")).ok()?;
            let name = pg_sys::makeString(pg_sys::pstrdup(name.as_ptr()));
            (*row).colnames = pg_sys::lappend((*row).colnames, name.cast());
        }
    }
    Some(row)
}
