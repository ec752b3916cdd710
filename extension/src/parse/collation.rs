//! Explicit collations must not leak out of the subquery that they are written in.
//!
//! A column is an *implicit* source of a collation, even if a subquery computes it with COLLATE.
//! The engine replaces the column by the subquery's expression, where the COLLATE would be an
//! *explicit* source and conflict with another one: `SELECT … FROM (SELECT a COLLATE "C" AS a FROM t) s
//! WHERE a < 'x' COLLATE "POSIX"`. A scalar subselect around such a column makes it implicit again; it
//! is written only where expressions with different explicit collations meet.

use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{ColumnId, Expr, Part};

use super::analyzer::Analyzer;
use crate::pg::node::{Node, Walk};

impl Analyzer {
    /// Whether the expression, with all columns replaced by what they stand for, says COLLATE.
    pub fn says_collate(&self, bound: Node) -> bool {
        !self.explicit_collations(bound).is_empty()
    }

    /// Whether different explicit collations would meet in the expression.
    pub fn collations_clash(&self, bound: Node) -> bool {
        self.explicit_collations(bound).len() > 1
    }

    /// The expression with its explicitly collated columns made implicit where they would clash.
    pub fn contain_collations(&self, bound: Node, expr: Expr) -> Expr {
        if !self.collations_clash(bound) {
            return expr;
        }
        let mut parts = Vec::with_capacity(expr.parts.len());
        for part in expr.parts {
            match part {
                Part::Column(id) if self.is_explicit(id) => {
                    parts.push(Part::Sql("(SELECT ".into()));
                    parts.push(Part::Column(id));
                    parts.push(Part::Sql(")".into()));
                }
                part => parts.push(part),
            }
        }
        Expr { parts, ..expr }
    }

    fn is_explicit(&self, id: ColumnId) -> bool {
        self.slot(id).is_some_and(|slot| slot.explicit_collation)
    }

    fn explicit_collations(&self, bound: Node) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        bound.walk(&mut |node| {
            if let Some(collate) = node.cast::<pg_sys::CollateExpr>() {
                found.insert(collate.collOid.to_u32());
            } else if let Some(param) = node.cast::<pg_sys::Param>()
                && self.is_explicit(ColumnId(param.paramid as u32))
            {
                found.insert(param.paramcollid.to_u32());
            }
            Walk::Descend
        });
        found
    }
}
