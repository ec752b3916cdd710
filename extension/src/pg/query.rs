//! Analysed queries: from text, from a stored view, and made flat for reading.

use std::ffi::CString;

use pgrx::pg_sys;

use super::levels;
use super::lock_mode::LockMode;
use super::make_node;
use super::node::{self, Node, NodeOf, Walk};
use super::snapshot::ActiveSnapshot;
use super::version;
use super::whole_row;
use crate::error::{Error, Result};

/// The raw statements of a text. Syntax errors are reported by the server itself.
pub fn parse(text: &str) -> Result<Vec<NodeOf<pg_sys::RawStmt>>> {
    let text = c_string(text)?;
    // SAFETY: a NUL-terminated string; the result lives in the current memory context.
    let list = unsafe { pg_sys::pg_parse_query(text.as_ptr()) };
    Ok(node::list_of(list))
}

/// Analyses one raw statement without parameters. Views stay views.
pub fn analyse(raw: NodeOf<pg_sys::RawStmt>, text: &str) -> Result<NodeOf<pg_sys::Query>> {
    let source = c_string(text)?;
    // SAFETY: a raw statement of this text, no parameters, no query environment. The source text
    // is only used for error positions during the call.
    let query = unsafe {
        pg_sys::parse_analyze_fixedparams(
            raw.as_ptr(),
            source.as_ptr(),
            std::ptr::null(),
            0,
            std::ptr::null_mut(),
        )
    };
    query_node(query)
}

/// Plans a query, at a snapshot of its own, and throws the plan away: what the planner refuses, it refuses here.
pub fn try_planning(text: &str) -> Result<()> {
    let source = c_string(text)?;
    let _snapshot = ActiveSnapshot::push();
    for raw in parse(text)? {
        let query = analyse(raw, text)?;
        // SAFETY: a query of our own, rewritten and planned as the server does; the text outlives the call.
        unsafe {
            let rewritten = pg_sys::pg_rewrite_query(query.as_ptr());
            for query in node::list_of::<pg_sys::Query>(rewritten) {
                let options = pg_sys::CURSOR_OPT_PARALLEL_OK as i32;
                version::planner::plan(query.as_ptr(), source.as_ptr(), options);
            }
        }
    }
    Ok(())
}

/// The query of a stored view, as a private copy whose relations are locked for reading.
pub fn of_view(view: pg_sys::Oid) -> Result<NodeOf<pg_sys::Query>> {
    // SAFETY: the relation is opened with a lock, read, copied from and closed; the lock stays
    // until the end of the transaction. The copy lives in the current memory context.
    unsafe {
        let relation = pg_sys::try_relation_open(view, LockMode::AccessShare.raw());
        if relation.is_null() {
            return Err(Error::RelationVanished(view));
        }
        let is_view = (*(*relation).rd_rel).relkind as u8 == pg_sys::RELKIND_VIEW;
        let query = if is_view {
            let stored = pg_sys::get_view_query(relation);
            pg_sys::copyObjectImpl(stored.cast()).cast::<pg_sys::Query>()
        } else {
            std::ptr::null_mut()
        };
        pg_sys::relation_close(relation, LockMode::None.raw());
        let copy = query_node(query)?;
        pg_sys::AcquireRewriteLocks(copy.as_ptr(), false, false);
        Ok(copy)
    }
}

/// An expression of a query with references to joins, to grouping columns, to whole rows and to virtual
/// generated columns replaced by what they stand for, also in the subqueries inside of it. Nothing remains of
/// which joins make a column NULL, so that the same column is the same node everywhere.
pub fn flatten(query: NodeOf<pg_sys::Query>, expr: Node) -> Node {
    // SAFETY: an expression of this query; the functions work on copies.
    let flat = unsafe {
        let mut flat = expr.as_ptr();
        flat = version::group_entry::flatten(query, flat);
        flat = pg_sys::flatten_join_alias_vars(std::ptr::null_mut(), query.as_ptr(), flat);
        flat = Node::new(flat).map_or(flat, |flat| whole_row::expand(query, flat).as_ptr());
        let nulled = whole_row::null_supplied(query);
        for (i, entry) in node::list_of::<pg_sys::RangeTblEntry>(query.rtable)
            .into_iter()
            .enumerate()
        {
            let index = i as i32 + 1;
            flat = expand_virtual(flat, &entry, index, nulled.contains(&index));
        }
        Node::new(flat).unwrap_or(expr)
    };
    levels::walk_levels(flat, &mut |node, _| {
        if let Some(var) = node.cast::<pg_sys::Var>() {
            // SAFETY: a node of our own copy.
            unsafe { (*var.as_ptr()).varnullingrels = std::ptr::null_mut() };
        }
        Walk::Descend
    });
    flat
}

