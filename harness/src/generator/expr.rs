//! Expressions and conditions over the columns in scope.

use proptest::prelude::*;

use super::reading::reading;
use super::scoped::{Scoped, column};
use super::types::Ty;

/// An expression of whatever type is asked for.
#[derive(Debug, Clone)]
pub enum Expr {
    /// A column of the type; a literal if there is none.
    Column(u8),
    /// A value.
    Literal(u8),
    /// What is read off a column of another type; a column of the type if there is none.
    Read(u8),
    /// One of the type's operations.
    Op(u8, Box<Expr>, Box<Expr>),
}

/// A condition.
#[derive(Debug, Clone)]
pub enum Condition {
    /// A column compared with a literal.
    Column(u8, u8, u8),
    /// Two expressions compared.
    Compare(u8, u8, Expr, Expr),
    /// IS NULL, IS NOT NULL, of a column or of a whole row.
    Null(u8, bool, bool),
    /// A boolean expression.
    Flag(Expr),
    /// NOT.
    Not(Box<Condition>),
    /// AND, OR.
    Both(bool, Box<Condition>, Box<Condition>),
}

/// An expression.
pub fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        5 => any::<u8>().prop_map(Expr::Column),
        1 => any::<u8>().prop_map(Expr::Literal),
        1 => any::<u8>().prop_map(Expr::Read),
    ];
    leaf.prop_recursive(2, 5, 2, |inner| {
        (any::<u8>(), inner.clone(), inner)
            .prop_map(|(op, a, b)| Expr::Op(op, Box::new(a), Box::new(b)))
    })
}

/// A condition.
pub fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        4 => (any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(column, op, value)| Condition::Column(column, op, value)),
        2 => (any::<u8>(), any::<u8>(), expr(), expr())
            .prop_map(|(column, op, a, b)| Condition::Compare(column, op, a, b)),
        1 => (any::<u8>(), any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(column, not, whole)| Condition::Null(column, not, whole)),
        1 => expr().prop_map(Condition::Flag),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| Condition::Not(Box::new(a))),
            (any::<bool>(), inner.clone(), inner).prop_map(|(and, a, b)| Condition::Both(
                and,
                Box::new(a),
                Box::new(b)
            )),
        ]
    })
}

/// Comparison operators, the most selective first.
const COMPARISONS: [&str; 8] = [
    "=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
];

/// The operator of this index.
pub fn comparison(index: u8) -> &'static str {
    COMPARISONS[usize::from(index) % COMPARISONS.len()]
}

impl Expr {
    /// The expression as SQL of the type.
    pub fn render(&self, ty: Ty, scope: &[Scoped]) -> String {
        match self {
            Self::Column(index) => {
                let fitting: Vec<&Scoped> = scope.iter().filter(|c| c.ty.fits(ty)).collect();
                match fitting.get(usize::from(*index) % fitting.len().max(1)) {
                    Some(column) => column.sql.clone(),
                    None => ty.literal(*index),
                }
            }
            Self::Literal(index) => ty.literal(*index),
            Self::Read(index) => {
                reading(*index, ty, scope).unwrap_or_else(|| Self::Column(*index).render(ty, scope))
            }
            Self::Op(op, a, b) => operation(*op, ty, &a.render(ty, scope), &b.render(ty, scope)),
        }
    }
}

/// One of the operations of a type. All are immutable and total on the pools.
fn operation(op: u8, ty: Ty, a: &str, b: &str) -> String {
    let special: &[&str] = match ty {
        Ty::Int | Ty::BigInt => &["({a} + {b})", "({a} - {b})", "({a} * 2)", "abs({a})"],
        Ty::Numeric => &[
            "({a} + {b})",
            "({a} * 1.50)",
            "round({a}, 1)",
            "({a} - {b})",
        ],
        Ty::Money => &["({a} + {b})::numeric(10,2)", "({a} * 2)::numeric(10,2)"],
        Ty::Text | Ty::TextC | Ty::Loose => &[
            "({a} || {b})",
            "upper({a})",
            "left({a}, 1)",
            "replace({a}, 'a', 'b')",
        ],
        Ty::Bool => &[
            "({a} AND {b})",
            "(NOT {a})",
            "({a} OR {b})",
            "({a} IS NULL)",
        ],
        Ty::Float => &["({a} + {b})", "({a} - {b})"],
        Ty::Date => &["({a} + 1)", "least({a}, {b})"],
        Ty::Timestamp | Ty::Instant => &["greatest({a}, {b})", "least({a}, {b})"],
        Ty::Mood | Ty::Pair => &["least({a}, {b})"],
        Ty::Ints => &[
            "({a} || {b})",
            "array_remove({a}, 2)",
            "array_append({a}, 1)",
        ],
        Ty::Json => &["({a} -> 'a')", "jsonb_strip_nulls({a})"],
        Ty::Span => &["({a} * {b})", "range_merge({a}, {b})"],
        Ty::Interval => &["({a} + {b})", "({a} * 2)", "justify_hours({a})"],
        Ty::Small => &["abs({a})::small"],
        Ty::Uuid | Ty::Bytea | Ty::Dated | Ty::Lasting => &["coalesce({b}, {a})"],
    };
    let general = [
        "coalesce({a}, {b})",
        "NULLIF({a}, {b})",
        "CASE WHEN {a} = {b} THEN {a} ELSE {b} END",
    ];
    let count = special.len() + general.len();
    let index = usize::from(op) % count;
    let pattern = special
        .get(index)
        .copied()
        .unwrap_or_else(|| general[index - special.len()]);
    pattern.replace("{a}", a).replace("{b}", b)
}

impl Condition {
    /// The condition as SQL.
    pub fn render(&self, scope: &[Scoped]) -> String {
        match self {
            Self::Column(index, op, value) => match column(scope, *index) {
                Some(column) => format!(
                    "{} {} {}",
                    column.sql,
                    comparison(*op),
                    column.ty.value(*value)
                ),
                None => "true".into(),
            },
            Self::Compare(index, op, a, b) => {
                let ty = column(scope, *index).map_or(Ty::Int, |column| column.ty);
                let (a, b) = (a.render(ty, scope), b.render(ty, scope));
                format!("{a} {} {b}", comparison(*op))
            }
            Self::Null(index, not, whole) => match column(scope, *index) {
                Some(column) => {
                    let row = whole.then(|| column.row()).flatten();
                    let value = row.as_ref().unwrap_or(&column.sql);
                    format!("{value} IS {}NULL", if *not { "NOT " } else { "" })
                }
                None => "true".into(),
            },
            Self::Flag(expr) => expr.render(Ty::Bool, scope),
            Self::Not(inner) => format!("NOT ({})", inner.render(scope)),
            Self::Both(and, a, b) => format!(
                "({}) {} ({})",
                a.render(scope),
                if *and { "AND" } else { "OR" },
                b.render(scope)
            ),
        }
    }
}
