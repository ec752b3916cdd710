//! Window functions of one query level: one operator for each set of PARTITION BY keys that contains no
//! other. A call with more keys than its operator partitions by the others inside of it: every row that
//! touches its partition touches the operator's.
//!
//! The rules for ties ([`Ties`]): functions of whole peer groups do not care; functions of values see
//! peers that differ in what they read; functions of a row's own position see every difference.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{
    Aggregate, Column, ColumnId, Comparisons, Expr, Part, Piece, Relation, SortKey, WindowCall,
};

use super::analyzer::Analyzer;
use super::display_scale::Scale;
use super::group_columns::Grouping;
use super::implied::spell_out;
use super::opaque::reads_only_tables;
use super::order::{image_fields, sort_key};
use super::reach::{comparisons, reach};
use super::scope::Level;
use super::stage::{Pending, Stage};
use super::window_functions::{follows_position, is_never_null, passes_scale, ties_of};
use crate::capability::{UNKNOWN_CONSTRUCT, WINDOW_FUNCTION};
use crate::error::Result;
use crate::pg::make_node::make_call_without_window;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::version::null_treatment::ignores_nulls;
use crate::pg::{deparse, query, settle, types};

/// The window functions of a level, as they are written.
pub(super) struct Written {
    /// The different calls, flattened.
    calls: Vec<NodeOf<pg_sys::WindowFunc>>,
    /// Their windows.
    windows: Vec<NodeOf<pg_sys::WindowClause>>,
}

impl Written {
    /// Those in flattened expressions of the query.
    pub fn of(query: NodeOf<pg_sys::Query>, outputs: impl Iterator<Item = Node>) -> Self {
        let mut calls: Vec<NodeOf<pg_sys::WindowFunc>> = Vec::new();
        for output in outputs {
            output.walk(&mut |node| match node.cast::<pg_sys::WindowFunc>() {
                Some(call) => {
                    if !calls.iter().any(|known| known.node().same_as(node)) {
                        calls.push(call);
                    }
                    Walk::Skip
                }
                None => Walk::Descend,
            });
        }
        let mut windows = node::list_of::<pg_sys::WindowClause>(query.windowClause);
        windows.retain(|window| calls.iter().any(|call| call.winref == window.winref));
        Self { calls, windows }
    }

    /// The flattened expressions that the windows partition and sort by.
    pub fn roots(&self, query: NodeOf<pg_sys::Query>) -> Vec<Node> {
        self.windows
            .iter()
            .flat_map(|window| [window.partitionClause, window.orderClause])
            .flat_map(node::list_of::<pg_sys::SortGroupClause>)
            .filter_map(|clause| query::referenced(query, clause.tleSortGroupRef))
            .collect()
    }
}

/// The window functions of a level, ready to be computed.
#[derive(Default)]
pub(super) struct Windows {
    /// Flattened calls, and the columns that carry their results.
    pub known: Vec<(Node, ColumnId)>,
    calls: Vec<(BTreeSet<ColumnId>, WindowCall)>,
    /// What is computed below the windows.
    computed: Vec<(Column, Expr)>,
    pending: Vec<Pending>,
    offsets: Offsets,
}

/// What the rows carry of offsets that subqueries give.
#[derive(Default)]
struct Offsets {
    /// The columns with their values.
    carried: BTreeSet<ColumnId>,
    /// Those of ROWS and GROUPS, in a group of its own: a wrong one fails also where there are no rows.
    checked: Vec<Aggregate>,
    pending: Vec<Pending>,
}

impl Offsets {
    /// The rows of `input` beside the checked values.
    fn beside(self, input: Relation) -> Relation {
        if self.checked.is_empty() {
            return input;
        }
        let pending = self.pending.into_iter();
        let values = pending.fold(Relation::SingleRow, |row, pending| pending.over(row));
        input.joined(values.grouped(Vec::new(), self.checked), Vec::new())
    }
}

/// A window, bound.
struct Window {
    partition: Vec<Column>,
    order: Vec<SortKey>,
    frame: String,
    follows_position: bool,
    clause: NodeOf<pg_sys::WindowClause>,
    /// How the first key of the order compares.
    compare: Option<Comparisons>,
}