/// A subquery in the FROM clause of `query` with its references to the columns beside it flattened.
pub fn flatten_lateral(
    query: NodeOf<pg_sys::Query>,
    subquery: NodeOf<pg_sys::Query>,
) -> NodeOf<pg_sys::Query> {
    make_node::make_exists(subquery)
        .and_then(|link| flatten(query, link).cast::<pg_sys::SubLink>())
        .and_then(|link| Node::new(link.subselect)?.cast())
        .unwrap_or(subquery)
}

/// The negation of a condition, in three-valued logic, by negated operators where there are.
pub fn negate(condition: Node) -> Node {
    // SAFETY: a boolean expression, of which the function makes a new one.
    Node::new(unsafe { pg_sys::negate_clause(condition.as_ptr()) }).unwrap_or(condition)
}

/// A condition that rows have to satisfy, with what all arms of an OR have in common taken out of them: joins go by it.
pub fn common_conjuncts(condition: Node) -> Node {
    // SAFETY: a boolean expression, of which the function makes a new one where it changes something.
    Node::new(unsafe { pg_sys::canonicalize_qual(condition.as_ptr().cast(), false) })
        .unwrap_or(condition)
}

/// The expression with all that is constant in it computed. Functions may read: a worker has no snapshot yet when
/// it analyses a query.
pub fn fold(expr: Node) -> Node {
    let _snapshot = ActiveSnapshot::push_latest();
    // SAFETY: a valid expression without a plan around it; the function works on a copy.
    Node::new(unsafe { pg_sys::eval_const_expressions(std::ptr::null_mut(), expr.as_ptr()) })
        .unwrap_or(expr)
}

/// The expression with the virtual generated columns of one table replaced by their expressions. Where an
/// outer join supplies NULLs, a missing row has NULL in place of the expression's value.
///
/// # Safety
/// `expr` belongs to a query whose range table has `entry` at `index`, and whose tables are locked.
unsafe fn expand_virtual(
    expr: *mut pg_sys::Node,
    entry: &pg_sys::RangeTblEntry,
    index: i32,
    is_nulled: bool,
) -> *mut pg_sys::Node {
    let kind = entry.relkind as u8;
    if entry.rtekind != pg_sys::RTEKind::RTE_RELATION
        || (kind != pg_sys::RELKIND_RELATION && kind != pg_sys::RELKIND_PARTITIONED_TABLE)
    {
        return expr;
    }
    // SAFETY: the table is locked since the analysis of the query; it is open while it is read.
    unsafe {
        let no_lock = LockMode::None.raw();
        let relation = pg_sys::relation_open(entry.relid, no_lock);
        let expanded = if !version::generated::has_virtual(relation) {
            expr
        } else {
            let marked = Node::new(expr)
                .filter(|_| is_nulled)
                .map(|expr| whole_row::mark_virtual(expr, entry.relid, index));
            let expr = marked.map_or(expr, Node::as_ptr);
            version::generated::expand(expr, relation, index)
        };
        pg_sys::relation_close(relation, no_lock);
        expanded
    }
}

fn query_node(query: *mut pg_sys::Query) -> Result<NodeOf<pg_sys::Query>> {
    Node::new(query)
        .and_then(Node::cast)
        .ok_or_else(|| Error::Internal("the server returned no query".into()))
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Internal("a query contains a zero byte".into()))
}

/// An expression coerced as the server coerces the arms of a set operation.
pub fn coerce(
    expr: Node,
    (type_oid, collation): (pg_sys::Oid, pg_sys::Oid),
    context: &'static std::ffi::CStr,
) -> Node {
    let mut coerced = expr;
    // The collation that the printed coercion has when it is read back.
    let natural = match expr.collation() {
        pg_sys::InvalidOid => super::types::default_collation(type_oid),
        inherited => inherited,
    };
    if expr.type_oid() != type_oid {
        // SAFETY: a valid expression; no parse state is needed without parameters to resolve.
        let node = unsafe {
            pg_sys::coerce_to_common_type(
                std::ptr::null_mut(),
                expr.as_ptr(),
                type_oid,
                context.as_ptr(),
            )
        };
        coerced = Node::new(node).unwrap_or(expr);
        coerced.set_collation(if super::types::is_collatable(type_oid) {
            natural
        } else {
            pg_sys::InvalidOid
        });
    }
    if coerced.collation() != collation && collation != pg_sys::InvalidOid {
        coerced = make_node::make_collate(coerced, collation).unwrap_or(coerced);
    }
    coerced
}

