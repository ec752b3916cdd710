//! Aggregate calls.

use proptest::option;
use proptest::prelude::*;

use super::super::expr::{Condition, condition};
use super::super::scoped::Scoped;
use super::super::types::Ty;
use super::Typed;

/// An aggregate call.
#[derive(Debug, Clone)]
pub struct Aggregate {
    function: u8,
    distinct: bool,
    filter: Option<Condition>,
    argument: Typed,
}

/// A call over one of these.
pub fn aggregate(argument: impl Strategy<Value = Typed>) -> impl Strategy<Value = Aggregate> {
    (
        any::<u8>(),
        prop::bool::weighted(0.2),
        option::weighted(0.2, condition()),
        argument,
    )
        .prop_map(|(function, distinct, filter, argument)| Aggregate {
            function,
            distinct,
            filter,
            argument,
        })
}

/// A sum over one of these: what it shows depends on the scales of the rows that are still there.
pub fn sum(argument: impl Strategy<Value = Typed>) -> impl Strategy<Value = Aggregate> {
    argument.prop_map(|argument| Aggregate {
        function: 1,
        distinct: false,
        filter: None,
        argument,
    })
}

impl Aggregate {
    /// Which function: sums and averages twice as often, for what they show depends on which rows have gone.
    fn kind(&self) -> u8 {
        match self.function % 20 {
            16..=18 => 1,
            19 => 7,
            kind => kind,
        }
    }

    /// The call and its result type; none for arrays, which nothing outside looks at.
    pub fn render(&self, scope: &[Scoped]) -> (String, Option<Ty>) {
        let own = self.argument.ty(scope);
        let argument = |ty: Ty| self.argument.1.render(ty, scope);
        // Sums of plain numerics have a scale of their own to get wrong.
        let number = if own.is_number() && own != Ty::Int {
            own
        } else if scope.iter().any(|column| column.ty == Ty::Numeric) {
            Ty::Numeric
        } else {
            Ty::Int
        };
        let ordered = if own.has_extremes() { own } else { Ty::Text };
        let word = if self.distinct { "DISTINCT " } else { "" };
        // sum(DISTINCT) sees one of the equal values.
        let summand = if self.distinct {
            number.canonical(&argument(number))
        } else {
            argument(number)
        };
        let (call, ty) = match self.kind() {
            0 => {
                let row = scope
                    .first()
                    .filter(|_| self.distinct)
                    .and_then(Scoped::row);
                let counted = row.unwrap_or_else(|| "*".into());
                (format!("count({counted})"), Ty::BigInt)
            }
            1 | 2 => {
                let ty = match number {
                    Ty::Int => Ty::BigInt,
                    Ty::Float => Ty::Float,
                    _ => Ty::Numeric,
                };
                (format!("sum({word}{summand})"), ty)
            }
            3 => (format!("count({word}{})", argument(own)), Ty::BigInt),
            4 | 5 => {
                let value = ordered.canonical(&argument(ordered));
                (format!("max({word}{value})"), ordered)
            }
            6 => {
                let value = ordered.canonical(&argument(ordered));
                (format!("min({word}{value})"), ordered)
            }
            7 => {
                let ty = if number == Ty::Float {
                    Ty::Float
                } else {
                    Ty::Numeric
                };
                (format!("avg({word}{summand})"), ty)
            }
            8 => (format!("bool_and({})", argument(Ty::Bool)), Ty::Bool),
            9 => (format!("bool_or({})", argument(Ty::Bool)), Ty::Bool),
            10 => {
                let printed = if own.prints() { own } else { Ty::Text };
                let text = format!("{}::text", argument(printed));
                (
                    format!("string_agg({word}{text}, ',' ORDER BY {text})"),
                    Ty::Text,
                )
            }
            11 => {
                let value = ordered.canonical(&argument(ordered));
                (
                    format!("array_agg({word}{value} ORDER BY {value})"),
                    Ty::Text,
                )
            }
            12 => {
                let value = ordered.canonical(&argument(ordered));
                (
                    format!("percentile_disc(0.5) WITHIN GROUP (ORDER BY {value})"),
                    ordered,
                )
            }
            13 => (format!("bit_xor({word}{})", argument(Ty::Int)), Ty::Int),
            14 => (
                format!("var_pop({word}{}::numeric)", argument(Ty::Int)),
                Ty::Numeric,
            ),
            _ => {
                let value = argument(Ty::Json);
                (
                    format!("jsonb_agg({word}{value} ORDER BY {value})"),
                    Ty::Json,
                )
            }
        };
        let filter = self
            .filter
            .as_ref()
            .map(|condition| format!(" FILTER (WHERE {})", condition.render(scope)))
            .unwrap_or_default();
        let call = format!("{call}{filter}");
        match (self.kind(), ty) {
            (11, _) => (call, None),
            // A result without a type modifier.
            (4..=6 | 12, Ty::Money) => (call, Some(Ty::Numeric)),
            _ => (call, Some(ty)),
        }
    }
}
