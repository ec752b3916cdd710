//! Accumulators: what a group stores, and how results follow from it.
//!
//! `sum` and `avg` over `numeric` show the greatest display scale of their inputs. Unless the
//! query fixes the scale, a second accumulator counts the inputs of each scale.
//! [`crate::operators::aggregate`] writes all of this as SQL.

use crate::tree::{Aggregate, AggregateKind, Column, Expr};

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
    pub(crate) fn shows(&self) -> Option<usize> {
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
    pub(crate) fn hides_empty(&self, global: bool) -> bool {
        match self {
            Final::Sum { inputs, .. } => global || *inputs != Count::Rows,
            _ => false,
        }
    }
}

/// Chooses accumulators for the aggregates, sharing equal ones. `None` when one of the aggregates
/// has no accumulator.
pub(super) fn choose(
    keys: &[Column],
    aggregates: &[Aggregate],
) -> Option<(Vec<Accumulator>, Vec<Final>)> {
    let mut accumulators = Vec::new();
    let finals = aggregates
        .iter()
        .map(|aggregate| choose_one(aggregate, &mut accumulators))
        .collect::<Option<Vec<Final>>>()?;
    debug_assert!(keys.iter().all(|k| k.ty.image_equality));
    Some((accumulators, finals))
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
