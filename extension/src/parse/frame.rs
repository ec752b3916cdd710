//! Frames of windows, and their offsets computed by subqueries.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::Piece;

use super::analyzer::Analyzer;
use super::implied::spell_out;
use super::opaque::reads_only_tables;
use super::stage::Stage;
use super::windows::Windows;
use crate::capability::UNKNOWN_CONSTRUCT;
use crate::error::Result;
use crate::pg::node::{Node, NodeOf};
use crate::pg::{deparse, query};

impl Analyzer {
    /// A frame clause as it is written; empty for the default.
    pub(super) fn frame(
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
                "a frame whose offset depends on an outer query",
            );
            // Out of that query, it has no text.
            return Ok(format!("UNBOUNDED {word}"));
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
}
