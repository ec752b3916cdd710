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
    if aggregate.kind == AggregateKind::CountStar {
        let filter = aggregate.filter.clone();
        return Some(Final::Count(match filter {
            None => Count::Rows,
            filter => Count::Accumulator(shared(
                accumulators,
                Accumulator::Count {
                    argument: None,
                    filter,
                },
            )),
        }));
    }
    let mut of = Inputs {
        argument: aggregate.argument.as_ref()?,
        filter: &aggregate.filter,
        accumulators,
    };
    Some(match aggregate.kind {
        AggregateKind::CountStar | AggregateKind::Recompute => return None,
        AggregateKind::Count => Final::Count(of.count()),
        AggregateKind::SumInteger | AggregateKind::SumNumeric { .. } => Final::Sum {
            inputs: of.count(),
            sum: of.sum(aggregate.kind),
            scales: of.scales(aggregate.kind),
        },
        AggregateKind::AvgInteger | AggregateKind::AvgNumeric { .. } => Final::Avg {
            inputs: of.count(),
            sum: of.sum(aggregate.kind),
            scales: of.scales(aggregate.kind),
        },
        AggregateKind::Min => Final::Extremum(of.extremum(Extremum::Min)),
        AggregateKind::Max => Final::Extremum(of.extremum(Extremum::Max)),
        AggregateKind::BoolAnd => Final::And {
            inputs: of.count(),
            trues: of.trues(),
        },
        AggregateKind::BoolOr => Final::Or {
            inputs: of.count(),
            trues: of.trues(),
        },
    })
}

/// The position of an accumulator, which is added unless it is there.
fn shared(accumulators: &mut Vec<Accumulator>, wanted: Accumulator) -> usize {
    let known = accumulators.iter().position(|a| *a == wanted);
    known.unwrap_or_else(|| {
        accumulators.push(wanted);
        accumulators.len() - 1
    })
}

/// The inputs of an aggregate, and what is remembered of them.
struct Inputs<'a> {
    argument: &'a Expr,
    filter: &'a Option<Expr>,
    accumulators: &'a mut Vec<Accumulator>,
}

impl Inputs<'_> {
    fn count(&mut self) -> Count {
        if self.filter.is_none() && !self.argument.nullable {
            return Count::Rows;
        }
        let counted = Accumulator::Count {
            argument: (self.argument.nullable).then(|| self.argument.clone()),
            filter: self.filter.clone(),
        };
        Count::Accumulator(shared(self.accumulators, counted))
    }

    fn sum(&mut self, kind: AggregateKind) -> usize {
        let is_integer = matches!(kind, AggregateKind::SumInteger | AggregateKind::AvgInteger);
        let ty = match is_integer && self.argument.ty.sql != "bigint" {
            true => "bigint",
            false => "numeric",
        };
        let sum = Accumulator::Sum {
            argument: self.argument.clone(),
            filter: self.filter.clone(),
            ty,
            factor: ty,
        };
        shared(self.accumulators, sum)
    }

    /// The display scales, unless the query fixes one or none are shown.
    fn scales(&mut self, kind: AggregateKind) -> Option<usize> {
        let (AggregateKind::SumNumeric { scale: None } | AggregateKind::AvgNumeric { scale: None }) =
            kind
        else {
            return None;
        };
        let scales = Accumulator::Scales {
            argument: self.argument.clone(),
            filter: self.filter.clone(),
        };
        Some(shared(self.accumulators, scales))
    }

    fn trues(&mut self) -> usize {
        let trues = Accumulator::CountTrue {
            argument: self.argument.clone(),
            filter: self.filter.clone(),
        };
        shared(self.accumulators, trues)
    }

    fn extremum(&mut self, extremum: Extremum) -> usize {
        let extremum = Accumulator::Extremum {
            extremum,
            argument: self.argument.clone(),
            filter: self.filter.clone(),
        };
        shared(self.accumulators, extremum)
    }
}
