//! Ties. A query with ties in its ORDER BY has several correct results; a stream table holds one of
//! them, always the same for the same rows.
//!
//! Where the position of a row matters (LIMIT, OFFSET, DISTINCT ON, window functions of a position, aggregates in an
//! order), the query's order is continued: by the columns that are read, one after the other, in the
//! default order of their types; then by the image of those whose type has no order, or whose equal values can
//! look different. Rows alike in all of them can swap places unnoticed.
//!
//! ```text
//! SELECT x, p FROM t ORDER BY y LIMIT 3  →  … ORDER BY y, x, p, ROW(p) USING *< LIMIT 3
//! ```
//! Aggregates that show the order of their input without ORDER BY, such as `array_agg` and `string_agg`, are ordered by
//! what they read; where the only subquery in FROM has an order, by that first ([`super::input_order`]). Where any other
//! subquery, a CTE or a view below may have given its rows an order that they rely on, they are left alone.
//!
//! A result of the settled query is a result of the query: its order refines that of the query. Frames
//! whose ends or exclusion are made of peers are not changed, except under `last_value` ([`windows`]), nor are WITH TIES
//! and views; the engine refuses them where ties show.
//!
//! The view of the stream table holds the settled query, so every mode computes the same result.

mod windows;

use pgrx::pg_sys;

use super::facts::is_image_equality;
use super::grouping::is_grouped;
use super::input_order::input_order;
use super::order;
use super::window_functions::commutes;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::settle::{self, Operators, Sorting};
use crate::pg::{query, types};

/// A query of our own with its ties settled, and what settles them.
pub struct Settled {
    /// The query.
    pub query: NodeOf<pg_sys::Query>,
    /// What decides by place, and the columns that its order goes on with.
    pub ties: Vec<(String, String)>,
    /// Whether an aggregate is among that which says no order at all.
    pub is_unordered: bool,
}

/// Settles the ties of an analysed query that has no other holder, in place.
pub fn settled(query: NodeOf<pg_sys::Query>) -> Settled {
    let mut ties = Ties::default();
    settle(query, false, &mut ties);
    Settled {
        query,
        ties: ties.said,
        is_unordered: ties.is_unordered,
    }
}

/// What has been settled.
#[derive(Default)]
struct Ties {
    said: Vec<(String, String)>,
    is_unordered: bool,
}

/// Keys that continue an order.
#[derive(Default)]
struct Keys {
    ordered: Vec<(Node, Operators)>,
    by_image: Vec<Node>,
}

impl Keys {
    fn of(exprs: impl IntoIterator<Item = Node>) -> Self {
        let mut keys = Keys::default();
        for expr in exprs {
            if expr.is::<pg_sys::Const>() {
                continue;
            }
            let (type_oid, typmod) = types::base_type(expr.type_oid(), expr.typmod());
            let collation = expr.collation();
            let is_known = !types::is_collatable(type_oid) || collation != pg_sys::InvalidOid;
            let order = Operators::of_type(expr.type_oid()).filter(|_| is_known);
            let is_alike = order.is_some() && is_image_equality(type_oid, typmod, collation);
            if let Some(order) = order
                && !keys.ordered.iter().any(|(known, _)| known.same_as(expr))
            {
                keys.ordered.push((expr, order));
            }
            // A function that returns a set is called where it stands, and nowhere else.
            let may_repeat = !types::returns_set(expr);
            if !is_alike && may_repeat && !keys.by_image.iter().any(|known| known.same_as(expr)) {
                keys.by_image.push(expr);
            }
        }
        keys
    }

    /// Appends them.
    fn append(&self, to: &mut dyn FnMut(Node, Operators)) {
        for (expr, order) in &self.ordered {
            to(*expr, *order);
        }
        if let Some(row) = settle::row_of(&self.by_image).filter(|_| !self.by_image.is_empty()) {
            to(row, Operators::IMAGE);
        }
    }

    /// How they are called.
    fn names(&self, query: NodeOf<pg_sys::Query>) -> String {
        let name = |expr: Node| name_of(query, expr);
        let mut names: Vec<String> = self.ordered.iter().map(|(expr, _)| name(*expr)).collect();
        if !self.by_image.is_empty() {
            let images: Vec<String> = self.by_image.iter().map(|expr| name(*expr)).collect();
            names.push(format!("the image of ({})", images.join(", ")));
        }
        names.join(", ")
    }
}