impl Windows {
    /// The results beside the columns of `input` that are read and what is computed of them.
    fn over(self, input: Relation, mut read: BTreeSet<ColumnId>) -> Relation {
        let input = (self.pending.into_iter()).fold(input, |input, pending| pending.over(input));
        read.extend(&self.offsets.carried);
        let input = self.offsets.beside(input);
        for (partition, call) in &self.calls {
            read.extend(partition);
            read.extend(call.exprs().flat_map(Expr::columns));
        }
        let columns = input.columns().into_iter().filter(|c| read.contains(&c.id));
        let columns = columns.map(|column| {
            let expr = Expr::of(&column);
            (column, expr)
        });
        let input = Relation::Project {
            columns: columns.chain(self.computed).collect(),
            input: Box::new(input),
        };
        let sets: Vec<BTreeSet<ColumnId>> =
            self.calls.iter().map(|(keys, _)| keys.clone()).collect();
        let mut operators: Vec<(BTreeSet<ColumnId>, Vec<WindowCall>)> = Vec::new();
        for (keys, mut call) in self.calls {
            let smallest = sets.iter().filter(|other| other.is_subset(&keys));
            let by = smallest.min_by_key(|set| set.len()).cloned();
            let by = by.unwrap_or_else(|| keys.clone());
            call.partition.retain(|expr| {
                let id = expr.as_column();
                !id.is_some_and(|id| by.contains(&id))
            });
            match operators.iter_mut().find(|(known, _)| *known == by) {
                Some((_, calls)) => calls.push(call),
                None => operators.push((by, vec![call])),
            }
        }
        operators
            .into_iter()
            .fold(input, |input, (by, calls)| Relation::Window {
                input: Box::new(input),
                partition: by.into_iter().collect(),
                calls,
            })
    }

    /// The column that carries an expression over the input, if one does.
    fn carries(&self, expr: &Expr) -> Option<&Column> {
        let mut computed = self.computed.iter();
        computed.find(|(_, known)| known == expr).map(|(c, _)| c)
    }
}

impl Analyzer {
    /// Binds the window functions of a level, above its grouping.
    pub fn windows(
        &mut self,
        level: &Level<'_>,
        grouping: Option<&Grouping>,
        written: &Written,
    ) -> Result<Windows> {
        let mut windows = Windows::default();
        let mut stage = Stage::new(level, grouping);
        for clause in &written.windows {
            let window = self.window(&mut stage, *clause, &mut windows)?;
            for call in written.calls.iter().filter(|c| c.winref == clause.winref) {
                let bound = self.window_call(&mut stage, *call, &window, &mut windows)?;
                windows.known.push((call.node(), bound.column.id));
                let keys = window.partition.iter().map(|key| key.id).collect();
                windows.calls.push((keys, bound));
            }
        }
        windows.pending = stage.pending;
        Ok(windows)
    }

    /// The windows over `input` under a select list, of which they compute what they can: so partitions hold
    /// what is shown and not what it is made of. `read` is what else is read above.
    pub fn windowed(
        &mut self,
        mut windows: Windows,
        input: Relation,
        selected: &mut [(Column, Expr)],
        mut read: BTreeSet<ColumnId>,
    ) -> Relation {
        let below: BTreeSet<ColumnId> = input.columns().iter().map(|c| c.id).collect();
        for (column, expr) in selected {
            if expr.as_column().is_none() && expr.columns().is_subset(&below) {
                let known = windows.carries(expr).cloned();
                let carrier = known.unwrap_or_else(|| {
                    let id = self.fresh(column.id);
                    let carrier = Column {
                        id,
                        ..column.clone()
                    };
                    windows.computed.push((carrier.clone(), expr.clone()));
                    carrier
                });
                *expr = Expr::of(&carrier);
            } else {
                read.extend(expr.columns());
            }
        }
        let windowed = windows.over(input, read);
        self.storable(windowed)
    }

