//! Rows that are computed from rows: functions, XMLTABLE, JSON_TABLE and VALUES in FROM, and
//! set-returning functions in the select list.
//!
//! The server prints them as subqueries without tables, in which parameters stand for the columns that
//! they read: `(SELECT u.x FROM unnest($3) u(x))`, `(SELECT unnest($3), generate_series(1, $4))`. The
//! second runs its functions in lockstep, as the select list does.

use std::collections::{BTreeMap, BTreeSet};

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, Expr, Part, Relation};

use super::analyzer::Analyzer;
use super::clock_documents::{is_of_clock, makes_guarded_rows, makes_strings};
use super::display_scale::Scale;
use super::implied::spell_out;
use super::input::Computed;
use super::stage::Stage;
use crate::capability::{
    SET_RETURNING_FUNCTION, SET_RETURNING_OUTPUT, STABLE_FUNCTION, TABLE_FUNCTION,
    UNKNOWN_CONSTRUCT, VALUES,
};
use crate::error::Result;
use crate::pg::from_item::{self, ItemColumn};
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::whole_row::MARK;
use crate::pg::{deparse, make_node, query, types};

/// The expressions that a computed item of FROM is made of.
pub(super) fn entry_content(entry: &pg_sys::RangeTblEntry) -> Option<Node> {
    from_item::content(entry)
}

impl Analyzer {
    /// Makes the columns of a computed item that are read.
    pub fn computed(
        &mut self,
        entry: NodeOf<pg_sys::RangeTblEntry>,
        used: &BTreeSet<i16>,
    ) -> Computed {
        let (capability, what) = match entry.rtekind {
            pg_sys::RTEKind::RTE_FUNCTION => (&SET_RETURNING_FUNCTION, "function in FROM:"),
            pg_sys::RTEKind::RTE_TABLEFUNC => (&TABLE_FUNCTION, "table function"),
            _ => (&VALUES, "VALUES list"),
        };
        self.note(capability, format!("{what} {}", node::entry_name(&entry)));
        let all = from_item::columns(entry);
        let ordinality = entry
            .funcordinality
            .then(|| all.last().map(|column| column.attnum))
            .flatten();
        let mark = make_node::make_true().map(|var| ItemColumn {
            attnum: MARK,
            name: "present".into(),
            var,
        });
        let read: Vec<ItemColumn> = all
            .into_iter()
            .chain(mark)
            .filter(|column| used.contains(&column.attnum))
            .collect();
        let mut ids = BTreeMap::new();
        let columns: Vec<Column> = read
            .iter()
            .map(|ItemColumn { attnum, name, var }| {
                let ty = (var.type_oid(), var.typmod(), var.collation());
                let is_ordinal = ordinality == Some(*attnum);
                let column = self.add_column(name, ty, !is_ordinal, Scale::Unknown);
                ids.insert(*attnum, column.id);
                column
            })
            .collect();
        let ordinal = read.iter().position(|c| Some(c.attnum) == ordinality);
        Computed {
            key: match ordinal {
                Some(position) => Some(vec![position]),
                None => is_single_row(&entry).then(Vec::new),
            },
            entry,
            read,
            columns,
            ids,
        }
    }

    /// The item as a subquery over the stage's columns.
    pub fn computed_rows(
        &mut self,
        stage: &mut Stage<'_>,
        computed: &Computed,
    ) -> Result<Vec<Part>> {
        let Some(content) = from_item::content(&computed.entry) else {
            return Ok(Vec::new());
        };
        let flat = query::flatten(stage.level.query, content);
        let bound = spell_out(self.bind(stage, flat)?);
        self.check_conversions(bound);
        let mut printable = true;
        for part in parts_of(bound) {
            self.check_volatility(part);
            printable &= self.check_printable(part);
        }
        let text = match printable {
            true => from_item::select(computed.entry, bound, &computed.read),
            false => None,
        };
        // Paths inside of JSON_TABLE are known by its text only.
        let is_of_paths = makes_guarded_rows(bound) && bound.is::<pg_sys::TableFunc>();
        if is_of_paths && text.as_deref().is_some_and(makes_strings) {
            self.refuse(&STABLE_FUNCTION, node::entry_name(&computed.entry));
        }
        let Some(text) = text else {
            self.refuse(&UNKNOWN_CONSTRUCT, node::entry_name(&computed.entry));
            return Ok(Vec::new());
        };
        Ok(self.parenthesised(&[&text]))
    }

    /// Makes the column of an output that has several rows, and says how it prints.
    pub fn set_output(&mut self, bound: Node, expr: Expr) -> (Column, Expr) {
        self.note(&SET_RETURNING_OUTPUT, deparse::expression(bound));
        let ty = (bound.type_oid(), bound.typmod(), bound.collation());
        (self.add_column("", ty, true, Scale::Unknown), expr)
    }

    /// Values that are read from text without an expression that says so.
    fn check_conversions(&mut self, content: Node) {
        let mut columns: Vec<(pg_sys::Oid, bool)> = Vec::new();
        content.walk(&mut |node| {
            let function = node.cast::<pg_sys::RangeTblFunction>();
            let beside = function.map(|function| function.funccoltypes);
            let table = node.cast::<pg_sys::TableFunc>();
            let types = beside.or(table.map(|table| table.coltypes));
            let is_guarded = makes_guarded_rows(node);
            let types = types.into_iter().flat_map(node::oid_list);
            columns.extend(types.map(|type_oid| (type_oid, is_guarded)));
            Walk::Descend
        });
        for (type_oid, is_guarded) in columns {
            self.check_input(type_oid, is_guarded && is_of_clock(type_oid));
        }
    }

    /// A subquery in parentheses.
    fn parenthesised(&mut self, pieces: &[&str]) -> Vec<Part> {
        let text = format!("({})", pieces.concat());
        let ty = self
            .types
            .column_type(pg_sys::RECORDOID, -1, pg_sys::InvalidOid, Scale::Unknown);
        Expr::from_printed(&text, ty, false).parts
    }
}

/// The input with the rows of outputs that have several, in lockstep.
pub(super) fn with_sets(input: Relation, sets: Vec<(Column, Expr)>) -> Relation {
    if sets.is_empty() {
        return input;
    }
    let mut item = vec![Part::Sql("(SELECT ".into())];
    let mut columns = Vec::with_capacity(sets.len());
    for (column, expr) in sets {
        if !columns.is_empty() {
            item.push(Part::Sql(", ".into()));
        }
        item.extend(expr.parts);
        columns.push(column);
    }
    item.push(Part::Sql(")".into()));
    Relation::expand(input, item, columns, None)
}

/// The expressions in an item's content: each can be printed.
fn parts_of(content: Node) -> Vec<Node> {
    if content.tag() != pg_sys::NodeTag::T_List {
        return vec![content];
    }
    node::list(content.as_ptr().cast())
        .into_iter()
        .flat_map(|part| match part.cast::<pg_sys::RangeTblFunction>() {
            Some(function) => Node::new(function.funcexpr).into_iter().collect(),
            None => parts_of(part),
        })
        .collect()
}

/// Whether an item has one row for each row of its neighbours.
fn is_single_row(entry: &pg_sys::RangeTblEntry) -> bool {
    match entry.rtekind {
        pg_sys::RTEKind::RTE_FUNCTION => node::list_of::<pg_sys::RangeTblFunction>(entry.functions)
            .iter()
            .filter_map(|function| Node::new(function.funcexpr))
            .all(|call| !types::returns_set(call)),
        pg_sys::RTEKind::RTE_VALUES => node::list_length(entry.values_lists) == 1,
        _ => false,
    }
}
