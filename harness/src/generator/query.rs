//! Queries over the supported grammar.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::expr::{Condition, Expr, Scoped, condition, expr};
use super::types::Ty;

mod print;

pub use print::{Object, Printer};

/// How a subquery enters the FROM list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// `FROM (SELECT …)`.
    Inline,
    /// A view.
    View,
    /// `WITH … AS (SELECT …)`.
    Cte,
    /// A stream table of its own.
    StreamTable,
}

/// An entry of the FROM list.
#[derive(Debug, Clone)]
pub enum Item {
    /// A table.
    Table(u8),
    /// A subquery.
    Query(Wrap, Box<Select>),
}

/// A further entry of the FROM list.
#[derive(Debug, Clone)]
pub struct Join {
    /// 0 inner with equality, 1 inner with another comparison, 2 cross, 3 comma, 4 USING.
    kind: u8,
    item: Item,
    ty: u8,
    left: u8,
    right: u8,
    op: u8,
    extra: Option<Condition>,
}

/// An expression with its type: mostly that of a column in scope, so that few of them are
/// constant.
#[derive(Debug, Clone)]
pub struct Typed(u8, Expr);

impl Typed {
    /// The type.
    fn ty(&self, scope: &[Scoped]) -> Ty {
        match scope.get(usize::from(self.0) % (scope.len() + 1)) {
            Some(column) => column.ty,
            None => Ty::ALL[usize::from(self.0) % Ty::ALL.len()],
        }
    }
}

/// An aggregate call.
#[derive(Debug, Clone)]
pub struct Aggregate {
    function: u8,
    distinct: bool,
    filter: Option<Condition>,
    argument: Typed,
}

/// What is selected.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Expressions.
    Project(Vec<Typed>),
    /// `SELECT DISTINCT`.
    Distinct(Vec<Typed>),
    /// Groups. The mask says which keys are shown.
    Group {
        /// Group keys.
        keys: Vec<Typed>,
        /// Which are in the output.
        shown: u8,
        /// Aggregates.
        aggregates: Vec<Aggregate>,
        /// HAVING: an aggregate, compared with a value.
        having: Option<(Aggregate, u8, u8)>,
    },
}

/// A query.
#[derive(Debug, Clone)]
pub struct Select {
    first: Item,
    joins: Vec<Join>,
    filter: Option<Condition>,
    shape: Shape,
    union: Option<Box<Select>>,
}

/// A query.
pub fn select() -> impl Strategy<Value = Select> {
    block(table_item().boxed()).prop_recursive(2, 4, 2, |inner| {
        let item = prop_oneof![
            3 => table_item(),
            2 => (wrap(), inner.clone())
                .prop_map(|(wrap, query)| Item::Query(wrap, Box::new(query))),
        ];
        (block(item.boxed()), option::weighted(0.2, inner)).prop_map(|(mut select, union)| {
            select.union = union.map(Box::new);
            select
        })
    })
}

fn table_item() -> impl Strategy<Value = Item> {
    any::<u8>().prop_map(Item::Table)
}

fn wrap() -> impl Strategy<Value = Wrap> {
    prop_oneof![
        3 => Just(Wrap::Inline),
        2 => Just(Wrap::View),
        2 => Just(Wrap::Cte),
        2 => Just(Wrap::StreamTable),
    ]
}

/// A query without UNION over these items.
fn block(item: BoxedStrategy<Item>) -> BoxedStrategy<Select> {
    let join = (
        prop_oneof![6 => Just(0u8), 1 => Just(1u8), 1 => Just(2u8), 1 => Just(3u8), 1 => Just(4u8)],
        item.clone(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        option::weighted(0.2, condition()),
    )
        .prop_map(|(kind, item, ty, left, right, op, extra)| Join {
            kind,
            item,
            ty,
            left,
            right,
            op,
            extra,
        });
    (
        item,
        vec(join, 0..3),
        option::weighted(0.4, condition()),
        shape(),
    )
        .prop_map(|(first, joins, filter, shape)| Select {
            first,
            joins,
            filter,
            shape,
            union: None,
        })
        .boxed()
}

fn typed() -> impl Strategy<Value = Typed> {
    (any::<u8>(), expr()).prop_map(|(ty, expr)| Typed(ty, expr))
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    (
        any::<u8>(),
        prop::bool::weighted(0.2),
        option::weighted(0.2, condition()),
        typed(),
    )
        .prop_map(|(function, distinct, filter, argument)| Aggregate {
            function,
            distinct,
            filter,
            argument,
        })
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        3 => vec(typed(), 1..4).prop_map(Shape::Project),
        1 => vec(typed(), 1..3).prop_map(Shape::Distinct),
        5 => (
            vec(typed(), 0..3),
            prop_oneof![3 => Just(255u8), 1 => any::<u8>()],
            vec(aggregate(), 1..4),
            option::weighted(0.2, (aggregate(), any::<u8>(), any::<u8>())),
        )
            .prop_map(|(keys, shown, aggregates, having)| Shape::Group {
                keys,
                shown,
                aggregates,
                having,
            }),
    ]
}