    fn window(
        &mut self,
        stage: &mut Stage<'_>,
        clause: NodeOf<pg_sys::WindowClause>,
        windows: &mut Windows,
    ) -> Result<Window> {
        let query = stage.level.query;
        let mut partition = Vec::new();
        for key in node::list_of::<pg_sys::SortGroupClause>(clause.partitionClause) {
            if let Some(flat) = query::referenced(query, key.tleSortGroupRef) {
                let bound = self.bind(stage, flat)?;
                let column = self.carrier(bound, windows);
                self.check_key(&column);
                partition.push(column);
            }
        }
        let mut order = Vec::new();
        let mut compare = None;
        for key in node::list_of::<pg_sys::SortGroupClause>(clause.orderClause) {
            let Some(flat) = query::referenced(query, key.tleSortGroupRef) else {
                continue;
            };
            if settle::is_by_image(&key) {
                let mut fields = Vec::new();
                for field in image_fields(&key, Some(flat)) {
                    let bound = self.bind(stage, field)?;
                    fields.push(self.carrier(bound, windows));
                }
                order.push(SortKey::by_image(&fields.iter().collect::<Vec<_>>()));
            } else {
                let bound = self.bind(stage, flat)?;
                let column = self.carrier(bound, windows);
                if order.is_empty() {
                    compare = comparisons(&key, bound.type_oid());
                }
                order.push(sort_key(&key, bound.type_oid(), Expr::of(&column)));
            }
        }
        for function in [clause.startInRangeFunc, clause.endInRangeFunc] {
            if function != pg_sys::InvalidOid {
                self.check_function(function, "a RANGE frame");
            }
        }
        Ok(Window {
            partition,
            order,
            frame: self.frame(stage, clause, windows)?,
            follows_position: follows_position(clause.frameOptions as u32),
            clause,
            compare,
        })
    }

    /// The column below the windows that carries a bound expression.
    fn carrier(&mut self, bound: Node, windows: &mut Windows) -> Column {
        let expr = self.expression(bound);
        let own = expr.as_column().and_then(|id| self.slot(id));
        let own = own.map(|slot| slot.column.clone());
        if let Some(column) = own.or_else(|| windows.carries(&expr).cloned()) {
            return column;
        }
        let scale = self.scale(bound);
        let ty = (bound.type_oid(), bound.typmod(), bound.collation());
        let column = self.add_column("computed", ty, expr.nullable, scale);
        windows.computed.push((column.clone(), expr));
        column
    }

    /// A frame clause as it is written; empty for the default.
    fn frame(
        &mut self,
        stage: &mut Stage<'_>,
        clause: NodeOf<pg_sys::WindowClause>,
        windows: &mut Windows,
    ) -> Result<String> {
        let options = clause.frameOptions as u32;
        let has = |option: u32| options & option != 0;
        if !has(pg_sys::FRAMEOPTION_NONDEFAULT) {
            return Ok(String::new());
        }
        let mode = if has(pg_sys::FRAMEOPTION_ROWS) {
            "ROWS"
        } else if has(pg_sys::FRAMEOPTION_GROUPS) {
            "GROUPS"
        } else {
            "RANGE"
        };
        let start = if has(pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING) {
            "UNBOUNDED PRECEDING".to_owned()
        } else if has(pg_sys::FRAMEOPTION_START_CURRENT_ROW) {
            "CURRENT ROW".to_owned()
        } else {
            let follows = has(pg_sys::FRAMEOPTION_START_OFFSET_FOLLOWING);
            self.frame_offset(stage, clause.startOffset, (mode, true, follows), windows)?
        };
        let end = if has(pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING) {
            "UNBOUNDED FOLLOWING".to_owned()
        } else if has(pg_sys::FRAMEOPTION_END_CURRENT_ROW) {
            "CURRENT ROW".to_owned()
        } else {
            let follows = has(pg_sys::FRAMEOPTION_END_OFFSET_FOLLOWING);
            self.frame_offset(stage, clause.endOffset, (mode, false, follows), windows)?
        };
        let exclude = if has(pg_sys::FRAMEOPTION_EXCLUDE_CURRENT_ROW) {
            " EXCLUDE CURRENT ROW"
        } else if has(pg_sys::FRAMEOPTION_EXCLUDE_GROUP) {
            " EXCLUDE GROUP"
        } else if has(pg_sys::FRAMEOPTION_EXCLUDE_TIES) {
            " EXCLUDE TIES"
        } else {
            ""
        };
        Ok(format!("{mode} BETWEEN {start} AND {end}{exclude}"))
    }

