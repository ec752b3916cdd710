//! Accumulators computed from all rows of a group: each row counts once, and the server adds integers much
//! faster than products with weights.

use crate::plan::Accumulator;
use crate::tree::Expr;

use super::rendering::conditions;

impl Accumulator {
    /// The accumulator's value over rows that are there, each once.
    pub(super) fn whole_sql(&self, print: &dyn Fn(&Expr) -> String) -> String {
        match self {
            Accumulator::Count { argument, filter } => {
                let counted = argument.as_ref().map_or("*".to_owned(), print);
                format!("count({counted}){}", conditions(None, filter, print))
            }
            Accumulator::CountTrue { argument, filter } => {
                let is_true = Some(format!("({})", print(argument)));
                format!("count(*){}", conditions(is_true, filter, print))
            }
            Accumulator::Sum {
                argument,
                filter,
                ty,
                ..
            } => {
                // The server adds integers up much faster than products.
                let summed = match argument.ty.sql.as_str() {
                    integer @ ("smallint" | "integer" | "bigint") => integer,
                    _ => ty,
                };
                format!(
                    "coalesce(sum(({})::{summed}){}, 0)::{ty}",
                    print(argument),
                    conditions(None, filter, print)
                )
            }
            Accumulator::Scales { .. } => self.delta_sql("1", print),
            Accumulator::Extremum {
                extremum,
                argument,
                filter,
            } => extremum.sql(argument, None, filter, print),
        }
    }
}
