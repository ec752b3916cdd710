//! Which results of a window function a changed row affects.
//!
//! ```text
//! lag(x, k)                                          the next k rows
//! f(x) ROWS BETWEEN a PRECEDING AND b FOLLOWING      b rows before, a rows after
//! row_number(), sum(x) … up to the current row       all rows after, by a number that is carried
//! ```
//! A sum is carried if addition is exact: of integers and numeric, not of floats.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Ahead, Carry, Comparisons, Reach};

use super::facts::is_image_equality;
use super::window_functions::{is_first, is_last};
use crate::pg::node::{Node, NodeOf};
use crate::pg::version::null_treatment::ignores_nulls;
use crate::pg::{query, settle, types};

/// How the first key of an order compares, if it does by default.
pub(super) fn comparisons(
    clause: &pg_sys::SortGroupClause,
    type_oid: pg_sys::Oid,
) -> Option<Comparisons> {
    if settle::is_by_image(clause) {
        return None;
    }
    let text = |strategy| types::ordering_operator(type_oid, strategy).map(types::operator_text);
    Some(Comparisons {
        descending: !types::sorts_by_default(clause.sortop, type_oid)?,
        less: text(pg_sys::BTLessStrategyNumber)?,
        at_most: text(pg_sys::BTLessEqualStrategyNumber)?,
        at_least: text(pg_sys::BTGreaterEqualStrategyNumber)?,
        greater: text(pg_sys::BTGreaterStrategyNumber)?,
    })
}

/// The reach in this order of a call that reads `arguments`; `None` where it has no end and nothing is carried.
pub(super) fn reach(
    call: NodeOf<pg_sys::WindowFunc>,
    arguments: &[Node],
    clause: &pg_sys::WindowClause,
    order: Option<&Comparisons>,
) -> Option<Reach> {
    let order = order?.clone();
    if ignores_nulls(&call) {
        return None;
    }
    let after = |rows: u64| (0, Ahead::Rows(rows));
    let all = |carry: Carry| Some((0, Ahead::All(carry)));
    let (back, ahead) = match call.winfnoid.to_u32() {
        pg_sys::F_ROW_NUMBER | pg_sys::F_DENSE_RANK_ => all(Carry::Count)?,
        pg_sys::F_RANK_ => all(Carry::Rank)?,
        pg_sys::F_PERCENT_RANK_ | pg_sys::F_CUME_DIST_ | pg_sys::F_NTILE => return None,
        pg_sys::F_LAG_ANYELEMENT
        | pg_sys::F_LAG_ANYELEMENT_INT4
        | pg_sys::F_LAG_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE => moved(arguments, 1)?,
        pg_sys::F_LEAD_ANYELEMENT
        | pg_sys::F_LEAD_ANYELEMENT_INT4
        | pg_sys::F_LEAD_ANYCOMPATIBLE_INT4_ANYCOMPATIBLE => moved(arguments, -1)?,
        _ => {
            let frame = Frame::of(clause);
            if let Some(around) = frame.around() {
                around
            } else if is_last(&call) && frame.ends_here() {
                after(0)
            } else if is_first(&call) && frame.keeps_first() {
                all(Carry::First)?
            } else if frame.is_so_far() {
                all(carry_of(call)?)?
            } else {
                return None;
            }
        }
    };
    Some(Reach { order, back, ahead })
}

/// The reach of `lag` (1) or `lead` (−1) over their constant number of rows.
fn moved(arguments: &[Node], sign: i64) -> Option<(u64, Ahead)> {
    let rows = match arguments.get(1) {
        None => 1,
        Some(rows) => {
            let rows = rows.cast::<pg_sys::Const>()?;
            (!rows.constisnull).then_some(i64::from(rows.constvalue.value() as i32))?
        }
    };
    let rows = rows * sign;
    Some((
        rows.min(0).unsigned_abs(),
        Ahead::Rows(rows.max(0).unsigned_abs()),
    ))
}

