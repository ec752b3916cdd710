//! Ties of window functions.
//!
//! A window whose function looks at a row's place gets a longer order. `last_value` over a frame that ends with the
//! peers of the current row shows one of these peers: their last one in the longer order.
//!
//! ```text
//! last_value(x) OVER (PARTITION BY p ORDER BY o)
//!   →  last_value(x) OVER (PARTITION BY p, o ORDER BY x, … RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
//! ```

use pgrx::pg_sys;

use super::{Keys, Ties, shown_or_in};
use crate::parse::order;
use crate::parse::window_functions::{follows_position, ignores_frame, is_first, is_last, ties_of};
use crate::pg::levels;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::settle::{self, Operators};
use crate::pg::version::null_treatment::ignores_nulls;
use crate::pg::{query, types};

type Call = NodeOf<pg_sys::WindowFunc>;
type Window = NodeOf<pg_sys::WindowClause>;

/// Settles the windows of one query.
pub(super) fn windows(query: NodeOf<pg_sys::Query>, ties: &mut Ties) {
    let calls = calls_of(query);
    let shows_peer = |call: &Call, window: &Window| {
        call.winref == window.winref && shows_last_peer(call, window)
    };
    let decides =
        |call: &Call, window: &Window| call.winref == window.winref && may_go_on(call, window);
    let all = node::list_of::<pg_sys::WindowClause>(query.windowClause);
    let touches = |w: &Window| calls.iter().any(|c| decides(c, w) || shows_peer(c, w));
    if !all.iter().any(touches) {
        return;
    }
    let keys = Keys::of(read_by_windows(query));
    settle::part_windows(query);
    for window in all {
        if let Some((peers, _)) = own_window(query, window, &calls, shows_peer) {
            settle::part_by_order(peers);
        }
    }
    if keys.ordered.is_empty() && keys.by_image.is_empty() {
        return;
    }
    for window in node::list_of::<pg_sys::WindowClause>(query.windowClause) {
        let Some((window, placed)) = own_window(query, window, &calls, decides) else {
            continue;
        };
        let is_whole = node::list_length(window.orderClause) == 0
            && window.frameOptions as u32 & pg_sys::FRAMEOPTION_ROWS == 0;
        if is_whole && !placed.iter().all(|call| ignores_frame(call)) {
            settle::frame_whole_partition(window);
        }
        if go_on(query, window, &keys)
            && let Some(first) = placed.first()
        {
            let name = types::function_name(first.winfnoid);
            (ties.said).push((format!("window of {name}"), keys.names(query)));
        }
    }
}

/// The calls of window functions at this level.
fn calls_of(query: NodeOf<pg_sys::Query>) -> Vec<Call> {
    let targets = node::list_of::<pg_sys::TargetEntry>(query.targetList);
    let mut calls = Vec::new();
    for target in targets.iter().filter_map(|target| Node::new(target.expr)) {
        target.walk(&mut |node| {
            calls.extend(node.cast::<pg_sys::WindowFunc>());
            if node.is::<pg_sys::Query>() {
                Walk::Skip
            } else {
                Walk::Descend
            }
        });
    }
    calls
}

/// The chosen calls over a window, and a window for them alone: this one if no other call has it, else a copy.
fn own_window(
    query: NodeOf<pg_sys::Query>,
    window: Window,
    calls: &[Call],
    is_chosen: impl Fn(&Call, &Window) -> bool,
) -> Option<(Window, Vec<Call>)> {
    let (chosen, rest): (Vec<Call>, Vec<Call>) = (calls.iter().copied())
        .filter(|call| call.winref == window.winref)
        .partition(|call| is_chosen(call, &window));
    let own = match (chosen.is_empty(), rest.is_empty()) {
        (true, _) => None,
        (false, true) => Some(window),
        (false, false) => settle::copy_window(query, window, &chosen),
    };
    Some((own?, chosen))
}

/// Continues the order of a window by the keys that are constant neither in it nor in its partition. Returns whether it
/// has become longer.
fn go_on(query: NodeOf<pg_sys::Query>, window: Window, keys: &Keys) -> bool {
    let before = node::list_length(window.orderClause);
    let partition = node::list_of::<pg_sys::SortGroupClause>(window.partitionClause);
    keys.append(&mut |expr, by| {
        let is_partition = by != Operators::IMAGE
            && partition.iter().any(|clause| {
                query::target_of(query, clause.tleSortGroupRef)
                    .is_some_and(|known| known.same_as(expr))
            });
        if !is_partition {
            settle::sort_window(query, window, expr, by);
        }
    });
    node::list_length(window.orderClause) > before
}

