//! Conjuncts that compare a value of the rows with one that follows the clock:
//! `ts > now() - interval '1 hour'`, `day = CURRENT_DATE`.
//!
//! Each leaves one moving value, the bound, which the engine handles.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Expr, Opaque, Predicate, Relation};

use super::analyzer::Analyzer;
use super::clock::TimeFilter;
use super::display_scale::Scale;
use crate::capability::TIME_FILTER;
use crate::pg::{deparse, types};

impl Analyzer {
    /// The rows of `input` that satisfy the comparison, whose value prints as given.
    pub fn follow_clock(&mut self, input: Relation, filter: &TimeFilter, value: Expr) -> Relation {
        let text = deparse::expression(filter.bound);
        self.note(&TIME_FILTER, text.clone());
        self.check_bound(filter.bound, filter.operator);
        let ty = (
            filter.bound.type_oid(),
            filter.bound.typmod(),
            filter.bound.collation(),
        );
        let column = self.add_column("bound", ty, true, Scale::Unknown);
        let operator = types::operator_text(filter.operator);
        let bound = Opaque {
            recursion: None,
            query: format!("SELECT {text}"),
            columns: vec![column.clone()],
            sources: Vec::new(),
            polled: true,
        };
        match filter.side {
            Some(side) => Relation::Bounded {
                input: Box::new(input),
                value,
                operator,
                side,
                bound: Box::new(bound),
            },
            None => Relation::Join {
                left: Box::new(input),
                right: Box::new(Relation::Opaque(bound)),
                predicates: vec![self.equals(filter, value, Expr::of(&column))],
            },
        }
    }

    fn equals(&mut self, filter: &TimeFilter, value: Expr, bound: Expr) -> Predicate {
        use pgtrickle_dvm::tree::Part::Sql;
        let operator = types::operator_text(filter.operator);
        let is_default = filter.value.type_oid() == filter.bound.type_oid();
        let mut parts = vec![Sql("((".into())];
        parts.extend(value.parts.iter().cloned());
        parts.push(Sql(format!(") {operator} ")));
        parts.extend(bound.parts.iter().cloned());
        parts.push(Sql(")".into()));
        let ty = self
            .types
            .column_type(pg_sys::BOOLOID, -1, pg_sys::InvalidOid, Scale::Unknown);
        Predicate {
            expr: Expr {
                parts,
                ty,
                nullable: true,
            },
            equality: is_default.then_some((value, bound)),
        }
    }
}
