//! Accumulators as SQL.
//!
//! The accumulator of display scales adds `10^(8·scale)` per input, so its number of digits gives the
//! greatest scale still present. It is linear, and exact while a group has fewer than 10⁸ inputs.

use std::fmt::Write as _;

use crate::canary;
use crate::plan::{Accumulator, Count, Extremum, Final};
use crate::tree::Expr;

/// Decimal digits reserved per display scale in a scale accumulator.
const SCALE_DIGITS: u32 = 8;
/// Inputs with at least this display scale make the group recompute.
const SCALE_LIMIT: u32 = 12_000;

impl Final {
    /// The result over the state of a group with rows, or of a `global` one, whose columns are named with
    /// `prefix`.
    pub(in crate::operators) fn sql(&self, prefix: &str, global: bool) -> String {
        let count = |count: &Count| match count {
            Count::Rows => format!("{prefix}n"),
            Count::Accumulator(position) => format!("{prefix}a{position}"),
        };
        let scaled = |sum: usize, scales: Option<usize>| match scales {
            Some(_) if canary::active(canary::SCALE_FORGOTTEN) => format!("{prefix}a{sum}"),
            None => format!("{prefix}a{sum}"),
            Some(scales) => {
                format!(
                    "round({prefix}a{sum}, {})",
                    scale_sql(&format!("{prefix}a{scales}"))
                )
            }
        };
        match self {
            Final::Count(counted) => count(counted),
            Final::Sum { sum, scales, .. } if !self.hides_empty(global) => scaled(*sum, *scales),
            Final::Sum {
                sum,
                inputs,
                scales,
            } => format!(
                "CASE WHEN {} <> 0 THEN {} END",
                count(inputs),
                scaled(*sum, *scales)
            ),
            Final::Avg {
                sum,
                inputs,
                scales,
            } => format!(
                "CASE WHEN {} <> 0 THEN ({})::numeric / {} END",
                count(inputs),
                scaled(*sum, *scales),
                if canary::active(canary::AVG_IGNORES_NULLS) {
                    count(&Count::Rows)
                } else {
                    count(inputs)
                }
            ),
            Final::Extremum(position) => format!("{prefix}a{position}"),
            Final::And { trues, inputs } => format!(
                "CASE WHEN {0} <> 0 THEN {prefix}a{trues} = {0} END",
                count(inputs)
            ),
            Final::Or { trues, inputs } => format!(
                "CASE WHEN {} <> 0 THEN {prefix}a{trues} > 0 END",
                count(inputs)
            ),
        }
    }
}

fn scale_sql(scales: &str) -> String {
    format!("((length(trunc({scales})::text) - 1) / {SCALE_DIGITS})")
}

impl Accumulator {
    /// The accumulator's value over rows with weights, whose columns print by `print`.
    pub(super) fn delta_sql(&self, weight: &str, print: &dyn Fn(&Expr) -> String) -> String {
        match self {
            Accumulator::Count { argument, filter } => {
                let not_null = argument
                    .as_ref()
                    .map(|x| format!("({}) IS DISTINCT FROM NULL", print(x)));
                let conditions = conditions(not_null, filter, print);
                format!("coalesce(sum({weight}){conditions}, 0)::bigint")
            }
            Accumulator::CountTrue { argument, filter } => {
                let conditions = conditions(Some(format!("({})", print(argument))), filter, print);
                format!("coalesce(sum({weight}){conditions}, 0)::bigint")
            }
            Accumulator::Sum {
                argument,
                filter,
                ty,
                factor,
            } => format!(
                "coalesce(sum(({})::{factor} * {weight}){}, 0)::{ty}",
                print(argument),
                conditions(None, filter, print)
            ),
            Accumulator::Scales { argument, filter } => {
                // NULL, NaN and the infinities have no scale; `least` would ignore that.
                let scale = format!("scale({})", print(argument));
                let conditions = conditions(Some(format!("{scale} IS NOT NULL")), filter, print);
                format!(
                    "coalesce(sum(('1e' || ({SCALE_DIGITS} * least({scale}, {SCALE_LIMIT}))::text)\
                     ::numeric * {weight}){conditions}, 0)"
                )
            }
            Accumulator::Extremum {
                extremum,
                argument,
                filter,
            } => {
                let added = Some(format!("{weight} > 0"));
                extremum.sql(argument, added, filter, print)
            }
        }
    }

    /// The extremum of removed values, for accumulators that need it.
    pub(super) fn removed_sql(
        &self,
        weight: &str,
        print: &dyn Fn(&Expr) -> String,
    ) -> Option<String> {
        match self {
            Accumulator::Extremum {
                extremum,
                argument,
                filter,
            } => {
                let removed = Some(format!("{weight} < 0"));
                Some(extremum.sql(argument, removed, filter, print))
            }
            _ => None,
        }
    }

    /// The new value from the old one and the delta.
    pub(super) fn combined_sql(&self, old: &str, delta: &str) -> String {
        match self {
            Accumulator::Extremum { extremum, .. } => {
                format!("{}({old}, {delta})", extremum.combiner())
            }
            _ => format!("coalesce({old}, 0) + {delta}"),
        }
    }

    /// When the old value and the delta do not determine the new value.
    pub(super) fn recompute_condition(
        &self,
        old: &str,
        delta: &str,
        removed: &str,
    ) -> Option<String> {
        match self {
            Accumulator::Extremum { .. } if canary::active(canary::STALE_EXTREMUM) => None,
            Accumulator::Extremum {
                extremum, argument, ..
            } => {
                let reaches = match extremum {
                    Extremum::Min => "<=",
                    Extremum::Max => ">=",
                };
                let mut condition = format!(
                    "{removed} IS DISTINCT FROM NULL AND \
                     ({old} IS NOT DISTINCT FROM NULL OR {removed} {reaches} {old})"
                );
                if !argument.ty.image_equality {
                    let _ = write!(condition, " OR {delta} = {old}");
                }
                Some(condition)
            }
            // Whole numbers are summed as numeric, but never come to NaN or an infinity.
            Accumulator::Sum {
                ty: "numeric",
                argument,
                ..
            } if argument.ty.sql != "bigint" => Some(format!(
                "({old} + {delta}) IN ('NaN', 'Infinity', '-Infinity')"
            )),
            Accumulator::Scales { .. } => Some(format!(
                "{} >= {SCALE_LIMIT}",
                scale_sql(&format!("({old} + {delta})"))
            )),
            _ => None,
        }
    }
}

impl Extremum {
    /// The extremum of the values of rows under a condition of their own and the query's filter.
    pub(super) fn sql(
        self,
        argument: &Expr,
        own: Option<String>,
        filter: &Option<Expr>,
        print: &dyn Fn(&Expr) -> String,
    ) -> String {
        let (function, value) = (self.function(), print(argument));
        format!("{function}({value}){}", conditions(own, filter, print))
    }

    pub(super) fn function(self) -> &'static str {
        match self {
            Extremum::Min => "min",
            Extremum::Max => "max",
        }
    }

    fn combiner(self) -> &'static str {
        match self {
            Extremum::Min => "least",
            Extremum::Max => "greatest",
        }
    }
}

pub(super) fn conditions(
    own: Option<String>,
    filter: &Option<Expr>,
    print: &dyn Fn(&Expr) -> String,
) -> String {
    // The query's own filter first: it may guard what the argument cannot be computed for.
    let filter = filter.as_ref().map(|f| format!("({})", print(f)));
    let all: Vec<String> = filter.into_iter().chain(own).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" FILTER (WHERE {})", all.join(" AND "))
    }
}