/// What the query calls an expression.
fn name_of(query: NodeOf<pg_sys::Query>, expr: Node) -> String {
    let shown = node::list_of::<pg_sys::TargetEntry>(query.targetList)
        .into_iter()
        .find(|t| !t.resname.is_null() && Node::new(t.expr).is_some_and(|e| e.same_as(expr)));
    if let Some(target) = shown {
        return node::text(target.resname);
    }
    query::column_name(query, expr).unwrap_or_else(|| "an expression".to_owned())
}

/// Settles the queries inside, then the query itself. `in_order`: its rows are read in its order.
fn settle(query: NodeOf<pg_sys::Query>, in_order: bool, ties: &mut Ties) {
    node::check_stack_depth();
    let mut arrays: Vec<Node> = Vec::new();
    let mut inner: Vec<NodeOf<pg_sys::Query>> = Vec::new();
    node::walk_query(query, &mut |node| {
        if let Some(link) = node.cast::<pg_sys::SubLink>()
            && link.subLinkType == pg_sys::SubLinkType::ARRAY_SUBLINK
        {
            arrays.extend(Node::new(link.subselect));
        }
        match node.cast::<pg_sys::Query>() {
            Some(query) => {
                inner.push(query);
                Walk::Skip
            }
            // What is in it is visited by itself.
            None if node.is::<pg_sys::RangeTblEntry>() => Walk::Skip,
            None => Walk::Descend,
        }
    });
    for inner in inner {
        let is_array = arrays.iter().any(|a| a.as_ptr() == inner.node().as_ptr());
        settle(inner, is_array, ties);
    }
    aggregates(query, ties);
    windows::windows(query, ties);
    cuts(query, in_order, ties);
}

/// LIMIT, OFFSET, DISTINCT ON, and ARRAY over an order.
fn cuts(query: NodeOf<pg_sys::Query>, in_order: bool, ties: &mut Ties) {
    let with_ties = query.limitOption == pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES;
    let is_limited = order::limits(&query) && !with_ties;
    let given = match in_order && is_unsorted(&query) {
        true => input_order(query),
        false => None,
    };
    for (key, sorting) in given.into_iter().flatten() {
        settle::sort_query_like(query, key, sorting);
    }
    // Groups, unions and distinct rows come in no order.
    let is_array = in_order && !relies_on_order(query);
    if !is_limited && !query.hasDistinctOn && !is_array {
        return;
    }
    let mut keys = Keys::of(shown_or_in(
        query,
        &[query.sortClause, query.distinctClause],
    ));
    // Rows that such a query shows differ in more than their images, or it cannot sort by what it does not show.
    let is_set = node::list_length(query.distinctClause) > 0 && !query.hasDistinctOn;
    if is_set || !query.setOperations.is_null() {
        keys.by_image.clear();
    }
    if query.hasDistinctOn {
        settle::sort_by_distinct_keys(query);
    }
    let before = node::list_length(query.sortClause);
    keys.append(&mut |expr, by| settle::sort_query(query, expr, by));
    if node::list_length(query.sortClause) > before {
        let construct = match (query.hasDistinctOn, is_limited) {
            (true, _) => "DISTINCT ON",
            (false, true) => "LIMIT or OFFSET",
            (false, false) => "ARRAY",
        };
        (ties.said).push((construct.to_owned(), keys.names(query)));
    }
}

/// Whether a query's rows come in the order of its input, as far as they have one.
fn is_unsorted(query: &pg_sys::Query) -> bool {
    node::list_length(query.sortClause) == 0
        && node::list_length(query.distinctClause) == 0
        && query.setOperations.is_null()
        && !is_grouped(query)
        && !query.hasWindowFuncs
}

/// Whether an ARRAY of the query's rows shows an order that is given elsewhere.
pub(super) fn relies_on_order(query: NodeOf<pg_sys::Query>) -> bool {
    is_unsorted(&query) && may_have_ordered_input(query)
}