/// Whether the call shows the last peer of the current row, in an order whose peers are equal by their types' own
/// equality, as the rows of a partition are.
fn shows_last_peer(call: &pg_sys::WindowFunc, window: &pg_sys::WindowClause) -> bool {
    let options = window.frameOptions as u32;
    let has = |option: u32| options & option != 0;
    let order = node::list_of::<pg_sys::SortGroupClause>(window.orderClause);
    is_last(call)
        && !ignores_nulls(call)
        && !order.is_empty()
        && order.iter().all(|key| settle::is_own_equality(key))
        && has(pg_sys::FRAMEOPTION_END_CURRENT_ROW)
        && !has(pg_sys::FRAMEOPTION_ROWS | pg_sys::FRAMEOPTION_EXCLUSION)
}

/// Whether the place of a row decides on the call's result, and a longer order of its window gives one of the
/// results that the shorter one allows.
fn may_go_on(call: &pg_sys::WindowFunc, window: &pg_sys::WindowClause) -> bool {
    let options = window.frameOptions as u32;
    let has = |option: u32| options & option != 0;
    if ties_of(call, follows_position(options)) == pgtrickle_dvm::tree::Ties::Harmless {
        return false;
    }
    let offset = !window.startOffset.is_null() || !window.endOffset.is_null();
    if offset && has(pg_sys::FRAMEOPTION_RANGE) {
        return false;
    }
    if ignores_frame(call) {
        return true;
    }
    if has(pg_sys::FRAMEOPTION_EXCLUDE_GROUP | pg_sys::FRAMEOPTION_EXCLUDE_TIES) {
        return false;
    }
    let from_start = has(pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING);
    let to_end = has(pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING);
    let excludes = has(pg_sys::FRAMEOPTION_EXCLUDE_CURRENT_ROW);
    has(pg_sys::FRAMEOPTION_ROWS)
        || node::list_length(window.orderClause) == 0
        || (from_start && to_end)
        || (!excludes
            && is_first(call)
            && from_start
            && has(pg_sys::FRAMEOPTION_END_CURRENT_ROW | pg_sys::FRAMEOPTION_END_OFFSET_FOLLOWING))
        || (!excludes
            && is_last(call)
            && to_end
            && has(
                pg_sys::FRAMEOPTION_START_CURRENT_ROW | pg_sys::FRAMEOPTION_START_OFFSET_PRECEDING
            ))
}

/// What the windows of a level have in their rows: what is shown, and what that is made of where it can only be
/// computed above them.
fn read_by_windows(query: NodeOf<pg_sys::Query>) -> Vec<Node> {
    let windows = node::list_of::<pg_sys::WindowClause>(query.windowClause);
    let mut lists: Vec<*mut pg_sys::List> = (windows.iter())
        .flat_map(|window| [window.partitionClause, window.orderClause])
        .collect();
    if order::cuts(&query) || node::list_length(query.distinctClause) > 0 {
        lists.extend([query.sortClause, query.distinctClause]);
    }
    let mut read = Vec::new();
    for expr in shown_or_in(query, &lists) {
        parts(expr, &mut read);
    }
    read
}

/// The expression, or the columns, aggregates and arguments of window functions in it.
fn parts(expr: Node, read: &mut Vec<Node>) {
    let mut is_above = types::returns_set(expr);
    expr.walk(&mut |node| {
        is_above |= node.is::<pg_sys::WindowFunc>() || node.is::<pg_sys::SubLink>();
        if is_above { Walk::Stop } else { Walk::Descend }
    });
    if !is_above {
        read.push(expr);
        return;
    }
    levels::walk_levels(expr, &mut |node, level| {
        if let Some(call) = node.cast::<pg_sys::WindowFunc>().filter(|_| level == 0) {
            for argument in node::list(call.args)
                .into_iter()
                .chain(Node::new(call.aggfilter))
            {
                parts(argument, read);
            }
            return Walk::Skip;
        }
        let is_own = (node.cast::<pg_sys::Var>()).is_some_and(|var| var.varlevelsup == level)
            || (node.cast::<pg_sys::Aggref>()).is_some_and(|call| call.agglevelsup == level);
        if is_own {
            read.push(levels::shift_levels(node, -(level as i32)));
            return Walk::Skip;
        }
        Walk::Descend
    });
}
