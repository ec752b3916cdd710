//! Window functions of one query level: one operator for each minimal set of PARTITION BY keys.
//! A call with more keys partitions further inside its operator: a row that
//! touches its partition touches the operator's.
//!
//! The rules for ties ([`Ties`]): functions of whole peer groups do not depend on them; functions of values see
//! peers that differ in what they read; functions of a row's position see every difference.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, Comparisons, Expr, Part, SortKey, WindowCall};

use super::analyzer::Analyzer;
use super::display_scale::Scale;
use super::group_columns::Grouping;
use super::order::{image_fields, sort_key};
use super::reach::{comparisons, reach};
use super::scope::Level;
use super::stage::Stage;
use super::window_functions::{follows_position, is_never_null, passes_scale, ties_of};
use super::windows::Windows;
use crate::capability::WINDOW_FUNCTION;
use crate::error::Result;
use crate::pg::make_node::make_call_without_window;
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::version::null_treatment::ignores_nulls;
use crate::pg::{query, settle, types};

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