/// Aggregates over their input in an order.
fn aggregates(query: NodeOf<pg_sys::Query>, ties: &mut Ties) {
    let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
    let roots = targets.iter().filter_map(|target| Node::new(target.expr));
    let mut calls: Vec<NodeOf<pg_sys::Aggref>> = Vec::new();
    // JSON_OBJECTAGG has no ORDER BY.
    let mut without_order: Vec<Node> = Vec::new();
    for root in roots.chain(Node::new(query.havingQual)) {
        root.walk(&mut |node| {
            calls.extend(node.cast::<pg_sys::Aggref>());
            if let Some(json) = node.cast::<pg_sys::JsonConstructorExpr>()
                && json.type_ == pg_sys::JsonConstructorType::JSCTOR_JSON_OBJECTAGG
            {
                without_order.extend(Node::new(json.func.cast::<pg_sys::Node>()));
            }
            if node.is::<pg_sys::Query>() {
                Walk::Skip
            } else {
                Walk::Descend
            }
        });
    }
    let may_begin = !may_have_ordered_input(query);
    let mut given = None;
    for call in calls {
        let name = types::function_name(call.aggfnoid);
        let is_plain = call.aggkind as u8 == b'n'
            && call.agglevelsup == 0
            && node::list_length(call.aggdistinct) == 0;
        if !is_plain || (types::is_builtin(call.aggfnoid) && commutes(&name)) {
            continue;
        }
        let is_ordered = node::list_length(call.aggorder) > 0;
        let takes_order = !without_order
            .iter()
            .any(|n| n.as_ptr() == call.node().as_ptr());
        let given = match is_ordered || !takes_order {
            true => None,
            false => given.get_or_insert_with(|| input_order(query)).as_ref(),
        };
        let begins = may_begin && types::is_builtin(call.aggfnoid) && takes_order;
        if !is_ordered && !begins && given.is_none() {
            continue;
        }
        let arguments = node::list_of::<pg_sys::TargetEntry>(call.args);
        let arguments = arguments.iter().filter(|argument| !argument.resjunk);
        let keys = Keys::of(arguments.filter_map(|argument| Node::new(argument.expr)));
        let before = node::list_length(call.aggorder);
        for (key, sorting) in given.into_iter().flatten() {
            settle::sort_aggregate(call, *key, *sorting);
        }
        keys.append(&mut |expr, by| settle::sort_aggregate(call, expr, Sorting::Rising(by)));
        let by = match given {
            Some(_) => "the order of the subquery, then ",
            None => "",
        };
        let said = (name, format!("{by}{}", keys.names(query)));
        if node::list_length(call.aggorder) > before {
            ties.is_unordered |= !is_ordered;
            if !ties.said.contains(&said) {
                ties.said.push(said);
            }
        }
    }
}

/// Whether the query's input may have an explicit order.
fn may_have_ordered_input(query: NodeOf<pg_sys::Query>) -> bool {
    node::check_stack_depth();
    let entries = node::list_of::<pg_sys::RangeTblEntry>(query.rtable);
    entries.iter().any(|entry| match entry.rtekind {
        pg_sys::RTEKind::RTE_SUBQUERY => {
            let subquery = Node::new(entry.subquery.cast::<pg_sys::Node>())
                .and_then(Node::cast::<pg_sys::Query>);
            subquery.is_none_or(|subquery| {
                node::list_length(subquery.sortClause) > 0 || may_have_ordered_input(subquery)
            })
        }
        pg_sys::RTEKind::RTE_CTE => true,
        pg_sys::RTEKind::RTE_RELATION => entry.relkind as u8 == pg_sys::RELKIND_VIEW,
        _ => false,
    })
}

/// What a query shows, and what these lists of clauses name though it is not shown.
fn shown_or_in(query: NodeOf<pg_sys::Query>, lists: &[*mut pg_sys::List]) -> Vec<Node> {
    let clauses = lists.iter().copied();
    let named: Vec<u32> = clauses
        .flat_map(node::list_of::<pg_sys::SortGroupClause>)
        .map(|clause| clause.tleSortGroupRef)
        .collect();
    node::list_of::<pg_sys::TargetEntry>(query.targetList)
        .iter()
        .filter(|target| !target.resjunk || named.contains(&target.ressortgroupref))
        .filter_map(|target| Node::new(target.expr))
        .collect()
}
