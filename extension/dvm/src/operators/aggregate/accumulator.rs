//! Accumulators: what a group remembers, and how results follow from it.
//!
//! `sum` and `avg` over `numeric` show as many digits as the input with the most of them. Where the
//! query does not fix that, a second accumulator counts the inputs of each display scale: it adds
//! `10^(8·scale)` per input, so that the number of its digits tells the greatest scale still there.
//! It is linear, exact while a group has fewer than 10⁸ inputs, and needs no other machinery.

use std::fmt::Write as _;

use crate::canary;
use crate::tree::{Aggregate, AggregateKind, Column, Expr};

use super::Maintenance;

/// Decimal digits reserved per display scale in a scale accumulator.
const SCALE_DIGITS: u32 = 8;
/// Inputs with at least this display scale make the group be computed again.
const SCALE_LIMIT: u32 = 12_000;

/// Which extremum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extremum {
    /// `min`.
    Min,
    /// `max`.
    Max,
}

/// One remembered value of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Accumulator {
    /// Number of rows that pass the filter and whose argument, if any, is not NULL.
    Count {
        /// The argument.
        argument: Option<Expr>,
        /// The filter.
        filter: Option<Expr>,
    },
    /// Number of rows whose boolean argument is true.
    CountTrue {
        /// The argument.
        argument: Expr,
        /// The filter.
        filter: Option<Expr>,
    },
    /// Sum; zero when there is no input.
    Sum {
        /// The argument.
        argument: Expr,
        /// The filter.
        filter: Option<Expr>,
        /// Type of the sum.
        ty: &'static str,
        /// Type that the argument is cast to before it is multiplied by the weight.
        factor: &'static str,
    },
    /// Which display scales the inputs have.
    Scales {
        /// The argument.
        argument: Expr,
        /// The filter.
        filter: Option<Expr>,
    },
    /// Least or greatest input, NULL when there is none.
    Extremum {
        /// Which.
        extremum: Extremum,
        /// The argument.
        argument: Expr,
        /// The filter.
        filter: Option<Expr>,
    },
}

/// A count of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Count {
    /// The number of rows in the group.
    Rows,
    /// An accumulator.
    Accumulator(usize),
}

/// How a result follows from the accumulators.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Final {
    /// A count.
    Count(Count),
    /// A sum, NULL without inputs.
    Sum {
        /// Accumulator with the sum.
        sum: usize,
        /// Number of inputs.
        inputs: Count,
        /// Accumulator with the display scales.
        scales: Option<usize>,
    },
    /// An average, NULL without inputs.
    Avg {
        /// Accumulator with the sum.
        sum: usize,
        /// Number of inputs.
        inputs: Count,
        /// Accumulator with the display scales.
        scales: Option<usize>,
    },
    /// The accumulator itself.
    Extremum(usize),
    /// True when every input is.
    And {
        /// Number of true inputs.
        trues: usize,
        /// Number of inputs.
        inputs: Count,
    },
    /// True when some input is.
    Or {
        /// Number of true inputs.
        trues: usize,
        /// Number of inputs.
        inputs: Count,
    },
}

impl Final {
    /// The accumulator that the result shows unchanged while it has inputs.
    pub(super) fn shows(&self) -> Option<usize> {
        match self {
            Final::Count(Count::Accumulator(position)) | Final::Extremum(position) => {
                Some(*position)
            }
            Final::Sum {
                sum, scales: None, ..
            } => Some(*sum),
            _ => None,
        }
    }

    /// Whether the result is NULL where the accumulator is not.
    pub(super) fn hides_empty(&self, global: bool) -> bool {
        match self {
            Final::Sum { inputs, .. } => global || *inputs != Count::Rows,
            _ => false,
        }
    }