    /// An offset of a frame. One that a subquery gives stands in the frame as it is written, since a frame reads no
    /// columns; the rows carry its value, so that another one has all of them computed again. The server looks at that of
    /// RANGE only beside rows.
    fn frame_offset(
        &mut self,
        stage: &mut Stage<'_>,
        offset: *mut pg_sys::Node,
        (mode, is_start, follows): (&str, bool, bool),
        windows: &mut Windows,
    ) -> Result<String> {
        let word = if follows { "FOLLOWING" } else { "PRECEDING" };
        let Some(offset) = Node::new(offset) else {
            return Ok(format!("UNBOUNDED {word}"));
        };
        let flat = query::flatten(stage.level.query, offset);
        let mut apart = Stage::new(stage.level, stage.grouping);
        let at = match mode {
            "RANGE" => &mut *stage,
            _ => &mut apart,
        };
        let bound = self.bind(at, flat)?;
        let expr = self.expression(bound);
        if expr.columns().is_empty() {
            return Ok(format!("({}) {word}", expr.render(|_| String::new())));
        }
        if !reads_only_tables(flat) {
            self.refuse(
                &UNKNOWN_CONSTRUCT,
                "a frame whose offset depends on what is around it",
            );
        }
        let carried = match mode {
            "RANGE" => self.carrier(bound, windows),
            _ => {
                windows.offsets.pending.extend(apart.pending);
                let before = if is_start {
                    "ROWS "
                } else {
                    "ROWS BETWEEN CURRENT ROW AND "
                };
                let after = if is_start { " PRECEDING" } else { " FOLLOWING" };
                let is_wrong = [
                    Piece::Expr(&expr),
                    Piece::Sql(" IS NULL OR "),
                    Piece::Expr(&expr),
                    Piece::Sql(" OPERATOR(pg_catalog.<) 0"),
                ];
                let fails = [
                    Piece::Sql("SELECT pg_catalog.count(*) OVER ("),
                    Piece::Sql(before),
                    Piece::Expr(&expr),
                    Piece::Sql(after),
                    Piece::Sql(")"),
                ];
                self.checked_number(&expr, is_wrong, fails, &mut windows.offsets.checked)
            }
        };
        windows.offsets.carried.insert(carried.id);
        Ok(format!("({}) {word}", deparse::expression(spell_out(flat))))
    }

    /// What a call reads: a constant, or a column below the windows.
    fn carried(
        &mut self,
        stage: &mut Stage<'_>,
        read: Node,
        windows: &mut Windows,
    ) -> Result<Node> {
        let bound = self.bind(stage, read)?;
        if bound.is::<pg_sys::Const>() {
            return Ok(bound);
        }
        let column = self.carrier(bound, windows);
        Ok(self.parameter(column.id).unwrap_or(bound))
    }

    fn window_call(
        &mut self,
        stage: &mut Stage<'_>,
        call: NodeOf<pg_sys::WindowFunc>,
        window: &Window,
        windows: &mut Windows,
    ) -> Result<WindowCall> {
        let name = types::function_name(call.winfnoid);
        self.note(&WINDOW_FUNCTION, format!("window function {name}"));
        let mut reads = Vec::new();
        for argument in node::list(call.args) {
            reads.push(self.carried(stage, argument, windows)?);
        }
        let scale = match reads.first() {
            Some(first) if passes_scale(&name, reads.len()) => self.scale(*first),
            _ => Scale::Unknown,
        };
        let filter = match Node::new(call.aggfilter) {
            Some(filter) => Some(self.carried(stage, filter, windows)?),
            None => None,
        };
        let arguments: Vec<Expr> = (reads.iter().copied().chain(filter))
            .map(|read| self.expression(read))
            .collect();
        let plain = make_call_without_window(call, &reads, filter).unwrap_or(call.node());
        let mut function = self.expression(plain);
        if ignores_nulls(&call) {
            function.parts.push(Part::Sql(" IGNORE NULLS".into()));
        }
        let nullable = !is_never_null(call.winfnoid);
        let node = call.node();
        let ty = (node.type_oid(), node.typmod(), node.collation());
        let column = self.add_column(name, ty, nullable, scale);
        self.check_storable(&column);
        Ok(WindowCall {
            column,
            function,
            arguments,
            partition: window.partition.iter().map(Expr::of).collect(),
            order: window.order.clone(),
            frame: window.frame.clone(),
            ties: ties_of(&call, window.follows_position),
            reach: reach(call, &reads, &window.clause, window.compare.as_ref()),
        })
    }
}