/// Gives the output columns of an arm of a set operation, a query of our own, a type where they have none: a literal
/// under COLLATE stays as it is until the server plans the operation.
pub fn resolve_unknowns(
    arm: NodeOf<pg_sys::Query>,
    types: &[pg_sys::Oid],
    context: &'static std::ffi::CStr,
) {
    let targets = node::list_of::<pg_sys::TargetEntry>(arm.targetList);
    let shown = targets.into_iter().filter(|target| !target.resjunk);
    for (target, type_oid) in shown.zip(types) {
        let is_unknown = |expr: &Node| expr.type_oid() == pg_sys::UNKNOWNOID;
        if let Some(expr) = Node::new(target.expr).filter(is_unknown) {
            // SAFETY: nodes of our own copy; the coercion is pushed below the COLLATE.
            unsafe {
                (*target.as_ptr()).expr = pg_sys::coerce_to_common_type(
                    std::ptr::null_mut(),
                    expr.as_ptr(),
                    *type_oid,
                    context.as_ptr(),
                )
                .cast();
            }
        }
    }
}

/// A copy of a query that shows the columns which it only sorts by, behind the others.
pub fn with_sort_columns_shown(query: NodeOf<pg_sys::Query>) -> NodeOf<pg_sys::Query> {
    let copy = node::copy_query(query);
    for target in node::list_of::<pg_sys::TargetEntry>(copy.targetList) {
        if sorts_by(copy, &target) {
            // SAFETY: a node of our own copy.
            unsafe { (*target.as_ptr()).resjunk = false };
        }
    }
    copy
}

fn sorts_by(query: NodeOf<pg_sys::Query>, target: &pg_sys::TargetEntry) -> bool {
    target.ressortgroupref > 0
        && node::list_of::<pg_sys::SortGroupClause>(query.sortClause)
            .iter()
            .any(|clause| {
                clause.tleSortGroupRef == target.ressortgroupref
                    && !super::settle::is_by_image(clause)
            })
}

/// Positions (from 0) of the output columns whose image a query sorts by.
pub fn image_columns(query: NodeOf<pg_sys::Query>) -> Vec<usize> {
    let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
    let shown: Vec<_> = targets.iter().filter(|target| !target.resjunk).collect();
    let position = |field: Node| {
        let is_it = |expr: Node| expr.same_as(field);
        let mut shown = shown.iter();
        shown.position(|target| Node::new(target.expr).is_some_and(is_it))
    };
    node::list_of::<pg_sys::SortGroupClause>(query.sortClause)
        .into_iter()
        .filter(|clause| super::settle::is_by_image(clause))
        .filter_map(|clause| target_of(query, clause.tleSortGroupRef)?.cast::<pg_sys::RowExpr>())
        .flat_map(|row| node::list(row.args))
        .filter_map(position)
        .collect()
}

/// What a query sorts by: position of the output column (from 0), operator, NULLS FIRST. Columns that it
/// does not show are left out.
pub fn sort_columns(query: NodeOf<pg_sys::Query>) -> Vec<(usize, pg_sys::Oid, bool)> {
    let shown: Vec<_> = node::list_of::<pg_sys::TargetEntry>(query.targetList)
        .into_iter()
        .filter(|target| !target.resjunk)
        .collect();
    node::list_of::<pg_sys::SortGroupClause>(query.sortClause)
        .into_iter()
        .filter_map(|clause| {
            let position = shown
                .iter()
                .position(|target| target.ressortgroupref == clause.tleSortGroupRef)?;
            Some((position, clause.sortop, clause.nulls_first))
        })
        .collect()
}

/// The flattened expression that a clause of the query refers to.
pub fn referenced(query: NodeOf<pg_sys::Query>, reference: u32) -> Option<Node> {
    target_of(query, reference).map(|expr| flatten(query, expr))
}

/// The expression that a clause of the query refers to, as it is written.
pub fn target_of(query: NodeOf<pg_sys::Query>, reference: u32) -> Option<Node> {
    let mut targets = node::each(query.targetList).filter_map(Node::cast::<pg_sys::TargetEntry>);
    let target = targets.find(|t| t.ressortgroupref == reference)?;
    Node::new(target.expr)
}

/// The name of a column of an item of the query.
pub fn column_name(query: NodeOf<pg_sys::Query>, expr: Node) -> Option<String> {
    let var = expr
        .cast::<pg_sys::Var>()
        .filter(|var| var.varlevelsup == 0)?;
    let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
    let entry = entries.get(usize::try_from(var.varno).ok()?.checked_sub(1)?)?;
    let names = Node::new(entry.eref)?;
    // SAFETY: the names by which the query knows an entry are an Alias node.
    let names = node::string_list(unsafe { (*names.as_ptr().cast::<pg_sys::Alias>()).colnames });
    names
        .get(usize::try_from(var.varattno).ok()?.checked_sub(1)?)
        .cloned()
}