    /// The result over the state of a group with rows, or of a `global` one, whose columns are named with
    /// `prefix`.
    pub(super) fn sql(&self, prefix: &str, global: bool) -> String {
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

/// Chooses accumulators for the aggregates, sharing equal ones. `None` when one of the aggregates
/// has no accumulator.
pub(super) fn choose(keys: &[Column], aggregates: &[Aggregate]) -> Option<Maintenance> {
    let mut accumulators = Vec::new();
    let finals = aggregates
        .iter()
        .map(|aggregate| choose_one(aggregate, &mut accumulators))
        .collect::<Option<Vec<Final>>>()?;
    debug_assert!(keys.iter().all(|k| k.ty.image_equality));
    Some(Maintenance::Accumulate {
        accumulators,
        finals,
    })
}

fn choose_one(aggregate: &Aggregate, accumulators: &mut Vec<Accumulator>) -> Option<Final> {
    let mut shared = |wanted: Accumulator| {
        accumulators
            .iter()
            .position(|a| *a == wanted)
            .unwrap_or_else(|| {
                accumulators.push(wanted);
                accumulators.len() - 1
            })
    };
    let filter = aggregate.filter.clone();
    if aggregate.kind == AggregateKind::CountStar {
        return Some(Final::Count(match filter {
            None => Count::Rows,
            filter => Count::Accumulator(shared(Accumulator::Count {
                argument: None,
                filter,
            })),
        }));
    }
    let argument = aggregate.argument.clone()?;
    let inputs = |shared: &mut dyn FnMut(Accumulator) -> usize| {
        if filter.is_none() && !argument.nullable {
            Count::Rows
        } else {
            Count::Accumulator(shared(Accumulator::Count {
                argument: argument.nullable.then(|| argument.clone()),
                filter: filter.clone(),
            }))
        }
    };
    let whole_bigint = argument.ty.sql == "bigint";
    let (ty, factor) = match aggregate.kind {
        AggregateKind::SumInteger | AggregateKind::AvgInteger if !whole_bigint => {
            ("bigint", "bigint")
        }
        _ => ("numeric", "numeric"),
    };
    let scales_of = |scale: Option<i32>| {
        scale.is_none().then(|| Accumulator::Scales {
            argument: argument.clone(),
            filter: filter.clone(),
        })
    };
    let sum_of = || Accumulator::Sum {
        argument: argument.clone(),
        filter: filter.clone(),
        ty,
        factor,
    };
    Some(match aggregate.kind {
        AggregateKind::CountStar | AggregateKind::Recompute => return None,
        AggregateKind::Count => Final::Count(inputs(&mut shared)),
        AggregateKind::SumInteger => Final::Sum {
            inputs: inputs(&mut shared),
            sum: shared(sum_of()),
            scales: None,
        },
        AggregateKind::AvgInteger => Final::Avg {
            inputs: inputs(&mut shared),
            sum: shared(sum_of()),
            scales: None,
        },
        AggregateKind::SumNumeric { scale } => Final::Sum {
            inputs: inputs(&mut shared),
            sum: shared(sum_of()),
            scales: scales_of(scale).map(&mut shared),
        },
        AggregateKind::AvgNumeric { scale } => Final::Avg {
            inputs: inputs(&mut shared),
            sum: shared(sum_of()),
            scales: scales_of(scale).map(&mut shared),
        },
        AggregateKind::Min | AggregateKind::Max => Final::Extremum(shared(Accumulator::Extremum {
            extremum: if aggregate.kind == AggregateKind::Min {
                Extremum::Min
            } else {
                Extremum::Max
            },
            argument: argument.clone(),
            filter: filter.clone(),
        })),
        AggregateKind::BoolAnd => Final::And {
            inputs: inputs(&mut shared),
            trues: shared(Accumulator::CountTrue {
                argument: argument.clone(),
                filter: filter.clone(),
            }),
        },
        AggregateKind::BoolOr => Final::Or {
            inputs: inputs(&mut shared),
            trues: shared(Accumulator::CountTrue {
                argument: argument.clone(),
                filter: filter.clone(),
            }),
        },
    })
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
            } => format!(
                "{}({}){}",
                extremum.function(),
                print(argument),
                conditions(Some(format!("{weight} > 0")), filter, print)
            ),
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
            } => Some(format!(
                "{}({}){}",
                extremum.function(),
                print(argument),
                conditions(Some(format!("{weight} < 0")), filter, print)
            )),
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

    /// When the new value cannot be told from the old one and the delta.
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
    fn function(self) -> &'static str {
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

fn conditions(
    own: Option<String>,
    filter: &Option<Expr>,
    print: &dyn Fn(&Expr) -> String,
) -> String {
    let all: Vec<String> = own
        .into_iter()
        .chain(filter.as_ref().map(|f| format!("({})", print(f))))
        .collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" FILTER (WHERE {})", all.join(" AND "))
    }
}