/// How an aggregate so far follows from one that ended earlier.
fn carry_of(call: NodeOf<pg_sys::WindowFunc>) -> Option<Carry> {
    if !call.winagg || !types::is_builtin(call.winfnoid) {
        return None;
    }
    let extremum = |name| {
        let (type_oid, typmod) = types::base_type(call.node().type_oid(), call.node().typmod());
        let is_alike = is_image_equality(type_oid, typmod, pg_sys::InvalidOid)
            && !types::is_collatable(type_oid);
        is_alike.then_some(Carry::Function(name))
    };
    match call.winfnoid.to_u32() {
        pg_sys::F_COUNT_ | pg_sys::F_COUNT_ANY => Some(Carry::Count),
        pg_sys::F_SUM_INT2 | pg_sys::F_SUM_INT4 | pg_sys::F_SUM_INT8 | pg_sys::F_SUM_NUMERIC => {
            Some(Carry::Operator("+".into()))
        }
        pg_sys::F_BOOL_AND | pg_sys::F_EVERY => Some(Carry::Operator("AND".into())),
        pg_sys::F_BOOL_OR => Some(Carry::Operator("OR".into())),
        _ => match types::function_name(call.winfnoid).as_str() {
            "min" => extremum("LEAST"),
            "max" => extremum("GREATEST"),
            _ => None,
        },
    }
}

/// A frame clause.
struct Frame<'a> {
    options: u32,
    clause: &'a pg_sys::WindowClause,
}

impl<'a> Frame<'a> {
    fn of(clause: &'a pg_sys::WindowClause) -> Self {
        let options = clause.frameOptions as u32;
        Frame { options, clause }
    }

    fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    fn excludes(&self) -> bool {
        self.has(pg_sys::FRAMEOPTION_EXCLUSION)
    }

    /// Whether it is all rows up to the current one, or to its peers.
    fn is_so_far(&self) -> bool {
        self.has(pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING)
            && self.has(pg_sys::FRAMEOPTION_END_CURRENT_ROW)
            && !self.excludes()
    }

    /// Whether its last row is the current one, or a peer of it.
    fn ends_here(&self) -> bool {
        let starts_later = pg_sys::FRAMEOPTION_START_OFFSET_FOLLOWING;
        self.has(pg_sys::FRAMEOPTION_END_CURRENT_ROW) && !self.has(starts_later) && !self.excludes()
    }

    /// Whether its first row is the first of all.
    fn keeps_first(&self) -> bool {
        self.has(pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING)
            && !self.has(pg_sys::FRAMEOPTION_END_OFFSET_PRECEDING)
            && !self.excludes()
    }

    /// How many rows on either side of a row have it in their frames.
    fn around(&self) -> Option<(u64, Ahead)> {
        let is_here = self.has(pg_sys::FRAMEOPTION_START_CURRENT_ROW)
            && self.has(pg_sys::FRAMEOPTION_END_CURRENT_ROW);
        if is_here {
            return Some((0, Ahead::Rows(0)));
        }
        if !self.has(pg_sys::FRAMEOPTION_ROWS) {
            return None;
        }
        let end = |here: u32, preceding: u32, following: u32, offset: *mut pg_sys::Node| {
            if self.has(here) {
                return Some(0);
            }
            let rows = query::fold(Node::new(offset)?).cast::<pg_sys::Const>()?;
            let rows = (!rows.constisnull).then_some(rows.constvalue.value() as i64)?;
            match (rows >= 0, self.has(preceding), self.has(following)) {
                (true, true, false) => Some(-rows),
                (true, false, true) => Some(rows),
                _ => None,
            }
        };
        let first = end(
            pg_sys::FRAMEOPTION_START_CURRENT_ROW,
            pg_sys::FRAMEOPTION_START_OFFSET_PRECEDING,
            pg_sys::FRAMEOPTION_START_OFFSET_FOLLOWING,
            self.clause.startOffset,
        )?;
        let last = end(
            pg_sys::FRAMEOPTION_END_CURRENT_ROW,
            pg_sys::FRAMEOPTION_END_OFFSET_PRECEDING,
            pg_sys::FRAMEOPTION_END_OFFSET_FOLLOWING,
            self.clause.endOffset,
        )?;
        Some((
            last.max(0).unsigned_abs(),
            Ahead::Rows(first.min(0).unsigned_abs()),
        ))
    }
}
